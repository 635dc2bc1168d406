//! The command line: `mcp-scheduler` serves, `mcp-scheduler demo` shows one delivery, `mcp-scheduler client` adds
//! clients.

mod client;
mod demo;
mod greeting;
mod serve;

use std::process::ExitCode;

use crate::config::Config;
use crate::domain::{Scope, Scopes};
use crate::telemetry;

const HELP: &str = "\
mcp-scheduler: deliver a text to an HTTP endpoint at a time

Usage:
  mcp-scheduler                   start the service (settings: see README.md)
  mcp-scheduler demo              schedule one conversation and watch it arrive
  mcp-scheduler client add NAME [--read-only]
                                  add a client and print its API key;
                                  a read-only client can read conversations, and not schedule or cancel them
  mcp-scheduler --version
";

/// Runs the command that the arguments name. Exit codes: 0 done, 1 failed, 2 unknown arguments.
#[must_use]
pub fn run(arguments: &[String]) -> ExitCode {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        [] => with_config(serve::serve),
        ["demo"] => with_config(async |_| demo::run().await.map(|()| ExitCode::SUCCESS)),
        ["client", "add", name] if !name.starts_with('-') => {
            with_config(async |config| client::add(&config, name, Scopes::all()).await)
        }
        ["client", "add", name, "--read-only"] if !name.starts_with('-') => {
            with_config(async |config| client::add(&config, name, Scope::Read.into()).await)
        }
        ["--help" | "-h" | "help"] => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        ["--version" | "-V"] => {
            println!("mcp-scheduler {}", env!("CARGO_PKG_VERSION"));
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            eprintln!("mcp-scheduler: unknown arguments: {}\n\n{HELP}", arguments.join(" "));
            return ExitCode::from(2);
        }
    };
    result.unwrap_or_else(|message| {
        eprintln!("mcp-scheduler: {message}");
        ExitCode::FAILURE
    })
}

/// Reads the configuration, sets up the log and runs a command.
fn with_config<F: Future<Output = Result<ExitCode, String>>>(
    command: impl FnOnce(Config) -> F,
) -> Result<ExitCode, String> {
    let config = Config::from_env().map_err(|error| error.to_string())?;
    telemetry::init(&config);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(command(config))
}
