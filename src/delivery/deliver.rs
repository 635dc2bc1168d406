//! One delivery.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::client_limiter::{ClientLimiter, ClientPermit};
use super::host_limiter::{HostLimiter, HostPermit};
use super::request::attempt_request;
use super::retry_schedule::Busy;
use super::{SigningSecrets, classify, retry_delay};
use crate::domain::{
    Claim, ClaimRefused, ClaimedAttempt, Conversation, DeliveryPolicy, Destination, ErrorClass, LeaseToken, Payload,
    Status, Timestamp,
};
use crate::outbound::{Exchange, Route, RouteError, Sender};
use crate::store::{ConversationStore, LiveAttempts, Revision, StoreError, Versioned, WakeUp, WakeUpQueue};
use crate::time::{Clock, Entropy, random, wait_until};

/// Delivers the conversations that wake-ups name.
pub struct Deliverer {
    store: ConversationStore,
    wake_ups: Arc<dyn WakeUpQueue>,
    sender: Arc<dyn Sender>,
    secrets: SigningSecrets,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    client_limiter: ClientLimiter,
    host_limiter: HostLimiter,
    live: LiveAttempts,
}

/// The result of a wake-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// An attempt was made.
    Attempted {
        /// The status of the conversation after the attempt.
        status: Status,
        /// The time from when the attempt was due to the first byte of its request.
        lateness: Duration,
    },
    /// An attempt was claimed, but it was not sent because too much of its lease had passed, or its result was not
    /// written. Its lease will run out, and the next attempt follows.
    Abandoned,
    /// Another wake-up was enqueued: the conversation is due too far ahead to wait for it in memory, its client or its
    /// endpoint's host has no permit for it, or an attempt was lost and the pause before the next one has begun.
    Postponed,
    /// The conversation is final or unknown, or another worker has it.
    NothingToDo,
    /// The conversation's row cannot be read or written, for this reason. Another try would fail in the same way;
    /// the sweep enqueues wake-ups for it, less and less often.
    Undeliverable(String),
}

/// Everything that a request needs besides the conversation.
struct Prepared {
    payload: Payload,
    route: Route,
    host_permit: HostPermit,
}

/// What a request needs; or the reason why it is not at hand, which ends the attempt.
type Preparation = Result<Prepared, ErrorClass>;

/// What kept a delivery from its claim.
enum NotReady {
    /// Something that is short now. Another wake-up follows.
    Busy(Busy),
    /// The store.
    Store(StoreError),
}

impl From<Busy> for NotReady {
    fn from(busy: Busy) -> Self {
        Self::Busy(busy)
    }
}

impl From<StoreError> for NotReady {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// An attempt that this worker has claimed in the store.
struct CommittedClaim {
    claimed: ClaimedAttempt,
    revision: Revision,
    /// Taken before the lease was computed, so that the lease never looks longer than it is.
    since: Instant,
    /// The same time by the calendar of the machine.
    since_machine: Timestamp,
}

/// What a claim came to.
enum Claimed {
    Attempt(Box<CommittedClaim>),
    /// There is no attempt to send now.
    Nothing(DeliveryOutcome),
}

impl Deliverer {
    /// The most deliveries that are under way at one time. A client alone gets a half of them, so that a thousand of its
    /// endpoints may hang and its other endpoints are still reached.
    pub const MAX_IN_FLIGHT: usize = 2048;
    /// The same under the Functions host, which starts more instances when there are more messages.
    pub const MAX_IN_FLIGHT_UNDER_HOST: usize = 256;
    /// The longest time that an early wake-up is held in memory until its conversation is due. A storage queue shows a
    /// wake-up one to two seconds early, and the time of the storage is known to one or two seconds.
    const MAX_EARLY_WAIT: Duration = Duration::from_secs(5);
    /// The part of the lease margin that is kept for writing the result. A worker that has used up the rest of the
    /// margin before sending was stopped or starved, and must not send any more.
    const MARGIN_FOR_RESULT: Duration = Duration::from_secs(5);
    /// The pause after a look-up that this machine had no resources for.
    const LOOK_UP_AGAIN: Duration = Duration::from_secs(5);
    /// How many times a claim is tried while others change the conversation first.
    const CLAIM_TRIES: u32 = 5;
    /// How many times a result is written before it is left to the lease.
    const RESULT_TRIES: u32 = 4;

