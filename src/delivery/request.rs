//! The request of one attempt.

use std::num::NonZeroU64;
use std::sync::Arc;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::ClientKeys;
use crate::domain::{
    AdditionalInfo, AttemptStart, BodyTemplate, Conversation, ConversationId, ErrorClass, Format, Payload, Secret,
    Signatures, Target, ThreadId, Timestamp, TraceContext,
};
use crate::json::{JsonText, text};
use crate::outbound::OutboundRequest;
use crate::template::{self, TemplateValues};

/// The conversation that is delivered.
// The body of `Format::Json`.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Delivery")]
pub(crate) struct JsonBody<'a> {
    #[serde(serialize_with = "text::serialize")]
    #[schemars(with = "String", extend("format" = "uuid"))]
    conversation_id: ConversationId,
    conversation_text: &'a str,
    #[schemars(extend("format" = "date-time"))]
    scheduled_time: String,
    #[schemars(with = "Option<Map<String, Value>>")]
    additional_info: Option<JsonText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_id: Option<&'a str>,
    #[serde(flatten)]
    occurrence: Option<OccurrenceBody>,
}

/// What the body says of an occurrence, if the conversation recurs.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct OccurrenceBody {
    occurrence: u32,
    missed_occurrences: u32,
}

impl<'a> JsonBody<'a> {
    pub(crate) fn of(conversation: &'a Conversation, payload: &'a Payload) -> Self {
        Self {
            conversation_id: conversation.id(),
            conversation_text: &payload.text,
            scheduled_time: conversation.due().to_string(),
            additional_info: payload.info.as_ref().map(|info| JsonText(info.as_str())),
            thread_id: conversation.thread_id().map(ThreadId::as_str),
            occurrence: conversation
                .series()
                .map(|series| OccurrenceBody { occurrence: series.number, missed_occurrences: series.missed }),
        }
    }
}

/// An event in the structured mode of the JSON format (CloudEvents 1.0.2).
// The body of `Format::CloudEvents`. The source is the same for all services, so that the body does not change when a
// service moves. The id alone is unique.
#[derive(Serialize, JsonSchema)]
pub(crate) struct CloudEvent<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    time: &'a str,
    datacontenttype: &'static str,
    data: &'a JsonBody<'a>,
}

impl<'a> CloudEvent<'a> {
    fn of(webhook_id: &'a str, data: &'a JsonBody<'a>) -> Self {
        Self {
            specversion: "1.0",
            id: webhook_id,
            source: "mcp-scheduler",
            kind: "mcp-scheduler.conversation.due",
            time: &data.scheduled_time,
            datacontenttype: JSON,
            data,
        }
    }
}

const JSON: &str = "application/json";

/// How the request of an attempt is signed.
pub(super) struct Signing {
    keys: Arc<ClientKeys>,
    signatures: Signatures,
    /// The header `webhook-signature` that was made ahead, and the second it is for.
    ahead: Option<(i64, String)>,
}

impl Signing {
    pub(super) const fn new(keys: Arc<ClientKeys>, signatures: Signatures) -> Self {
        Self { keys, signatures, ahead: None }
    }

    /// The same with the signatures for a time to come, because they take longer than the rest of a request.
    pub(super) fn ahead(self, conversation: &Conversation, target: &Target, payload: &Payload, at: Timestamp) -> Self {
        let id = webhook_id(conversation);
        let Ok((_, body)) = body(conversation, target, payload, &id) else { return self };
        let header = self.keys.sign(self.signatures, &id, at, body.as_deref().unwrap_or_default());
        Self { ahead: Some((at.as_secs(), header)), ..self }
    }

    /// The header `webhook-signature` of a request with this content.
    ///
    /// A claim may find a later occurrence than the one that was read. That is sent at least a minute later.
    fn header(self, id: &str, body: &[u8], at: Timestamp) -> String {
        let ahead = self.ahead.filter(|(second, _)| *second == at.as_secs());
        ahead.map_or_else(|| self.keys.sign(self.signatures, id, at, body), |(_, header)| header)
    }
}

