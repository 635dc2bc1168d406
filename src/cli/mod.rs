//! The command line. Each command has a file with its arguments, their help, and what it does. `arguments` is the list of the
//! commands. Without a command the program serves.

mod arguments;
mod backup;
mod client;
mod completions;
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
use arguments::Command;

/// Runs the command that the arguments name. The exit code is 0 for success, 1 for failure and 2 for unknown
/// arguments.
#[must_use]
pub fn run(arguments: &[String]) -> ExitCode {
    restrict_umask();
    let result = match Command::parse(arguments) {
        Ok(command) => execute(command),
        Err(error) => arguments::answer(&error, arguments),
    };
    result.unwrap_or_else(|message| {
        output::print_error(message);
        ExitCode::FAILURE
    })
}

fn execute(command: Command) -> Result<ExitCode, String> {
    match command {
        Command::Serve => {
            Config::from_env().map_err(|error| error.to_string()).and_then(|config| run_with(config, serve::serve))
        }
        Command::Demo => with_config(async |_| demo::run().await.map(|()| ExitCode::SUCCESS)),
        Command::Listen(arguments) => with_config(async |config| listen::run(&config, arguments).await),
        Command::Client(arguments) => with_config(async |config| client::run(&config, arguments).await),
        Command::Export(arguments) => with_config(async |config| backup::export(&config, arguments).await),
        Command::Import(arguments) => with_config(async |config| backup::import(&config, arguments).await),
        Command::Verify => with_config(async |config| backup::verify(&config).await),
        Command::Repair(arguments) => with_config(async |config| repair::run(&config, arguments).await),
        Command::Sweep(_) => with_config(async |config| sweep::once(&config).await),
        Command::Doctor(arguments) => with_config(async |config| doctor::run(&config, arguments).await),
        Command::Cost(arguments) => cost::print(arguments),
        Command::OpenApi => output::print(format_args!("{:#}", openapi_document())).map(|()| ExitCode::SUCCESS),
        Command::Completions(arguments) => completions::print(arguments),
    }
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
