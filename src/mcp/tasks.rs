//! `waitForConversation`, and the Tasks extension of the protocol.
//!
//! The task of a wait is the conversation itself, so nothing else is stored. To give up a task ends the wait and never
//! cancels the conversation.

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{CreateTaskResult, DetailedTask, ErrorData, GetTaskResult, Task, TaskPayload, TaskStatus};
use rmcp::service::RequestContext;
use schemars::JsonSchema;

use super::executor::{ConversationRequest, ToolExecutor, ToolResult, parse_id};
use super::message::ToolCall;
use super::speaks_2026_07_28;
use crate::api::{ErrorDetail, FromObject, ObjectReader, Parsed, Problem, WaitRequest, log_conversation};
use crate::auth::Principal;
use crate::domain::{Conversation, ConversationId, Status, Timestamp};
use crate::scheduler::SchedulerError;
use crate::text::escape_invisible;

/// The only tool whose calls become tasks. Many programs let nobody go on before the end of a task.
const TOOL: &str = "waitForConversation";

/// The conversation, and how long the caller waits for its end.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", extend("additionalProperties" = false))]
pub(super) struct WaitArguments {
    #[schemars(flatten)]
    conversation: ConversationRequest,
    #[schemars(flatten)]
    request: WaitRequest,
}

impl FromObject for WaitArguments {
    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        let conversation = object.part::<ConversationRequest>();
        Self { conversation, request: object.part::<WaitRequest>() }
    }
}

impl WaitArguments {
    fn validate(self) -> Result<(String, WaitRequest), Vec<ErrorDetail>> {
        Ok((self.conversation.validate()?, self.request))
    }

    fn read(arguments: &[u8]) -> Result<(ConversationId, WaitRequest), Problem> {
        let (id, request) = Parsed::<Self>::from_json(arguments)?.validate(Self::validate)?;
        Ok((parse_id(&id)?, request))
    }
}

impl ToolExecutor {
    pub(super) async fn wait(&self, principal: &Principal, arguments: &[u8]) -> Result<ToolResult, Problem> {
        let (id, request) = WaitArguments::read(arguments)?;
        let found = self.scheduler().wait(principal.client(), id, request.longest()).await?;
        self.record(principal, &found)
    }

    /// The task of a call. `None` if the call gets the result of the tool: it is wrong, or its conversation has ended, or
    /// the caller says how long it waits, or knows no tasks.
    pub(super) async fn task_of(
        &self,
        call: &ToolCall,
        principal: &Principal,
        context: &RequestContext<RoleServer>,
    ) -> Option<CreateTaskResult> {
        if call.tool.name != TOOL || !knows_tasks(context) {
            return None;
        }
        let (id, request) = WaitArguments::read(call.arguments.as_bytes()).ok()?;
        if request.has_limit() {
            return None;
        }
        let conversation = self.scheduler().conversation(principal.client(), id).await.ok()?;
        (!conversation.status().is_final()).then(|| CreateTaskResult::new(task(&conversation, self.scheduler().now())))
    }

    /// `tasks/get`
    pub(super) async fn get_task(&self, principal: &Principal, id: &str) -> Result<GetTaskResult, ErrorData> {
        let conversation = self.find_task(principal, id).await?;
        let payload = match conversation.status() {
            Status::Scheduled | Status::InProgress => TaskPayload::Working,
            Status::Cancelled => TaskPayload::Cancelled,
            Status::Completed | Status::Failed => {
                let result = self.show(principal, conversation.id()).await.and_then(|result| {
                    serde_json::to_value(result.into_rmcp()).map_err(|error| Problem::internal(&error))
                });
                let result = result.map_err(|problem| ErrorData::internal_error(problem.to_text(), None))?;
                TaskPayload::Completed { result: result.as_object().cloned().unwrap_or_default() }
            }
        };
        Ok(GetTaskResult::new(DetailedTask::new(task(&conversation, self.scheduler().now()), payload)))
    }

    /// The conversation of a task.
    pub(super) async fn find_task(&self, principal: &Principal, id: &str) -> Result<Conversation, ErrorData> {
        let unknown = || {
            let (id, _) = escape_invisible(id, 64);
            let text = format!("{id:?} is no task of this client; the taskId is the conversationId given to {TOOL}");
            ErrorData::invalid_params(text, None)
        };
        let id = id.parse().map_err(|_| unknown())?;
        log_conversation(id);
        self.scheduler().conversation(principal.client(), id).await.map_err(|error| match error {
            SchedulerError::NotFound => unknown(),
            error => ErrorData::internal_error(Problem::from(error).to_text(), None),
        })
    }
}

/// Whether the request declares the extension, in a version of the protocol that has it.
fn knows_tasks(context: &RequestContext<RoleServer>) -> bool {
    speaks_2026_07_28(context)
        && context.client_capabilities().is_some_and(|capabilities| capabilities.supports_tasks())
}

fn task(conversation: &Conversation, now: Timestamp) -> Task {
    let [id, created, updated] =
        [conversation.id().to_string(), conversation.created().to_string(), conversation.updated().to_string()];
    let next = conversation.next_attempt_at().filter(|_| conversation.in_flight().is_none());
    let interval = poll_interval(next.unwrap_or(conversation.updated()), now);
    let interval = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
    Task::new(id, TaskStatus::Working, created, updated)
        .with_status_message(status_message(conversation))
        .with_poll_interval_ms(interval)
}

fn status_message(conversation: &Conversation) -> String {
    match (conversation.status(), conversation.in_flight(), conversation.next_attempt_at()) {
        (Status::Scheduled, ..) => format!("Scheduled for {}", conversation.due()),
        (_, None, Some(next)) => format!("The next attempt follows at {next}"),
        (status, ..) => status.as_str().to_owned(),
    }
}

/// The time after which a program asks again. Before this instant it is the time until then. After it, the longer ago that is,
/// the longer is the time.
fn poll_interval(at: Timestamp, now: Timestamp) -> Duration {
    now.until(at).max(at.until(now)).clamp(Duration::from_secs(1), Duration::from_mins(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_asks_again_when_the_next_attempt_begins_and_less_often_the_longer_it_lasts() {
        let now = Timestamp::from_millis(1_893_456_000_000);
        let before = |seconds| poll_interval(now + Duration::from_secs(seconds), now).as_secs();
        assert_eq!([0, 1, 17, 60, 86_400].map(before), [1, 1, 17, 60, 60]);
        let after = |seconds| poll_interval(now - Duration::from_secs(seconds), now).as_secs();
        assert_eq!([1, 2, 30, 86_400].map(after), [1, 2, 30, 60]);
    }
}
