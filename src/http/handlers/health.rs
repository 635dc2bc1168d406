//! `health` and `ready`: whether the process responds and can store, and whether its store responds and the sweeps keep
//! up now.

use schemars::JsonSchema;
use serde::Serialize;
use warp::reply::Response;

use crate::api::Problem;
use crate::delivery::WakeUpHandler;
use crate::http::{RequestContext, json};
use crate::maintenance::SweepAge;

#[derive(Serialize, JsonSchema)]
pub(in crate::http) struct Health {
    status: &'static str,
}

#[derive(Serialize, JsonSchema)]
pub(in crate::http) struct Ready {
    status: &'static str,
    checks: Vec<Check>,
}

#[derive(Serialize, JsonSchema)]
pub(in crate::http) struct Check {
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

/// `ready`: the store responds too, and the sweeps keep up if there are sweeps. A wrong clock of the machine is only a
/// warning, because deliveries follow the storage.
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
    let mut checks = vec![Check::ok("store"), clock];
    if let Some(wake_ups) = &context.services().wake_ups {
        checks.push(sweep(wake_ups).await?);
    }
    json(&Ready { status: "ok", checks })
}

/// Says how old the last sweep is. That fails only if a conversation is overdue: an app that has nothing to deliver may
/// sleep, and a new one has not swept yet.
async fn sweep(wake_ups: &WakeUpHandler) -> Result<Check, Problem> {
    let SweepAge { age, is_late } = wake_ups.sweep_age().await.map_err(|error| {
        tracing::warn!(%error, "not ready: the watermark of the sweeps cannot be read");
        Problem::not_ready("sweep")
    })?;
    if is_late {
        tracing::warn!(?age, "not ready: conversations are overdue, and the last sweep is long ago");
        return Err(Problem::not_ready("sweep"));
    }
    let detail = age.map_or_else(
        || "there was no sweep yet".to_owned(),
        |age| format!("the last sweep was {} s ago", age.as_secs()),
    );
    Ok(Check { name: "sweep", status: "ok", detail: Some(detail) })
}
