//! The callback: the conversation that tells an endpoint of the client how a delivery ended.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::{
    AdditionalInfo, Callbacks, Conversation, ConversationId, ConversationName, DeliveryEnd, DeliveryPolicy,
    Destination, DueTime, Format, Headers, NewConversation, Payload, ScheduledBy, Status, WholeConversation,
};
use crate::json::text;

/// The end of a delivery.
// The additional info of a callback, and the data of `conversation.failed`.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct News<'a> {
    #[serde(serialize_with = "text::serialize")]
    #[schemars(with = "String", extend("format" = "uuid"))]
    conversation_id: ConversationId,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    occurrence: Option<u32>,
    status: &'static str,
    #[schemars(extend("format" = "date-time"))]
    scheduled_time: String,
    #[schemars(extend("format" = "date-time"))]
    ended_time: String,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<&'a str>,
}

/// The conversation that tells of an end. It is due at once.
///
/// It has no callbacks of its own, and no update can add them: two endpoints that fail could otherwise call each other
/// without end.
pub(super) fn news(
    id: ConversationId,
    of: &Conversation,
    end: DeliveryEnd<'_>,
    (destination, headers): (Destination, Headers),
) -> WholeConversation {
    let new = NewConversation {
        due: DueTime::at(end.ended),
        payload: Payload {
            text: sentence(of, end),
            info: Some(AdditionalInfo::from_json(info(of, end))),
            headers,
            body: None,
            success_when: None,
            callbacks: Callbacks::default(),
        },
        format: Format::Json,
        destination,
        policy: DeliveryPolicy::default(),
        labels: of.labels().clone(),
        thread_id: of.thread_id().cloned(),
        expire_after: None,
        recurrence: None,
        paused: false,
        by: ScheduledBy { trace: of.trace(), ..ScheduledBy::default() },
    };
    WholeConversation::new(id, of.client().clone(), new, end.ended).as_callback_of(of.id())
}

/// The news for a person.
fn sentence(of: &Conversation, DeliveryEnd { occurrence, due, attempts, failure, .. }: DeliveryEnd<'_>) -> String {
    let id = of.id();
    let which = of.name().map_or_else(|| format!("conversation {id}"), |name| format!("conversation {name} ({id})"));
    let which = match occurrence {
        Some(number) => format!("Occurrence {number} of the {which}"),
        None => format!("The {which}"),
    };
    let tried = match attempts {
        0 => "without an attempt".to_owned(),
        1 => "after 1 attempt".to_owned(),
        attempts => format!("after {attempts} attempts"),
    };
    match failure {
        Some(reason) => format!("{which}, scheduled for {due}, failed {tried}: {reason}."),
        None => format!("{which}, scheduled for {due}, was delivered {tried}."),
    }
}

fn info(of: &Conversation, DeliveryEnd { occurrence, due, ended, attempts, failure }: DeliveryEnd<'_>) -> String {
    let status = if failure.is_some() { Status::Failed } else { Status::Completed };
    let news = News {
        conversation_id: of.id(),
        name: of.name().map(ConversationName::as_str),
        occurrence,
        status: status.as_str(),
        scheduled_time: due.to_string(),
        ended_time: ended.to_string(),
        attempts,
        last_error: failure,
    };
    // This cannot fail: the info consists of texts and numbers.
    serde_json::to_string(&news).unwrap_or_default()
}
