//! The use cases of `cancelConversations` and `redeliverConversations`: a page of a list, and a change of each
//! conversation on it.

use futures_util::future::join_all;

use super::{ListQuery, Scheduler, SchedulerError};
use crate::domain::ClientId;

/// What a call did with the conversations of its page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkResult {
    /// How many conversations are now as the call wants them.
    pub changed: usize,
    /// How many could not be changed.
    pub skipped: usize,
    /// The cursor of the rest. `None` if there is no more.
    pub next: Option<String>,
}

impl Scheduler {
    /// Cancels the conversations of a page of a list. It skips those that cannot be cancelled any more.
    ///
    /// # Errors
    /// As [`Scheduler::list`]. Some of the conversations may be cancelled then, and the same call can be repeated.
    pub async fn cancel_listed(&self, client: &ClientId, query: ListQuery) -> Result<BulkResult, SchedulerError> {
        let page = self.list(client, query).await?;
        // They are changed side by side, so that the store can write many of them at once.
        let cancelled = page.conversations.iter().map(|conversation| self.cancel(client, conversation.id()));
        result_of(join_all(cancelled).await, page.next)
    }

    /// Redelivers the conversations of a page of a list. It skips those that cannot be redelivered.
    ///
    /// The list has the Failed conversation that ended last at its beginning. One that is redelivered and fails again
    /// stands before the cursor then, so the next call does not find it again.
    ///
    /// # Errors
    /// As [`Scheduler::list`]. Some of the conversations may be redelivered then, and the same call can be repeated.
    pub async fn redeliver_listed(&self, client: &ClientId, query: ListQuery) -> Result<BulkResult, SchedulerError> {
        let page = self.list(client, query).await?;
        let redelivered = page.conversations.iter().map(|conversation| self.redeliver(client, conversation.id()));
        result_of(join_all(redelivered).await, page.next)
    }
}

fn result_of<T>(changes: Vec<Result<T, SchedulerError>>, next: Option<String>) -> Result<BulkResult, SchedulerError> {
    let mut result = BulkResult { changed: 0, skipped: 0, next };
    for change in changes {
        match change {
            Ok(_) => result.changed += 1,
            Err(error) if error.is_of_the_conversation() => result.skipped += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(result)
}

impl SchedulerError {
    /// Whether the conversation itself cannot be changed, and not only now.
    const fn is_of_the_conversation(&self) -> bool {
        matches!(self, Self::NotFound | Self::TooLate { .. } | Self::RedeliveryRefused(_) | Self::Busy)
    }
}
