//! What a host writes down: the handler's output, line by line, and what the host has to say itself.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Mutex};

/// Where a line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The handler, as information.
    Stdout,
    /// The handler, as an error.
    Stderr,
    /// The host.
    Host,
    /// A function's answer: its `Logs`.
    Function,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Log(Arc<Mutex<Vec<(Source, String)>>>);

impl Log {
    pub fn add(&self, source: Source, line: impl Into<String>) {
        self.0.lock().unwrap().push((source, line.into()));
    }

    /// Reads a stream of the handler's to its end.
    pub fn follow(&self, source: Source, stream: impl Read + Send + 'static) {
        let log = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                log.add(source, line);
            }
        });
    }

    pub fn lines(&self, of: Source) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        lines.iter().filter(|(source, _)| *source == of).map(|(_, line)| line.clone()).collect()
    }

    pub fn text(&self) -> String {
        let lines = self.0.lock().unwrap();
        lines.iter().map(|(source, line)| format!("{source:?}: {line}")).collect::<Vec<_>>().join("\n")
    }
}
