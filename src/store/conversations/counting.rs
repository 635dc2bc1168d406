//! The number and the size of a client's conversations that are not final.

use futures_util::future::try_join_all;

use super::ConversationStore;
use crate::domain::{ClientId, ClientUsage, Day, Pending, Status};
use crate::store::rows::{self, IndexGroup};
use crate::store::{KeyRange, Row, StoreError, Table as _};

impl ConversationStore {
    /// The rows of one scan of a partition. Azure returns no more in one response, which is one billed transaction.
    const COUNT_SCAN: usize = 1_000;

    /// Counts the conversations of a client that are not final and their bytes. It stops when both have reached their
    /// limit, or soon after it; one of the two may be `usize::MAX`, which is no limit. It reads their index rows, which are small: all partitions at the
    /// same time, so 100,000 conversations need 7 scans of each of the 16 partitions.
    ///
    /// A conversation of an earlier release counts when it has its index row. Its bytes are 4 KiB if that row does not say
    /// them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn count_live(&self, client: &ClientId, limit: Pending) -> Result<Pending, StoreError> {
        let range = rows::index_rows(client, IndexGroup::Live, None, None);
        let mut parts: Vec<_> = rows::partitions().map(|partition| (partition, range.clone())).collect();
        let scan = if limit.bytes == usize::MAX { Self::COUNT_SCAN.min(limit.conversations) } else { Self::COUNT_SCAN };
        let is_reached = |counted, limit| limit == usize::MAX || counted >= limit;
        let mut count = Pending::default();
        while !parts.is_empty() {
            let scans = parts.into_iter().map(|(partition, range)| async move {
                let rows = self.table.scan(partition, &range, scan).await?;
                let rest = rows.last().filter(|_| rows.len() == scan).map(|last| (partition, range.after(&last.key)));
                let each = rows.iter().map(|row| Pending::one(rows::indexed_bytes(row)));
                Ok::<_, StoreError>((each.fold(Pending::default(), Pending::plus), rest))
            });
            let read = try_join_all(scans).await?;
            count = read.iter().fold(count, |count, (read, _)| count.plus(*read));
            if is_reached(count.conversations, limit.conversations) && is_reached(count.bytes, limit.bytes) {
                break;
            }
            parts = read.into_iter().filter_map(|(_, rest)| rest).collect();
        }
        Ok(count)
    }

    /// Counts what the budgets of a client limit: its conversations that are not final, by their index rows, and what was
    /// delivered or has failed today. It reads all of them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn count_usage(&self, client: &ClientId, today: Day) -> Result<ClientUsage, StoreError> {
        let mut usage = ClientUsage::default();
        let live = rows::index_rows(client, IndexGroup::Live, None, None);
        self.each_indexed(&live, |row| {
            let rows::Indexed { at, thread, per_day } = rows::indexed(row);
            usage.add_live(thread.as_ref(), at, per_day, today);
        })
        .await?;
        for status in [Status::Completed, Status::Failed] {
            let ended = rows::index_rows(client, IndexGroup::Ended(status), Some(today.begin()), None);
            self.each_indexed(&ended, |row| usage.add_ended(rows::indexed(row).thread.as_ref(), today)).await?;
        }
        Ok(usage)
    }

    /// Reads the index rows of a range, all partitions at the same time.
    async fn each_indexed(&self, range: &KeyRange, mut each: impl FnMut(&Row)) -> Result<(), StoreError> {
        let mut parts: Vec<_> = rows::partitions().map(|partition| (partition, range.clone())).collect();
        while !parts.is_empty() {
            let scans = parts.into_iter().map(|(partition, range)| async move {
                let rows = self.table.scan(partition, &range, Self::COUNT_SCAN).await?;
                let rest = rows.last().filter(|_| rows.len() == Self::COUNT_SCAN);
                let rest = rest.map(|last| (partition, range.after(&last.key)));
                Ok::<_, StoreError>((rows, rest))
            });
            let read = try_join_all(scans).await?;
            read.iter().flat_map(|(rows, _)| rows).for_each(&mut each);
            parts = read.into_iter().filter_map(|(_, rest)| rest).collect();
        }
        Ok(())
    }
}
