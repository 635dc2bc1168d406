//! The transition of a client that changes what it has scheduled.

use super::{Conversation, PauseRefused, Series, WholeConversation};
use crate::domain::{Expiry, Named, NewConversation, Payload, Sha256, State, Status, TextExcerpt, Timestamp};

/// What a conversation is to become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// All fields. The time counts only if `sets_time` says so.
    pub new: NewConversation,
    /// Whether the client has set the time or the recurrence. Otherwise both stay as they are.
    pub sets_time: bool,
    /// Whether the client has said from when on the conversation recurs. Otherwise its weeks or days are counted on.
    pub sets_start: bool,
    /// Whether the series is to be paused or resumed. Without a value it stays as it is.
    pub paused: Option<bool>,
    /// The fingerprint of the definition, if the client updates the conversation by its name.
    pub definition: Option<Sha256>,
}

/// The reason why a conversation cannot be updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpdateRefused {
    /// It is final.
    #[error("is {}", .0.as_str())]
    Final(Status),
    /// An attempt is under way.
    #[error("is being delivered right now")]
    Delivering {
        /// The end of the attempt's lease.
        until: Timestamp,
    },
    /// An attempt has begun. A receiver may have got it, so the next attempts send the same.
    #[error("has begun to be delivered, so what is sent and when can no longer be changed")]
    Begun,
    /// The weeks or days in which it recurs have no occurrence up to its `endTime`.
    #[error("has no occurrence up to endTime in the weeks or days in which it recurs")]
    NoOccurrence,
    /// It cannot be paused or resumed.
    #[error(transparent)]
    Pause(#[from] PauseRefused),
}

impl WholeConversation {
    /// Gives the conversation other fields. A series keeps its number and its history.
    ///
    /// Between two attempts the receiver, the policy, the labels and the course of a series can be changed, and during an
    /// attempt only the course. The attempt of a receiver whose lease has ended is lost.
    ///
    /// # Errors
    /// [`UpdateRefused`].
    pub fn update(self, update: Update, now: Timestamp) -> Result<Self, UpdateRefused> {
        let Update { new, sets_time, sets_start, paused, definition } = update;
        let Self { conversation, payload } = self;
        let conversation = conversation.after_lost_lease(now);
        let new = match conversation.series() {
            Some(series) if sets_time && !sets_start => new.counted_as(&series.recurrence, now)?,
            _ => new,
        };
        match conversation.state() {
            State::Completed | State::Failed { .. } | State::Cancelled => {
                return Err(UpdateRefused::Final(conversation.status()));
            }
            State::Delivering { lease, .. } => {
                let same_fields = conversation.clone().with_fields(&new, conversation.updated);
                let same_expiry = conversation.expiry.map(|expiry| expiry.after) == new.expire_after;
                if sets_time || !same_expiry || same_fields != conversation || payload != new.payload {
                    return Err(UpdateRefused::Delivering { until: lease.until });
                }
            }
            State::Waiting { .. } => {
                let sent = |it: &Payload| (it.text.clone(), it.info.clone(), it.body.clone());
                let sends_the_same = sent(&payload) == sent(&new.payload)
                    && (conversation.format, &conversation.thread_id) == (new.format, &new.thread_id);
                if sets_time || !sends_the_same {
                    return Err(UpdateRefused::Begun);
                }
            }
            State::Scheduled => {}
        }
        let mut next = conversation.with_fields(&new, now);
        if sets_time {
            next.set_time(&new);
        }
        next.set_expiry(&new);
        next.named = next.named.map(|named| Named { definition, ..named });
        let next = match paused {
            None => next,
            Some(true) => next.pause(now)?,
            Some(false) => next.resume(now)?,
        };
        Ok(Self { conversation: next, payload: new.payload })
    }
}

impl Conversation {
    fn with_fields(self, new: &NewConversation, now: Timestamp) -> Self {
        Self {
            updated: now,
            payload_bytes: new.payload.bytes(),
            stored_bytes: new.payload.stored_bytes(),
            text_excerpt: Some(TextExcerpt::of(&new.payload.text)),
            format: new.format,
            destination: new.destination.clone(),
            policy: new.policy,
            labels: new.labels.clone(),
            thread_id: new.thread_id.clone(),
            ..self
        }
    }

    fn set_time(&mut self, new: &NewConversation) {
        self.generation += 1;
        self.due = new.due.instant();
        self.zone = new.due.zone().cloned();
        self.series = match (self.series.take(), new.recurrence.clone()) {
            (Some(series), Some(recurrence)) => Some(Box::new(Series { recurrence, missed: 0, ..*series })),
            (None, Some(recurrence)) => Some(Box::new(Series::new(recurrence))),
            (_, None) => None,
        };
    }

    /// A redelivery has its own expiry, which stays if the duration is the same.
    fn set_expiry(&mut self, new: &NewConversation) {
        let has_begun = self.state != State::Scheduled;
        if has_begun && self.expiry.map(|expiry| expiry.after) == new.expire_after {
            return;
        }
        self.expiry = new.expire_after.map(|after| Expiry::of(self.due, after));
    }
}
