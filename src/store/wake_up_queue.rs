//! The wake-up queue port.

use std::time::Duration;

use async_trait::async_trait;

use super::{StoreError, WakeUp};
use crate::domain::Timestamp;

/// Somewhere to put a wake-up so that a worker gets it later.
#[async_trait]
pub trait WakeUpQueue: Send + Sync + 'static {
    /// Shows the wake-up to a worker after `delay` or a little earlier, at least once if it is shown at
    /// all. How much earlier is the queue's affair: it knows how coarse its delays are.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], or [`StoreError::Unknown`] if it may have been put all the same;
    /// the sweep will put the wake-up again.
    async fn enqueue(&self, wake_up: &WakeUp, delay: Duration) -> Result<(), StoreError>;

    /// How far ahead a wake-up may be put. What is due later is left to the sweep.
    fn horizon(&self) -> Duration;

    /// Wake-ups put before this instant are gone, so the sweep puts them again.
    fn retained_since(&self) -> Timestamp;

    /// How many messages were put aside because they failed again and again: the length of the poison
    /// queue, about. None where there is no such queue.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn poison_queue_length(&self) -> Result<usize, StoreError> {
        Ok(0)
    }
}

/// The other end, for a worker of our own. (The Functions host receives by itself.)
#[async_trait]
pub trait WakeUpReceiver: Send + Sync + 'static {
    /// Waits until at least one wake-up is visible and takes up to `max`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn receive(&self, max: usize) -> Result<Vec<ReceivedWakeUp>, StoreError>;

    /// Removes a wake-up that was dealt with. One that is not removed may be shown again.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn delete(&self, received: &ReceivedWakeUp) -> Result<(), StoreError>;
}

/// A wake-up that was taken from a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedWakeUp {
    /// The wake-up.
    pub wake_up: WakeUp,
    /// Names this receipt of it to the queue.
    pub receipt: Receipt,
}

/// What a queue needs to remove a message: which one, and that it was this receiver who got it last.
/// Empty where the queue forgets what it shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The queue's own name for the message.
    pub message: String,
    /// The queue's own name for the receipt.
    pub pop_receipt: String,
}
