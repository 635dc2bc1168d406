//! Sees every event of a run and checks what must always hold. The numbers stand in the violations:
//!
//! - I1: every accepted conversation reaches a final state, rightly; a rejected one does not exist
//! - I2: nothing is sent before its time
//! - I3: nothing is sent after a cancel was acknowledged
//! - I5: an attempt is recorded before it is sent, and its recorded result is what the endpoint saw
//! - I6: every transition is legal, and a recorded attempt never changes
//! - I7: a conversation has at most one attempt in flight
//! - I9: a conversation has one due row, at the time when a worker is needed next, and none once it is final
//! - I11: every attempt sends the same request
//! - I12: no attempt too many, none twice, none before its pause is over
//! - I13: every request has the text that was scheduled; a large payload has one row, which never changes

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use mcp_scheduler::delivery::retry_delay;
use mcp_scheduler::domain::{Conversation, ConversationId, Outcome, State, Status, Timestamp};
use mcp_scheduler::outbound::OutboundRequest;
use mcp_scheduler::store::{Etag, Operation, Row};
use mcp_scheduler::testing::conversation_in;

use super::extra_row;

/// The history of a run and the violations in it.
#[derive(Default)]
pub struct InvariantChecker {
    now: BTreeMap<ConversationId, Conversation>,
    due_rows: BTreeMap<String, ConversationId>,
    /// Whether the run writes the extra kind of row.
    pub has_extra_rows: bool,
    extra_rows: BTreeMap<String, String>,
    payload_rows: BTreeSet<ConversationId>,
    accepted: Vec<ConversationId>,
    /// The texts of the accepted conversations.
    texts: BTreeMap<ConversationId, String>,
    rejected: Vec<String>,
    cancelled: BTreeMap<ConversationId, Timestamp>,
    sent: BTreeMap<ConversationId, Vec<Sent>>,
    pub history: Vec<String>,
    pub violations: Vec<String>,
    pub tally: Tally,
}

/// Counts of what happened: a run without faults proves little.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub commits: u64,
    /// Transactions that changed more than one conversation.
    pub shared_commits: u64,
    pub sent: u64,
    pub duplicates: u64,
    pub deaths: u64,
    pub freezes: u64,
    pub lease_takeovers: u64,
    pub cancels: u64,
    pub redeliveries: u64,
    pub large_payloads: u64,
}

/// One attempt, as the endpoint saw it.
struct Sent {
    attempt: u32,
    /// The number of the attempt within its delivery; a redelivery counts from 1 again.
    of_delivery: u32,
    began: Timestamp,
    ended: Option<Timestamp>,
    taken: bool,
    timeout: Duration,
    webhook_id: String,
    body: Option<Vec<u8>>,
}

pub struct Sending {
    id: ConversationId,
    index: usize,
}

impl InvariantChecker {
    fn note(&mut self, at: Timestamp, what: &str) {
        self.history.push(format!("{at} {what}"));
    }

    fn violated(&mut self, at: Timestamp, what: &str) {
        self.note(at, what);
        self.violations.push(format!("{at} {what}"));
    }

