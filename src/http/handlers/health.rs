//! `health` and `ready`: whether the process responds and can store, and whether everything works that deliveries need.

use warp::reply::Response;

use crate::api::{Health, HealthCheck, Problem, Ready};
use crate::http::{RequestContext, json};
use crate::maintenance::{Check, CheckStatus};

/// The ping of the Functions host: the process responds.
pub(in crate::http) fn ping() -> Result<Response, Problem> {
    json(&Health::OK)
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
    let checks = context.services().checkup.run().await;
    let failed: Vec<_> =
        checks.iter().filter(|check| check.status == CheckStatus::Failed).map(|check| check.name).collect();
    let checks: Vec<HealthCheck> = checks.into_iter().map(shown).collect();
    if failed.is_empty() {
        json(&Ready { status: "ok", checks })
    } else {
        Err(Problem::not_ready(&failed.join(", ")).checks(checks))
    }
}

fn shown(Check { name, status, detail }: Check) -> HealthCheck {
    HealthCheck { name, status: status.as_str(), detail }
}
