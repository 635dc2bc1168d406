//! One delivery.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::field::{Empty, display};
use tracing::{Instrument as _, Span};

use super::client_limiter::{ClientLimiter, ClientPermit};
use super::event_delivery::EventParts;
use super::host_limiter::HostLimiter;
use super::not_ready::NotReady;
use super::recorder::Recorder;
use super::request::trace_of;
use super::request_delivery::Parts;
use super::retry_schedule::Busy;
use super::signing::AllSignatures;
use super::{SignatureChoice, Signer, Subscribers, classify, retry_delay};
use crate::domain::{
    AttemptResult, AttemptStart, Callbacks, Claim, ClaimRefused, ClaimedAttempt, Conversation, DeliveryPolicy,
    Destination, ErrorClass, LeaseToken, Outcome, Status, Timestamp,
};
use crate::outbound::{Exchange, Sender};
use crate::store::{ConversationStore, DueKey, LiveAttempts, Revision, StoreError, Versioned, Waker};
use crate::time::{Clock, Entropy, longest_sleep, random, wait_until};

/// Delivers the conversations of due rows.
pub struct Deliverer {
    pub(super) recorder: Recorder,
    pub(super) sender: Arc<dyn Sender>,
    pub(super) signer: Arc<Signer>,
    pub(super) signatures: Arc<dyn SignatureChoice>,
    /// The clock of receivers, which check when a delivery was signed.
    pub(super) signing_clock: Arc<dyn Clock>,
    client_limiter: ClientLimiter,
    pub(super) host_limiter: HostLimiter,
    live: LiveAttempts,
}

/// The result of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// An attempt was made.
    Attempted {
        /// The status of the conversation after the attempt.
        status: Status,
        /// What the attempt came to.
        outcome: Outcome,
        /// The time from when the attempt was due to the first byte of its request.
        lateness: Duration,
    },
    /// An attempt was claimed, but it was not sent because too much of its lease had passed, or its result was not
    /// written. Its lease will run out, and the next attempt follows.
    Abandoned,
    /// Its client or its endpoint's host had no permit for it until the deadline.
    NoPermit,
    /// The conversation is final or unknown, or another worker has it.
    NothingToDo,
    /// The conversation's row cannot be read or written, for this reason. Another try would fail in the same way;
    /// the sweep tries it each minute.
    Undeliverable(String),
}

/// Everything that an attempt needs besides the conversation.
pub(super) struct Prepared {
    /// Empty if the payload is lost.
    pub(super) callbacks: Callbacks,
    /// What is sent; or the reason why it is not at hand, which ends the attempt.
    pub(super) outgoing: Result<Outgoing, ErrorClass>,
}

/// What an attempt sends.
pub(super) enum Outgoing {
    /// A request to the endpoint of the conversation.
    Request(Box<Parts>),
    /// An event to subscriptions.
    Event(EventParts),
}

/// What an attempt came to, before it is recorded.
pub(super) struct Sent {
    pub(super) result: AttemptResult,
    /// The header `Retry-After` of the response.
    pub(super) retry_after: Option<String>,
}

/// An attempt that this worker has claimed in the store.
pub(super) struct CommittedClaim {
    pub(super) claimed: ClaimedAttempt,
    pub(super) revision: Revision,
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
    /// The part of the lease margin that is kept for writing the result. A worker that has used up the rest of the
    /// margin before sending was stopped or starved, and must not send any more.
    const MARGIN_FOR_RESULT: Duration = Duration::from_secs(5);
    /// The pause after a look-up that this machine had no resources for.
    pub(super) const LOOK_UP_AGAIN: Duration = Duration::from_secs(5);
    /// How many times a claim is tried while others change the conversation first.
    const CLAIM_TRIES: u32 = 5;

