//! Runs the tools.

use futures_util::future::BoxFuture;
use rmcp::model::{CallToolResult, ContentBlock};
use schemars::JsonSchema;
use serde::Serialize;

use crate::api::{
    self, CancelResponse, ConversationResponse, CurrentTimeRequest, CurrentTimeResponse, ErrorDetail, FromObject,
    ListRequest, ListResponse, MAX_KEY, ObjectReader, Parsed, PreviewRequest, PreviewResponse, Problem,
    RedeliverResponse, ScheduleRequest, ShownEndpoints, Synonyms, UntrustedContent, UpdateRequest, log_conversation,
    read_key,
};
use crate::auth::Principal;
use crate::delivery::Inbox;
use crate::domain::{ConversationId, Sha256};
use crate::scheduler::{Found, Scheduler, SchedulerError};

/// The conversation that the tool is for.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ConversationRequest {
    /// The conversationId that scheduleConversation returned.
    #[schemars(required, extend("format" = "uuid"))]
    conversation_id: Option<String>,
}

impl FromObject for ConversationRequest {
    const SYNONYMS: Synonyms = &[("conversationId", &["id", "uuid", "conversation", "taskid", "jobid", "scheduleid"])];

    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self { conversation_id: object.string("conversationId") }
    }
}

impl ConversationRequest {
    /// The id as the caller wrote it.
    pub(super) fn validate(self) -> Result<String, Vec<ErrorDetail>> {
        let missing = || {
            let detail = "is required: the conversationId that scheduleConversation returned".to_owned();
            vec![ErrorDetail { pointer: "/conversationId".to_owned(), detail }]
        };
        self.conversation_id.ok_or_else(missing)
    }
}

/// A conversation, and the arguments of scheduleConversation that change.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", extend("additionalProperties" = false, "required" = [ID_ARGUMENT]))]
pub(super) struct UpdateArguments {
    #[schemars(flatten)]
    #[allow(dead_code)] // the patch is applied to the stored request, not to this one
    request: ScheduleRequest,
    /// The conversationId that scheduleConversation returned.
    #[schemars(extend("format" = "uuid"))]
    conversation_id: Option<String>,
}

impl FromObject for UpdateArguments {
    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        let request = object.part::<ScheduleRequest>();
        Self { request, conversation_id: object.string(ID_ARGUMENT) }
    }
}

impl UpdateArguments {
    pub(super) fn id(self) -> Result<String, Vec<ErrorDetail>> {
        ConversationRequest { conversation_id: self.conversation_id }.validate()
    }
}

/// The argument with the id of the conversation.
pub(super) const ID_ARGUMENT: &str = "conversationId";
/// The argument that does what the header `Idempotency-Key` does over REST.
pub(super) const KEY_ARGUMENT: &str = "idempotencyKey";

/// A conversation to schedule.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", extend("additionalProperties" = false))]
pub(super) struct ScheduleArguments {
    #[schemars(flatten)]
    request: ScheduleRequest,
    /// Makes it safe to repeat the call: calls with the same key and the same other arguments schedule one conversation
    /// and have the same result, for 24 hours. Use a new value for each conversation, such as a UUID.
    #[schemars(length(min = 1, max = MAX_KEY))]
    idempotency_key: Option<String>,
}

impl FromObject for ScheduleArguments {
    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        let request = object.part::<ScheduleRequest>();
        Self { request, idempotency_key: object.string(KEY_ARGUMENT) }
    }
}

/// A conversation to run now.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", extend("additionalProperties" = false))]
pub(super) struct RunArguments {
    #[schemars(flatten)]
    conversation: ConversationRequest,
    /// Makes it safe to repeat the call: calls with the same key send one copy and have the same result, for 24 hours. Use
    /// a new value for each copy, such as a UUID.
    #[schemars(length(min = 1, max = MAX_KEY))]
    idempotency_key: Option<String>,
}

impl RunArguments {
    fn validate(self) -> Result<(String, Option<Sha256>), Vec<ErrorDetail>> {
        let key = self.idempotency_key.map(|key| read_key(KEY_ARGUMENT, key.as_bytes())).transpose();
        match (self.conversation.validate(), key) {
            (Ok(id), Ok(key)) => Ok((id, key)),
            (id, key) => Err(id.err().into_iter().flatten().chain(key.err()).collect()),
        }
    }
}

