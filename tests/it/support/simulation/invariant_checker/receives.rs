//! What receivers get out of their inboxes, and what they say of it.
//!
//! - R1: two receivers never get the same attempt, and while a lease lasts the row has no other attempt
//! - R2: an acknowledgement that was confirmed is on record

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mcp_scheduler::delivery::InboxDelivery;
use mcp_scheduler::domain::{
    ClientId, Conversation, ConversationId, Destination, ErrorClass, Outcome, Received, Timestamp,
};

use super::{InvariantChecker, Profile};
use crate::support::simulation::verdict::Sent;

/// The attempts of receivers, by conversation and number.
#[derive(Default)]
pub struct Receives {
    given: BTreeSet<(ConversationId, u32)>,
    confirmed: BTreeMap<(ConversationId, u32), Received>,
}

impl InvariantChecker {
    /// Whether a receiver of this client may find something some day.
    pub fn has_inbox(&self, client: &ClientId) -> bool {
        self.now.values().any(|c| c.client() == client && c.receivable_at().is_some())
    }

    pub fn saw_received(&mut self, at: Timestamp, deciding: Timestamp, delivery: &InboxDelivery) {
        let (received, id) = (&delivery.whole.conversation, delivery.whole.conversation.id());
        let attempt = received.attempts_begun();
        self.note(at, &format!("{id} attempt {attempt} is received"));
        self.tally.received += 1;
        let conversation = self.now[&id].clone();
        let was_due = self.profile == Profile::OneProcess && (attempt > 1 || conversation.generation() > 1);
        if !was_due && deciding + self.clock_error < received.due() {
            self.violated(at, &format!("I2 {id} is received before {}", received.due()));
        }
        if !self.receives.given.insert((id, attempt)) {
            self.violated(at, &format!("R1 attempt {attempt} of {id} is received twice"));
        }
        // A clock that is set ends leases.
        let lasts = self.profile != Profile::OneProcess && deciding + 2 * self.clock_error < delivery.lease_until;
        if lasts && conversation.in_flight().map(|a| a.number) != Some(attempt) {
            self.violated(at, &format!("R1 {id} is received, the row says {:?}", conversation.state()));
        }
        if self.texts.get(&id).is_some_and(|text| *text != delivery.whole.payload.text) {
            self.violated(at, &format!("I13 {id} attempt {attempt} lacks the text"));
        }
        self.sent.entry((id, None)).or_default().push(Sent {
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
        let (id, attempt) = (delivery.whole.conversation.id(), delivery.whole.conversation.attempts_begun());
        self.note(at, &format!("{id} attempt {attempt} is {received:?}"));
        let sent = self.sent.get_mut(&(id, None)).into_iter().flatten().filter(|sent| sent.attempt == attempt);
        sent.for_each(|sent| sent.taken = received == Received::Done);
    }

    pub fn saw_acknowledged(&mut self, at: Timestamp, delivery: &InboxDelivery, received: Received) {
        let (id, attempt) = (delivery.whole.conversation.id(), delivery.whole.conversation.attempts_begun());
        self.note(at, &format!("{id} attempt {attempt} is acknowledged"));
        self.tally.acknowledged += 1;
        self.receives.confirmed.insert((id, attempt), received);
    }

    /// Checks R2, and I1 for the inboxes: with receivers, nothing stays in them.
    pub(super) fn check_receives(&self) -> Vec<String> {
        let left = self.now.values().filter(|c| *c.destination() == Destination::Inbox && !c.status().is_final());
        let left = left.map(|c| format!("I1 {} is stuck in an inbox in {:?}", c.id(), c.state()));
        let is_on_record = |c: &Conversation, number: u32, received: Received| {
            c.attempts().iter().filter(|attempt| attempt.start.number == number).any(|attempt| match received {
                Received::Done => attempt.result.outcome == Outcome::Success,
                Received::Failed => attempt.result.error == Some(ErrorClass::ReceiverFailed),
            })
        };
        let unrecorded = self
            .receives
            .confirmed
            .iter()
            .filter(|((id, number), received)| !is_on_record(&self.now[id], *number, **received));
        left.chain(unrecorded.map(|((id, number), _)| format!("R2 attempt {number} of {id} is not on record")))
            .collect()
    }
}