    /// A deliverer over a store.
    pub fn new(
        store: ConversationStore,
        waker: Arc<dyn Waker>,
        sender: Arc<dyn Sender>,
        signer: Arc<Signer>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            signing_clock: Arc::clone(&clock),
            recorder: Recorder { store, waker, clock, entropy, subscribers: None },
            sender,
            signer,
            signatures: Arc::new(AllSignatures),
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

    /// The same with the signatures that each client has chosen. Otherwise a delivery has all of them.
    #[must_use]
    pub fn with_signatures(self, signatures: Arc<dyn SignatureChoice>) -> Self {
        Self { signatures, ..self }
    }

    /// The same, and events are sent to these subscriptions. Otherwise nobody has subscribed.
    #[must_use]
    pub fn with_subscribers(mut self, subscribers: Subscribers) -> Self {
        self.recorder.subscribers = Some(subscribers);
        self
    }

    /// The same, but deliveries are signed with the time of this clock.
    #[must_use]
    pub fn signing_by(self, signing_clock: Arc<dyn Clock>) -> Self {
        Self { signing_clock, ..self }
    }

    /// Delivers the conversation of a due row, when its time has come. It waits for permits until the deadline.
    ///
    /// # Errors
    /// [`StoreError`] if the store failed before an attempt was claimed.
    pub async fn deliver(&self, due: &DueKey, deadline: Option<Instant>) -> Result<DeliveryOutcome, StoreError> {
        self.deliver_read(due, None, deadline).await
    }

    /// The same with the conversation as it was read after the due row. If it has changed since, it is read again.
    ///
    /// # Errors
    /// As [`Deliverer::deliver`].
    pub async fn deliver_read(
        &self,
        due: &DueKey,
        read: Option<Box<Versioned<Conversation>>>,
        deadline: Option<Instant>,
    ) -> Result<DeliveryOutcome, StoreError> {
        // The level is error, so that no log filter removes the span from the lines inside it.
        let span = tracing::error_span!(
            "delivery",
            conversation.id = %due.id,
            client.id = %due.client,
            server.address = Empty,
            server.port = Empty,
            occurrence = Empty,
            attempt = Empty,
            traceparent = Empty,
            schedule.traceparent = Empty,
        );
        self.deliver_until(due, read, deadline).instrument(span).await
    }

    async fn deliver_until(
        &self,
        due: &DueKey,
        mut read: Option<Box<Versioned<Conversation>>>,
        deadline: Option<Instant>,
    ) -> Result<DeliveryOutcome, StoreError> {
        let mut permits = read.as_ref().map_or(1, |read| ClientLimiter::needed(read.value.payload_bytes()));
        loop {
            let Some(permit) = self.client_limiter.acquire(&due.client, permits, deadline).await else {
                return Ok(DeliveryOutcome::NoPermit);
            };
            let retry_in = match self.try_deliver(due, permit, read.take()).await {
                Ok(outcome) => return Ok(outcome),
                Err(NotReady::Store(
                    error @ (StoreError::Corrupt { .. } | StoreError::Undecryptable { .. } | StoreError::Refused(_)),
                )) => {
                    tracing::error!(%error, "the conversation cannot be delivered");
                    return Ok(DeliveryOutcome::Undeliverable(error.to_string()));
                }
                Err(NotReady::Store(error)) => return Err(error),
                Err(NotReady::NeedsPermits(needed, before)) => {
                    (permits, read) = (needed, Some(before));
                    continue;
                }
                Err(NotReady::Busy(Busy { retry_in })) => retry_in,
            };
            if deadline.is_some_and(|deadline| Instant::now() + retry_in > deadline) {
                return Ok(DeliveryOutcome::NoPermit);
            }
            tokio::time::sleep(retry_in).await;
        }
    }

    /// `before` is the conversation as it was read before the delivery waited for all its permits. If it has changed since, the
    /// commit on its revision fails, and it is read again.
    async fn try_deliver(
        &self,
        due: &DueKey,
        permit: ClientPermit,
        mut before: Option<Box<Versioned<Conversation>>>,
    ) -> Result<DeliveryOutcome, NotReady> {
        for _ in 0..Self::CLAIM_TRIES {
            let is_due = |read: &Versioned<Conversation>| read.value.next_wake_at() == Some(due.at);
            let (read, has_permits) = match before.take().filter(|read| is_due(read)) {
                Some(read) => (*read, true),
                None => match self.recorder.store.get(&due.client, due.id).await? {
                    Some(read) => (read, false),
                    None => return Ok(DeliveryOutcome::NothingToDo),
                },
            };
            if !is_due(&read) {
                // Whoever changed it saw to its wake-up.
                return Ok(DeliveryOutcome::NothingToDo);
            }
            self.recorder.store.tell_time(&*self.recorder.clock).await?;
            if *read.value.destination() == Destination::Inbox {
                match self.recorder.end_lapsed(read).await {
                    Err(StoreError::Conflict | StoreError::Unknown(_)) => continue,
                    result => return Ok(result?),
                }
            }
            let now = self.recorder.clock.now();
            if read.value.claimable_from(now).is_none() {
                return Ok(DeliveryOutcome::NothingToDo);
            }
            if let Some(expired) = read.value.expired(now) {
                match self.recorder.expire(read.revision, expired, read.value.occurrence()).await {
                    Err(StoreError::Conflict | StoreError::Unknown(_)) => continue,
                    result => return Ok(result?),
                }
            }
            // The permits limit the memory of payloads, so they come before the payload is read.
            let needed = ClientLimiter::needed(read.value.payload_bytes());
            if !has_permits && needed > permit.held() {
                return Err(NotReady::NeedsPermits(needed, Box::new(read)));
            }
            let prepared = match read.value.destination().target() {
                Some(target) => self.prepare_request(&read, target, &permit).await?,
                None => self.prepare_event(&read, &permit).await?,
            };
            // If the clock was set forward, the lease of our own attempt looks as if it were over.
            let Some(_live) = self.live.begin(due.id) else { return Ok(DeliveryOutcome::NothingToDo) };
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

    /// Waits until the conversation can be claimed. That time changes if the clock is set back meanwhile and was ahead
    /// when it wrote the lease or the pause.
    pub(super) async fn wait_until_claimable(&self, conversation: &Conversation) {
        loop {
            let now = self.recorder.clock.now();
            match conversation.claimable_from(now) {
                Some(from) if from > now => tokio::time::sleep(longest_sleep(now.until(from))).await,
                _ => return,
            }
        }
    }

    /// Claims the next attempt in the store, or finds that there is none to claim now.
    async fn claim(&self, read: Versioned<Conversation>) -> Result<Claimed, StoreError> {
        let (token, since) = (LeaseToken::new(random(&*self.recorder.entropy)), Instant::now());
        let (now, since_machine) = (self.recorder.clock.now(), self.recorder.clock.machine());
        let pause = retry_delay(read.value.attempts_used(), self.recorder.jitter(), None, now);
        let occurrence = read.value.occurrence();
        match read.value.claim(token, now, pause) {
            Ok(Claim::Attempt(claimed)) => {
                let revision = self.recorder.store.replace(read.revision, claimed.conversation()).await?;
                Ok(Claimed::Attempt(Box::new(CommittedClaim { claimed, revision, since, since_machine })))
            }
            Ok(Claim::Expired(next)) => {
                self.recorder.expire(read.revision, next, occurrence).await.map(Claimed::Nothing)
            }
            Ok(Claim::Lost(next)) => {
                let next = self.recorder.commit_unsent(read.revision, next, occurrence).await?;
                tracing::warn!(conversation.status = next.status().as_str(), "an attempt was lost with its worker");
                Ok(Claimed::Nothing(DeliveryOutcome::NothingToDo))
            }
            Err(ClaimRefused::Leased { .. } | ClaimRefused::Paused | ClaimRefused::Final(_)) => {
                Ok(Claimed::Nothing(DeliveryOutcome::NothingToDo))
            }
            // The clock was set back since the read.
            Err(ClaimRefused::NotDue { .. }) => Err(StoreError::Conflict),
        }
    }

    /// Sends a claimed attempt and writes its result.
    async fn send(&self, claim: CommittedClaim, prepared: Prepared) -> DeliveryOutcome {
        let (conversation, attempt) = (claim.claimed.conversation(), claim.claimed.attempt());
        log_attempt(conversation, attempt);
        wait_until(&*self.recorder.clock, attempt.started).await;
        if !self.lease_suffices(&claim) {
            tracing::warn!("attempt abandoned: the claim took too long");
            return DeliveryOutcome::Abandoned;
        }
        let sent_at = self.recorder.clock.now();
        let Prepared { callbacks, outgoing } = prepared;
        let sent = match outgoing {
            Ok(Outgoing::Request(parts)) => self.send_request(&claim, *parts, sent_at).await,
            Ok(Outgoing::Event(event)) => self.send_event(conversation, event).await,
            Err(class) => Sent { result: classify(Exchange::not_sent(class)), retry_after: None },
        };
        // Other deliveries that can be sent now go first: their time has come, and the record of this result can wait.
        tokio::task::yield_now().await;
        self.complete(claim, sent_at, sent, &callbacks).await
    }

    /// Whether the lease of a claim lasts for the whole delivery timeout and the record of the result.
    fn lease_suffices(&self, claim: &CommittedClaim) -> bool {
        let conversation = claim.claimed.conversation();
        let needed = conversation.policy().timeout() + Self::MARGIN_FOR_RESULT;
        let holds = conversation.next_wake_at().is_some_and(|end| self.recorder.clock.latest() + needed <= end);
        // Every timer stands still while a virtual machine is paused, and only its calendar shows the pause afterwards.
        let passed = claim.since.elapsed().max(claim.since_machine.until(self.recorder.clock.machine()));
        holds && passed <= DeliveryPolicy::LEASE_MARGIN.saturating_sub(Self::MARGIN_FOR_RESULT)
    }
}

/// Adds the attempt to the log lines of the delivery.
fn log_attempt(conversation: &Conversation, attempt: AttemptStart) {
    Span::current()
        .record("attempt", attempt.number)
        .record("occurrence", conversation.occurrence())
        .record("traceparent", display(trace_of(conversation, attempt)))
        .record("schedule.traceparent", conversation.trace().map(display));
}