impl FromObject for RunArguments {
    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        let conversation = object.part::<ConversationRequest>();
        Self { conversation, idempotency_key: object.string(KEY_ARGUMENT) }
    }
}

/// The function of a tool. It takes the caller, and the arguments as the caller wrote them.
pub(super) type ToolFunction =
    for<'a> fn(&'a ToolExecutor, &'a Principal, &'a [u8]) -> BoxFuture<'a, Result<ToolResult, Problem>>;

/// Runs the tools.
#[derive(Clone)]
pub(super) struct ToolExecutor {
    scheduler: Scheduler,
    inbox: Inbox,
}

impl ToolExecutor {
    pub(super) const fn new(scheduler: Scheduler, inbox: Inbox) -> Self {
        Self { scheduler, inbox }
    }

    pub(super) const fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    pub(super) const fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// Runs a tool. An error in its arguments is a result too, so that a model can correct its call.
    pub(super) async fn run(&self, tool: ToolFunction, principal: &Principal, arguments: &[u8]) -> ToolResult {
        let result = tool(self, principal, arguments).await;
        result.unwrap_or_else(|problem| self.refuse(problem))
    }

    pub(super) fn refuse(&self, problem: Problem) -> ToolResult {
        ToolResult::error(&problem.server_time(self.scheduler.now()))
    }

    pub(super) async fn schedule(&self, principal: &Principal, arguments: &[u8]) -> Result<ToolResult, Problem> {
        let arguments = Parsed::<ScheduleArguments>::from_json(arguments)?;
        let (request, key) = arguments.split(|arguments| (arguments.request, arguments.idempotency_key));
        let key = key.map(|key| read_key(KEY_ARGUMENT, key.as_bytes()));
        let (id, response) = api::schedule(&self.scheduler, principal, request, key).await?;
        log_conversation(id);
        ToolResult::new(id.to_string(), &response)
    }

    pub(super) fn preview(&self, arguments: &[u8]) -> Result<ToolResult, Problem> {
        let now = self.scheduler.now();
        let due = Parsed::<PreviewRequest>::from_json(arguments)?.validate(|request| request.validate(now))?;
        let response = PreviewResponse::new(&due, now);
        let mut text = response.instants.join("\n");
        for local in &response.local_times {
            text = format!("{text} is {local}");
        }
        let text = format!("{text}\nThe server's time is {now}.");
        ToolResult::new(text, &response)
    }

    pub(super) fn current_time(&self, arguments: &[u8]) -> Result<ToolResult, Problem> {
        let zone = Parsed::<CurrentTimeRequest>::from_json(arguments)?.validate(CurrentTimeRequest::validate)?;
        let response = CurrentTimeResponse::new(zone, self.scheduler.now());
        let text = match &response.local_time {
            Some(local) => format!("{} is {local}", response.server_time),
            None => response.server_time.clone(),
        };
        ToolResult::new(text, &response)
    }

    pub(super) async fn get_status(&self, principal: &Principal, arguments: &[u8]) -> Result<ToolResult, Problem> {
        self.show(principal, conversation_id(arguments)?).await
    }

    pub(super) async fn show(&self, principal: &Principal, id: ConversationId) -> Result<ToolResult, Problem> {
        let found = self.scheduler.get(principal.client(), id).await?;
        self.record(principal, &found)
    }

    /// The status of a conversation, and its record.
    pub(super) fn record(&self, principal: &Principal, found: &Found) -> Result<ToolResult, Problem> {
        let response = ConversationResponse::<UntrustedContent>::new(
            &found.whole,
            ShownEndpoints::to(principal),
            self.scheduler.now(),
        );
        ToolResult::new(found.whole.conversation.status().as_str(), &response)
    }

    pub(super) async fn update(&self, principal: &Principal, arguments: &[u8]) -> Result<ToolResult, Problem> {
        let (read, id) = Parsed::<UpdateArguments>::from_json(arguments)?.split(|arguments| ((), arguments.id()));
        let Ok(id) = id else { return Err(Problem::invalid(read.check(|()| id).err().unwrap_or_default())) };
        let request = UpdateRequest::without(arguments, ID_ARGUMENT, read)?;
        let id = parse_id(&id)?;
        let Found { whole, .. } = api::update(&self.scheduler, principal.client(), id, &request, |_| true).await?;
        let response =
            ConversationResponse::<UntrustedContent>::new(&whole, ShownEndpoints::to(principal), self.scheduler.now());
        let due = whole.conversation.due();
        ToolResult::new(format!("{} {due}", whole.conversation.status().as_str()), &response)
    }

