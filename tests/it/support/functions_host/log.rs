//! The log of a host: the output of the handler, line by line, and the messages of the host itself.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Mutex};

/// The source of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The handler's stdout.
    Stdout,
    /// The handler's stderr.
    Stderr,
    /// The host.
    Host,
    /// The `Logs` in the answer of a function.
    Function,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Log(Arc<Mutex<Vec<(Source, String)>>>);

impl Log {
    pub fn add(&self, source: Source, line: impl Into<String>) {
        self.0.lock().unwrap().push((source, line.into()));
    }

    /// Reads an output stream of the handler to its end.
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
