//! The conversation, and the only functions that move it from one state to the next.
//!
//! A transition consumes the conversation and returns the next one, or says why it is not legal. `claim`, `complete`
//! and `release` belong to delivery, `cancel` and `redeliver` to the client.

mod refusals;
mod transitions;

pub use refusals::{AlreadyFinal, ClaimRefused, NotDelivering, NotFailed, TooLate};
pub use transitions::{Claim, ClaimedAttempt};

use std::time::Duration;

use super::{
    Attempt, AttemptStart, ClientId, Content, ConversationId, DeliveryPolicy, Destination, NewConversation, State,
    Status, Timestamp,
};

/// One text that is to reach one destination at one time.
///
/// Its fields can be read by everybody and changed only by the transitions below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    id: ConversationId,
    client: ClientId,
    created: Timestamp,
    updated: Timestamp,
    due: Timestamp,
    generation: u32,
    content: Content,
    destination: Destination,
    policy: DeliveryPolicy,
    state: State,
    attempts: Vec<Attempt>,
    attempts_before_redelivery: u32,
}

/// The fields of a conversation, for a store that restores one.
#[derive(Clone, Debug)]
pub struct StoredConversation {
    /// See [`Conversation::id`].
    pub id: ConversationId,
    /// See [`Conversation::client`].
    pub client: ClientId,
    /// See [`Conversation::created`].
    pub created: Timestamp,
    /// See [`Conversation::updated`].
    pub updated: Timestamp,
    /// See [`Conversation::due`].
    pub due: Timestamp,
    /// See [`Conversation::generation`].
    pub generation: u32,
    /// See [`Conversation::content`].
    pub content: Content,
    /// See [`Conversation::destination`].
    pub destination: Destination,
    /// See [`Conversation::policy`].
    pub policy: DeliveryPolicy,
    /// See [`Conversation::state`].
    pub state: State,
    /// See [`Conversation::attempts`].
    pub attempts: Vec<Attempt>,
    /// See [`Conversation::attempts_before_redelivery`].
    pub attempts_before_redelivery: u32,
}

impl From<StoredConversation> for Conversation {
    fn from(stored: StoredConversation) -> Self {
        Self {
            id: stored.id,
            client: stored.client,
            created: stored.created,
            updated: stored.updated,
            due: stored.due,
            generation: stored.generation,
            content: stored.content,
            destination: stored.destination,
            policy: stored.policy,
            state: stored.state,
            attempts: stored.attempts,
            attempts_before_redelivery: stored.attempts_before_redelivery,
        }
    }
}

impl Conversation {
    /// How many finished attempts are kept: two deliveries of the most attempts there can be.
    pub const MAX_ATTEMPTS_KEPT: usize = 40;

    /// A conversation that was just accepted.
    #[must_use]
    pub fn new(id: ConversationId, client: ClientId, new: NewConversation, now: Timestamp) -> Self {
        Self {
            id,
            client,
            created: now,
            updated: now,
            due: new.due,
            generation: 1,
            content: new.content,
            destination: new.destination,
            policy: new.policy,
            state: State::Scheduled,
            attempts: Vec::new(),
            attempts_before_redelivery: 0,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> ConversationId {
        self.id
    }

    /// The client that owns it.
    #[must_use]
    pub const fn client(&self) -> &ClientId {
        &self.client
    }

    /// When it was accepted.
    #[must_use]
    pub const fn created(&self) -> Timestamp {
        self.created
    }

    /// When its state last changed.
    #[must_use]
    pub const fn updated(&self) -> Timestamp {
        self.updated
    }

    /// When it is to be delivered.
    #[must_use]
    pub const fn due(&self) -> Timestamp {
        self.due
    }

    /// Counts the client's changes of the time of the next attempt.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// What it says.
    #[must_use]
    pub const fn content(&self) -> &Content {
        &self.content
    }

    /// Where it goes.
    #[must_use]
    pub const fn destination(&self) -> &Destination {
        &self.destination
    }

    /// How often and how long its delivery is tried.
    #[must_use]
    pub const fn policy(&self) -> DeliveryPolicy {
        self.policy
    }

    /// Its state, with the data that belongs to it.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The attempts that are over, oldest first; the last [`Conversation::MAX_ATTEMPTS_KEPT`].
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// How many attempts had begun when the conversation was last redelivered. They do not count against
    /// [`DeliveryPolicy::max_attempts`] any more.
    #[must_use]
    pub const fn attempts_before_redelivery(&self) -> u32 {
        self.attempts_before_redelivery
    }

    /// The state as clients see it.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self.state {
            State::Scheduled => Status::Scheduled,
            State::Delivering { .. } | State::Waiting { .. } => Status::InProgress,
            State::Completed => Status::Completed,
            State::Failed { .. } => Status::Failed,
            State::Cancelled => Status::Cancelled,
        }
    }

    /// When a worker next has something to do here; `None` once the conversation is final.
    ///
    /// The store keeps a due row at exactly this instant, so this function is the whole rule of
    /// what is outstanding.
    #[must_use]
    pub const fn next_wake_at(&self) -> Option<Timestamp> {
        match &self.state {
            State::Scheduled => Some(self.due),
            State::Delivering { lease, .. } => Some(lease.until),
            State::Waiting { next_attempt } => Some(*next_attempt),
            State::Completed | State::Failed { .. } | State::Cancelled => None,
        }
    }

    /// From when on a worker may claim; `None` once the conversation is final. A lease is its
    /// worker's to the last millisecond; any other wake-up may be claimed ahead, to have the claim on
    /// record when the time comes.
    #[must_use]
    pub fn claimable_from(&self) -> Option<Timestamp> {
        let ahead = if self.in_flight().is_some() { Duration::ZERO } else { DeliveryPolicy::CLAIM_AHEAD };
        self.next_wake_at().map(|at| at - ahead)
    }

    /// The attempt under way, if there is one.
    #[must_use]
    pub const fn in_flight(&self) -> Option<AttemptStart> {
        match &self.state {
            State::Delivering { attempt, .. } => Some(*attempt),
            _ => None,
        }
    }

    /// How many attempts have begun.
    #[must_use]
    pub fn attempts_begun(&self) -> u32 {
        let over = self.attempts.last().map_or(0, |a| a.start.number);
        self.in_flight().map_or(over, |a| a.number)
    }

    /// How many attempts have begun since the client last asked for a delivery.
    #[must_use]
    pub fn attempts_used(&self) -> u32 {
        self.attempts_begun().saturating_sub(self.attempts_before_redelivery)
    }
}

#[cfg(test)]
mod tests;
