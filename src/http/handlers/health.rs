//! `health` and `ready`: the process answers, and its store answers too.

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

/// `GET /health`: the process answers. No I/O.
pub(in crate::http) fn health() -> Result<Response, Problem> {
    json(&Health { status: "ok" })
}

/// `GET /health/ready`: the store answers too.
pub(in crate::http) async fn ready(context: RequestContext) -> Result<Response, Problem> {
    if let Err(error) = context.services.scheduler.check().await {
        tracing::warn!(%error, "not ready: the store does not answer");
        return Err(Problem::not_ready("store"));
    }
    json(&Ready { status: "ok", checks: [Check { name: "store", status: "ok" }] })
}
