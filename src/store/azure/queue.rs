//! The wake-up queue on Azure Queue Storage.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::{Context, Method, Policy, PolicyResult, Request};
use azure_storage_queues::operations::Message;
use azure_storage_queues::{PopReceipt, QueueClient, QueueServiceClient};

use super::super::{Receipt, ReceivedWakeUp, StoreError, WakeUpQueue, WakeUpReceiver};
use super::failure::Failure;
use super::pass_on;
use crate::domain::Timestamp;
use crate::store::{InvalidWakeUp, WakeUp};

/// Both ends of the queue of wake-ups.
pub struct AzureQueue {
    queue: QueueClient,
    poison: QueueClient,
}

impl AzureQueue {
    /// Twice as far as the sweep looks ahead, so that every conversation is seen by one of them. The queue could hide a
    /// message for seven days, but what is put that early is paid for by every schedule, and in vain where the
    /// conversation is cancelled or moved.
    const HORIZON: Duration = Duration::from_mins(10);
    /// Room for the poll of a waiting receiver; the deliverer holds a wake-up that is two seconds early.
    const LEAD: Duration = Duration::from_secs(1);
    /// How long a received wake-up stays hidden. Longer than a delivery takes, from the hold to the end of
    /// the longest lease (2 s + 90 s), so that nobody else gets it meanwhile; and no longer, because
    /// this is how long the wake-ups of a worker that died are gone.
    const HIDDEN: Duration = Duration::from_mins(2);
    /// As many as one call can receive.
    const BATCH: usize = 32;
    /// The pauses between calls of a receiver that finds nothing.
    const FIRST_PAUSE: Duration = Duration::from_millis(100);
    const LONGEST_PAUSE: Duration = Duration::from_secs(1);
    /// How often a message that cannot be read is received before it is put aside, as the Functions
    /// host counts (`maxDequeueCount`): newer code may be able to read it.
    const TRIES: u64 = 5;

    /// The poison queue has the name that the Functions host gives it.
    pub(super) fn new(service: &QueueServiceClient, name: &str) -> Self {
        Self { queue: service.queue_client(name), poison: service.queue_client(format!("{name}-poison")) }
    }

    /// Makes the queue if there is none.
    pub(super) async fn create(&self) -> Result<(), StoreError> {
        create(&self.queue).await
    }

    async fn receive_once(&self, max: usize) -> Result<Vec<Message>, StoreError> {
        let batch = u8::try_from(max.min(Self::BATCH)).unwrap_or(u8::MAX);
        let call = self.queue.get_messages().number_of_messages(batch).visibility_timeout(Self::HIDDEN);
        match call.await.map_err(Failure::from) {
            Ok(answer) => Ok(answer.messages),
            // Whoever puts the first wake-up makes the queue.
            Err(failure) if failure.is_not_found() => Ok(Vec::new()),
            Err(failure) => Err(failure.of_read()),
        }
    }

    async fn read(&self, messages: Vec<Message>) -> Vec<ReceivedWakeUp> {
        let mut wake_ups = Vec::with_capacity(messages.len());
        for message in messages {
            match WakeUp::from_message(&message.message_text) {
                Ok(wake_up) => {
                    let receipt = Receipt { message: message.message_id, pop_receipt: message.pop_receipt };
                    wake_ups.push(ReceivedWakeUp { wake_up, receipt });
                }
                Err(reason) => {
                    // One that cannot be put aside now is received again.
                    if let Err(error) = self.put_aside(message, reason).await {
                        tracing::warn!(%error, "a message that is no wake-up was not put aside");
                    }
                }
            }
        }
        wake_ups
    }

    /// What the Functions host does with a message that its handler refuses.
    async fn put_aside(&self, message: Message, reason: InvalidWakeUp) -> Result<(), StoreError> {
        let id = &message.message_id;
        if message.dequeue_count < Self::TRIES {
            tracing::warn!(message.id = id, %reason, "received what is no hint");
            return Ok(());
        }
        put(&self.poison, &message.message_text, Duration::ZERO).await?;
        tracing::error!(message.id = id, %reason, to = self.poison.queue_name(), "put aside what is no hint");
        remove(&self.queue, message.into()).await
    }
}

#[async_trait]
impl WakeUpQueue for AzureQueue {
    async fn enqueue(&self, wake_up: &WakeUp, delay: Duration) -> Result<(), StoreError> {
        // Whole seconds, rounded to the early side.
        let hidden = Duration::from_secs(delay.saturating_sub(Self::LEAD).as_secs());
        put(&self.queue, &wake_up.to_message(), hidden).await
    }

    fn horizon(&self) -> Duration {
        Self::HORIZON
    }

    fn retained_since(&self) -> Timestamp {
        Timestamp::MIN
    }

    async fn poison_queue_length(&self) -> Result<usize, StoreError> {
        match self.poison.get_metadata().await.map_err(Failure::from) {
            Ok(answer) => Ok(answer.approximate_messages_count),
            // Whoever puts the first message aside makes the queue.
            Err(failure) if failure.is_not_found() => Ok(0),
            Err(failure) => Err(failure.of_read()),
        }
    }
}

#[async_trait]
impl WakeUpReceiver for AzureQueue {
    async fn receive(&self, max: usize) -> Result<Vec<ReceivedWakeUp>, StoreError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        let mut pause = Self::FIRST_PAUSE;
        loop {
            let messages = self.receive_once(max).await?;
            let wake_ups = self.read(messages).await;
            if !wake_ups.is_empty() {
                return Ok(wake_ups);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Self::LONGEST_PAUSE);
        }
    }

    async fn delete(&self, received: &ReceivedWakeUp) -> Result<(), StoreError> {
        let Receipt { message, pop_receipt } = received.receipt.clone();
        remove(&self.queue, PopReceipt::new(message, pop_receipt)).await
    }
}

async fn create(queue: &QueueClient) -> Result<(), StoreError> {
    match queue.create().await.map_err(Failure::from) {
        Err(failure) if !failure.is_conflict() => Err(failure.of_read()),
        _ => Ok(()),
    }
}

async fn put(queue: &QueueClient, text: &str, hidden: Duration) -> Result<(), StoreError> {
    let put = || queue.put_message(text).visibility_timeout(hidden).into_future();
    let mut result = put().await.map_err(Failure::from);
    if result.as_ref().is_err_and(Failure::is_not_found) {
        create(queue).await?;
        result = put().await.map_err(Failure::from);
    }
    result.map(drop).map_err(Failure::of_write)
}

/// A message that is gone, or that somebody else has received since, need not be removed.
async fn remove(queue: &QueueClient, receipt: PopReceipt) -> Result<(), StoreError> {
    match queue.pop_receipt_client(receipt).delete().await.map_err(Failure::from) {
        Err(Failure::Answered { code, .. }) if code == "PopReceiptMismatch" || code == "MessageNotFound" => Ok(()),
        result => result.map(drop).map_err(Failure::of_read),
    }
}

/// Gives every message a life without end: the crate can only say how long, and a message must
/// outlive the time for which it is hidden.
#[derive(Debug)]
pub(super) struct NeverExpire;

#[async_trait]
impl Policy for NeverExpire {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        if *request.method() == Method::Post && request.url().path().ends_with("/messages") {
            request.url_mut().query_pairs_mut().append_pair("messagettl", "-1");
        }
        pass_on(context, request, next).await
    }
}