    pub(super) async fn cancel(&self, principal: &Principal, arguments: &[u8]) -> Result<ToolResult, Problem> {
        self.cancel_one(principal, conversation_id(arguments)?).await
    }

    pub(super) async fn cancel_one(&self, principal: &Principal, id: ConversationId) -> Result<ToolResult, Problem> {
        match self.scheduler.cancel(principal.client(), id).await {
            Ok(cancelled) => {
                let response = CancelResponse::new(id, cancelled);
                ToolResult::new("true", &response)
            }
            // The call was correct and no other call would help, so the result is "false" and not an error.
            Err(SchedulerError::TooLate { status, reason }) => {
                ToolResult::new("false", &CancelResponse::too_late(id, status, reason))
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn redeliver(&self, principal: &Principal, arguments: &[u8]) -> Result<ToolResult, Problem> {
        let redelivered = self.scheduler.redeliver(principal.client(), conversation_id(arguments)?).await?;
        let response = RedeliverResponse::new(&redelivered, self.scheduler.now());
        ToolResult::new(redelivered.status().as_str(), &response)
    }

    pub(super) async fn run_now(&self, principal: &Principal, arguments: &[u8]) -> Result<ToolResult, Problem> {
        let (id, key) = Parsed::<RunArguments>::from_json(arguments)?.validate(RunArguments::validate)?;
        let (copy, response) = api::run(&self.scheduler, principal, parse_id(&id)?, key.map(Ok)).await?;
        ToolResult::new(copy.to_string(), &response)
    }

    pub(super) async fn list(&self, principal: &Principal, arguments: &[u8]) -> Result<ToolResult, Problem> {
        let query = Parsed::<ListRequest>::from_json(arguments)?.validate(ListRequest::validate)?;
        let page = self.scheduler.list(principal.client(), query).await?;
        let lines = page.conversations.iter().map(|c| format!("{} {} {}", c.id(), c.status().as_str(), c.due()));
        let mut lines: Vec<_> = lines.collect();
        if lines.is_empty() {
            let none =
                if page.next.is_some() { "This page has no conversations." } else { "No conversations were found." };
            lines.push(none.to_owned());
        }
        if let Some(cursor) = &page.next {
            lines.push(format!(
                "There may be more conversations. Call listConversations again with the cursor {cursor}"
            ));
        }
        ToolResult::new(lines.join("\n"), &ListResponse::<UntrustedContent>::new(&page, self.scheduler.now()))
    }
}

/// The result of a call.
#[derive(Debug)]
pub(super) struct ToolResult(CallToolResult);

impl ToolResult {
    /// A result: a short text that programs read, and the response of the REST API in two forms. Some clients show a
    /// model only the texts, and others only the structured content.
    pub(super) fn new<T: Serialize>(text: impl Into<String>, structured: &T) -> Result<Self, Problem> {
        let structured = serde_json::to_value(structured).map_err(|error| Problem::internal(&error))?;
        let blocks = vec![ContentBlock::text(text), ContentBlock::text(structured.to_string())];
        let mut result = CallToolResult::success(blocks);
        result.structured_content = Some(structured);
        Ok(Self(result))
    }

    fn error(problem: &Problem) -> Self {
        problem.log_type();
        Self(CallToolResult::error(vec![ContentBlock::text(problem.to_text())]))
    }

    pub(super) fn into_rmcp(self) -> CallToolResult {
        self.0
    }
}

fn conversation_id(arguments: &[u8]) -> Result<ConversationId, Problem> {
    parse_id(&Parsed::<ConversationRequest>::from_json(arguments)?.validate(ConversationRequest::validate)?)
}

pub(super) fn parse_id(text: &str) -> Result<ConversationId, Problem> {
    let id = text.parse().map_err(|_| Problem::no_such_conversation())?;
    log_conversation(id);
    Ok(id)
}
