//! Is it alive, and can it work?

use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use warp::reply::{Reply, Response};

use super::{Call, Problem, json};

/// `GET /health`: the process answers. No I/O.
pub(super) fn health() -> impl Reply {
    let mut response = Response::new(r#"{"status":"ok"}"#.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    checks: [Check; 1],
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    status: &'static str,
}

/// `GET /health/ready`: the store answers too.
pub(super) async fn ready(call: Call) -> Result<Response, Problem> {
    if let Err(error) = call.api.scheduler.check().await {
        tracing::warn!(%error, "not ready");
        return Err(Problem::not_ready("store").at("/health/ready"));
    }
    json(&Ready { status: "ok", checks: [Check { name: "store", status: "ok" }] })
}
