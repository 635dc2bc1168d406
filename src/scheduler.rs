//! What a client can do with its conversations: schedule, look, list, cancel, redeliver.
//!
//! Every way in (REST now, others later) calls this and nothing below it.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Entropy, random};
use crate::domain::{
    ClientId, Conversation, ConversationId, EndpointPolicy, FieldError, Hint, ListQuery, ListRequest, NotFailed,
    ScheduleRequest, Status, Timestamp, TooLate,
};
use crate::store::{ConversationStore, HintQueue, Listing, StoreError};

/// The use cases of a client.
#[derive(Clone)]
pub struct Scheduler {
    store: ConversationStore,
    hints: Arc<dyn HintQueue>,
    endpoints: EndpointPolicy,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// Why a client did not get what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// The request breaks the contract's rules.
    #[error("the request is not valid")]
    Invalid(Vec<FieldError>),
    /// This client has no such conversation.
    #[error("no such conversation")]
    NotFound,
    /// The conversation can no longer be changed.
    #[error("the conversation {reason}")]
    TooLate {
        /// Its status.
        status: Status,
        /// Why.
        reason: TooLate,
    },
    /// Only what has failed can be redelivered.
    #[error("the conversation {0}")]
    NotFailed(NotFailed),
    /// Others kept changing it first.
    #[error("the conversation is being changed by somebody else")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for SchedulerError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Busy,
            other => Self::Store(other),
        }
    }
}

impl Scheduler {
    /// How often a change is tried again after somebody else's came first.
    const MAX_TRIES: u32 = 5;
    /// Up to this delay a hint is put after the commit: a worker that got it before the row exists
    /// would drop it.
    const SOON: Duration = Duration::from_secs(5);

    /// A scheduler over a store.
    pub fn new(
        store: ConversationStore,
        hints: Arc<dyn HintQueue>,
        endpoints: EndpointPolicy,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { store, hints, endpoints, clock, entropy }
    }

    /// Accepts a conversation. Once this returns `Ok`, it will be attempted, or end Failed or
    /// Cancelled, whatever dies.
    ///
    /// # Errors
    /// [`SchedulerError::Invalid`] with everything that is wrong, or [`SchedulerError::Store`].
    pub async fn schedule(&self, client: &ClientId, request: ScheduleRequest) -> Result<Conversation, SchedulerError> {
        let now = self.clock.now();
        let new = request.validate(now, &self.endpoints).map_err(SchedulerError::Invalid)?;
        let id = ConversationId::new(now, &random(&*self.entropy));
        let conversation = Conversation::new(id, client.clone(), new, now);
        let delay = now.until(conversation.due);
        let hint = Hint { client: client.clone(), id, generation: conversation.generation };
        if delay > self.hints.horizon() {
            self.store.insert(&conversation, None).await?;
        } else if delay > Self::SOON {
            let insert = self.store.insert(&conversation, Some(now));
            let (inserted, ()) = tokio::join!(insert, self.put(&hint, delay));
            inserted?;
        } else {
            self.store.insert(&conversation, Some(now)).await?;
            self.put(&hint, delay).await;
        }
        Ok(conversation)
    }

    /// The conversation, if it is this client's.
    ///
    /// # Errors
    /// [`SchedulerError::NotFound`] or [`SchedulerError::Store`].
    pub async fn get(&self, client: &ClientId, id: ConversationId) -> Result<Conversation, SchedulerError> {
        let found = self.store.get(client, id).await?;
        found.map(|c| c.value).ok_or(SchedulerError::NotFound)
    }

    /// A page of the client's conversations, newest first.
    ///
    /// # Errors
    /// [`SchedulerError::Invalid`] with everything that is wrong, or [`SchedulerError::Store`].
    pub async fn list(&self, client: &ClientId, request: ListRequest) -> Result<Listing, SchedulerError> {
        let ListQuery { status, limit, cursor } = request.validate().map_err(SchedulerError::Invalid)?;
        Ok(self.store.list(client, status, limit, cursor).await?)
    }

    /// Withdraws a conversation. Once this returns `Ok`, no attempt will begin. Repeating it is fine.
    ///
    /// # Errors
    /// [`SchedulerError::TooLate`] while it is being delivered and after it has ended otherwise.
    pub async fn cancel(&self, client: &ClientId, id: ConversationId) -> Result<(), SchedulerError> {
        let mut last = StoreError::Conflict;
        for _ in 0..Self::MAX_TRIES {
            let read = self.store.get(client, id).await?.ok_or(SchedulerError::NotFound)?;
            let status = read.value.status();
            let cancelled = match read.value.cancel(self.clock.now()) {
                Ok(cancelled) => cancelled,
                Err(TooLate::Already) => return Ok(()),
                Err(reason) => return Err(SchedulerError::TooLate { status, reason }),
            };
            match self.store.replace(read.revision, cancelled, None).await {
                Err(error @ (StoreError::Conflict | StoreError::Unknown(_))) => last = error,
                result => return Ok(result.map(drop)?),
            }
        }
        Err(last.into())
    }

    /// Has a failed conversation delivered after all, with as many attempts as it had, from now on.
    ///
    /// # Errors
    /// [`SchedulerError::NotFailed`] in every other state.
    pub async fn redeliver(&self, client: &ClientId, id: ConversationId) -> Result<Conversation, SchedulerError> {
        let (mut last, mut asked_for) = (StoreError::Conflict, None);
        for _ in 0..Self::MAX_TRIES {
            let read = self.store.get(client, id).await?.ok_or(SchedulerError::NotFound)?;
            // A try whose result was not seen went through after all, or a twin's did, which is the same.
            if asked_for == Some(read.value.generation) {
                return Ok(read.value);
            }
            let now = self.clock.now();
            let next = read.value.redeliver(now).map_err(SchedulerError::NotFailed)?;
            let hint = Hint { client: client.clone(), id, generation: next.generation };
            asked_for = Some(next.generation);
            match self.store.replace(read.revision, next, Some(now)).await {
                Ok(redelivered) => {
                    self.put(&hint, Duration::ZERO).await;
                    return Ok(redelivered.value);
                }
                Err(error @ (StoreError::Conflict | StoreError::Unknown(_))) => last = error,
                Err(error) => return Err(error.into()),
            }
        }
        Err(last.into())
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// [`SchedulerError::Store`].
    pub async fn check(&self) -> Result<(), SchedulerError> {
        Ok(self.store.check().await?)
    }

    /// The time by which everything here is judged.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A hint that cannot be put is put again by the sweep, so it never fails a request.
    async fn put(&self, hint: &Hint, delay: Duration) {
        if let Err(error) = self.hints.put(hint, delay).await {
            tracing::warn!(conversation.id = %hint.id, %error, "hint not put; the sweep will put it");
        }
    }
}