    /// A deliverer over a store.
    pub fn new(
        store: ConversationStore,
        wake_ups: Arc<dyn WakeUpQueue>,
        sender: Arc<dyn Sender>,
        secrets: SigningSecrets,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            store,
            wake_ups,
            sender,
            secrets,
            clock,
            entropy,
            client_limiter: ClientLimiter::new(Self::MAX_IN_FLIGHT),
            host_limiter: HostLimiter::default(),
            live: LiveAttempts::default(),
        }
    }

    /// The attempts that this deliverer has under way.
    #[must_use]
    pub const fn live_attempts(&self) -> &LiveAttempts {
        &self.live
    }

    /// The same with another limit on the deliveries that are under way at one time.
    #[must_use]
    pub fn with_max_in_flight(self, deliveries: usize) -> Self {
        Self { client_limiter: ClientLimiter::new(deliveries), ..self }
    }

    /// Delivers the conversation that a wake-up names, if it is due. After `Ok` the wake-up's message can be deleted.
    ///
    /// # Errors
    /// [`StoreError`] if the store failed before an attempt was claimed. The same wake-up has to come again later.
    pub async fn deliver(&self, wake_up: &WakeUp) -> Result<DeliveryOutcome, StoreError> {
        match self.try_deliver(wake_up).await {
            Ok(outcome) => Ok(outcome),
            Err(NotReady::Busy(Busy { retry_in })) => {
                self.wake_ups.enqueue(wake_up, retry_in).await?;
                Ok(DeliveryOutcome::Postponed)
            }
            Err(NotReady::Store(error @ (StoreError::Corrupt { .. } | StoreError::Refused(_)))) => {
                tracing::error!(
                    conversation.id = %wake_up.id, client.id = %wake_up.client, %error,
                    "the conversation cannot be delivered"
                );
                Ok(DeliveryOutcome::Undeliverable(error.to_string()))
            }
            Err(NotReady::Store(error)) => Err(error),
        }
    }

