//! Many conversations of one client, read with one request.

use std::collections::{BTreeMap, HashMap};

use futures_util::future::join_all;

use super::{ConversationStore, Versioned};
use crate::domain::{ClientId, Conversation};
use crate::store::rows::{self, DueKey};
use crate::store::{KeyRange, Partition, Table as _};

impl ConversationStore {
    /// Fewer conversations than this are not read together.
    const LEAST_TOGETHER: usize = 8;

    /// Reads the conversations of due rows, as far as that takes few requests, without their payloads.
    ///
    /// The keys of a client's conversations are in the order of their creation. Those that were scheduled together and are
    /// due together lie together, so one scan reads them. A scan reads at most twice as many rows as are wanted. A
    /// conversation that it does not find or cannot read is `None`, and the caller reads it alone.
    pub async fn read_together(&self, due: Vec<DueKey>) -> Vec<(DueKey, Option<Versioned<Conversation>>)> {
        let mut groups: BTreeMap<(Partition, &ClientId), Vec<String>> = BTreeMap::new();
        for key in &due {
            groups.entry((key.partition(), &key.client)).or_default().push(main_key(key));
        }
        let groups = groups.into_iter().filter(|(_, keys)| keys.len() >= Self::LEAST_TOGETHER);
        let scans = groups.map(|((partition, _), keys)| self.scan_together(partition, keys));
        let mut read: HashMap<_, _> = join_all(scans).await.into_iter().flatten().collect();
        let with_its_own = |key| {
            let read = read.remove(&main_key(&key));
            (key, read)
        };
        due.into_iter().map(with_its_own).collect()
    }

    async fn scan_together(
        &self,
        partition: Partition,
        mut keys: Vec<String>,
    ) -> Vec<(String, Versioned<Conversation>)> {
        keys.sort_unstable();
        let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return Vec::new() };
        let range = KeyRange::including(first, last);
        let Ok(found) = self.table.scan(partition, &range, 2 * keys.len()).await else { return Vec::new() };
        let wanted = found.into_iter().filter(|row| keys.binary_search(&row.key).is_ok());
        wanted.filter_map(|row| Some((row.key.clone(), self.versioned(row).ok()?))).collect()
    }
}

fn main_key(due: &DueKey) -> String {
    rows::conversation_key(&due.client, due.id)
}
