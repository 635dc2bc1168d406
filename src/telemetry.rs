//! The log.

use std::io;

use tracing::Level;
use tracing_subscriber::fmt::writer::MakeWriterExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::Config;

/// Writes the log to stderr from now on. Under the Functions host only errors go there: the host takes every line on
/// stderr for an error, and every line on stdout for information.
pub fn init(config: &Config) {
    let to_stderr = io::stderr.with_max_level(if config.under_host { Level::ERROR } else { Level::TRACE });
    tracing_subscriber::registry()
        .with(tracing_subscriber::fmt::layer().with_writer(to_stderr.or_else(io::stdout)).with_ansi(false))
        .with(config.log.clone())
        .init();
}
