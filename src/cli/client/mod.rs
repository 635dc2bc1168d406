//! `mcp-scheduler client`: client administration. The commands call the operations of the service. While nothing listens at its
//! address they open the store themselves, and run the same use cases there.

mod arguments;
mod service;
mod shown;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpStream;

use super::output;
use crate::app::{self, ClientCommand};
use crate::config::Config;
use crate::domain::{ClientId, InvalidClientId};
pub(super) use arguments::{ClientAction, ClientArguments};
pub(super) use service::Service;

/// The longest time that a connection to the service's own address may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Runs a command on the service or, if none runs, on the store, and prints what it returns.
pub(super) async fn run(config: &Config, arguments: ClientArguments) -> Result<ExitCode, String> {
    let command = command(&arguments)?;
    let ClientArguments { action, name, url, json, .. } = arguments;
    let answer = match service_url(config, url).await? {
        Some(url) => Service::login(config, &url).await?.run(&command).await?,
        None => app::administrate_clients(config, &command).await?,
    };
    let text = if json { shown::as_json(action, &answer) } else { shown::as_text(action, &answer) };
    output::print(text).map_err(|error| match action {
        ClientAction::Add => format!("the client {name} was added, but its key is lost: {error}"),
        ClientAction::Rotate => format!("the client {name} has another key, but it is lost: {error}"),
        _ => error,
    })?;
    Ok(ExitCode::SUCCESS)
}

fn command(arguments: &ClientArguments) -> Result<ClientCommand, String> {
    let ClientArguments { action, name, scopes, signatures, .. } = arguments;
    if *action == ClientAction::List {
        return Ok(ClientCommand::List);
    }
    let id: ClientId = name.parse().map_err(|error: InvalidClientId| format!("the client id {error}"))?;
    Ok(match action {
        ClientAction::Add => ClientCommand::Add(id, *scopes),
        ClientAction::List => ClientCommand::List,
        ClientAction::Show => ClientCommand::Show(id),
        ClientAction::Rotate => ClientCommand::Rotate(id),
        ClientAction::Retire => ClientCommand::Retire(id),
        ClientAction::Disable => ClientCommand::Disable(id),
        ClientAction::Enable => ClientCommand::Enable(id),
        ClientAction::Signatures => ClientCommand::SetSignatures(id, *signatures),
    })
}

/// The address of the service: the one that the operator names, or that of the settings if something listens there. `PUBLIC_URL`
/// is not used: it can name another machine, whose store is not the one that the settings name.
pub(super) async fn service_url(config: &Config, named: Option<String>) -> Result<Option<String>, String> {
    if named.is_some() {
        return Ok(named);
    }
    let address = dialled(config.server.listen);
    if address.port() == 0 {
        return Ok(None);
    }
    let url = format!("http://{address}");
    match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(Some(url)),
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(None),
        Ok(Err(error)) => Err(format!("cannot find out whether the service runs at {url}: {error}")),
        Err(_) => Err(format!("cannot find out whether the service runs at {url}: nothing has answered in time")),
    }
}

/// The address under which this machine reaches a service that listens on `address`.
fn dialled(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// A member of an answer that is a text.
fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer.get(name).and_then(Value::as_str).unwrap_or_default()
}
