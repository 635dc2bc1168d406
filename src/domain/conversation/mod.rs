//! The conversation, and the transitions that move it from one state to the next.
//!
//! A transition consumes the conversation and returns the next one, or the reason why it is not allowed. `claim`,
//! `complete` and `release` belong to delivery, `cancel` and `redeliver` to the client.

mod again;
mod delivery_end;
mod inbox;
mod refusals;
mod series;
mod series_transitions;
mod stored;
mod times;
mod transitions;
mod update;
mod whole;

pub use delivery_end::DeliveryEnd;
pub use inbox::{InvalidReceipt, Receipt, ReceiptRefused, Received};
pub use refusals::{AlreadyFinal, ClaimRefused, NotDelivering, PauseRefused, RedeliveryRefused, TooLate};
pub use series::{Course, Occurrence, Series};
pub use stored::StoredConversation;
pub use transitions::{Claim, ClaimProof, ClaimedAttempt};
pub use update::{Update, UpdateRefused};
pub use whole::WholeConversation;

use super::{
    Attempt, AttemptStart, ClientId, ConversationId, ConversationName, DeliveryPolicy, Destination, Expiry, Format,
    Labels, Named, ScheduledBy, State, Status, TextExcerpt, ThreadId, Timestamp, TraceContext, ZoneRecord,
};

/// A text that is to reach one destination at one time, without its payload.
///
/// Only the transitions can change its fields. None of them needs the payload, so a claim, a result or a list never reads
/// a large text. Code that needs the payload takes it as an argument of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    id: ConversationId,
    client: ClientId,
    created: Timestamp,
    updated: Timestamp,
    due: Timestamp,
    zone: Option<ZoneRecord>,
    generation: u32,
    payload_bytes: usize,
    stored_bytes: usize,
    text_excerpt: Option<TextExcerpt>,
    format: Format,
    destination: Destination,
    policy: DeliveryPolicy,
    state: State,
    attempts: Vec<Attempt>,
    attempts_before_redelivery: u32,
    labels: Labels,
    thread_id: Option<ThreadId>,
    expiry: Option<Expiry>,
    series: Option<Box<Series>>,
    named: Option<Named>,
    callback_of: Option<ConversationId>,
    by: ScheduledBy,
}

impl Conversation {
    /// The number of finished attempts that are kept: two deliveries with the largest number of attempts.
    pub const MAX_ATTEMPTS_KEPT: usize = 40;

    /// The largest number of attempts in the life of a conversation, with those of all redeliveries. Without it, small
    /// requests could send a large text to somebody else's endpoint without end.
    pub const MAX_ATTEMPTS_IN_LIFE: u32 = 100;

    /// The id.
    #[must_use]
    pub const fn id(&self) -> ConversationId {
        self.id
    }

    /// The client that owns it.
    #[must_use]
    pub const fn client(&self) -> &ClientId {
        &self.client
    }

    /// The request that scheduled it.
    #[must_use]
    pub const fn scheduled_by(&self) -> &ScheduledBy {
        &self.by
    }

    /// The place in a trace of the request that scheduled it, if that was traced.
    #[must_use]
    pub const fn trace(&self) -> Option<TraceContext> {
        self.by.trace
    }

    /// The time at which it was scheduled by its client.
    #[must_use]
    pub const fn created(&self) -> Timestamp {
        self.created
    }

    /// The time of the last transition.
    #[must_use]
    pub const fn updated(&self) -> Timestamp {
        self.updated
    }

    /// The due time: the time for which it was scheduled.
    #[must_use]
    pub const fn due(&self) -> Timestamp {
        self.due
    }

    /// The zone that the client named when it set the due time.
    #[must_use]
    pub const fn zone(&self) -> Option<&ZoneRecord> {
        self.zone.as_ref()
    }

    /// The number of times the client has set the time of the next attempt. A repeated request to redeliver is recognised
    /// by it.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// The size of the payload: [`bytes`](super::Payload::bytes).
    #[must_use]
    pub const fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// The size of what the client gave: [`stored_bytes`](super::Payload::stored_bytes).
    #[must_use]
    pub const fn stored_bytes(&self) -> usize {
        self.stored_bytes
    }

