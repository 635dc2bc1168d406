//! A batch of schedule requests: the part of the operation that REST and MCP share.

use futures_util::future::join_all;

use super::batch_request::BatchRequest;
use super::{ErrorDetail, Parsed, Problem, ScheduleResponse, idempotency, schedule};
use crate::auth::Principal;
use crate::domain::Sha256;
use crate::scheduler::Scheduler;

/// Schedules the conversations of a batch, each as a request of its own. They are scheduled side by side, so that the
/// store can write many of them at once. With a key, each of them has a key that is derived from it, so that the repetition
/// of a batch schedules only what is missing.
///
/// # Errors
/// [`Problem`] with the errors in the batch as a whole and in its key. Nothing was scheduled then.
pub(crate) async fn schedule_batch(
    scheduler: &Scheduler,
    caller: &Principal,
    request: Parsed<BatchRequest>,
    key: Option<Result<Sha256, ErrorDetail>>,
) -> Result<Vec<Result<ScheduleResponse, Problem>>, Problem> {
    let (key, wrong_key) = match key.transpose() {
        Ok(key) => (key, None),
        Err(error) => (None, Some(error)),
    };
    let items = request.check(BatchRequest::validate);
    let items = match (items, wrong_key) {
        (Ok(items), None) => items,
        (items, wrong_key) => {
            return Err(Problem::invalid(items.err().into_iter().flatten().chain(wrong_key).collect()));
        }
    };
    let scheduled = items.into_iter().enumerate().map(|(index, item)| async move {
        let key = key.map(|key| Ok(idempotency::item_key(key, index)));
        let (_, response) = schedule(scheduler, caller, item?, key).await?;
        Ok(response)
    });
    let results = join_all(scheduled).await;
    // As for a single request: the error is often in the time.
    let now = scheduler.now();
    Ok(results.into_iter().map(|result| result.map_err(|problem: Problem| problem.server_time(now))).collect())
}
