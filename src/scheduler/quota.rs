//! The quotas: how many conversations of a client may be pending at one time, and how many bytes they may have.
//!
//! A process does not know what others schedule and deliver, so the quotas are approximate. It counts the conversations in
//! the store with their bytes, and adds what it has scheduled itself since. Deliveries make this sum too large and never too
//! small, so there is nothing to count while it is below the limits. At a limit the process counts again, at most once a
//! minute. Only the callbacks that deliveries schedule are missing until then: they are due at once, and nothing refuses
//! them.

use std::collections::HashMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::{Scheduler, SchedulerError};
use crate::domain::{ClientId, Pending};
use crate::store::{ConversationStore, StoreError};
use crate::sync::lock;

/// The counts of all clients. Only authenticated clients schedule, so there are no more counts than clients.
pub(super) struct PendingQuota {
    store: ConversationStore,
    /// `usize::MAX` is no limit.
    limit: Pending,
    clients: Mutex<HashMap<ClientId, Arc<Tally>>>,
}

/// What this process knows of one client.
#[derive(Default)]
struct Tally {
    estimate: Mutex<Estimate>,
    /// Held while the client's conversations are counted, so that requests at the limit share one count.
    counting: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone, Copy, Default)]
struct Estimate {
    /// The pending conversations in the store at the last count. `None` before the first one.
    counted: Option<Pending>,
    /// The time until which that count is new enough to refuse a conversation. `None` if it never was: the first count runs
    /// beside the first requests, and may have their conversations twice.
    fresh_until: Option<Instant>,
    /// What this process has let through and what may be missing from that count.
    since: Pending,
    /// The part of it whose commits are under way.
    under_way: Pending,
}

/// What was let through. It is dropped when its commit is done.
pub(super) struct Admitted {
    tally: Arc<Tally>,
    admitted: Pending,
}

/// One of the two quotas of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// The number of pending conversations.
    Conversations,
    /// The bytes that the client gave with them.
    Bytes,
}

/// Something was not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaExceeded {
    /// The quota that has no room for it.
    pub quota: Quota,
    /// What needs room.
    pub needed: Pending,
    /// What is pending, approximately.
    pub pending: Pending,
    /// The most that may be pending. `usize::MAX` is no limit.
    pub limit: Pending,
    /// The time after which the process counts again.
    pub recount: Duration,
}

/// When a client's conversations have to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// Not now.
    None,
    /// Soon. The request does not wait for it.
    Soon,
    /// Before the request is decided.
    First,
}

impl Scheduler {
    /// The same with limits on the pending conversations of each client and on their bytes. Without limits nothing is
    /// counted.
    #[must_use]
    pub fn with_max_pending(self, conversations: Option<NonZeroU32>, bytes: Option<NonZeroUsize>) -> Self {
        let conversations = conversations.and_then(|max| usize::try_from(max.get()).ok());
        let limit = Pending {
            conversations: conversations.unwrap_or(usize::MAX),
            bytes: bytes.map_or(usize::MAX, NonZeroUsize::get),
        };
        let has_limit = limit != Pending { conversations: usize::MAX, bytes: usize::MAX };
        let quota = has_limit.then(|| Arc::new(PendingQuota::new(self.store.clone(), limit)));
        Self { quota, ..self }
    }

    /// Counts what a client will have pending in addition. `None` if that is nothing, or if there is no quota.
    ///
    /// # Errors
    /// [`SchedulerError::QuotaExceeded`] if there is no room for it, or the error of the count.
    pub(super) async fn admit(&self, client: &ClientId, needed: Pending) -> Result<Option<Admitted>, SchedulerError> {
        self.refresh_quota(client, needed).await?;
        self.take_quota(client, needed)
    }

    /// The first half of [`Scheduler::admit`], for callers that do not know yet whether a conversation will be pending.
    pub(super) async fn refresh_quota(&self, client: &ClientId, needed: Pending) -> Result<(), SchedulerError> {
        match &self.quota {
            Some(quota) if needed != Pending::default() => Ok(PendingQuota::refresh(quota, client, needed).await?),
            _ => Ok(()),
        }
    }

    /// The second half of [`Scheduler::admit`].
    pub(super) fn take_quota(&self, client: &ClientId, needed: Pending) -> Result<Option<Admitted>, SchedulerError> {
        match &self.quota {
            Some(quota) if needed != Pending::default() => Ok(Some(quota.take(client, needed)?)),
            _ => Ok(None),
        }
    }
}

