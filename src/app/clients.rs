//! Client administration on the store itself, for the command line while no service runs.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::StartError;
use super::backend::Backend;
use crate::api::{ClientKeyResponse, ClientResponse, ListClientsResponse, ListRequest};
use crate::auth::{ClientAdmin, ClientAdminError, ClientDirectory, NewClient};
use crate::config::Config;
use crate::descriptors::Descriptors;
use crate::domain::{ClientId, EndpointHost, LimitsChange, Scopes, Signatures};
use crate::secrets::BootstrapSecrets;
use crate::store::{Client, OpenError};
use crate::time::{Entropy, SystemEntropy};

/// What an operator does with clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientCommand {
    /// Adds a client with these properties.
    Add(ClientId, NewClient),
    /// Lists all clients.
    List,
    /// Reads a client.
    Show(ClientId),
    /// Makes another key for a client, beside the newest one.
    Rotate(ClientId),
    /// Ends all keys of a client but the newest one.
    Retire(ClientId),
    /// Disables a client.
    Disable(ClientId),
    /// Enables a client.
    Enable(ClientId),
    /// Chooses the signatures of a client's deliveries.
    SetSignatures(ClientId, Signatures),
    /// Changes what a client may schedule.
    SetLimits(ClientId, LimitsChange),
    /// Approves a host for a client, or takes the approval back.
    ApproveHost(ClientId, EndpointHost, bool),
}

/// Runs a command on the store. Returns what the operation of the service returns; a list has all clients on one page.
///
/// # Errors
/// A sentence for the operator.
pub async fn administrate_clients(config: &Config, command: &ClientCommand) -> Result<Value, String> {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::new());
    let first = first_client(config, Arc::clone(&entropy)).await?;
    let max_files = Descriptors::raise().store_files;
    let backend = Backend::open(config, max_files).map_err(|error| match error {
        StartError::Store(OpenError::Locked(path)) => format!(
            "the service is running on {}, at another address than HOST and PORT name; name its address with --url",
            path.display()
        ),
        other => other.to_string(),
    })?;
    let directory = Arc::new(ClientDirectory::new(Some(first), backend.clients()));
    let result = run(&ClientAdmin::new(directory, backend.clock(), entropy), command).await;
    backend.close();
    result
}

/// The first client as the service knows it. It is not in the store, and its key is not needed here.
async fn first_client(config: &Config, entropy: Arc<dyn Entropy>) -> Result<Client, String> {
    let id = match (&config.auth.client_id, &config.key_vault) {
        (Some(id), _) => id.clone(),
        (None, Some(vault)) => BootstrapSecrets::of_vault(config, vault, entropy).await?.client.id,
        (None, None) => ClientId::local(),
    };
    Ok(Client::without_keys(id, Scopes::with_operator()))
}

async fn run(admin: &ClientAdmin, command: &ClientCommand) -> Result<Value, String> {
    use ClientCommand as C;
    let client = match command {
        C::Add(id, new) => return json(&ClientKeyResponse::from(&admin.add(id, new.clone()).await.map_err(text)?)),
        C::Rotate(id) => return json(&ClientKeyResponse::from(&admin.rotate(id).await.map_err(text)?)),
        C::List => return list(admin).await,
        C::Show(id) => admin.get(id).await,
        C::Retire(id) => admin.retire(id).await,
        C::Disable(id) => admin.disable(id).await,
        C::Enable(id) => admin.enable(id).await,
        C::SetSignatures(id, signatures) => admin.set_signatures(id, *signatures).await,
        C::SetLimits(id, change) => admin.set_limits(id, *change).await,
        C::ApproveHost(id, host, is_approved) => admin.approve_host(id, host, *is_approved).await,
    };
    json(&ClientResponse::from(&client.map_err(text)?))
}

async fn list(admin: &ClientAdmin) -> Result<Value, String> {
    let mut all = admin.list(None, ListRequest::MAX_LIMIT as usize).await.map_err(text)?;
    while let Some(after) = all.next.take() {
        let page = admin.list(Some(&after), ListRequest::MAX_LIMIT as usize).await.map_err(text)?;
        all.clients.extend(page.clients);
        all.next = page.next;
    }
    json(&ListClientsResponse::from(&all))
}

#[allow(clippy::needless_pass_by_value)] // the signature that map_err asks for
fn text(error: ClientAdminError) -> String {
    error.to_string()
}

fn json(response: &impl Serialize) -> Result<Value, String> {
    serde_json::to_value(response).map_err(|error| error.to_string())
}
