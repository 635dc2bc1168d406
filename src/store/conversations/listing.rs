//! The list of a client's conversations, or those of all clients, merged from all partitions.
//!
//! A list of all conversations, and every list of all clients, scans main rows, and any other list scans a range of index rows and reads the main
//! rows that these name. A page reads a few rows of each partition at a time and keeps only the conversations, so a list
//! of any length needs little memory. What one page may read is bounded. A page that has reached the bound is short, and
//! the next one begins after the last row that it examined.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::Instant;

use super::{ConversationStore, ListFilter, ListOwner};
use crate::domain::{Conversation, Timestamp};
use crate::store::{KeyRange, Partition, StoreError, Table as _, rows};

/// The rows that a list scans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListRows {
    /// The main rows, the newest first.
    Main,
    /// The index rows.
    Index,
}

/// A place in a list, and what all pages of the list share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPlace {
    /// The rows that the list scans.
    pub rows: ListRows,
    /// The time of the first page. It separates Scheduled conversations from those in progress on every page, so that no
    /// conversation is lost whose time comes between two pages.
    pub now: Timestamp,
    /// The end of the key of the last row that was examined. `None` at the beginning.
    pub after: Option<String>,
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The page, in the order of the list.
    pub conversations: Vec<Conversation>,
    /// The place at which the next page begins. `None` on the last page.
    pub next: Option<ListPlace>,
}

/// What one page may read. After each bound is reached, the page reads no more.
struct Bounds {
    rows: usize,
    bytes: usize,
    until: Instant,
}

/// A row that a scan has returned. An index row has no conversation yet.
struct Found {
    key: String,
    conversation: Option<Conversation>,
}

/// The rows of one partition that a page has read and not yet examined.
struct Part {
    partition: Partition,
    /// The rest of the range. `None` if all of it was read.
    rest: Option<KeyRange>,
    /// In the order of their keys.
    read: VecDeque<Found>,
}

impl ConversationStore {
    /// The largest number of rows that one scan of a partition reads. Rows of an older version may have 1 MiB each, and a
    /// page scans all partitions at the same time.
    const LIST_SCAN: usize = 8;
    const LIST_ROWS: usize = 4_000;
    const LIST_BYTES: usize = 8 << 20;
    const LIST_TIME: Duration = Duration::from_secs(1);
    /// The main rows that are read at one time.
    const LIST_READS: usize = 16;

