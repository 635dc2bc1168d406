//! The operations of an operator on clients. The log has who did what, and never a key.

use warp::reply::Response;

use crate::api::{
    AddClientRequest, ApproveHostRequest, ClientKeyResponse, ClientLimitsRequest, ClientResponse,
    ClientSignaturesRequest, ListClientsRequest, ListClientsResponse, Parsed, Problem,
};
use crate::auth::Principal;
use crate::domain::ClientId;
use crate::http::{RequestContext, json};

/// `listClients`
pub(in crate::http) async fn list_clients(context: RequestContext, _: Principal) -> Result<Response, Problem> {
    let query = Parsed::<ListClientsRequest>::from_query(context.query());
    let (after, limit) = query.validate(ListClientsRequest::validate)?;
    let page = context.services().clients.list(after.as_ref(), limit).await?;
    json(&ListClientsResponse::from(&page))
}

/// `addClient`
pub(in crate::http) async fn add_client(mut context: RequestContext, operator: Principal) -> Result<Response, Problem> {
    let (id, properties) = context.json::<AddClientRequest>().await?.validate(AddClientRequest::validate)?;
    let added = context.services().clients.add(&id, properties).await?;
    log("client added", &id, &operator);
    json(&ClientKeyResponse::from(&added))
}

/// `getClient`
pub(in crate::http) async fn get_client(context: RequestContext, _: Principal) -> Result<Response, Problem> {
    let client = context.services().clients.get(&client_id(&context)?).await?;
    json(&ClientResponse::from(&client))
}

/// `rotateClientKey`
pub(in crate::http) async fn rotate_client_key(
    context: RequestContext,
    operator: Principal,
) -> Result<Response, Problem> {
    let id = client_id(&context)?;
    let rotated = context.services().clients.rotate(&id).await?;
    log("key of a client rotated", &id, &operator);
    json(&ClientKeyResponse::from(&rotated))
}

/// `retireClientKey`
pub(in crate::http) async fn retire_client_key(
    context: RequestContext,
    operator: Principal,
) -> Result<Response, Problem> {
    let id = client_id(&context)?;
    let client = context.services().clients.retire(&id).await?;
    log("older key of a client retired", &id, &operator);
    json(&ClientResponse::from(&client))
}

/// `disableClient`
pub(in crate::http) async fn disable_client(context: RequestContext, operator: Principal) -> Result<Response, Problem> {
    let id = client_id(&context)?;
    let client = context.services().clients.disable(&id).await?;
    log("client disabled", &id, &operator);
    json(&ClientResponse::from(&client))
}

/// `enableClient`
pub(in crate::http) async fn enable_client(context: RequestContext, operator: Principal) -> Result<Response, Problem> {
    let id = client_id(&context)?;
    let client = context.services().clients.enable(&id).await?;
    log("client enabled", &id, &operator);
    json(&ClientResponse::from(&client))
}

/// `setClientSignatures`
pub(in crate::http) async fn set_client_signatures(
    mut context: RequestContext,
    operator: Principal,
) -> Result<Response, Problem> {
    let id = client_id(&context)?;
    let signatures = context.json::<ClientSignaturesRequest>().await?.validate(ClientSignaturesRequest::validate)?;
    let client = context.services().clients.set_signatures(&id, signatures).await?;
    log("signatures of a client changed", &id, &operator);
    json(&ClientResponse::from(&client))
}

/// `setClientLimits`
pub(in crate::http) async fn set_client_limits(
    mut context: RequestContext,
    operator: Principal,
) -> Result<Response, Problem> {
    let id = client_id(&context)?;
    let change = context.json::<ClientLimitsRequest>().await?.validate(|request| Ok(request.into()))?;
    let client = context.services().clients.set_limits(&id, change).await?;
    log("limits of a client changed", &id, &operator);
    json(&ClientResponse::from(&client))
}

/// `approveClientHost`
pub(in crate::http) async fn approve_client_host(
    mut context: RequestContext,
    operator: Principal,
) -> Result<Response, Problem> {
    let id = client_id(&context)?;
    let (host, is_approved) = context.json::<ApproveHostRequest>().await?.validate(ApproveHostRequest::validate)?;
    let client = context.services().clients.approve_host(&id, &host, is_approved).await?;
    log(if is_approved { "host approved for a client" } else { "approval of a host taken back" }, &id, &operator);
    json(&ClientResponse::from(&client))
}

/// The client that the path names. No client has a malformed id.
fn client_id(context: &RequestContext) -> Result<ClientId, Problem> {
    context.parameter().parse().map_err(|_| Problem::no_such_client())
}

fn log(done: &'static str, client: &ClientId, operator: &Principal) {
    tracing::info!(%client, operator = %operator.client(), "{done}");
}
