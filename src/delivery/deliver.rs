//! One delivery.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::turns::{ComeBack, Turn, Turns};
use super::{DeliveryRequest, Exchange, Sender, SigningSecrets, judge, retry_delay};
use crate::clock::{Clock, Entropy, random};
use crate::domain::{Claim, ClaimRefused, Conversation, Hint, InFlight, LeaseToken, Policy, Status, Timestamp};
use crate::store::{ConversationStore, HintQueue, Revision, StoreError, Versioned};

/// Delivers what hints point at.
pub struct Deliverer {
    store: ConversationStore,
    hints: Arc<dyn HintQueue>,
    sender: Arc<dyn Sender>,
    secrets: SigningSecrets,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    turns: Turns,
    in_flight: Semaphore,
}

/// What became of a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// An attempt was made.
    Attempted {
        /// The status it led to.
        status: Status,
        /// How long after its time it began.
        late: Duration,
    },
    /// An attempt was claimed but not sent, because too much of its lease had passed. Its lease will
    /// run out, and the next attempt follows.
    Abandoned,
    /// The time is further off than is worth waiting for, or the endpoint's host has too much to do; another
    /// hint was put.
    Postponed,
    /// Nothing to do: final, unknown, or somebody else is at it.
    Dropped,
}

impl Deliverer {
    /// How many exchanges are under way at the most.
    pub const MAX_IN_FLIGHT: usize = 256;
    /// How early a hint may be and still be held in memory until its time.
    const HOLD: Duration = Duration::from_secs(2);
    /// How much of the lease margin is kept for writing the result down: a worker that has used up
    /// the rest of it before sending was stopped or starved, and must not send any more.
    const MARGIN_FOR_RESULT: Duration = Duration::from_secs(5);
    /// How often a claim is tried while others change the conversation first.
    const CLAIM_TRIES: u32 = 5;
    /// How often a result is written before it is left to the lease.
    const RESULT_TRIES: u32 = 4;