/// Builds the request of one attempt. It is sent at the first of the times. The second one is the same time by the clock of
/// receivers.
///
/// `webhook-id`, `webhook-timestamp` and `webhook-signature` follow Standard Webhooks;
/// `idempotency-key` repeats the id for receivers that read that header.
///
/// # Errors
/// [`ErrorClass::PayloadLost`] if the stored body is damaged.
pub(super) fn attempt_request(
    conversation: &Conversation,
    target: &Target,
    payload: &Payload,
    attempt: AttemptStart,
    (sent_at, signed_at): (Timestamp, Timestamp),
    signing: Signing,
) -> Result<OutboundRequest, ErrorClass> {
    let id = webhook_id(conversation);
    let (content_type, body) = body(conversation, target, payload, &id)?;
    let mut headers: Vec<_> = payload.headers.iter().map(|(n, v)| (n.to_ascii_lowercase(), v.clone())).collect();
    let set = |headers: &mut Vec<(String, Secret<String>)>, name: &str, value: String| {
        headers.retain(|(n, _)| !same_name(n, name));
        headers.push((name.to_owned(), Secret::new(value)));
    };
    if body.is_some() && !headers.iter().any(|(n, _)| n == "content-type") {
        set(&mut headers, "content-type", content_type.to_owned());
    }
    let signature = signing.header(&id, body.as_deref().unwrap_or_default(), signed_at);
    set(&mut headers, "webhook-id", id.clone());
    set(&mut headers, "webhook-timestamp", signed_at.as_secs().to_string());
    set(&mut headers, "webhook-signature", signature);
    set(&mut headers, "idempotency-key", id);
    set(&mut headers, "scheduler-attempt", attempt.number.to_string());
    set(&mut headers, "scheduler-scheduled-time", conversation.due().to_string());
    set(&mut headers, "scheduler-lateness-ms", conversation.due().until(sent_at).as_millis().to_string());
    if let Some(series) = conversation.series() {
        set(&mut headers, "scheduler-occurrence", series.number.to_string());
        set(&mut headers, "scheduler-missed-occurrences", series.missed.to_string());
    }
    if let Some(thread_id) = conversation.thread_id() {
        set(&mut headers, "scheduler-thread-id", thread_id.as_str().to_owned());
    }
    set(&mut headers, "traceparent", trace_of(conversation, attempt).to_string());
    // Some APIs, such as GitHub's, want the caller's own.
    if !headers.iter().any(|(n, _)| n == "user-agent") {
        set(&mut headers, "user-agent", concat!("mcp-scheduler/", env!("CARGO_PKG_VERSION")).to_owned());
    }
    Ok(OutboundRequest {
        method: target.method,
        headers,
        body,
        keep_response: payload.success_when.is_some(),
        timeout: conversation.policy().timeout(),
    })
}

/// The place of an attempt in a trace: the trace is the conversation's id, and the span is the attempt's number, below that
/// of its occurrence.
pub(super) fn trace_of(conversation: &Conversation, attempt: AttemptStart) -> TraceContext {
    let occurrence = conversation.occurrence().map_or(0, u64::from);
    // Attempts are counted from 1.
    let span = NonZeroU64::new((occurrence << 32) | u64::from(attempt.number)).unwrap_or(NonZeroU64::MIN);
    TraceContext::sampled(conversation.id().as_trace(), span)
}

/// The id of what is delivered. It is the same for all attempts, and each occurrence of a conversation has its own.
pub(crate) fn webhook_id(conversation: &Conversation) -> String {
    let id = conversation.id();
    conversation.series().map_or_else(|| id.to_string(), |series| format!("{id}_{}", series.number))
}

/// Whether a receiver may read two header names as one. CGI, WSGI and PHP do not distinguish `-` and `_`.
fn same_name(theirs: &str, ours: &str) -> bool {
    theirs.len() == ours.len() && theirs.bytes().zip(ours.bytes()).all(|(a, b)| a == b || (a == b'_' && b == b'-'))
}

/// The content of a request with its type. A method without content has none.
fn body(
    conversation: &Conversation,
    target: &Target,
    payload: &Payload,
    webhook_id: &str,
) -> Result<(&'static str, Option<Bytes>), ErrorClass> {
    let (content_type, body) = rendered(conversation, payload, webhook_id)?;
    Ok((content_type, target.method.has_content().then_some(body)))
}

fn rendered(
    conversation: &Conversation,
    payload: &Payload,
    webhook_id: &str,
) -> Result<(&'static str, Bytes), ErrorClass> {
    if let Some(template) = &payload.body {
        return from_template(conversation, payload, template).map(|body| (JSON, body.into()));
    }
    let json = JsonBody::of(conversation, payload);
    // This cannot fail: the bodies consist of strings, an id and JSON that was parsed before.
    Ok(match conversation.format() {
        Format::Text => ("text/plain; charset=utf-8", Bytes::from(payload.text.clone())),
        Format::Json => (JSON, serde_json::to_vec(&json).unwrap_or_default().into()),
        Format::CloudEvents => {
            let event = CloudEvent::of(webhook_id, &json);
            ("application/cloudevents+json", serde_json::to_vec(&event).unwrap_or_default().into())
        }
    })
}

/// The caller's body. Its placeholders and its size were checked when the conversation was scheduled.
fn from_template(
    conversation: &Conversation,
    payload: &Payload,
    template: &BodyTemplate,
) -> Result<String, ErrorClass> {
    let values = TemplateValues::longest(&payload.text, payload.info.as_ref().map(AdditionalInfo::as_str))
        .of_conversation(
            conversation.id(),
            conversation.due(),
            conversation.series().map_or(1, |series| series.number),
            conversation.name(),
        );
    template::render(&template.json, &values, usize::MAX).map_err(|errors| {
        tracing::error!(errors = errors.len(), "the body cannot be made of its template");
        ErrorClass::PayloadLost
    })
}
