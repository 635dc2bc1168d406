//! The list of a client's conversations, merged from all partitions.

use std::cmp::Reverse;

use futures_util::future::try_join_all;

use super::ConversationStore;
use crate::domain::{ClientId, Conversation, ConversationId, Status};
use crate::store::{StoreError, Table as _, rows};

/// One page of a client's conversations.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The page, newest first.
    pub conversations: Vec<Conversation>,
    /// The cursor of the next page. `None` on the last page.
    pub next: Option<ConversationId>,
}

impl ConversationStore {
    /// The largest number of rows of each partition that one page reads while it looks for a status.
    const LIST_SCAN: usize = 200;

    /// Reads a page of a client's conversations, newest first. It begins after `cursor`. With `status` it has only
    /// conversations of that status. A page with fewer than `limit` conversations may still have a next page.
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
        let scan = if status.is_some() { limit.max(Self::LIST_SCAN) } else { limit };
        let range = rows::conversations_of(client);
        let range = match cursor {
            Some(id) => range.after(&rows::conversation_key(client, id)),
            None => range,
        };
        let scans = rows::partitions().map(|partition| self.table.scan(partition, &range, scan));
        let mut found = Vec::new();
        // A partition with more rows than the scan read hides its older conversations. Older conversations of other
        // partitions must not be on this page, because the next page begins after its last one.
        let mut seen_to: Option<ConversationId> = None;
        for rows in try_join_all(scans).await? {
            if let (Some(last), true) = (rows.last(), rows.len() == scan) {
                seen_to = seen_to.max(Some(rows::id_of(last)?));
            }
            for row in &rows {
                let rows::MainRow { conversation, .. } = rows::decode_conversation(row)?;
                if status.is_none_or(|wanted| conversation.status() == wanted) {
                    found.push(conversation);
                }
            }
        }
        found.retain(|c| seen_to.is_none_or(|seen| c.id() >= seen));
        found.sort_unstable_by_key(|c| Reverse(c.id()));
        let next = if found.len() > limit {
            found.truncate(limit);
            found.last().map(Conversation::id)
        } else {
            seen_to
        };
        Ok(Listing { conversations: found, next })
    }
}
