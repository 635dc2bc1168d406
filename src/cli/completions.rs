//! `mcp-scheduler completions`: completes commands and options in a shell.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};

use super::arguments::CommandLine;
use super::output;

/// Print a script with which a shell completes commands and options
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  source <(mcp-scheduler completions bash)")]
pub(super) struct CompletionsArguments {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub(super) fn print(CompletionsArguments { shell }: CompletionsArguments) -> Result<ExitCode, String> {
    // It is printed afterwards: the generator panics if it cannot write.
    let mut script = Vec::new();
    generate(shell, &mut CommandLine::command(), "mcp-scheduler", &mut script);
    output::print(String::from_utf8_lossy(&script).trim_end())?;
    Ok(ExitCode::SUCCESS)
}