    /// The beginning of a list at this time. While the conversations of earlier releases have no index rows, every list
    /// scans the main rows: it is complete, but the newest conversation is first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_from_start(
        &self,
        of: &ListOwner,
        filter: &ListFilter,
        now: Timestamp,
    ) -> Result<ListPlace, StoreError> {
        let by_index = *of != ListOwner::All && filter.has_index() && self.is_indexed().await?;
        Ok(ListPlace { rows: if by_index { ListRows::Index } else { ListRows::Main }, now, after: None })
    }

    /// Reads a page of a list. A page with fewer than `limit` conversations, even one without any, may
    /// have a next page: a page reads a limited number of rows and bytes, for a limited time. It always makes some
    /// progress.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list(
        &self,
        of: &ListOwner,
        filter: &ListFilter,
        limit: usize,
        place: &ListPlace,
    ) -> Result<Listing, StoreError> {
        let mut bounds =
            Bounds { rows: Self::LIST_ROWS, bytes: Self::LIST_BYTES, until: Instant::now() + Self::LIST_TIME };
        let (range, prefix) = place.range(of, filter);
        let is_scan = place.rows == ListRows::Main;
        // With one row more than the page needs, it is known whether another page follows.
        let rejects_scanned = is_scan && *filter != ListFilter::ALL;
        let scan = if rejects_scanned { Self::LIST_SCAN } else { Self::LIST_SCAN.min(limit + 1) };
        let mut parts: Vec<_> = rows::partitions().map(|partition| Part::new(partition, &range)).collect();
        let mut conversations = Vec::new();
        let mut examined = None;
        loop {
            let is_full = conversations.len() == limit;
            let may_stop = examined.is_some() && bounds.are_reached();
            if is_full && parts.iter().any(|part| !part.read.is_empty()) {
                break;
            }
            if may_stop && (!is_scan || parts.iter().any(Part::must_be_read)) {
                break;
            }
            if parts.iter().any(Part::must_be_read) {
                self.read_parts(&mut parts, scan, &mut bounds).await?;
            }
            if is_full {
                break;
            }
            let batch = next_rows(&mut parts, (limit - conversations.len()).min(Self::LIST_READS));
            let Some((_, last)) = batch.last() else { break };
            examined = Some(last.key.clone());
            let of_page = self.conversations_of(of, batch, &mut bounds).await?;
            conversations.extend(of_page.into_iter().filter(|found| filter.accepts(found, place.now)));
        }
        let is_last = parts.iter().all(|part| part.rest.is_none() && part.read.is_empty());
        let after = examined.and_then(|key| key.strip_prefix(&prefix).map(str::to_owned));
        let next = after.filter(|_| !is_last).map(|after| ListPlace { after: Some(after), ..place.clone() });
        Ok(Listing { conversations, next })
    }

    /// Reads on in all parts that are half empty: they will be empty soon, and on Azure a scan of several partitions takes
    /// no longer than a scan of one.
    async fn read_parts(&self, parts: &mut [Part], scan: usize, bounds: &mut Bounds) -> Result<(), StoreError> {
        let wanting = parts.iter_mut().filter(|part| part.read.len() <= scan / 2);
        for (rows, bytes) in try_join_all(wanting.map(|part| self.read_part(part, scan))).await? {
            bounds.read(rows, bytes);
        }
        Ok(())
    }

    /// Returns the number of rows and their bytes.
    async fn read_part(&self, part: &mut Part, scan: usize) -> Result<(usize, usize), StoreError> {
        let Some(range) = part.rest.take() else { return Ok((0, 0)) };
        let rows = self.table.scan(part.partition, &range, scan).await?;
        if let (Some(last), true) = (rows.last(), rows.len() == scan) {
            part.rest = Some(range.after(&last.key));
        }
        let read = (rows.len(), rows.iter().map(|row| row.value.len()).sum());
        for row in rows {
            let is_main = row.key.starts_with(rows::MAIN_ROWS);
            let conversation = is_main.then(|| rows::decode_conversation(&row, &self.sealer)).transpose()?;
            part.read.push_back(Found { key: row.key, conversation: conversation.map(|main| main.conversation) });
        }
        Ok(read)
    }

    /// The conversations of these rows, in their order. The main rows of index rows are read at the same time.
    ///
    /// The main row decides. If the conversation has moved to another place of the index since the scan, it is not here
    /// any more.
    async fn conversations_of(
        &self,
        of: &ListOwner,
        batch: Vec<(Partition, Found)>,
        bounds: &mut Bounds,
    ) -> Result<Vec<Conversation>, StoreError> {
        let reads = batch.into_iter().map(|(partition, found)| async move {
            if found.conversation.is_some() {
                return Ok::<_, StoreError>((found.conversation, 0));
            }
            let (ListOwner::Client(client), Some(id)) = (of, rows::indexed_id(&found.key)) else {
                tracing::warn!(key = found.key, "index row skipped");
                return Ok((None, 0));
            };
            let Some(row) = self.table.get(partition, &rows::conversation_key(client, id)).await? else {
                return Ok((None, 0));
            };
            let conversation = rows::decode_conversation(&row, &self.sealer)?.conversation;
            let is_here = rows::index_key(&conversation) == found.key;
            Ok((is_here.then_some(conversation), row.value.len()))
        });
        let mut conversations = Vec::new();
        for (conversation, bytes) in try_join_all(reads).await? {
            bounds.read(usize::from(bytes > 0), bytes);
            conversations.extend(conversation);
        }
        Ok(conversations)
    }
}

impl ListPlace {
    /// The keys of the list from this place on, and what all keys of the list begin with.
    fn range(&self, of: &ListOwner, filter: &ListFilter) -> (KeyRange, String) {
        let by_index = filter.group().filter(|_| self.rows == ListRows::Index);
        let (range, prefix) = match (of, by_index) {
            (ListOwner::All, _) => (KeyRange::prefix(rows::MAIN_ROWS), rows::MAIN_ROWS.to_owned()),
            (ListOwner::Client(client), Some(group)) => {
                (filter.index_rows(client, group, self.now), rows::index_prefix(client, group))
            }
            (ListOwner::Client(client), None) => (rows::conversations_of(client), rows::conversations_prefix(client)),
        };
        let range = match &self.after {
            Some(after) => range.after(&format!("{prefix}{after}")),
            None => range,
        };
        (range, prefix)
    }
}

impl Bounds {
    fn are_reached(&self) -> bool {
        self.rows == 0 || self.bytes == 0 || Instant::now() >= self.until
    }

    fn read(&mut self, rows: usize, bytes: usize) {
        self.rows = self.rows.saturating_sub(rows);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

impl Part {
    fn new(partition: Partition, range: &KeyRange) -> Self {
        let rest = (range.from < range.to).then(|| range.clone());
        Self { partition, rest, read: VecDeque::new() }
    }

    /// Whether the first row of this part is not known.
    fn must_be_read(&self) -> bool {
        self.read.is_empty() && self.rest.is_some()
    }

    fn first_key(&self) -> Option<&str> {
        self.read.front().map(|found| found.key.as_str())
    }
}

/// Takes up to `limit` rows of all parts in the order of the list, as far as it is known.
fn next_rows(parts: &mut [Part], limit: usize) -> Vec<(Partition, Found)> {
    let mut rows = Vec::new();
    while rows.len() < limit && !parts.iter().any(Part::must_be_read) {
        let filled = parts.iter_mut().filter(|part| !part.read.is_empty());
        let first = filled.min_by(|a, b| a.first_key().cmp(&b.first_key()));
        let Some(part) = first else { break };
        rows.extend(part.read.pop_front().map(|found| (part.partition, found)));
    }
    rows
}
