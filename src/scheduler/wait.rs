//! The use case of `waitForConversation`.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{Found, Scheduler, SchedulerError};
use crate::domain::{ClientId, ConversationId};

impl Scheduler {
    /// The time after which a wait looks at the conversation again. Another process may have delivered it.
    const LOOK_EVERY: Duration = Duration::from_secs(1);

    /// The same, and [`Scheduler::wait`] may wait. The stop ends all waits.
    #[must_use]
    pub fn waiting_until(self, stop: CancellationToken) -> Self {
        Self { stop: Some(stop), ..self }
    }

    /// Reads a conversation of a client as soon as it has ended, and at the latest after this time.
    ///
    /// # Errors
    /// As [`Scheduler::get`].
    pub async fn wait(
        &self,
        client: &ClientId,
        id: ConversationId,
        longest: Duration,
    ) -> Result<Found, SchedulerError> {
        let end = Instant::now() + longest;
        loop {
            // Before the look: a turn of the clock after it ends the pause.
            let turned = self.clock.turned();
            let read = self.read(client, id).await?;
            let rest = end.saturating_duration_since(Instant::now());
            let is_over = read.value.status().is_final() || rest.is_zero();
            let Some(stop) = self.stop.as_ref().filter(|stop| !is_over && !stop.is_cancelled()) else {
                return self.found(read).await;
            };
            tokio::select! {
                biased; // a simulated run must be the same every time
                () = stop.cancelled() => {}
                () = turned => {}
                () = sleep(rest.min(Self::LOOK_EVERY)) => {}
            }
        }
    }
}
