//! What a process knows of how much each client has.
//!
//! A process does not know what others schedule and deliver, so this is approximate. It counts what the store has, and adds
//! what it has let through itself since. Deliveries make this sum too large and never too small, so there is nothing to
//! count while it is below the limits. At a limit the process counts again, at most once a minute.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use crate::domain::{ClientId, ClientUsage, Pending};
use crate::store::StoreError;
use crate::sync::lock;

/// What is counted.
pub(super) trait Amount: Clone + Default + Send + Sync + 'static {
    /// Whether the first request of a client waits for the first count. Otherwise the requests until it is done are let
    /// through.
    const WAITS_FOR_FIRST_COUNT: bool;

    fn add(&mut self, other: &Self);
    fn subtract(&mut self, other: &Self);
    /// Whether it takes so much memory that a new count is worth it.
    fn is_large(&self) -> bool;
}

/// The amounts of all clients. Only authenticated clients schedule, so there are no more than clients.
pub(super) struct Ledger<A> {
    clients: Mutex<HashMap<ClientId, Arc<Tally<A>>>>,
}

/// What this process knows of one client.
#[derive(Default)]
struct Tally<A> {
    estimate: Mutex<Estimate<A>>,
    /// Held while the client's conversations are counted, so that requests at the limit share one count.
    counting: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Estimate<A> {
    is_counted: bool,
    /// The time until which the last count is new enough to refuse something. `None` if it never was: a first count that
    /// runs beside the first requests may have their conversations twice.
    fresh_until: Option<Instant>,
    /// What there is, or more: what the store had at the last count, with what was let through since.
    used: A,
    /// What this process has let through and what may be missing from that count.
    since: A,
    /// The part of it whose commits are under way.
    under_way: A,
}

/// What was let through. It is dropped when its commit is done.
pub(super) struct Admitted<A: Amount> {
    tally: Arc<Tally<A>>,
    admitted: A,
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

impl<A: Amount> Default for Ledger<A> {
    fn default() -> Self {
        Self { clients: Mutex::default() }
    }
}

impl<A: Amount> Ledger<A> {
    /// The age from which on a count is too old to refuse something.
    const MAX_AGE: Duration = Duration::from_mins(1);

    /// Counts what a client has, if the decision about what it needs now depends on it.
    pub(super) async fn refresh<C>(
        &self,
        client: &ClientId,
        lacks_room: impl Fn(&A) -> bool,
        count: impl FnOnce() -> C,
    ) -> Result<(), StoreError>
    where
        C: Future<Output = Result<A, StoreError>> + Send + 'static,
    {
        let tally = self.tally(client);
        match tally.need(&lacks_room) {
            Need::None => Ok(()),
            Need::Soon => {
                if let Ok(counting) = Arc::clone(&tally.counting).try_lock_owned() {
                    let count = count();
                    tokio::spawn(async move {
                        if let Err(error) = tally.count(count, &counting).await {
                            tracing::warn!(%error, "conversations of a client not counted");
                        }
                    });
                }
                Ok(())
            }
            Need::First => {
                let counting = Arc::clone(&tally.counting).lock_owned().await;
                // Another request may have counted while this one waited.
                if tally.need(&lacks_room) == Need::First {
                    let until = Instant::now() + Self::MAX_AGE;
                    tally.count(count(), &counting).await?;
                    lock(&tally.estimate).fresh_until = Some(until);
                }
                Ok(())
            }
        }
    }

    /// Lets something through, unless `refusal` says why not. It gets what the client has, and the time after which the
    /// process counts again.
    pub(super) fn take<E>(
        &self,
        client: &ClientId,
        needed: A,
        refusal: impl FnOnce(&A, Duration) -> Option<E>,
    ) -> Result<Admitted<A>, E> {
        let tally = self.tally(client);
        let mut estimate = lock(&tally.estimate);
        let recount = estimate.fresh_until.map_or(Duration::ZERO, |until| until.duration_since(Instant::now()));
        if let Some(refused) = refusal(&estimate.used, recount) {
            return Err(refused);
        }
        let Estimate { used, since, under_way, .. } = &mut *estimate;
        for amount in [used, since, under_way] {
            amount.add(&needed);
        }
        drop(estimate);
        Ok(Admitted { tally, admitted: needed })
    }

    fn tally(&self, client: &ClientId) -> Arc<Tally<A>> {
        let mut clients = lock(&self.clients);
        if let Some(tally) = clients.get(client) {
            return Arc::clone(tally);
        }
        Arc::clone(clients.entry(client.clone()).or_default())
    }
}

impl<A: Amount> Tally<A> {
    fn need(&self, lacks_room: impl Fn(&A) -> bool) -> Need {
        let estimate = lock(&self.estimate);
        let is_fresh = estimate.fresh_until.is_some_and(|until| Instant::now() < until);
        match estimate.is_counted {
            _ if !is_fresh && lacks_room(&estimate.used) => Need::First,
            false if A::WAITS_FOR_FIRST_COUNT => Need::First,
            // A process that has just started answers its first requests before it has counted.
            false => Need::Soon,
            true if estimate.since.is_large() => Need::Soon,
            true => Need::None,
        }
    }

    async fn count(
        &self,
        count: impl Future<Output = Result<A, StoreError>>,
        _counting: &OwnedMutexGuard<()>,
    ) -> Result<(), StoreError> {
        let committed = {
            let estimate = lock(&self.estimate);
            let mut committed = estimate.since.clone();
            committed.subtract(&estimate.under_way);
            committed
        };
        let mut counted = count.await?;
        let mut estimate = lock(&self.estimate);
        // All others may be missing from the count, or in it: then they are counted twice until the next count.
        estimate.since.subtract(&committed);
        counted.add(&estimate.since);
        estimate.used = counted;
        estimate.is_counted = true;
        Ok(())
    }
}

impl<A: Amount> Drop for Admitted<A> {
    fn drop(&mut self) {
        lock(&self.tally.estimate).under_way.subtract(&self.admitted);
    }
}

impl Amount for Pending {
    const WAITS_FOR_FIRST_COUNT: bool = false;

    fn add(&mut self, other: &Self) {
        *self = self.plus(*other);
    }

    fn subtract(&mut self, other: &Self) {
        *self = self.minus(*other);
    }

    fn is_large(&self) -> bool {
        false
    }
}

impl Amount for ClientUsage {
    /// A budget may be small, and what a new process would let through before its first count may be a large part of it.
    const WAITS_FOR_FIRST_COUNT: bool = true;

    fn add(&mut self, other: &Self) {
        self.add(other);
    }

    fn subtract(&mut self, other: &Self) {
        self.subtract(other);
    }

    fn is_large(&self) -> bool {
        const MAX_NUMBERS: usize = 10_000;
        self.numbers() > MAX_NUMBERS
    }
}