impl PendingQuota {
    /// The age from which on a count is too old to refuse a conversation.
    const MAX_AGE: Duration = Duration::from_mins(1);

    fn new(store: ConversationStore, limit: Pending) -> Self {
        Self { store, limit, clients: Mutex::default() }
    }

    /// Counts a client's conversations, if the decision about what it needs now depends on it.
    async fn refresh(quota: &Arc<Self>, client: &ClientId, needed: Pending) -> Result<(), StoreError> {
        let tally = quota.tally(client);
        match quota.need(&tally, needed) {
            Need::None => Ok(()),
            Need::Soon => {
                if let Ok(counting) = Arc::clone(&tally.counting).try_lock_owned() {
                    let (quota, client) = (Arc::clone(quota), client.clone());
                    tokio::spawn(async move {
                        if let Err(error) = quota.count(&client, &tally, &counting).await {
                            tracing::warn!(%error, "pending conversations not counted");
                        }
                    });
                }
                Ok(())
            }
            Need::First => {
                let counting = Arc::clone(&tally.counting).lock_owned().await;
                // Another request may have counted while this one waited.
                if quota.need(&tally, needed) == Need::First {
                    let until = Instant::now() + Self::MAX_AGE;
                    quota.count(client, &tally, &counting).await?;
                    lock(&tally.estimate).fresh_until = Some(until);
                }
                Ok(())
            }
        }
    }

    /// Lets something through, if there is room for it.
    fn take(&self, client: &ClientId, needed: Pending) -> Result<Admitted, SchedulerError> {
        let tally = self.tally(client);
        let mut estimate = lock(&tally.estimate);
        let pending = estimate.pending();
        let Some(quota) = self.exceeded(pending, needed) else {
            estimate.since = estimate.since.plus(needed);
            estimate.under_way = estimate.under_way.plus(needed);
            drop(estimate);
            return Ok(Admitted { tally, admitted: needed });
        };
        let recount = estimate.fresh_until.map_or(Duration::ZERO, |until| until.duration_since(Instant::now()));
        let exceeded = QuotaExceeded { quota, needed, pending, limit: self.limit, recount };
        Err(SchedulerError::QuotaExceeded(Box::new(exceeded)))
    }

    /// The quota that has no room for what is needed. What needs nothing of a quota is not refused by it.
    fn exceeded(&self, pending: Pending, needed: Pending) -> Option<Quota> {
        let all = pending.plus(needed);
        let lacks = |needed: usize, all: usize, limit: usize| needed > 0 && all > limit;
        if lacks(needed.conversations, all.conversations, self.limit.conversations) {
            return Some(Quota::Conversations);
        }
        lacks(needed.bytes, all.bytes, self.limit.bytes).then_some(Quota::Bytes)
    }

    fn need(&self, tally: &Tally, needed: Pending) -> Need {
        let estimate = *lock(&tally.estimate);
        let is_fresh = estimate.fresh_until.is_some_and(|until| Instant::now() < until);
        match estimate.counted {
            _ if self.exceeded(estimate.pending(), needed).is_some() && !is_fresh => Need::First,
            // A process that has just started answers its first requests before it has counted.
            None => Need::Soon,
            Some(_) => Need::None,
        }
    }

    async fn count(&self, client: &ClientId, tally: &Tally, _counting: &OwnedMutexGuard<()>) -> Result<(), StoreError> {
        let committed = lock(&tally.estimate).committed();
        let pending = self.store.count_live(client, self.limit).await?;
        let mut estimate = lock(&tally.estimate);
        // All others may be missing from the count, or in it: then they are counted twice until the next count.
        estimate.since = estimate.since.minus(committed);
        estimate.counted = Some(pending);
        Ok(())
    }

    fn tally(&self, client: &ClientId) -> Arc<Tally> {
        let mut clients = lock(&self.clients);
        if let Some(tally) = clients.get(client) {
            return Arc::clone(tally);
        }
        Arc::clone(clients.entry(client.clone()).or_default())
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut estimate = lock(&self.tally.estimate);
        estimate.under_way = estimate.under_way.minus(self.admitted);
    }
}

impl Estimate {
    /// What is pending, or more.
    fn pending(&self) -> Pending {
        self.counted.unwrap_or_default().plus(self.since)
    }

    const fn committed(&self) -> Pending {
        self.since.minus(self.under_way)
    }
}
