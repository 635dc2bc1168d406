//! What leaves the program for those who watch it: the log, one line for each event, the metrics and the traces.

mod batched;
mod escaped;
mod exports;
mod format;
mod layer;
mod line;
mod otlp;
mod span_layer;
mod span_record;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal as _, Write};
use std::panic::{self, PanicHookInfo};

use tracing::Level;
use tracing::field::display;
use tracing_subscriber::Layer as _;
use tracing_subscriber::fmt::writer::MakeWriterExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Config, LogFormat, TelemetryConfig};
use crate::time::SystemClock;
use batched::Batched;
pub use exports::{ExportError, Exports};
use format::Format;
use layer::LogLayer;
use span_layer::SpanLayer;

/// The log of the process. Lines that wait are written when it is dropped.
#[must_use]
pub struct Log(Batched<Box<dyn Write + Send>>);

impl Drop for Log {
    fn drop(&mut self) {
        self.0.flush();
    }
}

/// Starts logging to stderr. The Functions host reads every line on stderr as an error and every line on stdout as
/// information, so under the host only errors go to stderr and all other lines to stdout.
///
/// # Errors
/// The system starts no more threads.
pub fn init(config: &Config) -> io::Result<Log> {
    let under_host = config.server.under_host;
    let stream: Box<dyn Write + Send> = if under_host { Box::new(io::stdout()) } else { Box::new(io::stderr()) };
    let lines = Batched::start(stream)?;
    let errors = io::stderr.with_filter(move |metadata| under_host && *metadata.level() == Level::ERROR);
    let format = format_of(&config.telemetry, !under_host && io::stderr().is_terminal());
    let log = LogLayer::new(format, SystemClock, errors.or_else(lines.clone()));
    let filter = config.telemetry.log.clone();
    if config.telemetry.otlp_endpoint.is_some() {
        // What is traced does not depend on what is logged.
        let spans = SpanLayer::new(SystemClock).with_filter(SpanLayer::<SystemClock>::filter());
        tracing_subscriber::registry().with(log.with_filter(filter)).with(spans).init();
    } else {
        tracing_subscriber::registry().with(log).with(filter).init();
    }
    panic::set_hook(Box::new(log_panic));
    Ok(Log(lines))
}

fn format_of(config: &TelemetryConfig, is_terminal: bool) -> Format {
    match config.format {
        LogFormat::Human => Format::Human { colour: is_terminal && config.colour },
        LogFormat::Auto if is_terminal => Format::Human { colour: config.colour },
        LogFormat::Auto | LogFormat::Json => Format::Json,
    }
}

/// Logs a panic as one line. The hook of the standard library writes several lines.
fn log_panic(info: &PanicHookInfo<'_>) {
    let stack = Backtrace::capture();
    let stack = (stack.status() == BacktraceStatus::Captured).then(|| display(stack));
    let (file, line) = info.location().map(|location| (location.file(), location.line())).unzip();
    tracing::error!(
        exception.message = info.payload_as_str(),
        exception.stacktrace = stack,
        code.file.path = file,
        code.line.number = line,
        "the program has a defect: it panicked"
    );
}

#[cfg(test)]
mod tests;
