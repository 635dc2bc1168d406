//! The steps of every request: authenticate, authorise, handle, and complete the problem if one of them fails.

use http::header::AUTHORIZATION;
use http::{HeaderValue, StatusCode};
use tracing::Span;
use tracing::field::display;
use warp::reply::{Reply as _, Response};

use super::context::RequestContext;
use super::operation::{Access, Operation};
use super::request_line::Route;
use crate::api::{IDEMPOTENCY_KEY, Problem, misplaced_key};
use crate::auth::{AuthError, Principal};
use crate::domain::{Call, Scopes};
use crate::public_url::Resource;

/// Serves one request. Every error becomes a problem document that names the operation. A problem of authentication
/// also gets the address of the metadata that tells the client how to log in.
pub(super) async fn serve(operation: &Operation, context: RequestContext) -> Response {
    Span::current().record("operation", operation.name);
    let origin = context.origin().clone();
    let mut response = match authorise_and_handle(operation, context).await {
        Ok(response) => response,
        Err(problem) => {
            let metadata = origin.resource_metadata(operation.resource());
            problem.at(operation.instance()).challenge(&metadata, operation.scopes()).into_response()
        }
    };
    response.extensions_mut().insert(Route(operation.path));
    response
}

/// Answers a request that no operation accepts. Programs find out by GET how to log in, so at the path of the Model Context
/// Protocol a caller without a token is told that before it is told the method.
pub(super) async fn refuse(problem: Problem, path: &str, context: RequestContext) -> Response {
    if problem.status() == StatusCode::METHOD_NOT_ALLOWED && path == Resource::Mcp.path() {
        let metadata = context.origin().resource_metadata(Resource::Mcp);
        if let Err(error) = authenticate(Resource::Mcp, &context).await {
            return Problem::from(error).challenge(&metadata, Some(Scopes::on_conversations())).into_response();
        }
    }
    problem.into_response()
}

async fn authorise_and_handle(operation: &Operation, mut context: RequestContext) -> Result<Response, Problem> {
    match operation.access {
        Access::Anyone(handler) => handler(context).await,
        Access::AnyClient(handler) | Access::Client { handler, .. } => {
            let caller = authenticate(operation.resource(), &context).await?.in_trace(context.trace());
            let caller = caller.calling(Call::Operation(operation.name.into()));
            context.belongs_to(&caller);
            Span::current().record("client.id", display(caller.client()));
            if let Access::Client { scope, .. } = operation.access {
                caller.require(scope)?;
            }
            // A client that sends a key relies on it, so it must learn that this operation does not read keys.
            if !operation.takes_idempotency_key && context.headers().contains_key(IDEMPOTENCY_KEY) {
                return Err(Problem::invalid(misplaced_key()));
            }
            let remaining = context.services().rate_limiter.count(caller.client())?;
            let mut response = handler(context, caller).await?;
            if let Some(remaining) = remaining {
                remaining.stamp(&mut response);
            }
            Ok(response)
        }
        Access::FunctionsHost(handler) => {
            let invocations = context.services().invocations.clone().ok_or_else(Problem::no_such_path)?;
            handler(context, invocations).await
        }
    }
}

/// The future holds clones of what it needs and not the context, because the context's body is not `Sync`.
fn authenticate(
    resource: Resource,
    context: &RequestContext,
) -> impl Future<Output = Result<Principal, AuthError>> + Send + use<> {
    let (services, source) = (context.services().clone(), context.source());
    let headers: Vec<HeaderValue> = context.headers().get_all(AUTHORIZATION).iter().cloned().collect();
    async move {
        let values: Vec<_> = headers.iter().map(HeaderValue::as_bytes).collect();
        services.authenticator.authenticate(&values, resource, source).await
    }
}
