//! `mcp-scheduler`: the service.

use std::io;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::greeting::{greeting, listening};
use super::output;
use crate::app::App;
use crate::config::Config;
use crate::telemetry::Exports;

/// Exit code 200 asks the Functions host to restart us; after 0 it does not, and fails every call
/// (`WorkerProcess.OnProcessExited`).
const RESTART: u8 = 200;

/// Serves until SIGTERM or SIGINT.
pub(super) async fn serve(config: Config) -> Result<ExitCode, String> {
    let (under_host, endpoints) = (config.server.under_host, config.delivery.endpoints.clone());
    // A signal during the start must not kill the process half-way, so the handlers come first.
    let stop = stop_on_signal().map_err(|error| format!("cannot receive signals: {error}"))?;
    let exports = Exports::start(&config).map_err(|error| error.to_string())?;
    let app = App::start(config).await.map_err(|error| error.to_string())?;
    if under_host {
        // The host keeps the output of this process as its log, so the greeting is a line of the log without secrets.
        tracing::info!("{}", listening(app.address()));
    } else {
        // The service is as useful if nobody reads its greeting.
        let _ = output::print(greeting(&app, &endpoints));
    }
    let ended = app.run(stop).await;
    exports.stop().await;
    ended.map_err(|error| error.to_string())?;
    Ok(if under_host { ExitCode::from(RESTART) } else { ExitCode::SUCCESS })
}

/// A token that the first SIGTERM or SIGINT cancels.
pub(super) fn stop_on_signal() -> io::Result<CancellationToken> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stopped.cancel();
    });
    Ok(stop)
}
