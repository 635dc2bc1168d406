//! The use case of `listConversations`.

use super::{Scheduler, SchedulerError};
use crate::domain::{ClientId, Conversation, ConversationId, Status};

/// A list request that passed validation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// The list has only conversations with this status. Without it, the list has all.
    pub status: Option<Status>,
    /// The largest number of conversations on a page.
    pub limit: usize,
    /// The page begins after this conversation, with the next older one.
    pub cursor: Option<ConversationId>,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPage {
    /// The conversations, newest first.
    pub conversations: Vec<Conversation>,
    /// The cursor of the next page. `None` on the last page.
    pub next: Option<ConversationId>,
}

impl Scheduler {
    /// Reads a page of the client's conversations, newest first.
    ///
    /// # Errors
    /// [`SchedulerError::Unavailable`] or [`SchedulerError::Internal`].
    pub async fn list(&self, client: &ClientId, query: ListQuery) -> Result<ListPage, SchedulerError> {
        let ListQuery { status, limit, cursor } = query;
        let listing = self.store.list(client, status, limit, cursor).await?;
        Ok(ListPage { conversations: listing.conversations, next: listing.next })
    }
}
