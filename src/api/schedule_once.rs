//! A schedule request with or without an idempotency key: the part of the operation that REST and MCP share.

use super::{ErrorDetail, Parsed, Problem, ScheduleRequest, ScheduleResponse};
use crate::auth::Principal;
use crate::domain::{ConversationId, IdempotentRequest, NewConversation, Sha256};
use crate::scheduler::{Scheduler, SchedulerError};

/// Schedules the conversation of a request. With a key, the repetition of an accepted request gets the id and the response
/// of the first one.
///
/// # Errors
/// [`Problem`] with all errors in the request and in its key, or of the use case.
pub(crate) async fn schedule(
    scheduler: &Scheduler,
    caller: &Principal,
    request: Parsed<ScheduleRequest>,
    key: Option<Result<Sha256, ErrorDetail>>,
) -> Result<(ConversationId, ScheduleResponse), Problem> {
    let validate = |request| validate(scheduler, caller, request);
    match key {
        None => {
            let new = request.validate(validate)?;
            let notes = new.due.notes().to_vec();
            let conversation = scheduler.schedule(caller.client(), new).await?;
            Ok((conversation.id(), ScheduleResponse::new(&conversation, &notes)))
        }
        Some(Ok(key)) => schedule_once(scheduler, caller, request, key).await,
        Some(Err(error)) => {
            let mut errors = request.check(validate).err().unwrap_or_default();
            errors.push(error);
            Err(Problem::invalid(errors))
        }
    }
}

async fn schedule_once(
    scheduler: &Scheduler,
    caller: &Principal,
    request: Parsed<ScheduleRequest>,
    key: Sha256,
) -> Result<(ConversationId, ScheduleResponse), Problem> {
    let identity = IdempotentRequest { key, fingerprint: request.value().fingerprint() };
    // They do not depend on when the request came, so a repetition gets those of the first request.
    let notes = request.value().notes();
    let conversation = match request.check(|request| validate(scheduler, caller, request)) {
        Ok(new) => scheduler.schedule_once(caller.client(), new, &identity).await?,
        // The time was acceptable when the request first came, and has passed since.
        Err(errors) if errors.iter().all(|error| is_of_time(&error.pointer)) => {
            match scheduler.scheduled_before(caller.client(), &identity).await {
                Ok(Some(conversation)) => conversation,
                Ok(None) | Err(SchedulerError::KeyOfOtherRequest) => return Err(Problem::invalid(errors)),
                Err(error) => return Err(error.into()),
            }
        }
        Err(errors) => return Err(Problem::invalid(errors)),
    };
    Ok((conversation.id(), ScheduleResponse::new(&conversation, &notes)))
}

/// The conversation that a caller asks for.
pub(super) fn validate(
    scheduler: &Scheduler,
    caller: &Principal,
    request: ScheduleRequest,
) -> Result<NewConversation, Vec<ErrorDetail>> {
    let new = request.validate(scheduler.now(), scheduler.endpoint_policy())?;
    Ok(NewConversation { by: caller.scheduled_by().clone(), ..new })
}

/// Whether the error at this pointer comes with the time.
pub(crate) fn is_of_time(pointer: &str) -> bool {
    matches!(pointer, "/scheduledTime" | "/recurrence/endTime")
}
