//! `mcp-scheduler client`: client administration. The commands call the operations of the service. While nothing listens at its
//! address they open the store themselves, and run the same use cases there.

mod arguments;
mod shown;

use std::process::ExitCode;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::output;
use super::service::{Service, service_url, text};
use crate::app::{self, ClientCommand, NewClient};
use crate::config::Config;
use crate::domain::{ClientId, InvalidClientId, RedirectUri, Scope};
pub(super) use arguments::{ClientAction, ClientArguments};

/// Runs a command on the service or, if none runs, on the store, and prints what it returns.
pub(super) async fn run(config: &Config, arguments: ClientArguments) -> Result<ExitCode, String> {
    let command = command(&arguments)?;
    let ClientArguments { action, name, url, json, .. } = arguments;
    let answer = match service_url(config, url).await? {
        Some(url) => call(&mut Service::login(config, &url, Scope::Operator).await?, &command).await?,
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
    let ClientArguments { action, name, scopes, redirect_uris, signatures, .. } = arguments;
    if *action == ClientAction::List {
        return Ok(ClientCommand::List);
    }
    let id: ClientId = name.parse().map_err(|error: InvalidClientId| format!("the client id {error}"))?;
    Ok(match action {
        ClientAction::Add => {
            ClientCommand::Add(id, NewClient { scopes: *scopes, redirect_uris: redirect_uris.clone() })
        }
        ClientAction::List => ClientCommand::List,
        ClientAction::Show => ClientCommand::Show(id),
        ClientAction::Rotate => ClientCommand::Rotate(id),
        ClientAction::Retire => ClientCommand::Retire(id),
        ClientAction::Disable => ClientCommand::Disable(id),
        ClientAction::Enable => ClientCommand::Enable(id),
        ClientAction::Signatures => ClientCommand::SetSignatures(id, *signatures),
    })
}

/// Calls the operation of a command.
async fn call(service: &mut Service, command: &ClientCommand) -> Result<Value, String> {
    use ClientCommand as C;
    let (id, action) = match command {
        C::List => return list(service).await,
        C::Add(id, NewClient { scopes, redirect_uris }) => {
            let (scopes, uris) = (scopes.names(), redirect_uris.iter().map(RedirectUri::as_str).collect::<Vec<_>>());
            // An older service does not know the field.
            let body = if uris.is_empty() {
                json!({ "clientId": id.as_str(), "scopes": scopes })
            } else {
                json!({ "clientId": id.as_str(), "scopes": scopes, "redirectUris": uris })
            };
            return service.call_with(Method::POST, "/api/clients", Some(body.to_string())).await;
        }
        C::SetSignatures(id, signatures) => {
            let (path, body) = (format!("/api/clients/{id}/signatures"), json!({ "signatures": signatures.names() }));
            return service.call_with(Method::POST, &path, Some(body.to_string())).await;
        }
        C::Show(id) => return service.call(Method::GET, &format!("/api/clients/{id}")).await,
        C::Rotate(id) => (id, "rotate"),
        C::Retire(id) => (id, "retire"),
        C::Disable(id) => (id, "disable"),
        C::Enable(id) => (id, "enable"),
    };
    service.call(Method::POST, &format!("/api/clients/{id}/{action}")).await
}

/// A list is read to its end.
async fn list(service: &mut Service) -> Result<Value, String> {
    let (mut clients, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = service.call(Method::GET, &format!("/api/clients?limit=100{cursor}")).await?;
        let Some(of_page) = page.get("clients").and_then(Value::as_array) else {
            return Err(service.refused(StatusCode::OK, &page));
        };
        clients.extend(of_page.iter().cloned());
        match text(&page, "nextCursor") {
            "" => return Ok(json!({ "clients": clients })),
            next => cursor = format!("&cursor={next}"),
        }
    }
}