    /// The beginning of the text. Earlier releases did not keep it beside a large text.
    #[must_use]
    pub const fn text_excerpt(&self) -> Option<&TextExcerpt> {
        self.text_excerpt.as_ref()
    }

    /// The form of the delivered request's body.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The receiver of the content.
    #[must_use]
    pub const fn destination(&self) -> &Destination {
        &self.destination
    }

    /// The caller's labels.
    #[must_use]
    pub const fn labels(&self) -> &Labels {
        &self.labels
    }

    /// The thread that it belongs to.
    #[must_use]
    pub const fn thread_id(&self) -> Option<&ThreadId> {
        self.thread_id.as_ref()
    }

    /// The time within which an attempt must begin. A redelivery begins it anew.
    #[must_use]
    pub const fn expiry(&self) -> Option<Expiry> {
        self.expiry
    }

    /// The occurrences, if it recurs. Its due time, state and attempts are then those of the current occurrence.
    #[must_use]
    pub fn series(&self) -> Option<&Series> {
        self.series.as_deref()
    }

    /// The number of the current occurrence, if it recurs.
    #[must_use]
    pub fn occurrence(&self) -> Option<u32> {
        self.series().map(|series| series.number)
    }

    /// The name under which it was scheduled, with its definition.
    #[must_use]
    pub const fn named(&self) -> Option<&Named> {
        self.named.as_ref()
    }

    /// The name under which it was scheduled. Several conversations may have had a name one after the other.
    #[must_use]
    pub fn name(&self) -> Option<&ConversationName> {
        self.named().map(|named| &named.name)
    }

    /// Whether no occurrence begins until the client resumes the conversation.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.series().is_some_and(Series::is_paused)
    }

    /// Whether it is cancelled, and only the attempt under way is still to end.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.series().is_some_and(|series| series.course == Course::Ending) && !self.status().is_final()
    }

    /// The number of attempts and the time limit of each.
    #[must_use]
    pub const fn policy(&self) -> DeliveryPolicy {
        self.policy
    }

    /// The state, with the data that belongs to it.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The finished attempts, oldest first. Only the last [`Conversation::MAX_ATTEMPTS_KEPT`] are kept.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// The number of attempts that had begun when the conversation was last redelivered. They do not count towards
    /// [`DeliveryPolicy::max_attempts`].
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

    /// The time at which the conversation ended. `None` while it is not final.
    #[must_use]
    pub const fn ended(&self) -> Option<Timestamp> {
        if self.status().is_final() { Some(self.updated) } else { None }
    }

    /// The attempt under way, if there is one.
    #[must_use]
    pub const fn in_flight(&self) -> Option<AttemptStart> {
        match &self.state {
            State::Delivering { attempt, .. } => Some(*attempt),
            _ => None,
        }
    }

    /// The conversation as it was when the service accepted it for this due time.
    #[must_use]
    pub fn as_accepted(self, due: Timestamp) -> Self {
        Self {
            due,
            updated: self.created,
            generation: 1,
            state: State::Scheduled,
            attempts: Vec::new(),
            attempts_before_redelivery: 0,
            expiry: self.expiry.map(|expiry| Expiry::of(due, expiry.after)),
            series: self.series.map(|series| Box::new(Series::new(series.recurrence))),
            ..self
        }
    }

    /// The number of attempts that have begun.
    #[must_use]
    pub fn attempts_begun(&self) -> u32 {
        let over = self.attempts.last().map_or(0, |a| a.start.number);
        self.in_flight().map_or(over, |a| a.number)
    }

    /// Whether the attempts of the last redelivery are under way.
    #[must_use]
    pub fn is_being_redelivered(&self) -> bool {
        // A conversation that has expired may be redelivered without an attempt before. Its expiry shows it.
        let has_later_expiry = self.expiry.is_some_and(|expiry| expiry != Expiry::of(self.due, expiry.after));
        (self.attempts_before_redelivery > 0 || has_later_expiry) && self.status() == Status::InProgress
    }

    /// The number of attempts that have begun since the conversation was scheduled or last redelivered.
    #[must_use]
    pub fn attempts_used(&self) -> u32 {
        self.attempts_begun().saturating_sub(self.attempts_before_redelivery)
    }
}

#[cfg(test)]
mod tests;
