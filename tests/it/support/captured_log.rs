//! The log of one test, kept in memory.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock};

use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Level};
use tracing_subscriber::fmt::MakeWriter;

/// The lines that a thread has logged.
#[derive(Clone, Default)]
pub struct CapturedLog(Arc<Mutex<Vec<u8>>>);

impl CapturedLog {
    /// Captures the events of this thread at this level and above, until the guard is dropped.
    pub fn start(level: Level) -> (Self, DefaultGuard) {
        enable_events_in_all_threads();
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_max_level(level).with_writer(log.clone());
        let guard = tracing::subscriber::set_default(subscriber.finish());
        (log, guard)
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Registers two dispatchers for the life of the process.
///
/// While tracing has only one dispatcher, the first thread that reaches an event decides alone whether the event is
/// enabled. A thread of another test, which captures nothing, would disable it for the thread that does.
fn enable_events_in_all_threads() {
    static DISPATCHERS: OnceLock<[Dispatch; 2]> = OnceLock::new();
    DISPATCHERS.get_or_init(|| {
        [(); 2].map(|()| {
            let subscriber = tracing_subscriber::fmt().with_max_level(Level::TRACE).with_writer(io::sink);
            Dispatch::new(subscriber.finish())
        })
    });
}

impl Write for CapturedLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for CapturedLog {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
