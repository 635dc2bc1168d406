//! The port of the wake-up queue: the end that enqueues, and the end that receives.

use std::time::Duration;

use async_trait::async_trait;

use super::{StoreError, WakeUp};

/// Enqueues wake-ups, each of which a worker receives after a delay.
#[async_trait]
pub trait WakeUpQueue: Send + Sync + 'static {
    /// Enqueues a wake-up that a worker receives after `delay`, in whole seconds. It may be received more than once, or
    /// be lost.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], or [`StoreError::Unknown`] if the wake-up may have been enqueued. In both cases the
    /// sweep finds what is due.
    async fn enqueue(&self, wake_up: &WakeUp, delay: Duration) -> Result<(), StoreError>;

    /// The approximate length of the poison queue, which has the messages that failed repeatedly. It is zero for a
    /// queue without a poison queue.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn poison_queue_length(&self) -> Result<usize, StoreError> {
        Ok(0)
    }
}

/// The queue of a store that has none: it refuses every wake-up.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoQueue;

#[async_trait]
impl WakeUpQueue for NoQueue {
    async fn enqueue(&self, _: &WakeUp, _: Duration) -> Result<(), StoreError> {
        Err(StoreError::Unavailable("the embedded store has no queue".into()))
    }
}

/// Receives wake-ups, for our own worker. Under the Functions host, the host receives them.
#[async_trait]
pub trait WakeUpReceiver: Send + Sync + 'static {
    /// Waits until at least one wake-up is visible, and receives up to `max`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn receive(&self, max: usize) -> Result<Vec<ReceivedWakeUp>, StoreError>;

    /// Deletes a processed wake-up. A wake-up that is not deleted may be received again.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn delete(&self, received: &ReceivedWakeUp) -> Result<(), StoreError>;
}

/// A wake-up that was received from a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedWakeUp {
    /// The wake-up that the message contained.
    pub wake_up: WakeUp,
    /// The data with which the queue deletes the message.
    pub receipt: Receipt,
}

/// The data that a queue needs to delete a message. It is empty for a queue that deletes messages when they are
/// received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The id of the message.
    pub message: String,
    /// Proves that the message was not received by another receiver since.
    pub pop_receipt: String,
}
