//! The inbox rows of a client.

use futures_util::future::try_join_all;
use tokio::sync::broadcast;

use super::ConversationStore;
use crate::domain::{ClientId, Conversation, ConversationId, Timestamp};
use crate::store::rows::{self, InboxKey};
use crate::store::{StoreError, Table as _};

/// What waits in an inbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InboxPage {
    /// The conversations that can be received now, the earliest first.
    pub ready: Vec<ConversationId>,
    /// The time of the next one, if it was read. It may be later than the time of one that is not on this page.
    pub next: Option<Timestamp>,
    /// Whether more may be ready than is on this page.
    pub has_more: bool,
}

/// A conversation that is received from another time on than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxChange {
    /// The client in whose inbox it is.
    pub client: ClientId,
    /// The time from which it is received.
    pub at: Timestamp,
}

impl ConversationStore {
    /// The changes that a receiver may be behind. If it is more, it looks at its inbox without knowing why.
    pub(super) const INBOX_CHANGES: usize = 64;

    /// Reads what waits in the inbox of a client, up to `limit` rows of each partition. A row that cannot be read is
    /// skipped.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn inbox(&self, client: &ClientId, now: Timestamp, limit: usize) -> Result<InboxPage, StoreError> {
        let range = rows::inbox_rows(client);
        let scans = Self::partitions().map(|partition| self.table.scan(partition, &range, limit));
        let read = |key: String| match key.parse::<InboxKey>() {
            Ok(key) => Some((key.at, key.id)),
            Err(error) => {
                tracing::warn!(key, %error, "inbox row skipped");
                None
            }
        };
        let (mut keys, mut has_more) = (Vec::new(), false);
        for rows in try_join_all(scans).await? {
            let is_full = rows.len() == limit;
            let read: Vec<_> = rows.into_iter().filter_map(|row| read(row.key)).collect();
            has_more |= is_full && read.last().is_none_or(|(at, _)| *at <= now);
            keys.extend(read);
        }
        keys.sort_unstable();
        let next = keys.iter().map(|(at, _)| *at).find(|at| *at > now);
        let ready = keys.into_iter().take_while(|(at, _)| *at <= now).map(|(_, id)| id).collect();
        Ok(InboxPage { ready, next, has_more })
    }

    /// The changes of inboxes that this process makes from now on.
    #[must_use]
    pub fn inbox_changes(&self) -> broadcast::Receiver<InboxChange> {
        self.inbox_changes.subscribe()
    }

    /// Tells those who wait for the inbox of a client that it has changed.
    pub(super) fn note_inbox_change(&self, changed: &Conversation) {
        if let Some(at) = changed.receivable_at() {
            // An error says that nobody waits.
            let _ = self.inbox_changes.send(InboxChange { client: changed.client().clone(), at });
        }
    }
}
