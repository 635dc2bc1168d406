//! What receivers get out of their inboxes, and what they say of it.
//!
//! - R1: two receivers never get the same attempt, and while a lease lasts the row has no other attempt
//! - R2: an acknowledgement that was confirmed is on record

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mcp_scheduler::delivery::InboxDelivery;
use mcp_scheduler::domain::{ClientId, Conversation, Destination, ErrorClass, Outcome, Received, Timestamp};

use super::{InvariantChecker, Profile};
use crate::support::simulation::occurrences::{Delivery, current};
use crate::support::simulation::verdict::Sent;

/// The attempts of receivers, by delivery and number.
#[derive(Default)]
pub struct Receives {
    given: BTreeSet<(Delivery, u32)>,
    confirmed: BTreeMap<(Delivery, u32), Received>,
}

/// The attempt that a receiver got.
fn attempt_of(received: &InboxDelivery) -> (Delivery, u32) {
    let conversation = &received.whole.conversation;
    (current(conversation), conversation.attempts_begun())
}

impl InvariantChecker {
    /// Whether a receiver of this client may find something some day.
    pub fn has_inbox(&self, client: &ClientId) -> bool {
        self.now.values().any(|c| c.client() == client && c.receivable_at().is_some())
    }

    pub fn saw_received(&mut self, at: Timestamp, deciding: Timestamp, delivery: &InboxDelivery) {
        let (received, (of, attempt)) = (&delivery.whole.conversation, attempt_of(delivery));
        let (id, occurrence) = of;
        self.note(at, &format!("{id} {occurrence:?} attempt {attempt} is received"));
        self.tally.received += 1;
        let conversation = self.now[&id].clone();
        let was_due = self.profile == Profile::OneProcess && (attempt > 1 || conversation.generation() > 1);
        // The clock of a single process may be set back between the claim and the answer.
        let claimed =
            received.in_flight().filter(|_| self.profile == Profile::OneProcess).map(|attempt| attempt.started);
        if !was_due && deciding.max(claimed.unwrap_or(deciding)) + self.clock_error < received.due() {
            self.violated(at, &format!("I2 {id} is received before {}", received.due()));
        }
        if !self.receives.given.insert((of, attempt)) {
            self.violated(at, &format!("R1 attempt {attempt} of {id} is received twice"));
        }
        // A clock that is set ends leases.
        let lasts = self.profile != Profile::OneProcess && deciding + 2 * self.clock_error < delivery.lease_until;
        let holds = conversation.in_flight().map(|a| (current(&conversation), a.number));
        if lasts && holds != Some((of, attempt)) {
            self.violated(at, &format!("R1 {id} is received, the row says {:?}", conversation.state()));
        }
        if self.texts.get(&id).is_some_and(|text| *text != delivery.whole.payload.text) {
            self.violated(at, &format!("I13 {id} attempt {attempt} lacks the text"));
        }
        self.sent.entry(of).or_default().push(Sent {
            attempt,
            process: 0,
            clock_set: 0,
            of_delivery: 1,
            began: at,
            ended: Some(at),
            taken: false,
            timeout: Duration::ZERO,
            webhook_id: id.to_string(),
            body: None,
        });
    }

    /// The receiver has worked, and is going to say so.
    pub fn saw_worked(&mut self, at: Timestamp, delivery: &InboxDelivery, received: Received) {
        let (of, attempt) = attempt_of(delivery);
        self.note(at, &format!("{of:?} attempt {attempt} is {received:?}"));
        let sent = self.sent.get_mut(&of).into_iter().flatten().filter(|sent| sent.attempt == attempt);
        sent.for_each(|sent| sent.taken = received == Received::Done);
    }

    pub fn saw_acknowledged(&mut self, at: Timestamp, delivery: &InboxDelivery, received: Received) {
        let (of, attempt) = attempt_of(delivery);
        self.note(at, &format!("{of:?} attempt {attempt} is acknowledged"));
        self.tally.acknowledged += 1;
        self.tally.acknowledged_occurrences += u64::from(of.1.is_some());
        self.receives.confirmed.insert((of, attempt), received);
    }

    /// Checks R2, and I1 for the inboxes: with receivers, nothing stays in them.
    pub(super) fn check_receives(&self) -> Vec<String> {
        // A paused series stays there.
        let left = self.now.values().filter(|c| *c.destination() == Destination::Inbox && c.receivable_at().is_some());
        let left = left.map(|c| format!("I1 {} is stuck in an inbox in {:?}", c.id(), c.state()));
        let confirmed = self.receives.confirmed.iter();
        let unrecorded =
            confirmed.filter(|((of, number), received)| !is_on_record(&self.now[&of.0], (*of, *number), **received));
        left.chain(unrecorded.map(|((of, number), _)| format!("R2 attempt {number} of {of:?} is not on record")))
            .collect()
    }
}

/// Whether the record of a conversation has what a receiver has said of an attempt.
fn is_on_record(c: &Conversation, (of, number): (Delivery, u32), received: Received) -> bool {
    if current(c) == of {
        return c.attempts().iter().filter(|attempt| attempt.start.number == number).any(|attempt| match received {
            Received::Done => attempt.result.outcome == Outcome::Success,
            Received::Failed => attempt.result.error == Some(ErrorClass::ReceiverFailed),
        });
    }
    // Of an occurrence that is over, only the end is kept.
    let history = c.series().map(|series| &series.history[..]).unwrap_or_default();
    history.iter().filter(|over| Some(over.number) == of.1).any(|over| match received {
        Received::Done => over.failure.is_none() && over.attempts == number,
        Received::Failed => over.attempts > number || over.failure.is_some(),
    })
}
