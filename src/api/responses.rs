//! The responses of the operations on conversations.

use schemars::JsonSchema;
use serde::Serialize;

use super::UserContent;
use super::attempt_response::{AttemptResponse, attempts, lateness_ms};
use super::callback_response::{CallbacksResponse, callback_of};
use super::deliver_field::{PLACES, place};
use super::recurrence_response::{RecurrenceResponse, SeriesResponse, next_times};
use super::scheduled_by_response::ScheduledByResponse;
use crate::auth::Principal;
use crate::domain::{
    Conversation, ConversationId, ConversationName, Delay, DeliveryPolicy, Endpoint, Format, Method, Note, Outcome,
    Scope, Series, State, Status, Timestamp, WholeConversation,
};
use crate::json::text;
use crate::scheduler::ListPage;

/// The conversation that was scheduled.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ScheduleResponse {
    #[serde(serialize_with = "text::serialize")]
    #[schemars(with = "String", extend("format" = "uuid"))]
    conversation_id: ConversationId,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(serialize_with = "text::serialize")]
    #[schemars(with = "String", extend("enum" = Status::ALL.map(Status::as_str)))]
    status: Status,
    #[schemars(extend("format" = "date-time"))]
    scheduled_time: String,
    /// The scheduledTime in the time zone of the request, if it named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    local_time: Option<String>,
    /// The times of the next three occurrences after scheduledTime, if it recurs.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_times: Option<Vec<String>>,
    #[schemars(extend("format" = "date-time"))]
    server_time: String,
    due_in_seconds: f64,
    /// How the time was read, if the caller could have meant another one. Tell the person.
    pub(crate) notes: Vec<String>,
}

impl ScheduleResponse {
    /// The response has the time at which the conversation was accepted. So the repetition of a request gets the response
    /// of the first one.
    pub(crate) fn new(conversation: &Conversation, notes: &[Note]) -> Self {
        Self::at(conversation, notes, conversation.created())
    }

    /// The response at this time.
    pub(crate) fn at(conversation: &Conversation, notes: &[Note], now: Timestamp) -> Self {
        Self {
            conversation_id: conversation.id(),
            name: conversation.name().map(ConversationName::to_string),
            status: conversation.status(),
            scheduled_time: conversation.due().to_string(),
            local_time: local_time(conversation),
            next_times: next_times(conversation),
            server_time: now.to_string(),
            due_in_seconds: now.until(conversation.due()).as_secs_f64(),
            notes: notes.iter().map(Note::to_string).collect(),
        }
    }
}

impl ScheduleResponse {
    /// The conversation in one line: its id, its status, its time and the notes.
    pub(crate) fn line(&self) -> String {
        let Self { conversation_id, status, scheduled_time, notes, .. } = self;
        let line = format!("{conversation_id} {status} {scheduled_time}");
        notes.iter().fold(line, |line, note| format!("{line} {note}"))
    }
}

/// The conversation that is redelivered.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RedeliverResponse {
    #[serde(serialize_with = "text::serialize")]
    #[schemars(with = "String", extend("format" = "uuid"))]
    conversation_id: ConversationId,
    #[serde(serialize_with = "text::serialize")]
    #[schemars(with = "String", extend("enum" = Status::ALL.map(Status::as_str)))]
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    next_attempt_time: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    server_time: String,
}

impl RedeliverResponse {
    pub(crate) fn new(conversation: &Conversation, now: Timestamp) -> Self {
        Self {
            conversation_id: conversation.id(),
            status: conversation.status(),
            next_attempt_time: next_attempt(conversation),
            server_time: now.to_string(),
        }
    }
}

/// A page of conversations.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", bound = "F: UserContent<'a>")]
#[schemars(rename = "ListResponse", bound = "F: UserContent<'a>")]
pub(crate) struct ListResponse<'a, F: UserContent<'a>> {
    conversations: Vec<ConversationSummary<'a, F>>,
    next_cursor: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    server_time: String,
}

impl<'a, F: UserContent<'a>> ListResponse<'a, F> {
    pub(crate) fn new(page: &'a ListPage, now: Timestamp) -> Self {
        Self {
            conversations: page.conversations.iter().map(ConversationSummary::new).collect(),
            next_cursor: page.next.clone(),
            server_time: now.to_string(),
        }
    }
}

