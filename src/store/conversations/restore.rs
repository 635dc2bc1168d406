//! Restoring the rows by which conversations are found, after a repair of the store.

use std::collections::{BTreeMap, HashSet};

use super::ConversationStore;
use crate::domain::ConversationId;
use crate::store::rows::{self, SecondaryRows};
use crate::store::{KeyRange, MAX_COMMIT_OPERATIONS, Operation, Partition, Row, StoreError, Table as _};

/// What was restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Rows that were missing.
    pub inserted: usize,
    /// Rows whose conversation is missing, or has other rows.
    pub deleted: usize,
}

impl ConversationStore {
    const RESTORE_PAGE: usize = 500;

    /// The first letters of the secondary rows that are computed from the main row.
    const RESTORED: [&str; 4] = ["d~", "i~", "x~", "r~"];

    /// Makes the secondary rows those that the conversations should have. No other process may use the store.
    ///
    /// The mark of the index goes: main rows may have come back that an earlier release wrote, and the next start looks
    /// for them.
    ///
    /// # Errors
    /// [`StoreError`] of the first failure.
    pub async fn restore_secondary_rows(&self) -> Result<Restored, StoreError> {
        let mut restored = Restored::default();
        self.remove_index_mark().await?;
        for partition in Self::partitions() {
            let (mut wanted, mut unread) = (SecondaryRows::new(), HashSet::new());
            self.each_row(partition, KeyRange::prefix(rows::MAIN_ROWS), |row| {
                if let Ok(main) = rows::decode_outline(&row) {
                    wanted.extend(self.projection.secondary_rows(&main.conversation, main.projection)?);
                } else {
                    // A newer program may read it, so its rows stay.
                    unread.extend(Self::name_of(&row.key).map(|(_, id)| id));
                }
                Ok(())
            })
            .await?;
            let mut found = BTreeMap::new();
            for prefix in Self::RESTORED {
                self.each_row(partition, KeyRange::prefix(prefix), |row| {
                    if !row.key.rsplit('~').next().is_some_and(|id| id.parse().is_ok_and(|id| unread.contains(&id))) {
                        found.insert(row.key, row.etag);
                    }
                    Ok(())
                })
                .await?;
            }
            let missing = wanted.iter().filter(|(key, _)| !found.contains_key(*key));
            let inserts: Vec<_> =
                missing.map(|(key, value)| Operation::Insert { key: key.clone(), value: value.clone() }).collect();
            let orphans = found.into_iter().filter(|(key, _)| !wanted.contains_key(key));
            let deletes: Vec<_> = orphans.map(|(key, etag)| Operation::Delete { key, if_match: Some(etag) }).collect();
            restored.inserted += inserts.len();
            restored.deleted += deletes.len();
            for operations in [inserts, deletes].iter().flat_map(|all| all.chunks(MAX_COMMIT_OPERATIONS)) {
                self.table.commit(partition, operations.to_vec()).await?;
            }
        }
        Ok(restored)
    }

    async fn each_row(
        &self,
        partition: Partition,
        mut range: KeyRange,
        mut visit: impl FnMut(Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        loop {
            let page = self.table.scan(partition, &range, Self::RESTORE_PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            range = range.after(&last.key);
            page.into_iter().try_for_each(&mut visit)?;
        }
    }

    /// The client and the id in the key of a conversation's row.
    #[must_use]
    pub fn name_of(key: &str) -> Option<(String, ConversationId)> {
        let (client, id) = key.split_once(rows::MAIN_ROWS)?.1.split_once('~')?;
        Some((client.to_owned(), ConversationId::from_inverted(id).ok()?))
    }
}
