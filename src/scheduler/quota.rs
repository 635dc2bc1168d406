//! The quota: how many conversations of a client may be pending at one time.
//!
//! A process does not know what others schedule and deliver, so the quota is approximate. It counts the conversations in the
//! store, and adds what it has scheduled itself since. Deliveries make this sum too large and never too small, so
//! there is nothing to count while it is below the limit. At the limit the process counts again, at most once a minute.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::{Scheduler, SchedulerError};
use crate::domain::ClientId;
use crate::store::{ConversationStore, StoreError};
use crate::sync::lock;

/// The counts of all clients. Only authenticated clients schedule, so there are no more counts than clients.
pub(super) struct PendingQuota {
    store: ConversationStore,
    limit: usize,
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
    counted: Option<usize>,
    /// The time until which that count is new enough to refuse a conversation. `None` if it never was: the first count runs
    /// beside the first requests, and may have their conversations twice.
    fresh_until: Option<Instant>,
    /// The conversations that this process has let through and that may be missing from that count.
    since: usize,
    /// Those of them whose commits are under way.
    under_way: usize,
}

/// A conversation that was let through. It is dropped when its commit is done.
pub(super) struct Admitted(Arc<Tally>);

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
    /// The same with a limit on the pending conversations of each client. Without it nothing is counted.
    #[must_use]
    pub fn with_max_pending(self, max: Option<NonZeroU32>) -> Self {
        let limit = max.and_then(|max| usize::try_from(max.get()).ok());
        let quota = limit.map(|limit| Arc::new(PendingQuota::new(self.store.clone(), limit)));
        Self { quota, ..self }
    }

    /// Counts one conversation of a client that will be pending. `None` if there is no quota.
    ///
    /// # Errors
    /// [`SchedulerError::QuotaExceeded`] if there is no room for it, or the error of the count.
    pub(super) async fn admit(&self, client: &ClientId) -> Result<Option<Admitted>, SchedulerError> {
        self.refresh_quota(client).await?;
        self.take_quota(client)
    }

    /// The first half of [`Scheduler::admit`], for callers that do not know yet whether a conversation will be pending.
    pub(super) async fn refresh_quota(&self, client: &ClientId) -> Result<(), SchedulerError> {
        match &self.quota {
            Some(quota) => Ok(PendingQuota::refresh(quota, client).await?),
            None => Ok(()),
        }
    }

    /// The second half of [`Scheduler::admit`].
    pub(super) fn take_quota(&self, client: &ClientId) -> Result<Option<Admitted>, SchedulerError> {
        self.quota.as_ref().map(|quota| quota.take(client)).transpose()
    }
}

impl PendingQuota {
    /// The age from which on a count is too old to refuse a conversation.
    const MAX_AGE: Duration = Duration::from_mins(1);

    fn new(store: ConversationStore, limit: usize) -> Self {
        Self { store, limit, clients: Mutex::default() }
    }

    /// Counts a client's conversations, if the decision about the next one needs it.
    async fn refresh(quota: &Arc<Self>, client: &ClientId) -> Result<(), StoreError> {
        let tally = quota.tally(client);
        match quota.need(&tally) {
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
                if quota.need(&tally) == Need::First {
                    let until = Instant::now() + Self::MAX_AGE;
                    quota.count(client, &tally, &counting).await?;
                    lock(&tally.estimate).fresh_until = Some(until);
                }
                Ok(())
            }
        }
    }

    /// Lets one conversation through, if there is room for it.
    fn take(&self, client: &ClientId) -> Result<Admitted, SchedulerError> {
        let tally = self.tally(client);
        let mut estimate = lock(&tally.estimate);
        let pending = estimate.pending();
        if pending < self.limit {
            estimate.since += 1;
            estimate.under_way += 1;
            drop(estimate);
            return Ok(Admitted(tally));
        }
        let recount = estimate.fresh_until.map_or(Duration::ZERO, |until| until.duration_since(Instant::now()));
        Err(SchedulerError::QuotaExceeded { pending, limit: self.limit, recount })
    }

    fn need(&self, tally: &Tally) -> Need {
        let estimate = *lock(&tally.estimate);
        let is_fresh = estimate.fresh_until.is_some_and(|until| Instant::now() < until);
        match estimate.counted {
            _ if estimate.pending() >= self.limit && !is_fresh => Need::First,
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
        estimate.since = estimate.since.saturating_sub(committed);
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
        let mut estimate = lock(&self.0.estimate);
        estimate.under_way = estimate.under_way.saturating_sub(1);
    }
}

impl Estimate {
    /// The pending conversations, or more.
    fn pending(&self) -> usize {
        self.counted.unwrap_or(0) + self.since
    }

    const fn committed(&self) -> usize {
        self.since.saturating_sub(self.under_way)
    }
}