/// A conversation in a list.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", bound = "F: UserContent<'a>")]
#[schemars(rename = "ConversationSummary", bound = "F: UserContent<'a>")]
pub(super) struct ConversationSummary<'a, F: UserContent<'a>> {
    #[serde(serialize_with = "text::serialize")]
    #[schemars(with = "String", extend("format" = "uuid"))]
    conversation_id: ConversationId,
    #[serde(serialize_with = "text::serialize")]
    #[schemars(with = "String", extend("enum" = Status::ALL.map(Status::as_str)))]
    status: Status,
    #[schemars(extend("format" = "date-time"))]
    scheduled_time: String,
    #[schemars(extend("format" = "date-time"))]
    created_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<F::Text>,
    // The first characters of the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    text_excerpt: Option<F::Text>,
    // The scheme and the host. A doc comment would replace the description of the type in the schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<F::Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = PLACES))]
    deliver: Option<&'static str>,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    recurrence: Option<RecurrenceResponse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<F::Object>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_id: Option<F::Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expire_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "uuid"))]
    callback_of: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    next_attempt_time: Option<String>,
    /// The time at which it was completed, failed or cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    ended_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lateness_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
}

impl<'a, F: UserContent<'a>> ConversationSummary<'a, F> {
    pub(super) fn new(conversation: &'a Conversation) -> Self {
        Self {
            conversation_id: conversation.id(),
            status: conversation.status(),
            scheduled_time: conversation.due().to_string(),
            created_time: conversation.created().to_string(),
            name: name::<F>(conversation),
            text_excerpt: conversation.text_excerpt().map(|excerpt| F::text(excerpt.as_str())),
            endpoint: conversation.destination().target().map(|target| F::text(target.endpoint.origin())),
            deliver: place(conversation.destination()),
            attempts: conversation.attempts_begun(),
            recurrence: RecurrenceResponse::of(conversation),
            paused: conversation.series().map(Series::is_paused),
            labels: labels::<F>(conversation),
            thread_id: conversation.thread_id().map(|id| F::text(id.as_str())),
            expire_after: conversation.expiry().map(|expiry| Delay::from(expiry.after).to_string()),
            callback_of: callback_of(conversation),
            next_attempt_time: next_attempt(conversation),
            ended_time: conversation.ended().map(|ended| ended.to_string()),
            lateness_ms: lateness_ms(conversation),
            last_error: last_error(conversation),
        }
    }
}

/// How much of the endpoints a response shows: what follows the host may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShownEndpoints {
    /// The whole URLs, for callers that could change them.
    Whole,
    /// The scheme and the host.
    Origin,
}

impl ShownEndpoints {
    /// What this caller is shown.
    pub(crate) fn to(caller: &Principal) -> Self {
        if caller.allows(Scope::Write) { Self::Whole } else { Self::Origin }
    }

    pub(super) fn of(self, endpoint: &Endpoint) -> &str {
        match self {
            Self::Whole => endpoint.as_str(),
            Self::Origin => endpoint.origin(),
        }
    }
}

