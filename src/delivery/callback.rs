//! The callback: the conversation that tells an endpoint of the client how a delivery ended.

use serde::Serialize;

use super::Deliverer;
use crate::domain::{
    AdditionalInfo, Callback, Callbacks, Conversation, ConversationId, ConversationName, DeliveryEnd, DeliveryPolicy,
    Destination, DueTime, Format, Method, NewConversation, Payload, Status, Target, WholeConversation,
};
use crate::json::text;
use crate::metrics;
use crate::store::{ConversationStore, Revision, StoreError};
use crate::time::random;

/// The next state of a conversation, with the callback if its delivery has ended.
pub(super) struct Change {
    pub(super) next: Conversation,
    pub(super) callback: Option<WholeConversation>,
    /// Whether the delivery has failed. None if it goes on.
    has_failed: Option<bool>,
}

/// The additional info of a callback.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct News<'a> {
    #[serde(serialize_with = "text::serialize")]
    conversation_id: ConversationId,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    occurrence: Option<u32>,
    status: &'static str,
    scheduled_time: String,
    ended_time: String,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<&'a str>,
}

impl Deliverer {
    /// The change that a transition has led to. `occurrence` is the number of the occurrence before it.
    pub(super) fn change(&self, next: Conversation, occurrence: Option<u32>, callbacks: &Callbacks) -> Change {
        let end = next.delivery_end(occurrence);
        let has_failed = end.map(|end| end.failure.is_some());
        let callback = end.and_then(|end| {
            let wanted = if end.failure.is_some() { &callbacks.on_failed } else { &callbacks.on_completed };
            let wanted = wanted.clone()?;
            let id = ConversationId::new(end.ended, &random(&*self.entropy)).in_partition(next.id().partition());
            Some(news(id, &next, end, wanted))
        });
        Change { next, callback, has_failed }
    }

    /// Commits a change: the end of a delivery and its callback appear together.
    pub(super) async fn commit(&self, read: Revision, change: &Change) -> Result<(), StoreError> {
        let Change { next, callback, has_failed } = change;
        match callback {
            None => self.store.replace(read, next).await?,
            Some(callback) => self.store.replace_and_insert(read, next, callback).await?,
        };
        if let Some(has_failed) = *has_failed {
            metrics::record(|metrics| metrics.delivery(has_failed));
        }
        Ok(())
    }

    /// Sees to it that a worker looks at the conversation when its next attempt is due, and at the callback.
    pub(super) async fn wake_after(&self, change: &Change) {
        let callback = change.callback.as_ref().map(|callback| &callback.conversation);
        for conversation in std::iter::once(&change.next).chain(callback) {
            if let Some(at) = conversation.next_wake_at() {
                self.waker.wake_at(ConversationStore::partition(conversation.id()), at).await;
            }
        }
    }
}

/// The conversation that tells of an end. It is due at once.
///
/// It has no callbacks of its own, and no update can add them: two endpoints that fail could otherwise call each other
/// without end.
fn news(id: ConversationId, of: &Conversation, end: DeliveryEnd<'_>, callback: Callback) -> WholeConversation {
    let new = NewConversation {
        due: DueTime::at(end.ended),
        payload: Payload {
            text: sentence(of, end),
            info: Some(AdditionalInfo::from_json(info(of, end))),
            headers: callback.headers,
            body: None,
            success_when: None,
            callbacks: Callbacks::default(),
        },
        format: Format::Json,
        destination: Destination::Endpoint(Target { endpoint: callback.endpoint, method: Method::Post }),
        policy: DeliveryPolicy::default(),
        labels: of.labels().clone(),
        thread_id: of.thread_id().cloned(),
        expire_after: None,
        recurrence: None,
        paused: false,
        trace: of.trace(),
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
