//! The way of every request through an operation: authenticate, authorise, handle, complete the problem.

use http::header::HOST;
use http::{HeaderMap, HeaderValue};
use tracing::Instrument as _;
use warp::reply::{Reply as _, Response};

use super::context::RequestContext;
use super::operations::{Access, Operation};
use crate::api::Problem;
use crate::auth::{AuthError, Principal};
use crate::public_url::Origin;

/// Serves one request. Whatever fails becomes a problem document that names the operation and, where a token is
/// missing or refused, the metadata by which a client finds out how to log in.
pub(super) async fn serve(operation: &Operation, context: RequestContext) -> Response {
    let span = tracing::debug_span!("request", operation = operation.name);
    let services = context.services.clone();
    let host = context.headers.get(HOST).cloned();
    match run(operation, context).instrument(span).await {
        Ok(response) => response,
        Err(problem) => {
            let origin: &Origin = services.authenticator.public_url().origin(host.as_ref().and_then(text));
            let metadata = origin.resource_metadata(operation.resource());
            problem.at(operation.instance()).resource_metadata(&metadata).into_response()
        }
    }
}

async fn run(operation: &Operation, context: RequestContext) -> Result<Response, Problem> {
    match operation.access {
        Access::Anyone(handler) => handler(context).await,
        Access::AnyClient(handler) => {
            let principal = authenticate(&context).await?;
            handler(context, principal).await
        }
        Access::Client { scope, handler, .. } => {
            let principal = authenticate(&context).await?;
            principal.require(scope)?;
            handler(context, principal).await
        }
        Access::FunctionsHost(handler) => {
            let invocations = context.services.invocations.clone().ok_or_else(Problem::no_such_path)?;
            handler(context, invocations).await
        }
    }
}

/// Takes only parts of the context into its future: a request body cannot be shared between threads.
fn authenticate(context: &RequestContext) -> impl Future<Output = Result<Principal, AuthError>> + Send + use<> {
    let (services, headers) = (context.services.clone(), authorization(&context.headers));
    async move {
        let values: Vec<_> = headers.iter().map(HeaderValue::as_bytes).collect();
        services.authenticator.authenticate(&values).await
    }
}

fn authorization(headers: &HeaderMap) -> Vec<HeaderValue> {
    headers.get_all(http::header::AUTHORIZATION).iter().cloned().collect()
}

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()
}