/// A conversation with its whole record.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", bound = "F: UserContent<'a>")]
#[schemars(rename = "ConversationResponse", bound = "F: UserContent<'a>")]
pub(crate) struct ConversationResponse<'a, F: UserContent<'a>> {
    #[serde(serialize_with = "text::serialize")]
    #[schemars(with = "String", extend("format" = "uuid"))]
    conversation_id: ConversationId,
    #[serde(serialize_with = "text::serialize")]
    #[schemars(with = "String", extend("enum" = Status::ALL.map(Status::as_str)))]
    status: Status,
    #[schemars(extend("format" = "date-time"))]
    scheduled_time: String,
    /// The time zone that the request named.
    #[serde(skip_serializing_if = "Option::is_none")]
    time_zone: Option<String>,
    /// The scheduledTime in this time zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    local_time: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    server_time: String,
    #[schemars(extend("format" = "date-time"))]
    created_time: String,
    #[schemars(extend("format" = "date-time"))]
    updated_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<F::Text>,
    conversation_text: F::Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<F::Text>,
    /// inbox or events, if it is not sent to an endpoint of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = PLACES))]
    deliver: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text::optional::serialize")]
    #[schemars(with = "Option<String>")]
    method: Option<Method>,
    headers: F::Object,
    additional_info: Option<F::Json>,
    /// The body of the request, with its placeholders.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<F::Json>,
    /// The check on the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    success_when: Option<F::Object>,
    #[serde(serialize_with = "text::serialize")]
    #[schemars(with = "String")]
    format: Format,
    retry: RetryResponse,
    timeout_seconds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<F::Object>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_id: Option<F::Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expire_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    next_attempt_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lateness_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    attempts: Vec<AttemptResponse<'a, F>>,
    scheduled_by: ScheduledByResponse<'a, F>,
    #[serde(flatten)]
    series: Option<SeriesResponse>,
    #[serde(flatten)]
    callbacks: CallbacksResponse<'a, F>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct RetryResponse {
    max_attempts: u32,
}

impl<'a, F: UserContent<'a>> ConversationResponse<'a, F> {
    pub(crate) fn new(whole: &'a WholeConversation, endpoints: ShownEndpoints, now: Timestamp) -> Self {
        let WholeConversation { conversation, payload } = whole;
        let DeliveryPolicy { max_attempts, timeout_seconds } = conversation.policy();
        let target = conversation.destination().target();
        Self {
            conversation_id: conversation.id(),
            status: conversation.status(),
            scheduled_time: conversation.due().to_string(),
            time_zone: conversation.zone().map(|zone| zone.name.clone()),
            local_time: local_time(conversation),
            server_time: now.to_string(),
            created_time: conversation.created().to_string(),
            updated_time: conversation.updated().to_string(),
            name: name::<F>(conversation),
            conversation_text: F::text(&payload.text),
            endpoint: target.map(|target| F::text(endpoints.of(&target.endpoint))),
            deliver: place(conversation.destination()),
            method: target.map(|target| target.method),
            headers: F::headers(&payload.headers),
            additional_info: payload.info.as_ref().map(|info| F::json(info.as_str())),
            body: payload.body.as_ref().map(|body| F::json(&body.json)),
            success_when: payload.success_when.as_ref().map(F::success_when),
            format: conversation.format(),
            retry: RetryResponse { max_attempts },
            timeout_seconds,
            labels: labels::<F>(conversation),
            thread_id: conversation.thread_id().map(|id| F::text(id.as_str())),
            expire_after: conversation.expiry().map(|expiry| Delay::from(expiry.after).to_string()),
            next_attempt_time: next_attempt(conversation),
            lateness_ms: lateness_ms(conversation),
            last_error: last_error(conversation),
            attempts: attempts::<F>(conversation),
            scheduled_by: ScheduledByResponse::of(conversation),
            series: SeriesResponse::of(conversation),
            callbacks: CallbacksResponse::of(whole, endpoints),
        }
    }
}

/// The due time in the zone that the client named.
fn local_time(conversation: &Conversation) -> Option<String> {
    conversation.zone().and_then(|zone| zone.local(conversation.due())).map(|local| local.to_string())
}

fn name<'a, F: UserContent<'a>>(conversation: &'a Conversation) -> Option<F::Text> {
    conversation.name().map(|name| F::text(name.as_str()))
}

fn labels<'a, F: UserContent<'a>>(conversation: &Conversation) -> Option<F::Object> {
    let labels = conversation.labels();
    (!labels.is_empty()).then(|| F::labels(labels))
}

fn next_attempt(conversation: &Conversation) -> Option<String> {
    match conversation.state() {
        State::Scheduled => conversation.next_attempt_at().map(|at| at.to_string()),
        State::Waiting { next_attempt } => Some(next_attempt.to_string()),
        _ => None,
    }
}

fn last_error(conversation: &Conversation) -> Option<String> {
    match conversation.state() {
        State::Failed { reason } => Some(reason.clone()),
        _ => conversation.attempts().last().filter(|a| a.result.outcome != Outcome::Success).map(|a| a.result.reason()),
    }
}
