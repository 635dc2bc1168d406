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
//! - C, L, W: see [`Punctuality`]; G: see [`OwnConflicts`](super::own_conflicts::OwnConflicts)
//! - D: if nothing fails, nothing is delivered twice
//! - I14: a conversation has one index row, at its place in the lists of its client
//! - I15: see [`callbacks`]
//! - R: see [`receives`]
//! - S: see [`occurrences`](super::occurrences)
//! - I13: every request has the text that was scheduled; a large payload has one row, which never changes

mod exchanges;
mod receives;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use mcp_scheduler::domain::{Conversation, ConversationId, Outcome, Timestamp};
use mcp_scheduler::store::{Etag, Operation, Row, WakeUp};
use mcp_scheduler::testing::conversation_in;

use crate::support::simulation::callbacks;
use crate::support::simulation::extra_row::{self, ExtraRows};
use crate::support::simulation::fault_plan::Profile;
use crate::support::simulation::index_rows::{self, IndexRows};
use crate::support::simulation::occurrences::{self, Delivery};
use crate::support::simulation::punctuality::Punctuality;
use crate::support::simulation::tally::Tally;
use crate::support::simulation::verdict::{Sent, are_counted, is_legal, verdict};

/// The history of a run and the violations in it.
pub struct InvariantChecker {
    profile: Profile,
    /// How far the clock that decides may be from the right time.
    clock_error: Duration,
    /// The lowest and the highest time that the deciding clock has shown.
    clock_range: (Timestamp, Timestamp),
    pub punctuality: Punctuality,
    now: BTreeMap<ConversationId, Conversation>,
    due_rows: BTreeMap<String, ConversationId>,
    pub extra_rows: ExtraRows,
    index_rows: IndexRows,
    payload_rows: BTreeSet<ConversationId>,
    accepted: Vec<ConversationId>,
    /// The texts of the accepted conversations.
    texts: BTreeMap<ConversationId, String>,
    rejected: Vec<String>,
    cancelled: BTreeMap<ConversationId, Timestamp>,
    /// The attempts that were under way when their series was cancelled.
    last_attempts: BTreeMap<ConversationId, (Delivery, u32)>,
    sent: BTreeMap<Delivery, Vec<Sent>>,
    receives: receives::Receives,
    /// The delivery of each `webhook-id`.
    webhook_ids: BTreeMap<String, Delivery>,
    pub history: Vec<String>,
    pub violations: Vec<String>,
    pub tally: Tally,
}

pub struct Sending {
    delivery: Delivery,
    index: usize,
}

impl InvariantChecker {
    pub fn new(profile: Profile, clock_error: Duration) -> Self {
        Self {
            profile,
            clock_error,
            clock_range: (Timestamp::MAX, Timestamp::MIN),
            punctuality: Punctuality::new(profile),
            now: BTreeMap::new(),
            due_rows: BTreeMap::new(),
            extra_rows: ExtraRows::default(),
            index_rows: IndexRows::default(),
            payload_rows: BTreeSet::new(),
            accepted: Vec::new(),
            texts: BTreeMap::new(),
            rejected: Vec::new(),
            cancelled: BTreeMap::new(),
            last_attempts: BTreeMap::new(),
            sent: BTreeMap::new(),
            receives: receives::Receives::default(),
            webhook_ids: BTreeMap::new(),
            history: Vec::new(),
            violations: Vec::new(),
            tally: Tally::default(),
        }
    }

    fn note(&mut self, at: Timestamp, what: &str) {
        self.history.push(format!("{at} {what}"));
    }