    /// A hash of the history, to compare two runs.
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.history.hash(&mut hasher);
        hasher.finish()
    }

    pub fn saw_accepted(&mut self, at: Timestamp, id: ConversationId, text: String) {
        self.note(at, &format!("accepted {id}"));
        self.texts.insert(id, text);
        self.accepted.push(id);
    }

    /// The client was told that nothing was scheduled.
    pub fn saw_rejected(&mut self, at: Timestamp, text: String) {
        self.note(at, &format!("rejected {}", text.split('.').next().unwrap_or_default()));
        self.rejected.push(text);
    }

    pub fn saw_cancelled(&mut self, at: Timestamp, id: ConversationId) {
        self.note(at, &format!("cancel acknowledged {id}"));
        self.cancelled.entry(id).or_insert(at);
        self.tally.cancels += 1;
    }

    pub fn saw_redelivered(&mut self, at: Timestamp, id: ConversationId) {
        self.note(at, &format!("redelivery acknowledged {id}"));
        self.tally.redeliveries += 1;
    }

    /// When a worker is needed next; `None` when all conversations are final.
    pub fn next_wake_up(&self) -> Option<Timestamp> {
        self.now.values().filter_map(Conversation::next_wake_at).min()
    }

    pub fn saw_commit(&mut self, at: Timestamp, operations: &[Operation]) {
        self.tally.commits += 1;
        let mut touched = Vec::new();
        for operation in operations {
            let key = operation.key();
            let value = match operation {
                Operation::Insert { value, .. } | Operation::Replace { value, .. } => Some(value),
                Operation::Delete { .. } => None,
            };
            if key.starts_with("d~") {
                let id: ConversationId = key.rsplit('~').next().unwrap().parse().unwrap();
                touched.push(id);
                match value {
                    Some(_) => self.due_rows.insert(key.to_owned(), id),
                    None => self.due_rows.remove(key),
                };
            } else if key.starts_with("p~") {
                self.saw_payload_row(at, operation, &operations[0]);
            } else if key.starts_with(extra_row::PREFIX) {
                match value {
                    Some(value) => self.extra_rows.insert(key.to_owned(), value.clone()),
                    None => self.extra_rows.remove(key),
                };
            } else {
                let (key, value) = (key.to_owned(), value.unwrap().clone());
                let next = conversation_in(&Row { key, value, etag: Etag::new(String::new()) }).unwrap();
                touched.push(next.id());
                self.saw_state(at, next);
            }
        }
        touched.sort_unstable();
        touched.dedup();
        self.tally.shared_commits += u64::from(touched.len() > 1);
        for id in touched {
            self.check_due_row(at, id);
            self.check_extra_row(at, id);
        }
    }

    /// Checks I13. The main row is the first operation.
    fn saw_payload_row(&mut self, at: Timestamp, operation: &Operation, main: &Operation) {
        self.tally.large_payloads += 1;
        let id: ConversationId = operation.key().rsplit('~').next().unwrap().parse().unwrap();
        let both_are_new = [operation, main].iter().all(|o| matches!(o, Operation::Insert { .. }));
        if !self.payload_rows.insert(id) || !both_are_new {
            self.violated(at, &format!("I13 the payload row of {id} changes"));
        }
    }

    /// A kind of row that exists only in this test is kept, moved and removed with its conversation.
    fn check_extra_row(&mut self, at: Timestamp, id: ConversationId) {
        if !self.has_extra_rows {
            return;
        }
        let suffix = format!("~{id}");
        let found: Vec<_> = self.extra_rows.iter().filter(|(key, _)| key.ends_with(&suffix)).collect();
        let wanted = self.now.get(&id).and_then(extra_row::expected);
        if found.iter().copied().ne(wanted.iter().map(|(key, value)| (key, value))) {
            let what = format!("{id} has the extra rows {found:?} and should have {wanted:?}");
            self.violated(at, &what);
        }
    }

    /// Checks I9.
    fn check_due_row(&mut self, at: Timestamp, id: ConversationId) {
        let found: Vec<&String> = self.due_rows.iter().filter(|(_, of)| **of == id).map(|(key, _)| key).collect();
        let wanted = self
            .now
            .get(&id)
            .and_then(|c| c.next_wake_at().map(|at| format!("d~{:014}~{}~{}", at.as_millis(), c.client(), c.id())));
        if found.iter().copied().ne(wanted.iter()) {
            let what = format!("I9 {id} has the due rows {found:?} and should have {wanted:?}");
            self.violated(at, &what);
        }
    }

    /// Checks I6.
    fn saw_state(&mut self, at: Timestamp, next: Conversation) {
        let id = next.id();
        self.note(at, &format!("{id} {:?} after {} attempts", next.state(), next.attempts().len()));
        let before = self.now.insert(id, next);
        let next = &self.now[&id];
        let legal = match (before.as_ref().map(Conversation::state), next.state()) {
            (None, State::Scheduled)
            | (Some(State::Scheduled | State::Waiting { .. }), State::Delivering { .. } | State::Cancelled)
            | (Some(State::Delivering { .. }), State::Waiting { .. } | State::Completed | State::Failed { .. }) => true,
            (Some(State::Failed { .. }), State::Waiting { next_attempt }) => *next_attempt >= next.updated(),
            (Some(State::Delivering { lease, .. }), State::Delivering { .. } | State::Cancelled) => lease.until <= at,
            _ => false,
        };
        let kept = before.as_ref().is_none_or(|b| next.attempts().starts_with(b.attempts()));
        let counted = before.as_ref().is_none_or(|b| match next.in_flight() {
            Some(attempt) => attempt.number == b.attempts_begun() + 1,
            None => next.attempts_begun() == b.attempts_begun(),
        });
        let was_lost = next.attempts().last().is_some_and(|attempt| attempt.result.outcome == Outcome::Unknown);
        if before.as_ref().and_then(Conversation::in_flight).is_some() && was_lost {
            self.tally.lease_takeovers += 1;
        }
        if !(legal && kept && counted) {
            let (from, to) = (before.map(|b| b.state().clone()), next.state().clone());
            self.violated(at, &format!("I6 {id} went from {from:?} to {to:?}"));
        }
    }

    pub fn saw_begin(&mut self, at: Timestamp, request: &OutboundRequest) -> Sending {
        let header = |name: &str| {
            let found = request.headers.iter().find(|(n, _)| n == name);
            found.map(|(_, v)| v.expose().clone()).unwrap_or_default()
        };
        let webhook_id = header("webhook-id");
        let id: ConversationId = webhook_id.parse().unwrap();
        let attempt: u32 = header("scheduler-attempt").parse().unwrap();
        self.note(at, &format!("{id} attempt {attempt} begins"));
        self.tally.sent += 1;
        let conversation = self.now[&id].clone();
        if at < conversation.due() {
            self.violated(at, &format!("I2 {id} begins before {}", conversation.due()));
        }
        if self.cancelled.contains_key(&id) {
            self.violated(at, &format!("I3 {id} begins after its cancel was acknowledged"));
        }
        if conversation.in_flight().map(|a| a.number) != Some(attempt) {
            self.violated(at, &format!("I5 {id} begins attempt {attempt}, the row says {:?}", conversation.state()));
        }
        let of_delivery = attempt - conversation.attempts_before_redelivery();
        if of_delivery > conversation.policy().max_attempts {
            self.violated(at, &format!("I12 {id} begins attempt {attempt}"));
        }
        // No pause comes before a redelivery.
        let paused = |number| number > conversation.attempts_before_redelivery();
        let before = self.sent.get(&id).into_iter().flatten();
        let wrong: Vec<_> = before.filter_map(|sent| sent.forbids(at, attempt, paused(sent.attempt))).collect();
        for what in wrong {
            self.violated(at, &format!("{what}: {id} attempt {attempt}"));
        }
        let sent = self.sent.entry(id).or_default();
        let body = request.body.as_ref().map(|b| b.to_vec());
        let same = sent.first().is_none_or(|first| first.webhook_id == webhook_id && first.body == body);
        sent.push(Sent {
            attempt,
            of_delivery,
            began: at,
            ended: None,
            taken: false,
            timeout: request.timeout,
            webhook_id,
            body,
        });
        let index = sent.len() - 1;
        let has_text =
            |text: &String| String::from_utf8_lossy(request.body.as_deref().unwrap_or_default()).contains(text);
        if !self.texts.get(&id).is_none_or(has_text) {
            self.violated(at, &format!("I13 {id} attempt {attempt} lacks the text"));
        }
        if !same {
            self.violated(at, &format!("I11 {id} attempt {attempt} is not the request of attempt 1"));
        }
        Sending { id, index }
    }

    pub fn saw_end(&mut self, at: Timestamp, sending: &Sending, taken: bool) {
        let Sending { id, index } = sending;
        self.note(at, &format!("{id} exchange {index} ends, taken: {taken}"));
        let sent = self.sent.get_mut(id).unwrap();
        if taken && sent.iter().any(|s| s.taken) {
            self.tally.duplicates += 1;
        }
        sent[*index].ended = Some(at);
        sent[*index].taken = taken;
    }

    /// Checks what must hold when nothing is left to do. `rows` is the content of the table.
    pub fn check_at_rest(&mut self, at: Timestamp, rows: &BTreeMap<String, String>) {
        let mut wrong = Vec::new();
        for id in &self.accepted {
            match self.now.get(id) {
                None => wrong.push(format!("I1 {id} was accepted and is gone")),
                Some(c) if !c.status().is_final() => wrong.push(format!("I1 {id} is stuck in {:?}", c.state())),
                Some(_) => {}
            }
        }
        let is_there = |text: &&String| rows.values().any(|value| value.contains(text.as_str()));
        wrong.extend(
            self.rejected.iter().filter(is_there).map(|text| format!("I1 {text} was not accepted and is there")),
        );
        for c in self.now.values() {
            let key = format!("p~{}~{}", c.client(), c.id());
            if (c.payload_bytes() > 4096) != rows.contains_key(&key) {
                wrong.push(format!("I13 {} with {} bytes has the wrong rows", c.id(), c.payload_bytes()));
            }
            let sent = self.sent.get(&c.id()).map_or(&[][..], Vec::as_slice);
            wrong.extend(
                verdict(c, sent, self.cancelled.contains_key(&c.id()))
                    .map(|w| format!("{w}: {} {:?}", c.id(), c.state())),
            );
        }
        let left: Vec<_> = rows.keys().filter(|key| key.starts_with("d~")).collect();
        if !left.is_empty() {
            wrong.push(format!("I9 due rows are left: {left:?}"));
        }
        if rows.keys().any(|key| key.starts_with(extra_row::PREFIX)) {
            wrong.push("extra rows are left of conversations that have ended".to_owned());
        }
        if rows.keys().filter(|key| key.starts_with("m~")).count() != self.now.len() {
            wrong.push("the table and the checker disagree".to_owned());
        }
        for what in wrong {
            self.violated(at, &what);
        }
    }
}

