//! A schedule request with or without an idempotency key: the part of the operation that REST and MCP share.

use super::{ErrorDetail, Parsed, Problem, ScheduleRequest, ScheduleResponse};
use crate::domain::{ClientId, Conversation, ConversationId, IdempotentRequest, Sha256};
use crate::scheduler::{Scheduler, SchedulerError};

/// Schedules the conversation of a request. With a key, the repetition of an accepted request gets the id and the response
/// of the first one.
///
/// # Errors
/// [`Problem`] with all errors in the request and in its key, or of the use case.
pub(crate) async fn schedule(
    scheduler: &Scheduler,
    client: &ClientId,
    request: Parsed<ScheduleRequest>,
    key: Option<Result<Sha256, ErrorDetail>>,
) -> Result<(ConversationId, ScheduleResponse), Problem> {
    let time = request.value().written_time();
    let conversation = accept(scheduler, client, request, key).await?;
    // The notes do not depend on when the request came, so a repetition gets those of the first request.
    let response = ScheduleResponse::new(&conversation, &time.notes(conversation.created()));
    Ok((conversation.id(), response))
}

async fn accept(
    scheduler: &Scheduler,
    client: &ClientId,
    request: Parsed<ScheduleRequest>,
    key: Option<Result<Sha256, ErrorDetail>>,
) -> Result<Conversation, Problem> {
    let validate = |request: ScheduleRequest| request.validate(scheduler.now(), scheduler.endpoint_policy());
    let key = match key {
        None => return Ok(scheduler.schedule(client, request.validate(validate)?).await?),
        Some(Ok(key)) => key,
        Some(Err(error)) => {
            let mut errors = request.check(validate).err().unwrap_or_default();
            errors.push(error);
            return Err(Problem::invalid(errors));
        }
    };
    let identity = IdempotentRequest { key, fingerprint: request.value().fingerprint() };
    match request.check(validate) {
        Ok(new) => Ok(scheduler.schedule_once(client, new, &identity).await?),
        // The time was acceptable when the request first came, and has passed since.
        Err(errors) if errors.iter().all(|error| error.pointer == "/scheduledTime") => {
            let before = scheduler.scheduled_before(client, &identity).await;
            match before {
                Ok(Some(conversation)) => Ok(conversation),
                Ok(None) | Err(SchedulerError::KeyOfOtherRequest) => Err(Problem::invalid(errors)),
                Err(error) => Err(error.into()),
            }
        }
        Err(errors) => Err(Problem::invalid(errors)),
    }
}
