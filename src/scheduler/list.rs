//! The use case of `listConversations`.

use tokio::runtime::Handle;

use super::{Scheduler, SchedulerError};
use crate::domain::{ClientId, Conversation, ConversationId, Status};
use crate::store::StoreError;

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
    /// Reads a page of the client's conversations, newest first. A few lists are read at one time, and others wait.
    ///
    /// # Errors
    /// [`SchedulerError::TooManyLists`], [`SchedulerError::Unavailable`] or [`SchedulerError::Internal`].
    pub async fn list(&self, client: &ClientId, query: ListQuery) -> Result<ListPage, SchedulerError> {
        let ListQuery { status, limit, cursor } = query;
        let permit = self.lists.take(client).await.ok_or(SchedulerError::TooManyLists)?;
        let (store, client, runtime) = (self.store.clone(), client.clone(), Handle::current());
        // The embedded store reads from the disk without awaiting, and the rows of a page are many. On a thread of its own
        // the list delays no other request. The permit ends with the thread, also if the caller is gone before.
        let read = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            runtime.block_on(store.list(&client, status, limit, cursor))
        });
        let stopped = |error: tokio::task::JoinError| StoreError::Refused(format!("the list was not read: {error}"));
        let listing = read.await.map_err(stopped)??;
        Ok(ListPage { conversations: listing.conversations, next: listing.next })
    }
}
