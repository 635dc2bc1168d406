//! `mcp-scheduler client`: client administration. The commands call the operations of the service. While nothing listens at its
//! address they open the store themselves, and run the same use cases there.

mod arguments;
mod keys;
mod limits;
mod shown;

use std::process::ExitCode;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::arguments::ServiceArguments;
use super::members::text;
use super::output;
use super::service::{Service, service_url};
use crate::app::{self, ClientCommand, NewClient};
use crate::config::Config;
use crate::domain::{RedirectUri, Scope};
use arguments::ClientAction;
pub(super) use arguments::ClientArguments;

/// Runs a command on the service or, if none runs, on the store, and prints what it returns.
pub(super) async fn run(config: &Config, ClientArguments { action }: ClientArguments) -> Result<ExitCode, String> {
    if let ClientAction::Keys { name, json } = &action {
        return keys::print(config, name, *json).await;
    }
    let Some((command, ServiceArguments { url, json })) = action.command()? else { return Ok(ExitCode::SUCCESS) };
    let answer = match service_url(config, url.clone()).await? {
        Some(url) => call(&mut Service::login(config, &url, Scope::Operator).await?, &command).await?,
        None => app::administrate_clients(config, &command).await?,
    };
    let text = if *json { shown::as_json(&command, &answer) } else { shown::as_text(&command, &answer) };
    output::print(text).map_err(|error| match command {
        ClientCommand::Add(id, _) => format!("the client {id} was added, but its key is lost: {error}"),
        ClientCommand::Rotate(id) => format!("the client {id} has another key, but it is lost: {error}"),
        _ => error,
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Calls the operation of a command.
async fn call(service: &mut Service, command: &ClientCommand) -> Result<Value, String> {
    use ClientCommand as C;
    let (id, action) = match command {
        C::List => return list(service).await,
        C::Add(id, NewClient { scopes, redirect_uris, limits }) => {
            let mut body = json!({ "clientId": id.as_str(), "scopes": scopes.names() });
            // An older service does not know these fields.
            if let Some(body) = body.as_object_mut() {
                if !redirect_uris.is_empty() {
                    body.insert("redirectUris".to_owned(), redirect_uris.iter().map(RedirectUri::as_str).collect());
                }
                body.extend(limits::members(*limits));
            }
            return Ok(service.call_with(Method::POST, "/api/clients", Some(body.to_string())).await?);
        }
        C::SetSignatures(id, signatures) => {
            let (path, body) = (format!("/api/clients/{id}/signatures"), json!({ "signatures": signatures.names() }));
            return Ok(service.call_with(Method::POST, &path, Some(body.to_string())).await?);
        }
        C::SetLimits(id, change) => {
            let (path, body) = (format!("/api/clients/{id}/limits"), Value::Object(limits::members(*change)));
            return Ok(service.call_with(Method::POST, &path, Some(body.to_string())).await?);
        }
        C::ApproveHost(id, host, is_approved) => {
            let body = json!({ "host": host.as_str(), "approved": is_approved });
            let path = format!("/api/clients/{id}/hosts");
            return Ok(service.call_with(Method::POST, &path, Some(body.to_string())).await?);
        }
        C::Show(id) => return Ok(service.call(Method::GET, &format!("/api/clients/{id}")).await?),
        C::Rotate(id) => (id, "rotate"),
        C::Retire(id) => (id, "retire"),
        C::Disable(id) => (id, "disable"),
        C::Enable(id) => (id, "enable"),
    };
    Ok(service.call(Method::POST, &format!("/api/clients/{id}/{action}")).await?)
}

/// A list is read to its end.
async fn list(service: &mut Service) -> Result<Value, String> {
    let (mut clients, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = service.call(Method::GET, &format!("/api/clients?limit=100{cursor}")).await?;
        let Some(of_page) = page.get("clients").and_then(Value::as_array) else {
            return Err(service.refused(StatusCode::OK, page).into());
        };
        clients.extend(of_page.iter().cloned());
        match text(&page, "nextCursor") {
            "" => return Ok(json!({ "clients": clients })),
            next => cursor = format!("&cursor={next}"),
        }
    }
}
