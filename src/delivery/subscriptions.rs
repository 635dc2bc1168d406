//! A client subscribes to events, renews its subscriptions, and ends them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Subscribers;
use super::event::Message;
use crate::domain::{
    ClientId, ConversationId, Endpoint, EndpointPolicy, ErrorClass, EventFilter, EventName, EventsText, Secret, Sha256,
    Subscriber, Subscription, SubscriptionId, Timestamp,
};
use crate::json::text;
use crate::outbound::{Exchange, RouteError, Sender};
use crate::store::{StoreError, StoredSubscription};
use crate::time::{Entropy, random};

/// The subscriptions of clients.
#[derive(Clone)]
pub struct Subscriptions {
    subscribers: Subscribers,
    /// Sends the challenges. It connects only to addresses that deliveries may reach.
    sender: Arc<dyn Sender>,
    endpoints: EndpointPolicy,
    entropy: Arc<dyn Entropy>,
}

/// What makes a subscription another one, besides its client.
#[derive(Clone, Debug)]
pub struct SubscriptionKey {
    /// The event.
    pub event: EventName,
    /// The conversations.
    pub filter: EventFilter,
    /// Where the events are sent.
    pub url: String,
}

/// The end of a subscription that was granted.
#[derive(Clone, Copy, Debug)]
pub struct Granted {
    /// The id.
    pub id: SubscriptionId,
    /// The time before which the subscriber renews it.
    pub refresh_before: Timestamp,
}

/// The reason why a subscription is not granted.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    /// The URL is not accepted: the rest of a sentence that begins with the name of the field.
    #[error("{0}")]
    Url(String),
    /// The client has as many subscriptions as it may have.
    #[error("the client has {} subscriptions", Subscription::MAX_PER_CLIENT)]
    TooMany,
    /// The receiver has not returned the challenge, for this reason.
    #[error("the receiver did not return the challenge: {0}")]
    Callback(&'static str),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The text of which the id is a hash.
#[derive(Serialize)]
struct IdText<'a>(&'a str, &'a str, &'static str, Arguments<'a>);

/// The canonical arguments: their names are in order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Arguments<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text::optional::serialize")]
    conversation_id: Option<ConversationId>,
}

#[derive(Serialize)]
struct Challenge<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    challenge: &'a str,
}

#[derive(Deserialize)]
struct Returned {
    challenge: String,
}

impl SubscriptionKey {
    /// The subscription with this end.
    fn of(&self, client: &ClientId, expires: Timestamp) -> Subscription {
        let Self { event, filter, .. } = self;
        Subscription { id: self.id(client), client: client.clone(), event: *event, filter: filter.clone(), expires }
    }

    fn id(&self, client: &ClientId) -> SubscriptionId {
        let Self { event, filter: EventFilter { conversation, channel }, url } = self;
        let arguments = Arguments { channel: channel.as_deref(), conversation_id: *conversation };
        let text = IdText(client.as_str(), url, event.as_str(), arguments);
        // This cannot fail: it consists of texts.
        SubscriptionId::of(&serde_json::to_vec(&text).unwrap_or_default())
    }
}

impl Subscriptions {
    /// How many times a subscription is written while others change the rows first.
    const TRIES: u32 = 3;
    /// The longest time that a challenge may take.
    const CHALLENGE_TIMEOUT: Duration = Duration::from_secs(10);

    /// The subscriptions of all clients. A challenge is sent by `sender`.
    pub fn new(
        subscribers: Subscribers,
        sender: Arc<dyn Sender>,
        endpoints: EndpointPolicy,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { subscribers, sender, endpoints, entropy }
    }

    /// The text of the extension that the service follows.
    #[must_use]
    pub const fn text(&self) -> EventsText {
        self.subscribers.text
    }

    /// Grants a subscription, or renews it. The receiver of a new URL has to return a challenge first.
    ///
    /// # Errors
    /// [`SubscribeError`]. Then nothing has changed, unless the store does not know.
    pub async fn subscribe(
        &self,
        client: &ClientId,
        key: SubscriptionKey,
        secret: Secret<Vec<u8>>,
        ttl: Option<Duration>,
    ) -> Result<Granted, SubscribeError> {
        let endpoint = self.endpoints.check(&key.url).map_err(SubscribeError::Url)?;
        let ttl = ttl.unwrap_or(Subscription::DEFAULT_TTL).clamp(Subscription::MIN_TTL, Subscription::MAX_TTL);
        let refresh_before = self.subscribers.calendar.now() + ttl;
        let subscription = key.of(client, refresh_before);
        let subscriber = Subscriber { endpoint, secret, previous: None };
        let mut is_verified = false;
        for _ in 0..Self::TRIES {
            match self.grant(&subscription, subscriber.clone(), &mut is_verified).await {
                Err(SubscribeError::Store(StoreError::Conflict)) => {}
                result => return result.map(|()| Granted { id: subscription.id, refresh_before }),
            }
        }
        Err(StoreError::Conflict.into())
    }

