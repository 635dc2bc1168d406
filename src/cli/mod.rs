//! The command line. Each command has a file with its arguments, their help, and what it does. `arguments` is the list of the
//! commands. Without a command the program serves.

mod api;
mod arguments;
mod backup;
mod client;
mod completions;
mod conversations;
mod cost;
mod demo;
mod dev;
mod doctor;
mod failure;
mod greeting;
mod listen;
mod login;
mod members;
mod output;
mod page;
mod profile;
mod repair;
mod serve;
mod service;
mod sweep;

use std::pin::Pin;
use std::process::ExitCode;

use tokio::runtime::Builder as Runtime;

use crate::config::Config;
use crate::http::openapi_document;
use crate::private_files::restrict_umask;
use crate::telemetry;
use arguments::Command;
use failure::Failure;

/// Runs the command that the arguments name. docs/command-line.md lists the exit codes.
#[must_use]
pub fn run(arguments: &[String]) -> ExitCode {
    restrict_umask();
    let result = match Command::parse(arguments) {
        Ok(command) => execute(command),
        Err(error) => arguments::answer(&error, arguments),
    };
    result.unwrap_or_else(|failure| {
        output::print_error(&failure);
        failure.exit_code()
    })
}

fn execute(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Serve => {
            let config = Config::from_env().map_err(|error| error.to_string())?;
            run_on(Runtime::new_multi_thread(), config, Box::new(boxed(serve::serve)))
        }
        Command::Demo => with_config(async |_| demo::run().await.map(|()| ExitCode::SUCCESS)),
        Command::Dev(arguments) => with_config(async |config| dev::run(config, arguments).await),
        Command::Schedule(arguments) => with_config(async |config| conversations::schedule(&config, arguments).await),
        Command::Preview(arguments) => with_config(async |config| conversations::preview(&config, arguments).await),
        Command::List(arguments) => with_config(async |config| conversations::list(&config, arguments).await),
        Command::Show(arguments) => with_config(async |config| conversations::show(&config, arguments).await),
        Command::Watch(arguments) => with_config(async |config| conversations::watch(&config, arguments).await),
        Command::Cancel(arguments) => with_config(async |config| conversations::cancel(&config, arguments).await),
        Command::Move(arguments) => with_config(async |config| conversations::move_to(&config, arguments).await),
        Command::Redeliver(arguments) => with_config(async |config| conversations::redeliver(&config, arguments).await),
        Command::Receive(arguments) => with_config(async |config| conversations::receive(&config, arguments).await),
        Command::Acknowledge(arguments) => {
            with_config(async |config| conversations::acknowledge(&config, arguments).await)
        }
        Command::Login(arguments) => with_config(async |config| login::login(&config, arguments).await),
        Command::Listen(arguments) => with_config(async |config| listen::run(&config, arguments).await),
        Command::Client(arguments) => with_config(async |config| client::run(&config, arguments).await),
        Command::Export(arguments) => with_config(async |config| backup::export(&config, arguments).await),
        Command::Import(arguments) => with_config(async |config| backup::import(&config, arguments).await),
        Command::Verify => with_config(async |config| backup::verify(&config).await),
        Command::Repair(arguments) => with_config(async |config| repair::run(&config, arguments).await),
        Command::Sweep(_) => with_config(async |config| sweep::once(&config).await),
        Command::Doctor(arguments) => with_config(async |config| doctor::run(&config, arguments).await),
        Command::Cost(arguments) => Ok(cost::print(arguments)?),
        Command::OpenApi => {
            output::print(format_args!("{:#}", openapi_document()))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Completions(arguments) => Ok(completions::print(arguments)?),
    }
}

/// A command that runs, as one type: the runtime is compiled again for each type of future.
type CommandFuture = Pin<Box<dyn Future<Output = Result<ExitCode, Failure>>>>;

/// Reads the configuration and runs a command. It logs less than a service.
///
/// A command does one thing after the other, also `dev` while the clock is turned. With more threads each step would go to
/// another one, which takes as long as the step.
fn with_config<E: Into<Failure> + 'static, F: Future<Output = Result<ExitCode, E>> + 'static>(
    command: impl FnOnce(Config) -> F + 'static,
) -> Result<ExitCode, Failure> {
    let config = Config::from_env().map_err(|error| error.to_string())?;
    let config = Config { telemetry: config.telemetry.clone().for_command(), ..config };
    let mut runtime = Runtime::new_multi_thread();
    runtime.worker_threads(1);
    run_on(runtime, config, Box::new(boxed(command)))
}

fn boxed<E: Into<Failure> + 'static, F: Future<Output = Result<ExitCode, E>> + 'static>(
    command: impl FnOnce(Config) -> F + 'static,
) -> impl FnOnce(Config) -> CommandFuture {
    |config| Box::pin(async { command(config).await.map_err(Into::into) })
}

/// Starts the log and runs a command, or the service.
fn run_on(
    mut runtime: Runtime,
    config: Config,
    command: Box<dyn FnOnce(Config) -> CommandFuture>,
) -> Result<ExitCode, Failure> {
    let _log = telemetry::init(&config).map_err(|error| format!("cannot start the log: {error}"))?;
    let runtime = runtime.enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(command(config))
}
