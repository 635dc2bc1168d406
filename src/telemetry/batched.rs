//! Writes log lines many at a time, because the system call for a line costs more than everything else about it.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use crate::sync::lock;

/// A stream that gets its lines some milliseconds later. Warnings and errors are written at once, with all lines before
/// them, so that nothing is missing that explains the end of a process.
pub(super) struct Batched<W> {
    shared: Arc<Shared<W>>,
}

struct Shared<W> {
    /// The lines that are not written yet.
    lines: Mutex<Vec<u8>>,
    has_lines: Condvar,
    stream: Mutex<W>,
}

impl<W> Clone for Batched<W> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<W: Write + Send + 'static> Batched<W> {
    /// The longest time that a line waits.
    const DELAY: Duration = Duration::from_millis(5);
    /// The most bytes that wait. Whoever logs more has to write them, so that a slow stream slows the program down and
    /// does not fill its memory.
    const MAX_WAITING: usize = 256 * 1024;

    /// Starts the thread that writes the lines.
    ///
    /// # Errors
    /// The system starts no more threads.
    pub(super) fn start(stream: W) -> io::Result<Self> {
        let shared = Shared { lines: Mutex::default(), has_lines: Condvar::new(), stream: Mutex::new(stream) };
        let batched = Self { shared: Arc::new(shared) };
        let writer = batched.clone();
        thread::Builder::new().name("log-writer".to_owned()).spawn(move || writer.run())?;
        Ok(batched)
    }

    fn run(&self) {
        loop {
            let lines = lock(&self.shared.lines);
            drop(self.shared.has_lines.wait_while(lines, |lines| lines.is_empty()));
            thread::sleep(Self::DELAY);
            self.flush();
        }
    }

    /// Writes the lines that wait.
    pub(super) fn flush(&self) {
        // The stream comes first: a line that is taken later must not be written earlier.
        let mut stream = lock(&self.shared.stream);
        let lines = std::mem::take(&mut *lock(&self.shared.lines));
        // The service goes on if its log cannot be written.
        let _ = stream.write_all(&lines).and_then(|()| stream.flush());
    }

    fn add(&self, line: &[u8], is_urgent: bool) {
        let mut lines = lock(&self.shared.lines);
        let was_empty = lines.is_empty();
        lines.extend_from_slice(line);
        let is_full = lines.len() > Self::MAX_WAITING;
        drop(lines);
        if is_urgent || is_full {
            self.flush();
        } else if was_empty {
            self.shared.has_lines.notify_one();
        }
    }
}

impl<'a, W: Write + Send + 'static> MakeWriter<'a> for Batched<W> {
    type Writer = LineWriter<'a, W>;

    fn make_writer(&'a self) -> Self::Writer {
        LineWriter { batched: self, is_urgent: true }
    }

    fn make_writer_for(&'a self, of: &Metadata<'_>) -> Self::Writer {
        LineWriter { batched: self, is_urgent: *of.level() <= Level::WARN }
    }
}

/// Takes one line.
pub(super) struct LineWriter<'a, W> {
    batched: &'a Batched<W>,
    is_urgent: bool,
}

impl<W: Write + Send + 'static> Write for LineWriter<'_, W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.batched.add(line, self.is_urgent);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.batched.flush();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// A stream that hands out each text that is written to it.
    struct Stream(Sender<String>);

    impl Write for Stream {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(String::from_utf8(bytes.to_vec()).unwrap()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written_by(log: impl FnOnce(&Batched<Stream>)) -> Receiver<String> {
        let (sender, written) = channel();
        let batched = Batched::start(Stream(sender)).unwrap();
        let layer = tracing_subscriber::fmt::layer().without_time().with_target(false).with_ansi(false);
        let subscriber = tracing_subscriber::registry().with(layer.with_writer(batched.clone()));
        tracing::subscriber::with_default(subscriber, || log(&batched));
        written
    }

    #[test]
    fn a_line_is_written_although_no_other_follows() {
        let written = written_by(|_| tracing::info!("one"));
        assert_eq!(written.recv().unwrap(), " INFO one\n");
    }

    #[test]
    fn lines_are_written_together_and_a_warning_is_written_at_once_after_those_before_it() {
        let written = written_by(|batched| {
            // The thread cannot write while this test holds the stream, so the lines have to wait.
            let stream = lock(&batched.shared.stream);
            tracing::info!("one");
            tracing::info!("two");
            drop(stream);
            tracing::warn!("three");
        });
        let first = written.try_recv().unwrap();
        let rest: String = written.try_iter().collect();
        assert!(first.starts_with(" INFO one\n INFO two\n"), "{first}");
        assert_eq!(format!("{first}{rest}"), " INFO one\n INFO two\n WARN three\n");
    }

    #[test]
    fn whoever_logs_more_than_may_wait_writes_it() {
        // One line: the thread could write the first of several before the last one is logged.
        let written = written_by(|_| tracing::info!("{}", "a".repeat(300 * 1024)));
        assert!(written.try_iter().map(|text| text.len()).sum::<usize>() > 300 * 1024);
    }
}
