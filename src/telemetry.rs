//! The log.

use std::io;

use tracing::Level;
use tracing_subscriber::fmt::writer::MakeWriterExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::Config;

/// Starts logging to stderr. The Functions host reads every line on stderr as an error and every line on stdout as
/// information, so under the host only errors go to stderr and all other lines to stdout.
pub fn init(config: &Config) {
    let to_stderr = io::stderr.with_max_level(if config.server.under_host { Level::ERROR } else { Level::TRACE });
    tracing_subscriber::registry()
        .with(tracing_subscriber::fmt::layer().with_writer(to_stderr.or_else(io::stdout)).with_ansi(false))
        .with(config.telemetry.log.clone())
        .init();
}
