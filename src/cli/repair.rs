//! `mcp-scheduler repair`: what can be saved of a damaged store.

use std::process::ExitCode;

use clap::Args;

use super::output;
use crate::app::{self, StoreRepair};
use crate::config::Config;

/// Say what can be saved of a damaged embedded store, and what is lost
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mcp-scheduler repair")]
pub(super) struct RepairArguments {
    /// Put a store with what can be saved in its place, and keep the damaged one
    #[arg(long)]
    replace: bool,
}

/// Prints what can be saved and what is lost.
pub(super) async fn run(config: &Config, RepairArguments { replace }: RepairArguments) -> Result<ExitCode, String> {
    let repair = app::repair(config, replace).await?;
    output::print(text(&repair, &config.server.data_dir.join("store").display().to_string()))?;
    Ok(ExitCode::SUCCESS)
}

fn text(repair: &StoreRepair, store: &str) -> String {
    let StoreRepair { report, lost, kept } = repair;
    let mut lines = vec![format!("{store}: {} rows can be read", report.rows)];
    lines.extend(report.missing.as_ref().map(|missing| format!("missing: {missing}")));
    lines.extend(lost.iter().map(|(client, id)| format!("lost: conversation {id} of client {client}")));
    lines.extend(report.unreadable.iter().map(|place| format!("cannot be read: {place}")));
    lines.push(match kept {
        Some(kept) => format!(
            "The store now has what can be read. The damaged one is kept in {}. Conversations whose last changes were \
             lost continue from an earlier state, so some may be delivered again.",
            kept.display()
        ),
        None if report.is_complete() => "The store is complete. There is nothing to repair.".to_owned(),
        None => "Nothing was changed. A backup of the whole data directory is better than a repair, if there is one. \
                 `mcp-scheduler repair --replace` puts a store with what can be read in the place of this one, and \
                 keeps this one beside it."
            .to_owned(),
    });
    lines.join("\n")
}
