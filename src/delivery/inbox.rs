//! The inbox of a client: it receives its conversations with a lease, and acknowledges them.

use std::collections::HashSet;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::recorder::Recorder;
use super::{DeliveryOutcome, Subscribers, retry_delay};
use crate::domain::{
    AttemptResult, Claim, ClaimedAttempt, ClientId, Conversation, ConversationId, LeaseToken, Outcome, Payload,
    Receipt, ReceiptRefused, Received, Timestamp, WholeConversation,
};
use crate::store::{ConversationStore, InboxChange, StoreError, Versioned, Waker};
use crate::time::{Clock, Entropy, random, wait_until};

/// Hands out the conversations of inboxes.
#[derive(Clone)]
pub struct Inbox {
    recorder: Recorder,
    /// Ends the waits. None if a call never waits.
    stop: Option<CancellationToken>,
}

/// What a receiver asks for.
#[derive(Clone, Copy, Debug)]
pub struct ReceiveQuery {
    /// The most conversations.
    pub max: usize,
    /// The time in which the receiver acknowledges them.
    pub lease: Duration,
    /// The longest time to wait for the first one.
    pub wait: Duration,
}

/// A conversation that was received.
#[derive(Clone, Debug)]
pub struct InboxDelivery {
    /// The conversation, with the attempt under way.
    pub whole: WholeConversation,
    /// What its receiver acknowledges it with.
    pub receipt: Receipt,
    /// The time until which nobody else receives it.
    pub lease_until: Timestamp,
}