    async fn try_deliver(&self, wake_up: &WakeUp) -> Result<DeliveryOutcome, NotReady> {
        let mut client_permit = self.client_limiter.take(&wake_up.client)?;
        for _ in 0..Self::CLAIM_TRIES {
            let Some(read) = self.store.get(&wake_up.client, wake_up.id).await? else {
                return Ok(DeliveryOutcome::NothingToDo);
            };
            if wake_up.generation > read.value.generation() {
                // No commit made this generation: the wake-up is forged or damaged. The row has wake-ups of its own.
                tracing::warn!(
                    conversation.id = %wake_up.id, client.id = %wake_up.client,
                    wake_up.generation, generation = read.value.generation(),
                    "dropped a wake-up whose generation is ahead of its conversation"
                );
                return Ok(DeliveryOutcome::NothingToDo);
            }
            self.store.tell_time(&*self.clock).await?;
            let now = self.clock.now();
            let Some(claimable_from) = read.value.claimable_from(now) else { return Ok(DeliveryOutcome::NothingToDo) };
            if now.until(claimable_from) > Self::MAX_EARLY_WAIT {
                return Ok(self.postpone(wake_up, &read.value).await?);
            }
            let prepared = self.prepare(&read, claimable_from, &mut client_permit).await?;
            // If the clock was set forward, the lease of our own attempt looks as if it were over.
            let Some(_live) = self.live.begin(wake_up.id) else { return Ok(DeliveryOutcome::NothingToDo) };
            match self.claim(read).await {
                Ok(Claimed::Attempt(claim)) => return Ok(self.send(*claim, prepared).await),
                Ok(Claimed::Nothing(outcome)) => return Ok(outcome),
                // Another worker was first, or the result is not known: the row decides what is left to do.
                Err(StoreError::Conflict | StoreError::Unknown(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict.into())
    }

    /// Waits until the conversation can be claimed, with everything that its request needs at hand.
    async fn prepare(
        &self,
        read: &Versioned<Conversation>,
        claimable_from: Timestamp,
        client_permit: &mut ClientPermit,
    ) -> Result<Preparation, NotReady> {
        let conversation = &read.value;
        // The permits limit the memory of payloads, so they come before the payload is read.
        client_permit.cover(conversation.payload_bytes())?;
        let Destination::Endpoint(target) = conversation.destination();
        let look_up = async {
            let _permit = client_permit.look_up().await;
            self.sender.route(target.endpoint.as_str()).await
        };
        let (payload, route) = tokio::join!(self.payload(read), look_up);
        let payload = payload?;
        wait_until(&*self.clock, claimable_from).await;
        match (payload, route) {
            (Err(class), _) | (_, Err(RouteError::Failed(class))) => Ok(Err(class)),
            (_, Err(RouteError::NotTried)) => Err(Busy { retry_in: Self::LOOK_UP_AGAIN }.into()),
            (Ok(payload), Ok(route)) => {
                let host_permit = self.host_limiter.take(conversation.client(), route.host()).await?;
                Ok(Ok(Prepared { payload, route, host_permit }))
            }
        }
    }

    /// Reads the payload. A payload that is lost ends the attempt, so that the conversation becomes Failed and its client
    /// learns the reason: no later try would find it.
    async fn payload(&self, read: &Versioned<Conversation>) -> Result<Result<Payload, ErrorClass>, StoreError> {
        match self.store.payload(read).await {
            Err(error @ StoreError::Corrupt { .. }) => {
                let (id, client) = (read.value.id(), read.value.client());
                tracing::error!(conversation.id = %id, client.id = %client, %error, "the payload is lost");
                Ok(Err(ErrorClass::PayloadLost))
            }
            result => result.map(Ok),
        }
    }

    /// Enqueues a wake-up for the rest of the wait, unless the time of the next attempt has been changed since:
    /// that change has enqueued its own.
    async fn postpone(&self, wake_up: &WakeUp, read: &Conversation) -> Result<DeliveryOutcome, StoreError> {
        let changed = read.in_flight().is_some() || wake_up.generation != read.generation();
        let early = read.next_wake_at().map_or(Duration::ZERO, |at| self.clock.latest().until(at));
        if changed || early > self.wake_ups.horizon() {
            return Ok(DeliveryOutcome::NothingToDo);
        }
        self.wake_ups.enqueue(wake_up, early).await?;
        Ok(DeliveryOutcome::Postponed)
    }

    /// Claims the next attempt in the store, or finds that there is none to claim now.
    async fn claim(&self, read: Versioned<Conversation>) -> Result<Claimed, StoreError> {
        let (token, since) = (LeaseToken::new(random(&*self.entropy)), Instant::now());
        let (now, since_machine) = (self.clock.now(), self.clock.machine());
        let pause = retry_delay(read.value.attempts_used(), self.jitter(), None, now);
        match read.value.claim(token, now, pause) {
            Ok(Claim::Attempt(claimed)) => {
                let revision = self.store.replace(read.revision, claimed.conversation(), None).await?;
                Ok(Claimed::Attempt(Box::new(CommittedClaim { claimed, revision, since, since_machine })))
            }
            Ok(Claim::Lost(next)) => {
                let enqueued_at = self.enqueued_at(&next, now);
                self.store.replace(read.revision, &next, enqueued_at).await?;
                tracing::warn!(
                    conversation.id = %next.id(), client.id = %next.client(), status = next.status().as_str(),
                    "an attempt was lost with its worker"
                );
                self.enqueue_next(&next, enqueued_at).await;
                let waits = next.next_wake_at().is_some();
                Ok(Claimed::Nothing(if waits { DeliveryOutcome::Postponed } else { DeliveryOutcome::NothingToDo }))
            }
            Err(ClaimRefused::Leased { .. } | ClaimRefused::Final(_)) => {
                Ok(Claimed::Nothing(DeliveryOutcome::NothingToDo))
            }
            // The clock was set back since the read.
            Err(ClaimRefused::NotDue { .. }) => Err(StoreError::Conflict),
        }
    }

    fn jitter(&self) -> u32 {
        u32::from_be_bytes(random(&*self.entropy))
    }

    /// Sends a claimed attempt and writes its result.
    async fn send(&self, claim: CommittedClaim, prepared: Preparation) -> DeliveryOutcome {
        let (conversation, attempt) = (claim.claimed.conversation(), claim.claimed.attempt());
        wait_until(&*self.clock, attempt.started).await;
        if !self.lease_suffices(&claim) {
            tracing::warn!(
                conversation.id = %conversation.id(), attempt = attempt.number,
                "attempt abandoned: the claim took too long"
            );
            return DeliveryOutcome::Abandoned;
        }
        let sent_at = self.clock.now();
        let exchange = match prepared {
            Ok(Prepared { payload, route, host_permit }) => {
                let request = attempt_request(conversation, &payload, attempt, sent_at, &self.secrets);
                // The request has a copy of the text, and the exchange may take a minute.
                drop(payload);
                host_permit.run(self.sender.send(request, route)).await
            }
            Err(class) => Exchange { duration_ms: 0, result: Err(class) },
        };
        self.complete(claim, sent_at, exchange).await
    }

    /// Whether the lease of a claim lasts for the whole delivery timeout and the record of the result.
    fn lease_suffices(&self, claim: &CommittedClaim) -> bool {
        let conversation = claim.claimed.conversation();
        let needed = conversation.policy().timeout() + Self::MARGIN_FOR_RESULT;
        let holds = conversation.next_wake_at().is_some_and(|end| self.clock.latest() + needed <= end);
        // Every timer stands still while a virtual machine is paused, and only its calendar shows the pause afterwards.
        let passed = claim.since.elapsed().max(claim.since_machine.until(self.clock.machine()));
        holds && passed <= DeliveryPolicy::LEASE_MARGIN.saturating_sub(Self::MARGIN_FOR_RESULT)
    }

    async fn complete(&self, claim: CommittedClaim, sent_at: Timestamp, exchange: Exchange) -> DeliveryOutcome {
        let CommittedClaim { claimed, revision, .. } = claim;
        let (attempt, lateness) = (claimed.attempt(), claimed.due_at().until(sent_at));
        let now = self.clock.now();
        let pause = retry_delay(claimed.conversation().attempts_used(), self.jitter(), exchange.retry_after(), now);
        let pause = pause + now.until(self.clock.latest());
        let result = classify(exchange);
        tracing::debug!(
            conversation.id = %claimed.conversation().id(), client.id = %claimed.conversation().client(),
            attempt = attempt.number, outcome = ?result.outcome, status = result.http_status, error = ?result.error,
            duration_ms = result.duration_ms, lateness_ms = lateness.as_millis(), "attempt finished"
        );
        let next = claimed.complete(sent_at, result, pause, now);
        let status = next.status();
        let enqueued_at = self.enqueued_at(&next, now);
        if let Err(error) = self.write_result(&revision, &next, enqueued_at).await {
            tracing::warn!(
                conversation.id = %next.id(), attempt = attempt.number, %error,
                "result not written; the attempt's lease will run out"
            );
            return DeliveryOutcome::Abandoned;
        }
        if status == Status::Failed {
            tracing::warn!(
                conversation.id = %next.id(), client.id = %next.client(), attempts = attempt.number, "conversation failed"
            );
        }
        self.enqueue_next(&next, enqueued_at).await;
        DeliveryOutcome::Attempted { status, lateness }
    }

    /// The time at which a wake-up for the next attempt is enqueued. None if there is no next attempt, or if it is so far
    /// ahead that the sweep enqueues the wake-up.
    fn enqueued_at(&self, next: &Conversation, now: Timestamp) -> Option<Timestamp> {
        next.next_wake_at().filter(|at| now.until(*at) <= self.wake_ups.horizon()).map(|_| now)
    }

    async fn enqueue_next(&self, next: &Conversation, enqueued_at: Option<Timestamp>) {
        let (Some(now), Some(at)) = (enqueued_at, next.next_wake_at()) else { return };
        if let Err(error) = self.wake_ups.enqueue(&WakeUp::of(next), now.max(self.clock.latest()).until(at)).await {
            tracing::warn!(conversation.id = %next.id(), %error, "wake-up not enqueued; the sweep will enqueue it");
        }
    }

    /// Tries several times, because the endpoint gets a duplicate if the result is not written.
    async fn write_result(
        &self,
        read: &Revision,
        next: &Conversation,
        enqueued_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let mut pause = Duration::from_millis(100);
        for _ in 1..Self::RESULT_TRIES {
            match self.store.replace(read.clone(), next, enqueued_at).await {
                Err(StoreError::Unavailable(_) | StoreError::Unknown(_)) => tokio::time::sleep(pause).await,
                result => return result.map(drop),
            }
            pause *= 4;
        }
        self.store.replace(read.clone(), next, enqueued_at).await.map(drop)
    }
}
