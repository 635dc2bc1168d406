//! `mcp-scheduler sweep --once`: one sweep, for an outside timer.

use std::process::ExitCode;

use clap::Args;

use super::output;
use crate::app::{self, SweepReport};
use crate::config::Config;

/// Enqueue the wake-ups that a storage account misses, and deliver what is overdue
///
/// The service does the same each minute. This command is for a timer outside the service.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mcp-scheduler sweep --once")]
pub(super) struct SweepArguments {
    /// Sweep once and end; it is required, because the command never runs on
    #[arg(long, required = true)]
    once: bool,
}

/// Sweeps once and prints what was done.
pub(super) async fn once(config: &Config) -> Result<ExitCode, String> {
    output::print(text(&app::sweep_once(config).await?))?;
    Ok(ExitCode::SUCCESS)
}

fn text(report: &SweepReport) -> String {
    let SweepReport { enqueued, overdue, poison_queue_length } = report;
    let overdue = if overdue.is_zero() {
        "no conversation was overdue".to_owned()
    } else {
        format!("the oldest conversation was overdue by {} s", overdue.as_secs())
    };
    format!("swept: {enqueued} wake-ups enqueued, {overdue}, {poison_queue_length} messages in the poison queue")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_line_says_what_the_sweep_did() {
        for (enqueued, overdue, poison_queue_length, line) in [
            (3, 0, 0, "3 wake-ups enqueued, no conversation was overdue, 0 messages in the poison queue"),
            (
                0,
                75,
                2,
                "0 wake-ups enqueued, the oldest conversation was overdue by 75 s, 2 messages in the poison queue",
            ),
        ] {
            let report = SweepReport { enqueued, overdue: Duration::from_secs(overdue), poison_queue_length };
            assert_eq!(text(&report), format!("swept: {line}"));
        }
    }
}