    /// A deliverer over a store.
    pub fn new(
        store: ConversationStore,
        hints: Arc<dyn HintQueue>,
        sender: Arc<dyn Sender>,
        secrets: SigningSecrets,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            store,
            hints,
            sender,
            secrets,
            clock,
            entropy,
            turns: Turns::default(),
            in_flight: Semaphore::new(Self::MAX_IN_FLIGHT),
        }
    }

    /// Acts on a hint. `Ok` means that the hint may be forgotten.
    ///
    /// # Errors
    /// [`StoreError`] if the store failed before an attempt was claimed: the same hint again, later,
    /// is the way on.
    pub async fn deliver(&self, hint: &Hint) -> Result<Delivered, StoreError> {
        for _ in 0..Self::CLAIM_TRIES {
            let Some(read) = self.store.get(&hint.client, hint.id).await? else { return Ok(Delivered::Dropped) };
            if hint.generation > read.value.generation {
                // No commit made such a generation: the row stands for itself, with hints of its own.
                tracing::warn!(
                    conversation.id = %hint.id, client.id = %hint.client,
                    hint.generation, generation = read.value.generation, "hint ahead of its conversation dropped"
                );
                return Ok(Delivered::Dropped);
            }
            let Some(from) = read.value.claimable_from() else { return Ok(Delivered::Dropped) };
            let early = self.clock.now().until(from);
            if early > Self::HOLD {
                return self.postpone(hint, &read.value).await;
            }
            self.hold_until(from).await;
            let turn = match self.turns.take(&read.value.target.endpoint.host()).await {
                Ok(turn) => turn,
                Err(ComeBack(pause)) => {
                    self.hints.put(hint, pause).await?;
                    return Ok(Delivered::Postponed);
                }
            };
            let permit = self.permit().await;
            match self.claim(read).await {
                Ok(Some(claimed)) => return Ok(self.send(claimed, turn, permit).await),
                Ok(None) => return Ok(Delivered::Dropped),
                // Somebody else was first, or nobody knows: what stands now decides what is left to do.
                Err(StoreError::Conflict | StoreError::Unknown(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    /// The hint came long before the time. A new one is put for the rest of the wait, unless the due
    /// row has been moved since: whoever moved it sees to its wake-up.
    async fn postpone(&self, hint: &Hint, read: &Conversation) -> Result<Delivered, StoreError> {
        let moved = read.in_flight().is_some() || hint.generation != read.generation;
        let early = read.wake_up().map_or(Duration::ZERO, |at| self.clock.now().until(at));
        if moved || early > self.hints.horizon() {
            return Ok(Delivered::Dropped);
        }
        self.hints.put(hint, early).await?;
        Ok(Delivered::Postponed)
    }

    /// Sleeps until the calendar, not only the timer, says that the time has come.
    async fn hold_until(&self, time: Timestamp) {
        loop {
            let rest = self.clock.now().until(time);
            if rest.is_zero() {
                return;
            }
            tokio::time::sleep(rest).await;
        }
    }

    async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed, so there always is one in the end.
        self.in_flight.acquire().await.ok()
    }

    /// Takes the next attempt, or finds that there is none to take.
    async fn claim(&self, read: Versioned<Conversation>) -> Result<Option<Claimed>, StoreError> {
        let (token, since) = (LeaseToken::new(random(&*self.entropy)), Instant::now());
        let due = read.value.claimable_from();
        match read.value.claim(token, self.clock.now()) {
            Ok(Claim::Attempt(next)) => {
                let versioned = self.store.replace(read.revision, next, None).await?;
                let attempt = versioned.value.in_flight();
                Ok(attempt.zip(due).map(|(attempt, due)| Claimed { versioned, attempt, due, token, since }))
            }
            Ok(Claim::Exhausted(failed)) => {
                let failed = self.store.replace(read.revision, failed, None).await?.value;
                tracing::warn!(
                    conversation.id = %failed.id, client.id = %failed.client,
                    "conversation failed: its last attempt was lost"
                );
                Ok(None)
            }
            Err(ClaimRefused::Leased { .. } | ClaimRefused::Final(_)) => Ok(None),
            // The clock has been set back since. Look again.
            Err(ClaimRefused::NotDue { .. }) => Err(StoreError::Conflict),
        }
    }

    /// Sends a claimed attempt and writes down what came of it.
    async fn send(&self, claimed: Claimed, turn: Turn, permit: Option<SemaphorePermit<'_>>) -> Delivered {
        let (conversation, attempt) = (&claimed.versioned.value, claimed.attempt);
        self.hold_until(attempt.started).await;
        if claimed.since.elapsed() > Policy::LEASE_MARGIN.saturating_sub(Self::MARGIN_FOR_RESULT) {
            tracing::warn!(conversation.id = %conversation.id, attempt = attempt.number, "attempt abandoned: claiming took too long");
            return Delivered::Abandoned;
        }
        let request = DeliveryRequest::new(conversation, attempt, self.clock.now(), &self.secrets);
        let exchange = turn.spend(self.sender.send(request)).await;
        drop(permit);
        self.complete(claimed, exchange).await
    }

    async fn complete(&self, claimed: Claimed, exchange: Exchange) -> Delivered {
        let Claimed { versioned: Versioned { value, revision }, attempt, due, token, .. } = claimed;
        let (now, jitter) = (self.clock.now(), u32::from_be_bytes(random(&*self.entropy)));
        let pause = retry_delay(value.attempts_used(), jitter, exchange.retry_after(), now);
        let report = judge(exchange);
        tracing::debug!(
            conversation.id = %value.id, client.id = %value.client, attempt = attempt.number,
            outcome = ?report.outcome, status = report.http_status, error = ?report.error, duration_ms = report.duration_ms,
            "attempt over"
        );
        let Ok(next) = value.complete(token, report, pause, now) else { return Delivered::Abandoned };
        let (id, status) = (next.id, next.status());
        let hinted = (next.wake_up().is_some() && pause <= self.hints.horizon()).then_some(now);
        if let Err(error) = self.write_result(&revision, &next, hinted).await {
            tracing::warn!(conversation.id = %id, attempt = attempt.number, %error, "result not written; the lease will run out");
            return Delivered::Abandoned;
        }
        if status == Status::Failed {
            tracing::warn!(conversation.id = %id, client.id = %next.client, attempts = attempt.number, "conversation failed");
        }
        if hinted.is_some() {
            let hint = Hint { client: next.client, id, generation: next.generation };
            if let Err(error) = self.hints.put(&hint, pause).await {
                tracing::warn!(conversation.id = %id, %error, "hint not put; the sweep will put it");
            }
        }
        Delivered::Attempted { status, late: due.until(attempt.started) }
    }

    /// Tries hard: a result that is not written costs the endpoint a duplicate.
    async fn write_result(
        &self,
        read: &Revision,
        next: &Conversation,
        hinted: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let mut pause = Duration::from_millis(100);
        for _ in 1..Self::RESULT_TRIES {
            match self.store.replace(read.clone(), next.clone(), hinted).await {
                Err(StoreError::Unavailable(_) | StoreError::Unknown(_)) => tokio::time::sleep(pause).await,
                result => return result.map(drop),
            }
            pause *= 4;
        }
        self.store.replace(read.clone(), next.clone(), hinted).await.map(drop)
    }
}

/// An attempt that is this worker's to send.
struct Claimed {
    versioned: Versioned<Conversation>,
    attempt: InFlight,
    /// When the attempt could have begun.
    due: Timestamp,
    token: LeaseToken,
    /// Taken before the lease was reckoned, so that it never looks longer than it is.
    since: Instant,
}
