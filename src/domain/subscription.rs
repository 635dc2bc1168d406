//! Subscriptions to events: a program receives what happens to the conversations of its client.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::words::words;
use super::{ClientId, Conversation, ConversationId, Endpoint, Secret, Sha256, Timestamp};

/// What happened to a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventName {
    /// Its time has come.
    Due,
    /// Its delivery has failed for good.
    Failed,
}

impl EventName {
    /// All events, for parsing.
    pub const ALL: [Self; 2] = [Self::Due, Self::Failed];

    /// The name in the protocol and in stored rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Due => "conversation.due",
            Self::Failed => "conversation.failed",
        }
    }
}

words!(EventName);

/// Which text of the Events extension the service follows. They differ in the error codes and in the id of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EventsText {
    /// The text that `ChatGPT` and the AI SDK implement.
    #[default]
    Draft,
    /// The text as it was accepted.
    Final,
}

impl EventsText {
    /// All texts, for parsing.
    pub const ALL: [Self; 2] = [Self::Draft, Self::Final];

    /// The name in the setting.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Final => "final",
        }
    }
}

words!(EventsText);

/// The id of a subscription: a hash of what makes it another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriptionId([u8; 16]);

impl SubscriptionId {
    /// The id of the subscription that this text describes.
    #[must_use]
    pub fn of(key: &[u8]) -> Self {
        Self(Sha256::of(key).beginning())
    }
}

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sub_{:032x}", u128::from_be_bytes(self.0))
    }
}

/// The text is not the id of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not the id of a subscription")]
pub struct InvalidSubscriptionId;

impl FromStr for SubscriptionId {
    type Err = InvalidSubscriptionId;

    fn from_str(text: &str) -> Result<Self, InvalidSubscriptionId> {
        let digits = text.strip_prefix("sub_").ok_or(InvalidSubscriptionId)?;
        let id =
            u128::from_str_radix(digits, 16).map(|id| Self(id.to_be_bytes())).map_err(|_| InvalidSubscriptionId)?;
        if id.to_string() == text { Ok(id) } else { Err(InvalidSubscriptionId) }
    }
}

/// The conversations whose events a subscription is for: all of its client that meet each condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only this conversation.
    pub conversation: Option<ConversationId>,
    /// Only conversations whose label [`EventFilter::CHANNEL`] has this value.
    pub channel: Option<String>,
}

impl EventFilter {
    /// The label that names the channel of a conversation.
    pub const CHANNEL: &str = "channel";

    fn matches(&self, conversation: &Conversation) -> bool {
        let channel = conversation.labels().get(Self::CHANNEL);
        self.conversation.is_none_or(|id| id == conversation.event_subject())
            && self.channel.as_deref().is_none_or(|wanted| channel == Some(wanted))
    }
}

/// A subscription: which events it is for, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The id.
    pub id: SubscriptionId,
    /// The client whose conversations it is for.
    pub client: ClientId,
    /// The event.
    pub event: EventName,
    /// The conversations.
    pub filter: EventFilter,
    /// The end, unless the subscriber renews it before.
    pub expires: Timestamp,
}

impl Subscription {
    /// The most live subscriptions of a client.
    pub const MAX_PER_CLIENT: usize = 100;
    /// The time for which a subscription is granted if the subscriber asks for none.
    pub const DEFAULT_TTL: Duration = Duration::from_hours(7 * 24);
    /// The shortest time.
    pub const MIN_TTL: Duration = Duration::from_mins(1);
    /// The longest time.
    pub const MAX_TTL: Duration = Duration::from_hours(30 * 24);

    /// Whether it is still granted.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.expires
    }

    /// Whether it is for this event of this conversation.
    #[must_use]
    pub fn wants(&self, event: EventName, conversation: &Conversation, now: Timestamp) -> bool {
        self.is_live(now) && self.event == event && self.filter.matches(conversation)
    }
}

/// The receiver of a subscription. It has returned a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// Where its events are sent.
    pub endpoint: Endpoint,
    /// The secret that signs them. The subscriber has chosen it.
    pub secret: Secret<Vec<u8>>,
    /// The secret before that one, and the time until which it signs too.
    pub previous: Option<(Secret<Vec<u8>>, Timestamp)>,
}

impl Subscriber {
    /// The time for which the secret before the current one signs too.
    pub const BOTH_SECRETS: Duration = Duration::from_hours(24);

    /// The same receiver after a renewal with this secret.
    #[must_use]
    pub fn renewed(self, secret: Secret<Vec<u8>>, now: Timestamp) -> Self {
        if secret == self.secret {
            return Self { previous: self.previous.filter(|(_, until)| now < *until), ..self };
        }
        Self { endpoint: self.endpoint, secret, previous: Some((self.secret, now + Self::BOTH_SECRETS)) }
    }

    /// The secrets that sign now, the current one first.
    pub fn secrets(&self, now: Timestamp) -> impl Iterator<Item = &[u8]> {
        let previous = self.previous.as_ref().filter(|(_, until)| now < *until).map(|(secret, _)| secret);
        std::iter::once(&self.secret).chain(previous).map(|secret| secret.expose().as_slice())
    }
}

/// The last word of a subscriber about an event: nothing more is sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Whether it took the event. If not, it refused it for good.
    pub took: bool,
}

impl Conversation {
    /// The event of which its delivery to subscriptions tells. A callback tells of the failure of another conversation.
    #[must_use]
    pub const fn event(&self) -> EventName {
        if self.callback_of().is_some() { EventName::Failed } else { EventName::Due }
    }

    /// The conversation that its event is about.
    #[must_use]
    pub fn event_subject(&self) -> ConversationId {
        self.callback_of().unwrap_or(self.id())
    }

    /// The subscriptions to which the current event is not sent any more. Who refused it before a redelivery is asked again.
    pub fn settled(&self) -> impl Iterator<Item = Settled> {
        let before = self.attempts_before_redelivery();
        self.attempts().iter().flat_map(move |attempt| {
            let is_current = attempt.start.number > before;
            attempt.result.settled.iter().copied().filter(move |settled| settled.took || is_current)
        })
    }
}
