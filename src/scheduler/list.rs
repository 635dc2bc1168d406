//! The use case of `listConversations`.

use tokio::runtime::Handle;

use super::cursor::ListOfReader;
use super::{Scheduler, SchedulerError};
use crate::domain::{ClientId, Conversation};
use crate::store::{ListFilter, ListOwner, ListPlace, StoreError};

/// A list request that passed validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// The conversations of the list, and its order.
    pub filter: ListFilter,
    /// The largest number of conversations on a page.
    pub limit: usize,
    /// The cursor of the page before. `None` for the first page.
    pub cursor: Option<String>,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPage {
    /// The conversations, in the order of the list.
    pub conversations: Vec<Conversation>,
    /// The cursor of the next page. `None` on the last page.
    pub next: Option<String>,
}

impl Scheduler {
    /// Reads a page of the client's conversations. A few lists are read at one time, and others wait.
    ///
    /// # Errors
    /// [`SchedulerError::InvalidCursor`], [`SchedulerError::TooManyLists`], [`SchedulerError::Unavailable`] or
    /// [`SchedulerError::Internal`].
    pub async fn list(&self, client: &ClientId, query: ListQuery) -> Result<ListPage, SchedulerError> {
        self.list_of(client, &client.into(), query).await
    }

    /// Reads a page of the conversations of any client, or of all clients. Whoever calls this has checked that the reader may
    /// see them.
    ///
    /// # Errors
    /// As [`Scheduler::list`].
    pub async fn list_of(
        &self,
        reader: &ClientId,
        of: &ListOwner,
        query: ListQuery,
    ) -> Result<ListPage, SchedulerError> {
        let ListQuery { filter, limit, cursor } = query;
        let list = ListOfReader { reader, of, filter: &filter };
        let cursors = self.cursors.get();
        let open = |cursor: String| cursors.open(list, &cursor).ok_or(SchedulerError::InvalidCursor);
        let place = cursor.map(open).transpose()?;
        let permit = self.lists.take(reader).await.ok_or(SchedulerError::TooManyLists)?;
        let place = if let Some(place) = place { place } else { self.list_from_start(of, &filter).await? };
        let (store, of, runtime) = (self.store.clone(), of.clone(), Handle::current());
        let by = filter.clone();
        // The embedded store reads from the disk without awaiting, and the rows of a page are many. On a thread of its own
        // the list delays no other request. The permit ends with the thread, also if the caller is gone before.
        let read = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            runtime.block_on(store.list(&of, &by, limit, &place))
        });
        let stopped = |error: tokio::task::JoinError| StoreError::Refused(format!("the list was not read: {error}"));
        let listing = read.await.map_err(stopped)??;
        let next = listing.next.and_then(|place| cursors.seal(list, &place));
        Ok(ListPage { conversations: listing.conversations, next })
    }

    async fn list_from_start(&self, of: &ListOwner, filter: &ListFilter) -> Result<ListPlace, StoreError> {
        // The time decides between Scheduled and InProgress.
        if filter.has_index() {
            self.store.tell_time(&*self.clock).await?;
        }
        self.store.list_from_start(of, filter, self.clock.now()).await
    }
}