    pub fn violated(&mut self, at: Timestamp, what: &str) {
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

    /// The exchanges of this process end with it.
    pub fn saw_death(&mut self, at: Timestamp, process: u64) {
        self.tally.deaths += 1;
        self.note(at, "a process dies");
        for sent in self.sent.values_mut().flatten().filter(|sent| sent.process == process) {
            if self.profile == Profile::OneProcess {
                sent.ended.get_or_insert(at);
            }
        }
    }

    pub fn saw_enqueued_by_sweep(&mut self, at: Timestamp, sweep: u64, wake_up: &WakeUp) {
        if let Some(what) = self.punctuality.sweep_enqueues(sweep, wake_up) {
            self.violated(at, &what);
        }
    }

    /// When a worker or a receiver is needed next; `None` when all conversations are final.
    pub fn next_wake_up(&self) -> Option<Timestamp> {
        let times = |c: &Conversation| [c.next_wake_at(), c.receivable_at()];
        self.now.values().flat_map(times).flatten().min()
    }

    pub fn saw_commit(&mut self, at: Timestamp, deciding: Timestamp, operations: &[Operation]) {
        self.tally.commits += 1;
        let conversations = operations.iter().filter(|operation| operation.key().starts_with("m~")).count();
        self.tally.shared_commits += u64::from(conversations > 1);
        let (lowest, highest) = self.clock_range;
        self.clock_range = (deciding.min(lowest), deciding.max(highest));
        let (mut touched, mut ends) = (Vec::new(), callbacks::Commit::default());
        for operation in operations {
            let key = operation.key();
            let value = match operation {
                Operation::Insert { value, .. } | Operation::Replace { value, .. } => Some(value),
                Operation::Delete { .. } => None,
            };
            if key.starts_with("d~") {
                let id: ConversationId = key.rsplit('~').next().unwrap().parse().unwrap();
                touched.push(id);
                if let Some(value) = value {
                    self.due_rows.insert(key.to_owned(), id);
                    self.punctuality.row_appears(at, key, value);
                } else {
                    self.due_rows.remove(key);
                    if let Some(what) = self.punctuality.row_goes(at, key) {
                        self.violated(at, &what);
                    }
                }
            } else if key.starts_with("p~") {
                self.saw_payload_row(at, operation, operations);
            } else if index_rows::is_one(key) {
                touched.push(self.index_rows.saw(operation));
            } else if key.starts_with(extra_row::PREFIX) {
                self.extra_rows.saw(key, value);
            } else if key == "w" {
                if let Some(what) = self.punctuality.watermark_moves(value.unwrap()) {
                    self.violated(at, &what);
                }
            } else {
                let (key, value) = (key.to_owned(), value.unwrap().clone());
                let next = conversation_in(&Row { key, value, etag: Etag::new(String::new()) }).unwrap();
                touched.push(next.id());
                ends.saw(self.now.get(&next.id()), &next);
                self.saw_state(at, next);
            }
        }
        self.tally.callbacks += ends.callbacks.len() as u64;
        if let Some(what) = ends.check() {
            self.violated(at, &what);
        }
        touched.dedup();
        for id in touched {
            self.check_due_row(at, id);
            let conversation = self.now.get(&id);
            let wrong = [self.extra_rows.check(id, conversation), self.index_rows.check(id, conversation)];
            for what in wrong.into_iter().flatten() {
                self.violated(at, &what);
            }
        }
    }

    /// Checks I13. The main row is in the same commit.
    fn saw_payload_row(&mut self, at: Timestamp, operation: &Operation, commit: &[Operation]) {
        self.tally.large_payloads += 1;
        let id: ConversationId = operation.key().rsplit('~').next().unwrap().parse().unwrap();
        let main = |o: &&Operation| o.key().starts_with("m~") && o.key().ends_with(&id.inverted());
        let main = commit.iter().find(main).map_or("", Operation::key);
        let is_new = |key: &str| commit.iter().any(|o| matches!(o, Operation::Insert { .. }) && o.key() == key);
        if !self.payload_rows.insert(id) || !is_new(operation.key()) || !is_new(main) {
            self.violated(at, &format!("I13 the payload row of {id} changes"));
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
        // Its own attempts protect a process whose clock is set. Here it is enough that some clock showed the time.
        let (lowest, highest) = self.clock_range;
        let highest = highest + self.clock_error;
        let is_over = |before: &Conversation, until: Timestamp| {
            until <= highest || (self.profile == Profile::OneProcess && before.is_ahead_of(lowest))
        };
        let legal =
            is_legal(before.as_ref(), next, self.profile, is_over, highest) && are_counted(before.as_ref(), next);
        let mut wrong: Vec<_> = occurrences::check(before.as_ref(), next).into_iter().collect();
        let was_lost = next.attempts().last().is_some_and(|attempt| attempt.result.outcome == Outcome::Unknown);
        if before.as_ref().and_then(Conversation::in_flight).is_some() && was_lost {
            self.tally.lease_takeovers += 1;
        }
        if !legal {
            let from = before.as_ref().map(Conversation::state);
            wrong.push(format!("I6 {id} went from {from:?} to {:?}", next.state()));
        }
        if let Some(before) = before {
            wrong.extend(self.saw_series(&before));
        }
        for what in wrong {
            self.violated(at, &what);
        }
    }

    /// A conversation that may recur has changed.
    fn saw_series(&mut self, before: &Conversation) -> Option<String> {
        let next = &self.now[&before.id()];
        if let (true, Some(attempt)) = (next.is_ending(), next.in_flight()) {
            self.last_attempts.entry(next.id()).or_insert((occurrences::current(next), attempt.number));
        }
        self.tally.steered += u64::from(occurrences::is_steered(before, next));
        self.tally.coalesced +=
            u64::from(next.series().map(|series| series.missed) > before.series().map(|it| it.missed));
        let over = occurrences::ended(before, next)?;
        self.tally.occurrences += 1;
        let sent = self.sent.get(&occurrences::current(before)).map_or(&[][..], Vec::as_slice);
        occurrences::verdict(before, over, sent).map(|what| format!("{what}: {} {over:?}", next.id()))
    }

    /// Checks what must hold when nothing is left to do. `rows` is the content of the table.
    pub fn check_at_rest(&mut self, at: Timestamp, rows: &BTreeMap<String, String>) {
        let mut wrong = Vec::new();
        let gone = self.accepted.iter().filter(|id| !self.now.contains_key(id));
        wrong.extend(gone.map(|id| format!("I1 {id} was accepted and is gone")));
        let stuck = self.now.values().filter(|c| c.next_wake_at().is_some());
        wrong.extend(stuck.map(|c| format!("I1 {} is stuck in {:?}", c.id(), c.state())));
        wrong.extend(self.check_receives());
        if self.profile == Profile::Nothing && self.tally.duplicates > 0 {
            wrong.push("D something was delivered twice".to_owned());
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
            let sent = self.sent.get(&occurrences::current(c)).map_or(&[][..], Vec::as_slice);
            wrong.extend(
                verdict(c, sent, self.cancelled.contains_key(&c.id()))
                    .map(|w| format!("{w}: {} {:?}", c.id(), c.state())),
            );
        }
        let left: Vec<_> = rows.keys().filter(|key| key.starts_with("d~")).collect();
        if !left.is_empty() {
            wrong.push(format!("I9 due rows are left: {left:?}"));
        }
        wrong.extend(self.index_rows.check_at_rest(rows.keys()));
        // A paused series is left, with its rows.
        let live = self.now.values().filter(|c| self.extra_rows.are_written && !c.status().is_final()).count();
        if rows.keys().filter(|key| key.starts_with(extra_row::PREFIX)).count() != live {
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
