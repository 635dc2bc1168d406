//! The commands, and the answer to arguments that name none.

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

use super::backup::{ExportArguments, ImportArguments};
use super::client::ClientArguments;
use super::completions::CompletionsArguments;
use super::conversations::{
    AcknowledgeArguments, CancelArguments, ListArguments, MoveArguments, PreviewArguments, ReceiveArguments,
    RedeliverArguments, ScheduleArguments, ShowArguments, WatchArguments,
};
use super::cost::CostArguments;
use super::dev::DevArguments;
use super::doctor::DoctorArguments;
use super::failure::Failure;
use super::listen::ListenArguments;
use super::login::LoginArguments;
use super::output;
use super::repair::RepairArguments;
use super::sweep::SweepArguments;

/// Deliver a text to an HTTP endpoint at a time
///
/// Without a command it starts the service.
#[derive(Debug, Parser)]
#[command(
    name = "mcp-scheduler",
    version,
    after_help = "Examples:\n  mcp-scheduler\n  mcp-scheduler listen --schedule \"Hello\" --in 3s --once"
)]
pub(super) struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
}

// The text of a command is at its arguments, or here if it has none.
/// A command.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Start the service; its settings are environment variables (README.md)
    #[command(after_help = "Example:\n  mcp-scheduler serve")]
    Serve,
    /// Schedule one conversation on a service of its own, and show its delivery
    #[command(after_help = "Example:\n  mcp-scheduler demo")]
    Demo,
    Dev(DevArguments),
    Schedule(ScheduleArguments),
    Preview(PreviewArguments),
    List(ListArguments),
    Show(ShowArguments),
    Watch(WatchArguments),
    Cancel(CancelArguments),
    Move(MoveArguments),
    Redeliver(RedeliverArguments),
    Receive(ReceiveArguments),
    Acknowledge(AcknowledgeArguments),
    Login(LoginArguments),
    Listen(ListenArguments),
    Client(ClientArguments),
    Export(ExportArguments),
    Import(ImportArguments),
    /// Say whether the store is whole; the exit code is 0 if it is
    #[command(after_help = "Example:\n  mcp-scheduler verify")]
    Verify,
    Repair(RepairArguments),
    Sweep(SweepArguments),
    Doctor(DoctorArguments),
    Cost(CostArguments),
    /// Print the description of the HTTP API (OpenAPI 3.1)
    #[command(name = "openapi", after_help = "Example:\n  mcp-scheduler openapi > openapi.json")]
    OpenApi,
    Completions(CompletionsArguments),
}

// No doc comment: it would be the text of each command that has these arguments.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ServiceArguments {
    /// The address of the service
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    /// Print the answer as JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Command {
    /// Reads the arguments, without the name of the program.
    pub(super) fn parse(arguments: &[String]) -> Result<Self, clap::Error> {
        let arguments = ["mcp-scheduler"].into_iter().chain(arguments.iter().map(String::as_str));
        Ok(CommandLine::try_parse_from(arguments)?.command.unwrap_or(Self::Serve))
    }
}

/// Prints the help or the version that the arguments ask for, or what is wrong with them.
pub(super) fn answer(error: &clap::Error, arguments: &[String]) -> Result<ExitCode, Failure> {
    let text = error.render().to_string();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        output::print(text.trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    let text = without_secrets(text.trim_end(), arguments);
    output::print_error(text.strip_prefix("error: ").unwrap_or(&text));
    Ok(ExitCode::from(2))
}

/// A text about arguments, without the secrets and the keys among them.
fn without_secrets(text: &str, arguments: &[String]) -> String {
    let secrets = ["whsec_", "msk_"].into_iter().flat_map(|prefix| {
        let found = arguments.iter().filter_map(move |argument| argument.get(argument.find(prefix)?..));
        found.map(move |secret| (prefix, secret))
    });
    secrets.fold(text.to_owned(), |text, (prefix, secret)| text.replace(secret, &format!("{prefix}…")))
}

#[cfg(test)]
#[path = "arguments_tests.rs"]
pub(super) mod tests;
