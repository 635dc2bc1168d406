//! The listener of a queue trigger.

use std::sync::Arc;
use std::time::Duration;

use azure_core::RetryOptions;
use azure_storage::{CloudLocation, StorageCredentials};
use azure_storage_queues::operations::Message as Received;
use azure_storage_queues::{PopReceipt, QueueClient, QueueServiceClient, QueueServiceClientBuilder};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcp_scheduler::store::{AzureCredential, AzureSettings};
use mcp_scheduler::time::{SystemEntropy, random};
use time::format_description::well_known::Rfc3339;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::app::{QueueOptions, QueueTrigger};
use super::invocation::{self, Message};
use super::log::Source;
use super::{Instance, Patience};

/// How long a received message is hidden. No setting changes that: after the death of an instance, its messages are hidden
/// for this time.
const LOCK: Duration = Duration::from_mins(10);
/// How long a message stays in the poison queue.
const POISON_LIFE: Duration = Duration::from_hours(7 * 24);
const FIRST_PAUSE: Duration = Duration::from_millis(100);

struct Listener {
    instance: Arc<Instance>,
    function: String,
    binding: String,
    queue: QueueClient,
    poison: QueueClient,
    patience: Patience,
}

/// Receives messages and calls the function until `drain`, then waits for the calls in flight. If the future is dropped, or
/// the host ends, their messages stay locked.
pub(super) async fn listen(
    instance: Arc<Instance>,
    function: String,
    trigger: QueueTrigger,
    patience: Patience,
    drain: CancellationToken,
) {
    let service = service(instance.setting(&trigger.connection));
    let listener = Arc::new(Listener {
        function,
        binding: trigger.binding,
        queue: service.queue_client(&trigger.queue),
        poison: service.queue_client(format!("{}-poison", trigger.queue)),
        instance,
        patience,
    });
    let mut calls = JoinSet::new();
    tokio::select! {
        () = listener.take(&mut calls) => {}
        () = listener.instance.handler.stopped() => return,
        () = drain.cancelled() => {}
    }
    while calls.join_next().await.is_some() {}
}

fn service(connection: &str) -> QueueServiceClient {
    let lookup = |name: &str| (name == "AzureWebJobsStorage").then(|| connection.to_owned());
    let settings = AzureSettings::from_vars(lookup).expect("the setting that the trigger's connection names");
    let AzureCredential::Key(key) = &settings.credential else { panic!("a connection string with a key") };
    let credentials = StorageCredentials::access_key(settings.account.clone(), key.expose().clone());
    let location = CloudLocation::Custom { account: settings.account, uri: settings.queue_endpoint };
    QueueServiceClientBuilder::with_location(location, credentials).retry(RetryOptions::none()).build()
}

impl Listener {
    fn options(&self) -> &QueueOptions {
        &self.instance.app.queues
    }

    async fn take(self: &Arc<Self>, calls: &mut JoinSet<()>) {
        let mut pause = Pause::new(self.options().max_polling_interval);
        let mut storage = Storage { gone_since: Some(Instant::now()), patience: self.patience.start };
        loop {
            while calls.try_join_next().is_some() {}
            while calls.len() > self.options().new_batch_threshold {
                calls.join_next().await;
            }
            let batch = u8::try_from(self.options().batch_size).unwrap();
            let answer = self.queue.get_messages().number_of_messages(batch).visibility_timeout(LOCK).await;
            if storage.is_lost(answer.as_ref().err()) {
                return self.instance.end("storage is gone");
            }
            if storage.gone_since.is_none() {
                storage.patience = self.patience.poll;
            }
            // The queue may not exist yet, and storage may be down; the next poll tries again.
            match answer {
                Ok(answer) if !answer.messages.is_empty() => {
                    pause.reset();
                    for message in answer.messages {
                        let listener = Arc::clone(self);
                        calls.spawn(async move { listener.work_on(message).await });
                    }
                }
                _ => sleep(pause.next()).await,
            }
        }
    }

    async fn work_on(&self, received: Received) {
        let count = received.dequeue_count;
        let mut receipt = received.pop_receipt();
        if count > self.options().max_dequeue_count {
            self.log(&format!("message {} was handed out {count} times", received.message_id));
            return self.move_to_poison_queue(&received, receipt).await;
        }
        let failed = match self.decode(&received) {
            Some(text) => self.call(message(&received, text), &received, &mut receipt).await.err(),
            None => Some("cannot be decoded".to_owned()),
        };
        let Some(failed) = failed else {
            return self.note("delete", self.queue.pop_receipt_client(receipt).delete().await);
        };
        self.log(&format!("{} failed on message {}, time {count}: {failed}", self.function, received.message_id));
        if count >= self.options().max_dequeue_count {
            return self.move_to_poison_queue(&received, receipt).await;
        }
        self.release(&received, receipt).await;
    }

