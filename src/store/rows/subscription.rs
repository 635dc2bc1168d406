//! The row of a subscription, in the table of clients, and what the record of an attempt says of subscriptions.
//!
//! | key | exists |
//! |---|---|
//! | `s~{client}~{event}~{conversation, or -}~{hash of the channel, or -}~{id}` | from its first grant until its client subscribes again after its end, or unsubscribes |
//!
//! The partition is the last hex digit of the hash of the client. The key has the filter, so a look-up decodes only the values
//! that it needs.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{decode, encode, numbered};
use crate::domain::{
    ClientId, Conversation, ConversationId, Endpoint, EventFilter, EventName, Secret, Settled, Sha256, Subscriber,
    Subscription, SubscriptionId, Timestamp,
};
use crate::json::text;
use crate::store::{KeyRange, Partition, Row, Sealer, StoreError};

#[derive(Serialize, Deserialize)]
pub(super) struct SettledRow {
    #[serde(with = "text")]
    subscription: SubscriptionId,
    took: bool,
}

impl From<&Settled> for SettledRow {
    fn from(&Settled { subscription, took }: &Settled) -> Self {
        Self { subscription, took }
    }
}

impl From<SettledRow> for Settled {
    fn from(SettledRow { subscription, took }: SettledRow) -> Self {
        Self { subscription, took }
    }
}

#[derive(Serialize, Deserialize)]
struct SubscriptionRow {
    #[serde(with = "text")]
    id: SubscriptionId,
    #[serde(with = "text")]
    client: ClientId,
    #[serde(with = "text")]
    event: EventName,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text::optional")]
    conversation: Option<ConversationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    expires: i64,
    /// The scheme and the host, for the operator.
    origin: String,
    sealed: String,
}

/// The encrypted part: a URL may give access to something.
#[derive(Serialize, Deserialize)]
struct SubscriberRow<'a> {
    endpoint: Cow<'a, str>,
    secret: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<PreviousRow>,
}

#[derive(Serialize, Deserialize)]
struct PreviousRow {
    secret: String,
    until: i64,
}

pub(in crate::store) fn subscription_partition(client: &ClientId) -> Partition {
    numbered(Sha256::of(client.as_str().as_bytes()).partition())
}

pub(in crate::store) fn subscriptions_of(client: &ClientId) -> KeyRange {
    KeyRange::prefix(&format!("s~{client}~"))
}

pub(in crate::store) fn subscription_key(subscription: &Subscription) -> String {
    let Subscription { id, client, event, filter: EventFilter { conversation, channel }, .. } = subscription;
    let conversation = conversation.map_or_else(any, |conversation| conversation.to_string());
    let channel = channel.as_deref().map_or_else(any, channel_part);
    format!("s~{client}~{event}~{conversation}~{channel}~{id}")
}

/// Where a key has this, the subscription is for every conversation.
const ANY: &str = "-";

fn any() -> String {
    ANY.to_owned()
}

fn channel_part(channel: &str) -> String {
    format!("{:032x}", u128::from_be_bytes(Sha256::of(channel.as_bytes()).beginning()))
}

/// The subscriptions that can be for the event of a conversation, by their keys.
pub(in crate::store) fn may_want(event: EventName, conversation: &Conversation) -> impl Fn(&str) -> bool {
    let subject = conversation.event_subject().to_string();
    let channel = conversation.labels().get(EventFilter::CHANNEL).map(channel_part);
    move |key| {
        let mut parts = key.rsplit('~').skip(1);
        let (of_channel, of_conversation, of_event) = (parts.next(), parts.next(), parts.next());
        of_event == Some(event.as_str())
            && (of_conversation == Some(ANY) || of_conversation == Some(&subject))
            && (of_channel == Some(ANY) || of_channel == channel.as_deref())
    }
}

pub(in crate::store) fn encode_subscription(
    subscription: &Subscription,
    subscriber: &Subscriber,
    sealer: &Sealer,
) -> Result<String, StoreError> {
    let Subscription { id, client, event, filter, expires } = subscription;
    let secret = |secret: &Secret<Vec<u8>>| STANDARD.encode(secret.expose());
    let sealed = SubscriberRow {
        endpoint: subscriber.endpoint.as_str().into(),
        secret: secret(&subscriber.secret),
        previous: subscriber
            .previous
            .as_ref()
            .map(|(previous, until)| PreviousRow { secret: secret(previous), until: until.as_millis() }),
    };
    encode(&SubscriptionRow {
        id: *id,
        client: client.clone(),
        event: *event,
        conversation: filter.conversation,
        channel: filter.channel.clone(),
        expires: expires.as_millis(),
        origin: subscriber.endpoint.origin().to_owned(),
        sealed: sealer.seal(&sealed, &subscription_key(subscription))?,
    })
}

/// The subscription of a row, and its encrypted part.
pub(in crate::store) fn decode_subscription(row: &Row) -> Result<(Subscription, String), StoreError> {
    let SubscriptionRow { id, client, event, conversation, channel, expires, origin: _, sealed } = decode(row)?;
    let (filter, expires) = (EventFilter { conversation, channel }, Timestamp::from_millis(expires));
    Ok((Subscription { id, client, event, filter, expires }, sealed))
}

/// The receiver in the encrypted part of a row.
pub(in crate::store) fn open_subscriber(sealed: &str, key: &str, sealer: &Sealer) -> Result<Subscriber, StoreError> {
    let SubscriberRow { endpoint, secret, previous } = sealer.open(sealed, key)?;
    let secret_of = |text: String| {
        let bytes = STANDARD.decode(text).map_err(|_| "a secret is not base64".to_owned());
        bytes.map(Secret::new).map_err(|reason| StoreError::Corrupt { key: key.to_owned(), reason })
    };
    let previous = previous.map(|row| Ok::<_, StoreError>((secret_of(row.secret)?, Timestamp::from_millis(row.until))));
    Ok(Subscriber {
        endpoint: Endpoint::from_stored(endpoint.into_owned()),
        secret: secret_of(secret)?,
        previous: previous.transpose()?,
    })
}

#[cfg(test)]
#[path = "subscription_row_tests.rs"]
mod tests;
