//! The arguments of `export` and `import`.

use std::path::PathBuf;

use clap::Args;

/// Write all clients and conversations to standard output, as JSON lines
///
/// It calls the running service, or opens its store if nothing runs.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mcp-scheduler export > all.jsonl")]
pub(in crate::cli) struct ExportArguments {
    /// Write secrets in plain text; without it they stay encrypted
    #[arg(long)]
    pub(in crate::cli) reveal: bool,
    /// The address of the service
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) url: Option<String>,
}

/// Add what an export has
///
/// What exists already stays as it is, so an import can be run again. Stop the old service first. It calls the running service, or
/// opens its store if nothing runs.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mcp-scheduler import all.jsonl")]
pub(in crate::cli) struct ImportArguments {
    /// The file with the export; without it, standard input is read
    pub(in crate::cli) file: Option<PathBuf>,
    /// The address of the service
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) url: Option<String>,
}
