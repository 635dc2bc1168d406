//! The use case of `runConversation`.

use super::{Scheduler, SchedulerError};
use crate::domain::{ClientId, Conversation, ConversationId, IdempotentRequest, ScheduledBy};

impl Scheduler {
    /// Schedules a copy of a conversation that is due now. The conversation itself stays as it is. With a key, the
    /// repetition of a request gets the copy of the first one. `by` is the request.
    ///
    /// # Errors
    /// [`SchedulerError::NotFound`], and as [`Scheduler::schedule_once`].
    pub async fn run(
        &self,
        client: &ClientId,
        id: ConversationId,
        request: Option<&IdempotentRequest>,
        by: ScheduledBy,
    ) -> Result<Conversation, SchedulerError> {
        // The copy of the first request is found although the conversation may be gone since then.
        if let Some(request) = request
            && let Some(before) = self.scheduled_before(client, request).await?
        {
            return Ok(before);
        }
        let (_, whole) = self.read_whole(client, id).await?;
        self.store.tell_time(&*self.clock).await?;
        let now = self.clock.now();
        match request {
            None => {
                let copy = self.new_id(now, self.placement.next());
                self.insert(whole.again(copy, now, by)).await
            }
            Some(request) => {
                let copy = self.new_id(now, request.key.partition());
                self.insert_once(whole.again(copy, now, by), request).await
            }
        }
    }
}
