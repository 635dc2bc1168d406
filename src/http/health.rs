//! Is it alive, and can it work?

use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
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
pub(super) async fn ready(call: Call) -> Response {
    let store = call.api.scheduler.check().await;
    if let Err(error) = &store {
        tracing::warn!(%error, "not ready");
    }
    let status = if store.is_ok() { "ok" } else { "failed" };
    if store.is_err() {
        return Problem::not_ready("store").at("/health/ready").into_response();
    }
    let checks = [Check { name: "store", status }];
    let mut response = json(&Ready { status, checks }).unwrap_or_else(Reply::into_response);
    *response.status_mut() = StatusCode::OK;
    response
}
