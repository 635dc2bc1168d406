//! The command line: `mcp-scheduler` serves, `mcp-scheduler demo` shows one delivery, `mcp-scheduler listen` receives
//! deliveries, `mcp-scheduler client` administrates
//! clients and shows their keys, `mcp-scheduler export`, `import` and `verify` copy a store and check it, `mcp-scheduler
//! repair` saves what can be read of a damaged store, `mcp-scheduler sweep` sweeps a storage account, `mcp-scheduler doctor`
//! says what does not work, `mcp-scheduler cost` estimates the bill, `mcp-scheduler openapi` describes the API.

mod arguments;
mod backup;
mod client;
mod client_keys;
mod cost;
mod demo;
mod doctor;
mod greeting;
mod listen;
mod output;
mod repair;
mod serve;
mod service;
mod sweep;

use std::process::ExitCode;

use crate::config::Config;
use crate::http::openapi_document;
use crate::private_files::restrict_umask;
use crate::telemetry;
use arguments::{Command, HELP, UnknownArguments};

/// Runs the command that the arguments name. The exit code is 0 for success, 1 for failure and 2 for unknown
/// arguments.
#[must_use]
pub fn run(arguments: &[String]) -> ExitCode {
    restrict_umask();
    let result = match Command::parse(arguments) {
        Ok(Command::Serve) => {
            Config::from_env().map_err(|error| error.to_string()).and_then(|config| run_with(config, serve::serve))
        }
        Ok(Command::Demo) => with_config(async |_| demo::run().await.map(|()| ExitCode::SUCCESS)),
        Ok(Command::Listen(arguments)) => with_config(async |config| listen::run(&config, arguments).await),
        Ok(Command::Client(arguments)) => with_config(async |config| client::run(&config, arguments).await),
        Ok(Command::ClientKeys { name, json }) => {
            with_config(async |config| client_keys::print(&config, &name, json).await)
        }
        Ok(Command::Export(arguments)) => with_config(async |config| backup::export(&config, arguments).await),
        Ok(Command::Import(arguments)) => with_config(async |config| backup::import(&config, arguments).await),
        Ok(Command::Verify) => with_config(async |config| backup::verify(&config).await),
        Ok(Command::Repair { replace }) => with_config(async |config| repair::run(&config, replace).await),
        Ok(Command::SweepOnce) => with_config(async |config| sweep::once(&config).await),
        Ok(Command::Doctor(arguments)) => with_config(async |config| doctor::run(&config, arguments).await),
        Ok(Command::Cost(arguments)) => cost::print(arguments),
        Ok(Command::OpenApi) => output::print(format_args!("{:#}", openapi_document())).map(|()| ExitCode::SUCCESS),
        Ok(Command::Help) => output::print(HELP.trim_end()).map(|()| ExitCode::SUCCESS),
        Ok(Command::Version) => {
            output::print(concat!("mcp-scheduler ", env!("CARGO_PKG_VERSION"))).map(|()| ExitCode::SUCCESS)
        }
        Err(UnknownArguments) => {
            output::print_error(format_args!("unknown arguments: {}\n\n{HELP}", without_secrets(arguments)));
            return ExitCode::from(2);
        }
    };
    result.unwrap_or_else(|message| {
        output::print_error(message);
        ExitCode::FAILURE
    })
}

/// The arguments as one text. A secret of `listen` is left out.
fn without_secrets(arguments: &[String]) -> String {
    let shown = arguments.iter().map(|argument| if argument.starts_with("whsec_") { "whsec_…" } else { argument });
    shown.collect::<Vec<_>>().join(" ")
}

/// Reads the configuration and runs a command that prints a result. It logs less than a service.
fn with_config<F: Future<Output = Result<ExitCode, String>>>(
    command: impl FnOnce(Config) -> F,
) -> Result<ExitCode, String> {
    let config = Config::from_env().map_err(|error| error.to_string())?;
    run_with(Config { telemetry: config.telemetry.clone().for_command(), ..config }, command)
}

/// Starts the log and runs a command, or the service.
fn run_with<F: Future<Output = Result<ExitCode, String>>>(
    config: Config,
    command: impl FnOnce(Config) -> F,
) -> Result<ExitCode, String> {
    let _log = telemetry::init(&config).map_err(|error| format!("cannot start the log: {error}"))?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(command(config))
}
