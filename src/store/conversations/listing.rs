//! The list of a client's conversations, merged from all partitions.
//!
//! A page reads a few rows of each partition at a time and keeps only the conversations, so a list of any length needs
//! little memory. What one page may read is bounded. A page that has reached the bound is short, and its cursor continues
//! after the last row that it examined.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::Instant;

use super::ConversationStore;
use crate::domain::{ClientId, Conversation, ConversationId, Status};
use crate::store::{KeyRange, Partition, StoreError, Table as _, rows};

/// One page of a client's conversations.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The page, newest first.
    pub conversations: Vec<Conversation>,
    /// The cursor of the next page. `None` on the last page.
    pub next: Option<ConversationId>,
}

/// What one page may read. After each bound is reached, the page reads no more.
struct Bounds {
    rows: usize,
    bytes: usize,
    until: Instant,
}

/// The rows of one partition that a page has read and not yet examined.
struct Part {
    partition: Partition,
    /// The rest of the range. `None` if all of it was read.
    rest: Option<KeyRange>,
    /// Newest first.
    read: VecDeque<Conversation>,
}

impl ConversationStore {
    /// The largest number of rows that one scan of a partition reads. Rows of an older version may have 1 MiB each, and a
    /// page scans all partitions at the same time.
    const LIST_SCAN: usize = 8;
    const LIST_ROWS: usize = 4_000;
    const LIST_BYTES: usize = 8 << 20;
    const LIST_TIME: Duration = Duration::from_secs(1);

    /// Reads a page of a client's conversations, newest first. It begins after `cursor`. With `status` it has only
    /// conversations of that status. A page with fewer than `limit` conversations, even one without any, may have a next
    /// page: a page reads a limited number of rows and bytes, for a limited time. It always makes some progress.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list(
        &self,
        client: &ClientId,
        status: Option<Status>,
        limit: usize,
        cursor: Option<ConversationId>,
    ) -> Result<Listing, StoreError> {
        let mut bounds =
            Bounds { rows: Self::LIST_ROWS, bytes: Self::LIST_BYTES, until: Instant::now() + Self::LIST_TIME };
        // With one row more than the page needs, it is known whether another page follows.
        let scan = if status.is_some() { Self::LIST_SCAN } else { Self::LIST_SCAN.min(limit + 1) };
        let mut parts = Part::all(client, cursor);
        let mut conversations = Vec::new();
        let mut examined = None;
        loop {
            let is_full = conversations.len() == limit;
            if is_full && parts.iter().any(|part| !part.read.is_empty()) {
                break;
            }
            if parts.iter().any(Part::must_be_read) {
                if examined.is_some() && bounds.are_reached() {
                    break;
                }
                self.read_parts(&mut parts, scan, &mut bounds).await?;
            }
            if is_full {
                break;
            }
            let Some(next) = newest(&mut parts) else { break };
            examined = Some(next.id());
            if status.is_none_or(|wanted| next.status() == wanted) {
                conversations.push(next);
            }
        }
        let is_last = parts.iter().all(|part| part.rest.is_none() && part.read.is_empty());
        Ok(Listing { conversations, next: examined.filter(|_| !is_last) })
    }

    /// Reads on in all parts that are half empty: they will be empty soon, and on Azure a scan of several partitions takes
    /// no longer than a scan of one.
    async fn read_parts(&self, parts: &mut [Part], scan: usize, bounds: &mut Bounds) -> Result<(), StoreError> {
        let wanting = parts.iter_mut().filter(|part| part.read.len() <= scan / 2);
        for (rows, bytes) in try_join_all(wanting.map(|part| self.read_part(part, scan))).await? {
            bounds.rows = bounds.rows.saturating_sub(rows);
            bounds.bytes = bounds.bytes.saturating_sub(bytes);
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
        for row in &rows {
            part.read.push_back(rows::decode_conversation(row)?.conversation);
        }
        Ok((rows.len(), rows.iter().map(|row| row.value.len()).sum()))
    }
}

impl Bounds {
    fn are_reached(&self) -> bool {
        self.rows == 0 || self.bytes == 0 || Instant::now() >= self.until
    }
}

impl Part {
    /// The parts of a client's list, from the first row after `cursor` on.
    fn all(client: &ClientId, cursor: Option<ConversationId>) -> Vec<Self> {
        let range = rows::conversations_of(client);
        let range = match cursor {
            Some(id) => range.after(&rows::conversation_key(client, id)),
            None => range,
        };
        let part = |partition| Self { partition, rest: Some(range.clone()), read: VecDeque::new() };
        rows::partitions().map(part).collect()
    }

    /// Whether the newest conversation of this part is not known.
    fn must_be_read(&self) -> bool {
        self.read.is_empty() && self.rest.is_some()
    }
}

/// Takes the newest conversation of all parts.
fn newest(parts: &mut [Part]) -> Option<Conversation> {
    let part = parts.iter_mut().max_by_key(|part| part.read.front().map(Conversation::id))?;
    part.read.pop_front()
}
