//! `health` and `ready`: whether the process responds, and whether its store does.

use serde::Serialize;
use warp::reply::Response;

use crate::api::Problem;
use crate::http::{RequestContext, json};

#[derive(Serialize)]
struct Health {
    status: &'static str,
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

/// `health`: the process responds. It does no I/O.
pub(in crate::http) fn health() -> Result<Response, Problem> {
    json(&Health { status: "ok" })
}

/// `ready`: the store responds too.
pub(in crate::http) async fn ready(context: RequestContext) -> Result<Response, Problem> {
    if let Err(error) = context.services().scheduler.check().await {
        tracing::warn!(%error, "not ready: the store does not respond");
        return Err(Problem::not_ready("store"));
    }
    json(&Ready { status: "ok", checks: [Check { name: "store", status: "ok" }] })
}