    /// Tries until it cannot wait any longer for storage, and then ends the host.
    async fn release(&self, received: &Received, receipt: PopReceipt) {
        let visible = self.options().visibility_timeout;
        let mut storage = Storage { gone_since: None, patience: self.patience.release };
        loop {
            let message = self.queue.pop_receipt_client(receipt.clone());
            let done = message.update(received.message_text.clone(), visible).await;
            if storage.is_lost(done.as_ref().err()) {
                return self.instance.end("a message cannot be released, storage is gone");
            }
            if storage.gone_since.is_none() {
                return self.note("release", done);
            }
            sleep(FIRST_PAUSE).await;
        }
    }

    /// Calls the function, and renews the lock of the message after half of its time.
    async fn call(&self, message: Message, received: &Received, receipt: &mut PopReceipt) -> Result<(), String> {
        let envelope = invocation::of_message(&self.function, &self.binding, &message);
        let mut call = std::pin::pin!(invocation::invoke(&self.instance, &self.function, &envelope));
        loop {
            tokio::select! {
                result = &mut call => return result.map_err(|failed| failed.to_string()),
                () = sleep_until(Instant::now() + LOCK / 2) => {
                    let renewed = self.queue.pop_receipt_client(receipt.clone()).update(&received.message_text, LOCK).await;
                    if let Ok(renewed) = renewed {
                        *receipt = PopReceipt::new(received.message_id.clone(), renewed.pop_receipt);
                    }
                }
            }
        }
    }

    /// The text of the message; `None` if it is not encoded as `messageEncoding` says.
    fn decode(&self, received: &Received) -> Option<String> {
        if !self.options().base64 {
            return Some(received.message_text.clone());
        }
        String::from_utf8(STANDARD.decode(&received.message_text).ok()?).ok()
    }

    async fn move_to_poison_queue(&self, received: &Received, receipt: PopReceipt) {
        let put = || self.poison.put_message(&received.message_text).ttl(POISON_LIFE).into_future();
        let mut done = put().await;
        if done.is_err() {
            self.note("create the poison queue", self.poison.create().await);
            done = put().await;
        }
        if done.is_ok() {
            self.note("delete", self.queue.pop_receipt_client(receipt).delete().await);
        }
        self.note("moved to the poison queue", done);
    }

    /// Logs an error of storage. The call is not repeated, so the message stays hidden until its lock ends.
    fn note<T>(&self, what: &str, done: azure_core::Result<T>) {
        if let Err(error) = done {
            self.log(&format!("{what}: {error}"));
        }
    }

    fn log(&self, line: &str) {
        self.instance.log.add(Source::Host, line);
    }
}

fn message(received: &Received, text: String) -> Message {
    let times = [
        ("ExpirationTime", received.expiration_time),
        ("InsertionTime", received.insertion_time),
        ("NextVisibleTime", received.time_next_visible),
    ];
    Message {
        id: received.message_id.clone(),
        pop_receipt: received.pop_receipt.clone(),
        dequeue_count: received.dequeue_count,
        times: times.map(|(name, time)| (name, time.format(&Rfc3339).unwrap().replace('Z', "+00:00"))),
        text,
    }
}

/// How long storage has not answered.
struct Storage {
    gone_since: Option<Instant>,
    patience: Duration,
}

impl Storage {
    /// Whether storage has been gone for too long. A refusal is an answer.
    fn is_lost(&mut self, error: Option<&azure_core::Error>) -> bool {
        self.gone_since = match error {
            Some(error) if error.as_http_error().is_none() => self.gone_since.or_else(|| Some(Instant::now())),
            _ => None,
        };
        self.gone_since.is_some_and(|since| since.elapsed() >= self.patience)
    }
}

/// The pauses of a listener whose queue is empty: 100 ms at first, then about twice as long each time, up to the longest.
struct Pause {
    longest: Duration,
    exponent: i32,
}

impl Pause {
    const fn new(longest: Duration) -> Self {
        Self { longest, exponent: 0 }
    }

    const fn reset(&mut self) {
        self.exponent = 0;
    }

    fn next(&mut self) -> Duration {
        let chance = f64::from(u32::from_be_bytes(random(&SystemEntropy::new()))) / f64::from(u32::MAX);
        let more = if self.exponent == 0 { 0.0 } else { (0.8 + 0.4 * chance) * 2_f64.powi(self.exponent - 1) };
        let pause = FIRST_PAUSE.mul_f64(1.0 + more).min(self.longest);
        // After the longest pause, all pauses are the longest.
        self.exponent = if pause < self.longest { self.exponent + 1 } else { 30 };
        pause
    }
}

#[test]
fn pauses_grow_up_to_the_longest() {
    let mut pause = Pause::new(Duration::from_secs(1));
    for _ in 0..2 {
        let pauses: Vec<_> = (0..7).map(|_| pause.next().as_millis()).collect();
        assert_eq!((pauses[0], pauses[5], pauses[6]), (100, 1_000, 1_000));
        assert!(pauses.is_sorted() && (180..=220).contains(&pauses[1]), "{pauses:?}");
        pause.reset();
    }
}
