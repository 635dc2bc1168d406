//! The operations on conversations with a name: the part that REST and MCP share.

use schemars::JsonSchema;
use serde::Serialize;

use super::schedule_once::{is_of_time, validate};
use super::{ErrorDetail, Parsed, Problem, ScheduleRequest, ScheduleResponse, log_conversation};
use crate::auth::Principal;
use crate::domain::{ClientId, ConversationId, ConversationName, InvalidName};
use crate::scheduler::{Definition, NamedOutcome, Scheduler, SchedulerError};

/// The conversation that has the name now, and what the request did.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NamedResponse {
    #[serde(flatten)]
    pub(crate) scheduled: ScheduleResponse,
    #[schemars(extend("enum" = ["created", "updated", "unchanged"]))]
    pub(crate) outcome: &'static str,
}

/// Sees to it that the client has a conversation with this name as the request defines it.
///
/// # Errors
/// [`Problem`] with all errors in the name and in the request, or of the use case.
pub(crate) async fn schedule_named(
    scheduler: &Scheduler,
    caller: &Principal,
    name: &str,
    request: Parsed<ScheduleRequest>,
) -> Result<NamedResponse, Problem> {
    let value = request.value();
    let sets_start = value.scheduled_time.is_some() || value.delay.is_some();
    let definition = Definition { fingerprint: value.fingerprint(), paused: value.paused, sets_start };
    let notes = value.notes();
    let new = request.check(|request| validate(scheduler, caller, request));
    let name = match (check_name(name), &new) {
        (Ok(name), _) => name,
        (Err(error), Ok(_)) => return Err(Problem::invalid(vec![error])),
        (Err(error), Err(errors)) => {
            return Err(Problem::invalid(std::iter::once(error).chain(errors.iter().cloned()).collect()));
        }
    };
    let (conversation, outcome) = match new {
        Ok(new) => scheduler.schedule_named(caller.client(), &name, &new, definition).await?,
        // The time was acceptable when the conversation got this definition, and has passed since.
        Err(errors) if errors.iter().all(|error| is_of_time(&error.pointer)) => {
            match scheduler.defined_before(caller.client(), &name, definition).await? {
                Some(conversation) => (conversation, NamedOutcome::Unchanged),
                None => return Err(Problem::invalid(errors)),
            }
        }
        Err(errors) => return Err(Problem::invalid(errors)),
    };
    log_conversation(conversation.id());
    let outcome = match outcome {
        NamedOutcome::Created => "created",
        NamedOutcome::Updated => "updated",
        NamedOutcome::Unchanged => "unchanged",
    };
    Ok(NamedResponse { scheduled: ScheduleResponse::at(&conversation, &notes, scheduler.now()), outcome })
}

/// The id of the conversation that has this name.
///
/// # Errors
/// [`Problem`] of the name, or of the use case.
pub(crate) async fn named_id(scheduler: &Scheduler, client: &ClientId, name: &str) -> Result<ConversationId, Problem> {
    let name = check_name(name).map_err(|error| Problem::invalid(vec![error]))?;
    match scheduler.named_id(client, &name).await {
        Ok(id) => {
            log_conversation(id);
            Ok(id)
        }
        Err(SchedulerError::NotFound) => Err(Problem::no_such_name()),
        Err(error) => Err(error.into()),
    }
}

fn check_name(name: &str) -> Result<ConversationName, ErrorDetail> {
    name.parse().map_err(|error: InvalidName| ErrorDetail { pointer: "/name".to_owned(), detail: error.to_string() })
}
