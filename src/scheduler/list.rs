//! `listConversations`

use super::{Scheduler, SchedulerError};
use crate::domain::{ClientId, ConversationId, Status};
use crate::store::Listing;

/// A list request that passed validation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// Only conversations with this status; all without one.
    pub status: Option<Status>,
    /// The most conversations on a page.
    pub limit: usize,
    /// Only conversations older than this one.
    pub cursor: Option<ConversationId>,
}

impl Scheduler {
    /// A page of the client's conversations, newest first.
    ///
    /// # Errors
    /// [`SchedulerError::Store`].
    pub async fn list(&self, client: &ClientId, query: ListQuery) -> Result<Listing, SchedulerError> {
        let ListQuery { status, limit, cursor } = query;
        Ok(self.store.list(client, status, limit, cursor).await?)
    }
}
