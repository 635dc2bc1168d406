//! Removes what has expired: idempotency keys, logins, and conversations that ended long ago.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio::time::Instant;

use crate::domain::{Retention, Timestamp};
use crate::store::{ConversationStore, LoginStore, Partition, StoreError};
use crate::time::Clock;

/// The partitions in which rows are removed at one time. Each has one commit on its way, so that the commits of
/// deliveries find room.
const PARTITIONS_AT_ONCE: usize = 4;
/// After this time the rest is left to the next run. It is less than the minute between two runs.
const MAX_TIME: Duration = Duration::from_secs(30);

/// What is removed, each found by rows of its own.
#[derive(Clone, Copy)]
enum Expired {
    /// Idempotency keys whose time is over.
    Keys { now: Timestamp },
    /// Conversations that ended before this time.
    Conversations { before: Timestamp },
}

/// Removes idempotency keys whose time is over and conversations that ended longer ago than the retention, a commit of at
/// most a hundred operations at a time. A failure is logged and left to the next run: nobody waits for the removal.
pub async fn remove_expired(store: &ConversationStore, clock: &dyn Clock, retention: Retention) {
    if let Err(error) = store.tell_time(clock).await {
        tracing::warn!(%error, "expired rows were not removed; the next run removes them");
        return;
    }
    let until = Instant::now() + MAX_TIME;
    let removals =
        ConversationStore::partitions().map(|partition| remove_in(partition, store, clock, retention, until));
    stream::iter(removals).buffer_unordered(PARTITIONS_AT_ONCE).collect::<()>().await;
}

/// Removes logins whose time is over.
pub async fn remove_expired_logins(logins: &LoginStore, clock: &dyn Clock) {
    let (now, until) = (clock.now(), Instant::now() + MAX_TIME);
    let mut behind = None;
    while Instant::now() < until {
        match logins.remove_expired(now, behind.as_deref()).await {
            Ok(None) => return,
            Ok(last) => behind = last,
            Err(error) => {
                tracing::warn!(%error, "expired logins were not removed; the next run removes them");
                return;
            }
        }
    }
}

async fn remove_in(
    partition: Partition,
    store: &ConversationStore,
    clock: &dyn Clock,
    retention: Retention,
    until: Instant,
) {
    let now = clock.now();
    let conversations = Expired::Conversations { before: retention.removes_before(now) };
    for expired in [Expired::Keys { now }, conversations] {
        match remove_all(partition, store, expired, until).await {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(
                    partition = partition.as_str(),
                    "not all expired rows were removed; the next run goes on"
                );
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "expired rows were not removed; the next run removes them");
                return;
            }
        }
    }
}

/// Returns whether nothing is left.
async fn remove_all(
    partition: Partition,
    store: &ConversationStore,
    expired: Expired,
    until: Instant,
) -> Result<bool, StoreError> {
    let mut behind = None;
    loop {
        let last = match expired {
            Expired::Keys { now } => store.remove_expired(partition, now, behind.as_deref()).await?,
            Expired::Conversations { before } => store.remove_ended(partition, before, behind.as_deref()).await?,
        };
        match last {
            None => return Ok(true),
            Some(_) if Instant::now() >= until => return Ok(false),
            behind_last => behind = behind_last,
        }
    }
}