/// Which invariants a final conversation breaks, by its record and by what its endpoint saw.
fn verdict(c: &Conversation, sent: &[Sent], acknowledged: bool) -> impl Iterator<Item = &'static str> {
    let numbers: Vec<u32> = c.attempts().iter().map(|a| a.start.number).collect();
    let succeeded =
        |number| c.attempts().iter().any(|a| a.start.number == number && a.result.outcome == Outcome::Success);
    let answered = |s: &Sent| s.taken && succeeded(s.attempt);
    let refused = c.attempts().last().is_some_and(|a| a.result.outcome == Outcome::PermanentFailure);
    let of_last_delivery = numbers.iter().filter(|n| **n > c.attempts_before_redelivery()).count();
    let all = c.policy().max_attempts as usize;
    let sent_once: BTreeSet<u32> = sent.iter().map(|s| s.attempt).collect();
    let wrong = [
        ("I1 Completed although no endpoint took it", c.status() == Status::Completed && !sent.iter().any(answered)),
        ("I1 Failed with attempts left", c.status() == Status::Failed && of_last_delivery != all && !refused),
        (
            "I1 redelivered without an attempt",
            c.attempts_before_redelivery() > 0 && of_last_delivery == 0 && c.status() != Status::Cancelled,
        ),
        ("I1 Failed without a reason", *c.state() == State::Failed { reason: String::new() }),
        ("I3 cancelled for its client and not for us", acknowledged && c.status() != Status::Cancelled),
        ("I5 sent and not on record", sent.iter().any(|s| !numbers.contains(&s.attempt))),
        (
            "I5 a success that the endpoint did not see",
            numbers.iter().any(|n| succeeded(*n) && !sent.iter().any(|s| s.attempt == *n && s.taken)),
        ),
        ("I12 more attempts than were asked for", of_last_delivery > all),
        ("I12 attempts are not counted from one", numbers.iter().copied().ne(1..=numbers.last().copied().unwrap_or(0))),
        ("I12 an attempt was sent twice", sent_once.len() != sent.len()),
    ];
    wrong.into_iter().filter(|(_, is)| *is).map(|(what, _)| what)
}

impl Sent {
    /// Why another attempt must not begin now; `None` if it may.
    fn forbids(&self, at: Timestamp, attempt: u32, paused: bool) -> Option<&'static str> {
        let pause = if paused { retry_delay(self.of_delivery, 0, None, at) } else { Duration::ZERO };
        match self.ended {
            None if at < self.began + self.timeout => Some("I7 another attempt is in flight"),
            Some(ended) if attempt == self.attempt + 1 && at < ended + pause => Some("I12 earlier than its pause"),
            _ => None,
        }
    }
}