/// The reason why a conversation cannot be acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// The conversation does not exist, or belongs to another client.
    #[error("this client has no conversation with this id")]
    NotFound,
    /// The attempt of the receipt has ended otherwise.
    #[error("the attempt of this receipt is over")]
    ReceiptOver,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Inbox {
    /// The most bytes of payloads that one call returns, if more than one conversation is received.
    const MAX_BYTES: usize = 1024 * 1024;
    /// The inbox rows that are read of each partition: more than one receiver gets, so that several receivers at one time
    /// find conversations for all.
    const FIRST_PAGE: usize = 16;
    /// The most inbox rows that are read of each partition.
    const LAST_PAGE: usize = 1024;
    /// How many times an acknowledgement is tried while others change the conversation first.
    const ACKNOWLEDGE_TRIES: u32 = 5;

    /// The inboxes of all clients in a store. Calls are answered at once.
    pub fn new(
        store: ConversationStore,
        waker: Arc<dyn Waker>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { recorder: Recorder { store, waker, clock, entropy, subscribers: None }, stop: None }
    }

    /// The same, and a call may wait until something can be received. The stop ends all waits.
    #[must_use]
    pub fn waiting_until(self, stop: CancellationToken) -> Self {
        Self { stop: Some(stop), ..self }
    }

    /// The same, and these subscriptions learn what has failed. Otherwise nobody has subscribed.
    #[must_use]
    pub fn with_subscribers(mut self, subscribers: Subscribers) -> Self {
        self.recorder.subscribers = Some(subscribers);
        self
    }

    /// The current time of the injected clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.recorder.clock.now()
    }

    /// Receives what is due in the inbox of a client, the earliest first. Each one is leased: nobody else receives it before
    /// the lease ends. Returns nothing if nothing is due within the wait.
    ///
    /// # Errors
    /// [`StoreError`] if the store failed before anything was received.
    pub async fn receive(&self, client: &ClientId, query: ReceiveQuery) -> Result<Vec<InboxDelivery>, StoreError> {
        let deadline = Instant::now() + query.wait;
        loop {
            // Before the look: what arrives after it ends the wait, and so does a turn of the clock.
            let (mut changes, turned) = (self.recorder.store.inbox_changes(), self.recorder.clock.turned());
            let until = self.now() + deadline.saturating_duration_since(Instant::now());
            let (received, next) = self.receive_due(client, query).await?;
            let Some(stop) = self.stop.as_ref().filter(|_| received.is_empty() && !query.wait.is_zero()) else {
                return Ok(received);
            };
            tokio::select! {
                biased; // a simulated run must be the same every time
                () = stop.cancelled() => return Ok(received),
                () = sleep_until(deadline) => return Ok(received),
                () = arrival(&mut changes, client, until) => {}
                () = turned => {}
                () = self.wait_for(next) => {}
            }
        }
    }

    async fn wait_for(&self, next: Option<Timestamp>) {
        match next {
            Some(at) => wait_until(&*self.recorder.clock, at).await,
            None => pending().await,
        }
    }

    /// Receives what is due now. Also returns the time of what is due next.
    async fn receive_due(
        &self,
        client: &ClientId,
        query: ReceiveQuery,
    ) -> Result<(Vec<InboxDelivery>, Option<Timestamp>), StoreError> {
        let Recorder { store, clock, .. } = &self.recorder;
        store.tell_time(&**clock).await?;
        let (mut limit, mut tried) = (Self::FIRST_PAGE, HashSet::new());
        loop {
            let page = store.inbox(client, clock.now(), limit).await?;
            let ready = page.ready.into_iter().filter(|id| tried.insert(*id)).collect();
            let received = self.receive_ready(client, query, ready).await?;
            // What has expired, and what cannot be read, must not hide what stands behind it.
            if !received.is_empty() || !page.has_more || limit >= Self::LAST_PAGE {
                return Ok((received, page.next));
            }
            limit *= 4;
        }
    }

    /// Receives the first of these that can be received.
    async fn receive_ready(
        &self,
        client: &ClientId,
        query: ReceiveQuery,
        ready: Vec<ConversationId>,
    ) -> Result<Vec<InboxDelivery>, StoreError> {
        let store = &self.recorder.store;
        let (mut received, mut bytes) = (Vec::new(), 0);
        for id in ready {
            if received.len() == query.max {
                break;
            }
            let received_one = match store.get(client, id).await {
                Ok(Some(read)) => {
                    bytes += read.value.payload_bytes();
                    if !received.is_empty() && bytes > Self::MAX_BYTES {
                        break;
                    }
                    self.receive_one(read, query.lease).await
                }
                Ok(None) => Ok(None),
                Err(error) => Err(error),
            };
            match received_one {
                Ok(delivery) => received.extend(delivery),
                // Another receiver was first; or the claim may be stored, and then its lease will run out.
                Err(StoreError::Conflict | StoreError::Unknown(_)) => {}
                Err(error) if !error.is_temporary() => {
                    tracing::error!(conversation.id = %id, %error, "the conversation cannot be received");
                }
                Err(error) if received.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(received)
    }

    async fn receive_one(
        &self,
        read: Versioned<Conversation>,
        lease: Duration,
    ) -> Result<Option<InboxDelivery>, StoreError> {
        let Recorder { store, clock, entropy, .. } = &self.recorder;
        let payload = self.recorder.payload(&read.value, &read.revision).await?;
        let (now, occurrence) = (clock.now(), read.value.occurrence());
        match read.value.receive(LeaseToken::new(random(&**entropy)), now, lease) {
            Ok(Claim::Attempt(claimed)) => match payload {
                Ok(payload) => {
                    store.replace(read.revision, claimed.conversation()).await?;
                    self.recorder.wake(claimed.conversation()).await;
                    Ok(delivery(&claimed, payload))
                }
                Err(error) => {
                    let lost = AttemptResult::unknown(0);
                    let lost = AttemptResult { outcome: Outcome::PermanentFailure, error: Some(error), ..lost };
                    let failed = claimed.complete(now, lost, Duration::ZERO, now);
                    self.recorder.commit_unsent(read.revision, failed, occurrence).await?;
                    Ok(None)
                }
            },
            Ok(Claim::Lost(ended) | Claim::Expired(ended)) => {
                self.recorder.commit_unsent(read.revision, ended, occurrence).await?;
                Ok(None)
            }
            // Another receiver was first.
            Err(_) => Ok(None),
        }
    }

    /// Records what a receiver has done with a conversation. A second call with the same receipt changes nothing and returns
    /// `Ok` too.
    ///
    /// # Errors
    /// [`InboxError`].
    pub async fn acknowledge(
        &self,
        client: &ClientId,
        id: ConversationId,
        receipt: Receipt,
        received: Received,
    ) -> Result<(), InboxError> {
        let Recorder { store, clock, .. } = &self.recorder;
        let mut last = StoreError::Conflict;
        for _ in 0..Self::ACKNOWLEDGE_TRIES {
            let read = store.get(client, id).await?.ok_or(InboxError::NotFound)?;
            store.tell_time(&**clock).await?;
            let (now, occurrence) = (clock.now(), read.value.occurrence());
            let pause = retry_delay(read.value.attempts_used(), self.recorder.jitter(), None, now);
            let claimed = match read.value.received(receipt, received) {
                Ok(claimed) => claimed,
                Err(ReceiptRefused::Already) => return Ok(()),
                Err(ReceiptRefused::Over) => return Err(InboxError::ReceiptOver),
            };
            let (started, result) = (claimed.attempt().started, claimed.acknowledged(received, now));
            let next = claimed.complete(started, result, pause, now);
            match self.recorder.commit_unsent(read.revision, next, occurrence).await {
                Ok(next) => {
                    tracing::info!(conversation.status = next.status().as_str(), "a receiver has acknowledged");
                    return Ok(());
                }
                // The row tells whether it was stored.
                Err(error @ (StoreError::Conflict | StoreError::Unknown(_))) => last = error,
                Err(error) => return Err(error.into()),
            }
        }
        Err(last.into())
    }
}

fn delivery(claimed: &ClaimedAttempt, payload: Payload) -> Option<InboxDelivery> {
    let conversation = claimed.conversation().clone();
    let lease_until = conversation.next_attempt_at()?;
    let whole = WholeConversation { conversation, payload };
    Some(InboxDelivery { whole, receipt: claimed.receipt(), lease_until })
}

/// Waits until something in the inbox of this client may be received before the end of the wait.
async fn arrival(changes: &mut broadcast::Receiver<InboxChange>, client: &ClientId, until: Timestamp) {
    loop {
        match changes.recv().await {
            Ok(changed) if changed.client != *client || changed.at > until => {}
            Ok(_) | Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => pending().await,
        }
    }
}

impl Recorder {
    /// Ends a conversation in an inbox that nobody has received in time, when that time has come.
    pub(super) async fn end_lapsed(&self, read: Versioned<Conversation>) -> Result<DeliveryOutcome, StoreError> {
        let (conversation, clock) = (read.value, &*self.clock);
        if let Some(at) = conversation.next_wake_at().filter(|_| !conversation.is_ahead_of(clock.now())) {
            wait_until(clock, at).await;
        }
        // The clock was set back since the wait.
        let next = conversation.lapsed(clock.now()).ok_or(StoreError::Conflict)?;
        let next = self.commit_unsent(read.revision, next, conversation.occurrence()).await?;
        tracing::warn!(
            conversation.status = next.status().as_str(),
            "nobody has received or acknowledged a conversation of an inbox in time"
        );
        Ok(DeliveryOutcome::NothingToDo)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_wait_ends_by_a_change_of_its_own_inbox_that_is_due_in_time() {
        let (sender, mut changes) = broadcast::channel(8);
        let (ann, until) = ("ann".parse().unwrap(), Timestamp::from_millis(1_893_456_020_000));
        let mut is_noticed = |client: &str, at: Timestamp| {
            sender.send(InboxChange { client: client.parse().unwrap(), at }).unwrap();
            arrival(&mut changes, &ann, until).now_or_never().is_some()
        };
        assert!(!is_noticed("bob", until));
        assert!(!is_noticed("ann", until + Duration::from_millis(1)), "such as a lease of a minute, and next week");
        assert!(is_noticed("ann", until));
    }
}
