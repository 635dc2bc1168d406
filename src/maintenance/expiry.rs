//! Removes what has expired: today the idempotency keys.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio::time::Instant;

use crate::store::{ConversationStore, Partition};
use crate::time::Clock;

/// The partitions in which rows are removed at one time. Each has one commit on its way, so that the commits of
/// deliveries find room.
const PARTITIONS_AT_ONCE: usize = 4;
/// After this time the rest is left to the next run. It is less than the minute between two runs.
const MAX_TIME: Duration = Duration::from_secs(30);

/// Removes all rows whose time is over, a commit of at most a hundred operations at a time. A failure is logged and left
/// to the next run: nobody waits for the removal.
pub async fn remove_expired(store: &ConversationStore, clock: &dyn Clock) {
    if let Err(error) = store.tell_time(clock).await {
        tracing::warn!(%error, "expired rows were not removed; the next run removes them");
        return;
    }
    let until = Instant::now() + MAX_TIME;
    let removals = ConversationStore::partitions().map(|partition| remove_in(partition, store, clock, until));
    stream::iter(removals).buffer_unordered(PARTITIONS_AT_ONCE).collect::<()>().await;
}

async fn remove_in(partition: Partition, store: &ConversationStore, clock: &dyn Clock, until: Instant) {
    let mut behind = None;
    loop {
        match store.remove_expired(partition, clock.now(), behind.as_deref()).await {
            Ok(None) => return,
            Ok(_) if Instant::now() >= until => {
                tracing::warn!(
                    partition = partition.as_str(),
                    "not all expired rows were removed; the next run goes on"
                );
                return;
            }
            Ok(last) => behind = last,
            Err(error) => {
                tracing::warn!(%error, "expired rows were not removed; the next run removes them");
                return;
            }
        }
    }
}
