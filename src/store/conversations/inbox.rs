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
}

impl ConversationStore {
    /// The rows that are read of each partition: more than one receiver gets, so that several receivers at one time find
    /// conversations for all.
    const INBOX_PAGE: usize = 16;
    /// The commits that a receiver may be behind. If it is more, it looks at its inbox without knowing why.
    pub(super) const ARRIVALS: usize = 64;

    /// Reads what waits in the inbox of a client. A row that cannot be read is skipped.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn inbox(&self, client: &ClientId, now: Timestamp) -> Result<InboxPage, StoreError> {
        let range = rows::inbox_rows(client);
        let scans = Self::partitions().map(|partition| self.table.scan(partition, &range, Self::INBOX_PAGE));
        let rows = try_join_all(scans).await?.into_iter().flatten();
        let read = |key: String| match key.parse::<InboxKey>() {
            Ok(key) => Some((key.at, key.id)),
            Err(error) => {
                tracing::warn!(key, %error, "inbox row skipped");
                None
            }
        };
        let mut keys: Vec<_> = rows.filter_map(|row| read(row.key)).collect();
        keys.sort_unstable();
        let next = keys.iter().map(|(at, _)| *at).find(|at| *at > now);
        let ready = keys.into_iter().take_while(|(at, _)| *at <= now).map(|(_, id)| id).collect();
        Ok(InboxPage { ready, next })
    }

    /// The clients in whose inbox this process puts a conversation from now on, or changes the time of one.
    #[must_use]
    pub fn arrivals(&self) -> broadcast::Receiver<ClientId> {
        self.arrivals.subscribe()
    }

    /// Tells those who wait for the inbox of a client that it has changed.
    pub(super) fn note_arrival(&self, changed: &Conversation) {
        if changed.receivable_at().is_some() {
            // An error says that nobody waits.
            let _ = self.arrivals.send(changed.client().clone());
        }
    }
}
