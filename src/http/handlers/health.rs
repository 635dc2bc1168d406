//! `health` and `ready`: whether the process responds and can store, and whether its store responds now.

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
    checks: [Check; 2],
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl Check {
    const fn ok(name: &'static str) -> Self {
        Self { name, status: "ok", detail: None }
    }
}

/// The ping of the Functions host: the process responds.
pub(in crate::http) fn ping() -> Result<Response, Problem> {
    json(&Health { status: "ok" })
}

/// `health`: the process responds, and has not failed to store anything for a minute. It does no I/O.
pub(in crate::http) fn health(context: &RequestContext) -> Result<Response, Problem> {
    if !context.services().scheduler.can_store() {
        return Err(Problem::not_ready("store"));
    }
    ping()
}

/// `ready`: the store responds too. A wrong clock of the machine is only a warning, because deliveries follow the
/// storage.
pub(in crate::http) async fn ready(context: RequestContext) -> Result<Response, Problem> {
    let scheduler = &context.services().scheduler;
    if let Err(error) = scheduler.check().await {
        tracing::warn!(%error, "not ready: the store does not respond");
        return Err(Problem::not_ready("store"));
    }
    let clock = scheduler.machine_offset().map_or(Check::ok("clock"), |offset| Check {
        name: "clock",
        status: "warning",
        detail: Some(offset.to_string()),
    });
    json(&Ready { status: "ok", checks: [Check::ok("store"), clock] })
}
