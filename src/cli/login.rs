//! `mcp-scheduler login`: keeps a service and a client for the commands on conversations.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use clap::Args;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::failure::Failure;
use super::output;
use super::profile::Profile;
use super::service::{Service, checked};
use crate::config::Config;
use crate::domain::{ClientId, Scope, Secret};

/// Keep a service and a client for the commands on conversations
///
/// The API key is read from the terminal or from standard input. It is kept in a file that only you can read. On the machine of the
/// service no login is needed.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mcp-scheduler login --url https://scheduler.example.com --client anna")]
pub(super) struct LoginArguments {
    /// The address of the service
    #[arg(long, value_name = "URL")]
    url: String,
    /// The id of the client
    #[arg(long, value_name = "NAME")]
    client: ClientId,
}

/// Logs in once, and keeps the profile if the service accepts it.
pub(super) async fn login(
    config: &Config,
    LoginArguments { url, client }: LoginArguments,
) -> Result<ExitCode, Failure> {
    let url = checked(&url)?;
    let path = config.commands.profile.as_ref().ok_or_else(|| "set HOME or XDG_CONFIG_HOME".to_owned())?;
    let profile = Profile { url, key: read_key(&client)?, client };
    let login = (profile.client.clone(), profile.key.clone(), "this login".to_owned());
    Service::login_as(profile.url.clone(), login, Scope::Read.into()).await?;
    profile.write(path)?;
    let Profile { url, client, .. } = &profile;
    output::print(format_args!("You are {client} on {url} now. To log out, delete {}", path.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Reads a line. A terminal does not show it.
fn read_key(client: &ClientId) -> Result<Secret<String>, String> {
    let failed = |error: io::Error| format!("cannot read the API key: {error}");
    let input = io::stdin();
    let mut line = String::new();
    if input.is_terminal() {
        output::ask(format_args!("API key of {client}: "));
        let before = tcgetattr(&input).map_err(|error| failed(error.into()))?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&input, OptionalActions::Flush, &hidden).map_err(|error| failed(error.into()))?;
        let read = input.read_line(&mut line);
        let restored = tcsetattr(&input, OptionalActions::Flush, &before);
        output::ask("\n");
        read.and(restored.map_err(io::Error::from)).map_err(failed)?;
    } else {
        input.read_line(&mut line).map_err(failed)?;
    }
    match line.trim() {
        "" => Err("there is no API key on standard input".to_owned()),
        key => Ok(Secret::new(key.to_owned())),
    }
}
