//! A request to run a conversation now, with or without an idempotency key: the part of the operation that REST and MCP
//! share.

use super::{ErrorDetail, Problem, ScheduleResponse, idempotency};
use crate::auth::Principal;
use crate::domain::{ConversationId, IdempotentRequest, Sha256};
use crate::scheduler::Scheduler;

/// Schedules a copy of a conversation that is due now. With a key, the repetition of a request gets the id and the response
/// of the first one.
///
/// # Errors
/// [`Problem`] with the error in the key, or of the use case.
pub(crate) async fn run(
    scheduler: &Scheduler,
    caller: &Principal,
    id: ConversationId,
    key: Option<Result<Sha256, ErrorDetail>>,
) -> Result<(ConversationId, ScheduleResponse), Problem> {
    let key = key.transpose().map_err(|error| Problem::invalid(vec![error]))?;
    let request = key.map(|key| IdempotentRequest { key, fingerprint: idempotency::run_fingerprint(id) });
    let copy = scheduler.run(caller.client(), id, request.as_ref(), caller.scheduled_by().clone()).await?;
    Ok((copy.id(), ScheduleResponse::new(&copy, &[])))
}
