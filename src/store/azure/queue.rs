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
use crate::metrics;
use crate::store::{InvalidWakeUp, WakeUp};

/// The queue of wake-ups, and its poison queue.
pub struct AzureQueue {
    queue: QueueClient,
    poison: QueueClient,
}

impl AzureQueue {
    /// A received wake-up stays hidden for this time. It is longer than the longest run, from the hold through the wait
    /// for permits to the end of the last lease (5 s + 45 s + 90 s), so that no other worker receives it meanwhile. It is
    /// not much longer, because the wake-ups of a dead worker stay hidden for as long.
    const HIDDEN: Duration = Duration::from_mins(3);
    /// The largest number of messages that one call can receive.
    const BATCH: usize = 32;
    /// The shortest and the longest pause between calls of a receiver while the queue is empty.
    const FIRST_PAUSE: Duration = Duration::from_millis(100);
    const LONGEST_PAUSE: Duration = Duration::from_secs(1);
    /// A message that is not a wake-up is received this many times before it moves to the poison queue. A newer version
    /// of this program may be able to read it. The Functions host has the same limit (`maxDequeueCount`).
    const TRIES: u64 = 5;

    /// The queue with this name. The name of the poison queue is the one that the Functions host uses.
    pub(super) fn new(service: &QueueServiceClient, name: &str) -> Self {
        Self { queue: service.queue_client(name), poison: service.queue_client(format!("{name}-poison")) }
    }

    /// Creates the queue if it does not exist.
    pub(super) async fn create(&self) -> Result<(), StoreError> {
        create(&self.queue).await
    }

    async fn receive_once(&self, max: usize) -> Result<Vec<Message>, StoreError> {
        let batch = u8::try_from(max.min(Self::BATCH)).unwrap_or(u8::MAX);
        let call = self.queue.get_messages().number_of_messages(batch).visibility_timeout(Self::HIDDEN);
        match call.await.map_err(Failure::from) {
            Ok(response) => Ok(response.messages),
            // The first `enqueue` creates the queue.
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
                    // After an error the message stays in the queue and is received again.
                    if let Err(error) = self.reject(message, reason).await {
                        tracing::warn!(%error, "a message that is not a wake-up was not moved to the poison queue");
                    }
                }
            }
        }
        wake_ups
    }

    /// Moves a message that is not a wake-up to the poison queue, after [`Self::TRIES`] receipts. The Functions host
    /// does the same with a message that fails.
    async fn reject(&self, message: Message, reason: InvalidWakeUp) -> Result<(), StoreError> {
        let id = &message.message_id;
        if message.dequeue_count < Self::TRIES {
            tracing::warn!(messaging.message.id = id, %reason, "received a message that is not a wake-up");
            return Ok(());
        }
        put(&self.poison, &message.message_text, Duration::ZERO).await?;
        metrics::record(|metrics| metrics.wake_up_dropped("not_a_wake_up"));
        let to = self.poison.queue_name();
        tracing::error!(messaging.message.id = id, %reason, to, "moved a message that is not a wake-up to the poison queue");
        remove(&self.queue, message.into()).await
    }
}

#[async_trait]
impl WakeUpQueue for AzureQueue {
    async fn enqueue(&self, wake_up: &WakeUp, delay: Duration) -> Result<(), StoreError> {
        let message =
            wake_up.to_message().ok_or_else(|| StoreError::Refused("the wake-up has no message".to_owned()))?;
        put(&self.queue, &message, Duration::from_secs(delay.as_secs())).await
    }

    async fn poison_queue_length(&self) -> Result<usize, StoreError> {
        match self.poison.get_metadata().await.map_err(Failure::from) {
            Ok(response) => Ok(response.approximate_messages_count),
            // The first message that moves there creates the poison queue.
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

/// Deletes a message. If it no longer exists or another receiver has received it since, this is not an error.
async fn remove(queue: &QueueClient, receipt: PopReceipt) -> Result<(), StoreError> {
    match queue.pop_receipt_client(receipt).delete().await.map_err(Failure::from) {
        Err(Failure::ErrorResponse { code, .. }) if code == "PopReceiptMismatch" || code == "MessageNotFound" => Ok(()),
        result => result.map(drop).map_err(Failure::of_read),
    }
}

/// Sets an unlimited time to live for every message. The default is seven days, and the crate can set only finite
/// times.
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