    async fn grant(
        &self,
        subscription: &Subscription,
        subscriber: Subscriber,
        is_verified: &mut bool,
    ) -> Result<(), SubscribeError> {
        let (store, now) = (&self.subscribers.store, self.subscribers.calendar.now());
        let stored = store.read(&subscription.client).await?;
        let (live, expired): (Vec<_>, Vec<_>) = stored.iter().partition(|stored| stored.subscription.is_live(now));
        let is_same = |stored: &&StoredSubscription| stored.subscription.id == subscription.id;
        let current = live.iter().copied().find(is_same);
        if current.is_none() && live.len() >= Subscription::MAX_PER_CLIENT {
            return Err(SubscribeError::TooMany);
        }
        let is_known =
            |stored: &&StoredSubscription| store.open(stored).is_ok_and(|known| known.endpoint == subscriber.endpoint);
        if !*is_verified && !live.iter().any(is_known) {
            self.challenge(subscription.id, &subscriber).await?;
            *is_verified = true;
        }
        let next = match current.map(|current| store.open(current)).transpose() {
            Ok(Some(current)) => current.renewed(subscriber.secret, now),
            // A receiver that cannot be read any more is replaced.
            Ok(None) | Err(_) => subscriber,
        };
        let read = stored.iter().find(is_same);
        let removed: Vec<_> = expired.into_iter().filter(|stored| !is_same(stored)).collect();
        Ok(store.write(subscription, &next, read, &removed).await?)
    }

    /// Ends a subscription. Returns whether there was one.
    ///
    /// # Errors
    /// [`StoreError`] if it is not known whether it has ended.
    pub async fn unsubscribe(&self, client: &ClientId, key: &SubscriptionKey) -> Result<bool, StoreError> {
        self.subscribers.store.remove(&key.of(client, Timestamp::MIN)).await
    }

    /// Lets the receiver prove that it wants the events.
    async fn challenge(&self, id: SubscriptionId, subscriber: &Subscriber) -> Result<(), SubscribeError> {
        let challenge = format!("{:032x}", u128::from_be_bytes(random(&*self.entropy)));
        let body = serde_json::to_vec(&Challenge { kind: "verification", challenge: &challenge }).unwrap_or_default();
        let message_id = format!("msg_verification_{:032x}", u128::from_be_bytes(random(&*self.entropy)));
        let message = Message {
            id: &message_id,
            subscription: id,
            body: body.into(),
            signed_at: self.subscribers.calendar.now(),
            timeout: Self::CHALLENGE_TIMEOUT,
            keep_response: true,
        };
        let exchange = self.send_to(&subscriber.endpoint, message, subscriber).await;
        returned(exchange, &challenge).map_err(SubscribeError::Callback)
    }

    async fn send_to(&self, endpoint: &Endpoint, message: Message<'_>, subscriber: &Subscriber) -> Exchange {
        match self.sender.route(endpoint.as_str()).await {
            Ok(route) => self.sender.send(message.to(subscriber), route).await,
            Err(RouteError::Failed(class)) => Exchange::not_sent(class),
            Err(RouteError::NotTried) => Exchange::not_sent(ErrorClass::TotalTimeout),
        }
    }
}

/// Whether the receiver has returned the challenge. The error is one of the reasons that the extension names: they say nothing
/// of what an address that the caller has chosen responds.
fn returned(exchange: Exchange, challenge: &str) -> Result<(), &'static str> {
    let response = exchange.result.map_err(|class| match class {
        ErrorClass::ConnectTimeout | ErrorClass::FirstByteTimeout | ErrorClass::TotalTimeout => "timeout",
        ErrorClass::TlsError => "tls_error",
        _ => "connection_refused",
    })?;
    match response.status {
        200..=299 => {}
        400..=499 => return Err("http_4xx"),
        500..=599 => return Err("http_5xx"),
        _ => return Err("challenge_failed"),
    }
    let body = response.body.unwrap_or_else(Bytes::new);
    let is_same = serde_json::from_slice::<Returned>(&body)
        // The time that a comparison of hashes takes tells nothing about the challenge.
        .is_ok_and(|returned| Sha256::of(returned.challenge.as_bytes()) == Sha256::of(challenge.as_bytes()));
    if is_same { Ok(()) } else { Err("challenge_failed") }
}
