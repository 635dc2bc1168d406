//! What the tools do.

use rmcp::model::{CallToolResult, ContentBlock};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::call::Call;
use super::tools::{ConversationRequest, Tool};
use crate::answers::{Accepted, Cancellation, Page, Problem, Untrusted, View, strict};
use crate::auth::Principal;
use crate::domain::{ConversationId, FieldError, ListRequest, ScheduleRequest};
use crate::scheduler::{Scheduler, SchedulerError};

/// The use cases as tools.
#[derive(Clone)]
pub(super) struct Actions {
    scheduler: Scheduler,
}

impl Actions {
    pub(super) fn new(scheduler: Scheduler) -> Self {
        Self { scheduler }
    }

    /// Does what a caller asks. What is wrong with the call is a result as well, so that a model can mend it.
    pub(super) async fn run(&self, principal: &Principal, call: &Call) -> ToolResult {
        let arguments = call.arguments.as_bytes();
        let result = match call.tool {
            Tool::ScheduleConversation => self.schedule(principal, arguments).await,
            Tool::GetConversationStatus => self.status(principal, arguments).await,
            Tool::CancelConversation => self.cancel(principal, arguments).await,
            Tool::ListConversations => self.list(principal, arguments).await,
        };
        result.unwrap_or_else(|problem| ToolResult::error(&problem.server_time(self.scheduler.now())))
    }

    async fn schedule(&self, principal: &Principal, arguments: &[u8]) -> Result<ToolResult, Problem> {
        let request: ScheduleRequest = strict::read(arguments)?;
        let conversation = self.scheduler.schedule(principal.client(), request).await?;
        ToolResult::new(conversation.id.to_string(), &Accepted::new(&conversation, self.scheduler.now()))
    }

    async fn status(&self, principal: &Principal, arguments: &[u8]) -> Result<ToolResult, Problem> {
        let id = conversation_id(arguments)?;
        let conversation = self.scheduler.get(principal.client(), id).await?;
        let view = View::<Untrusted>::new(&conversation, self.scheduler.now());
        ToolResult::new(conversation.status().as_str(), &view)
    }

    async fn cancel(&self, principal: &Principal, arguments: &[u8]) -> Result<ToolResult, Problem> {
        let id = conversation_id(arguments)?;
        match self.scheduler.cancel(principal.client(), id).await {
            Ok(()) => ToolResult::new("true", &Cancellation::new(id)),
            // No mistake that another call would mend: the answer is no.
            Err(SchedulerError::TooLate { status, reason }) => {
                ToolResult::new("false", &Cancellation::too_late(id, status, reason))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn list(&self, principal: &Principal, arguments: &[u8]) -> Result<ToolResult, Problem> {
        let request: ListRequest = strict::read(arguments)?;
        let listing = self.scheduler.list(principal.client(), request).await?;
        let lines = listing.conversations.iter().map(|c| format!("{} {} {}", c.id, c.status().as_str(), c.due));
        let mut lines: Vec<_> = lines.collect();
        if lines.is_empty() {
            lines.push("There are no such conversations.".to_owned());
        }
        if listing.next.is_some() {
            lines.push("There are more: call again with nextCursor as cursor.".to_owned());
        }
        ToolResult::new(lines.join("\n"), &Page::new(&listing, self.scheduler.now()))
    }
}

/// What a tool returns.
#[derive(Debug)]
pub(super) struct ToolResult {
    /// What the clients of old read.
    pub(super) text: String,
    /// The same as the REST API answers, already written. None if the call was wrong.
    pub(super) structured: Option<Box<RawValue>>,
}

impl ToolResult {
    fn new<T: Serialize>(text: impl Into<String>, structured: &T) -> Result<Self, Problem> {
        let structured = to_raw_value(structured).map_err(|e| Problem::internal(&e))?;
        Ok(Self { text: text.into(), structured: Some(structured) })
    }

    fn error(problem: &Problem) -> Self {
        Self { text: problem.to_text(), structured: None }
    }

    /// The same in rmcp's words.
    pub(super) fn into_rmcp(self) -> serde_json::Result<CallToolResult> {
        let content = vec![ContentBlock::text(self.text)];
        let Some(structured) = self.structured else { return Ok(CallToolResult::error(content)) };
        let mut result = CallToolResult::success(content);
        result.structured_content = Some(serde_json::from_str(structured.get())?);
        Ok(result)
    }
}

fn conversation_id(arguments: &[u8]) -> Result<ConversationId, Problem> {
    let request: ConversationRequest = strict::read(arguments)?;
    let missing = || {
        let detail = "is required: the conversationId that scheduleConversation returned".to_owned();
        Problem::invalid(vec![FieldError { pointer: "/conversationId".to_owned(), detail }])
    };
    request.conversation_id.ok_or_else(missing)?.parse().map_err(|_| Problem::no_such_conversation())
}
