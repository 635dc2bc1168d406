//! `mcp-scheduler verify`: whether a store is whole.

use std::process::ExitCode;

use crate::app::{BackupStore, Verification};
use crate::cli::output;
use crate::config::Config;

/// Prints what a store has, and what is wrong with it.
pub(in crate::cli) async fn verify(config: &Config) -> Result<ExitCode, String> {
    let store = BackupStore::open_existing(config, "stop it, and verify the store then").await?;
    let verified = store.verify().await;
    store.close();
    let verification = verified?;
    output::print(text(&verification))?;
    Ok(if verification.flaws.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(Verification { counts, clients, flaws }: &Verification) -> String {
    let mut lines: Vec<_> = [
        ("conversations", counts.conversations),
        ("payload rows", counts.payloads),
        ("due rows", counts.due),
        ("inbox rows", counts.inbox),
        ("index rows", counts.index),
        ("retention rows", counts.retention),
        ("names", counts.names),
        ("idempotency keys", counts.keys),
        ("clients", *clients),
    ]
    .iter()
    .map(|(kind, count)| format!("{kind:<17} {count}"))
    .collect();
    lines.extend(flaws.iter().map(|flaw| format!("wrong: {flaw}")));
    lines.push(if flaws.is_empty() {
        "The store is whole.".to_owned()
    } else {
        format!(
            "The store is not whole: {} wrong. Due, inbox, index and retention rows and names are computed again by a move: stop the \
             service, run `mcp-scheduler export`, and import the file into an empty store. What cannot be decrypted needs its \
             key in DATA_ENCRYPTION_KEYS. Lost rows of a damaged embedded store are found by `mcp-scheduler repair`.",
            super::counted(flaws.len(), "row is", "rows are")
        )
    });
    lines.join("\n")
}
