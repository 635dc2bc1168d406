//! The number of a client's conversations that are not final.

use futures_util::future::try_join_all;

use super::ConversationStore;
use crate::domain::ClientId;
use crate::store::rows::{self, IndexGroup};
use crate::store::{StoreError, Table as _};

impl ConversationStore {
    /// The rows of one scan of a partition. Azure returns no more in one response, which is one billed transaction.
    const COUNT_SCAN: usize = 1_000;

    /// Counts the conversations of a client that are not final, and stops at `limit` or soon after it. It reads their index
    /// rows, which have nothing but a key: all partitions at the same time, so 100,000 conversations need 7 scans of each of
    /// the 16 partitions. A conversation of an earlier release counts when it has its index row.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn count_live(&self, client: &ClientId, limit: usize) -> Result<usize, StoreError> {
        let range = rows::index_rows(client, IndexGroup::Live, None, None);
        let mut parts: Vec<_> = rows::partitions().map(|partition| (partition, range.clone())).collect();
        let (mut count, scan) = (0, Self::COUNT_SCAN.min(limit));
        while count < limit && !parts.is_empty() {
            let scans = parts.into_iter().map(|(partition, range)| async move {
                let rows = self.table.scan(partition, &range, scan).await?;
                let rest = rows.last().filter(|_| rows.len() == scan).map(|last| (partition, range.after(&last.key)));
                Ok::<_, StoreError>((rows.len(), rest))
            });
            let read = try_join_all(scans).await?;
            count += read.iter().map(|(rows, _)| rows).sum::<usize>();
            parts = read.into_iter().filter_map(|(_, rest)| rest).collect();
        }
        Ok(count)
    }
}
