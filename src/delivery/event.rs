//! The messages to subscribers: events, and the challenge before the first one.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use super::request::JsonBody;
use super::signing::sign_with;
use super::webhook_id;
use crate::domain::{
    AdditionalInfo, Conversation, EventName, EventsText, Method, Payload, Secret, Subscriber, SubscriptionId, Timestamp,
};
use crate::json::JsonText;
use crate::outbound::OutboundRequest;

/// An event as its subscribers receive it.
#[derive(Serialize)]
struct Event<'a, D> {
    #[serde(rename = "eventId")]
    id: &'a str,
    name: &'static str,
    timestamp: String,
    data: D,
    /// Nothing is replayed, so there is no position.
    cursor: Option<()>,
}

/// The event of a conversation. It is the same for all subscribers and attempts.
pub(super) fn event_body(conversation: &Conversation, payload: &Payload, id: &str) -> Bytes {
    let (event, timestamp) = (conversation.event(), conversation.due().to_string());
    let (name, cursor) = (event.as_str(), None);
    // This cannot fail: the data consists of strings, an id and JSON that was parsed before.
    let body = match event {
        EventName::Due => {
            let data = JsonBody::of(conversation, payload);
            serde_json::to_vec(&Event { id, name, timestamp, data, cursor })
        }
        EventName::Failed => {
            let data = payload.info.as_ref().map(|info| JsonText(AdditionalInfo::as_str(info)));
            serde_json::to_vec(&Event { id, name, timestamp, data, cursor })
        }
    };
    body.unwrap_or_default().into()
}

/// The id of an event. It is the same for all attempts, and each occurrence of a conversation has its own.
pub(super) fn event_id(conversation: &Conversation) -> String {
    webhook_id(conversation)
}

/// The id of the message with which a subscriber gets an event. It is the same for all attempts.
pub(super) fn message_id(text: EventsText, event_id: &str, subscription: SubscriptionId) -> String {
    match text {
        EventsText::Draft => event_id.to_owned(),
        EventsText::Final => format!("msg_{event_id}_{subscription}"),
    }
}

/// A message to a subscriber.
pub(super) struct Message<'a> {
    pub(super) id: &'a str,
    pub(super) subscription: SubscriptionId,
    pub(super) body: Bytes,
    /// The time of the signature.
    pub(super) signed_at: Timestamp,
    pub(super) timeout: Duration,
    /// Whether the response is needed, and not only its status.
    pub(super) keep_response: bool,
}

impl Message<'_> {
    /// The request with this message, signed with the secrets of its receiver.
    pub(super) fn to(self, subscriber: &Subscriber) -> OutboundRequest {
        let Self { id, subscription, body, signed_at, timeout, keep_response } = self;
        let signature = sign_with(subscriber.secrets(signed_at), id, signed_at, &body);
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", signed_at.as_secs().to_string()),
            ("webhook-signature", signature),
            ("x-mcp-subscription-id", subscription.to_string()),
            ("user-agent", concat!("mcp-scheduler/", env!("CARGO_PKG_VERSION")).to_owned()),
        ];
        OutboundRequest {
            method: Method::Post,
            headers: headers.map(|(name, value)| (name.to_owned(), Secret::new(value))).into(),
            body: Some(body),
            keep_response,
            timeout,
        }
    }
}
