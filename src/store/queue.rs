//! The hint queue port, and the queue in memory that serves a single process.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;
use tokio_util::time::DelayQueue;

use super::StoreError;
use crate::domain::{Hint, Timestamp};

/// Somewhere to put a wake-up so that a worker gets it later.
#[async_trait]
pub trait HintQueue: Send + Sync + 'static {
    /// Shows the hint to a worker after `delay` or a little earlier, at least once if it is shown at
    /// all. How much earlier is the queue's affair: it knows how coarse its delays are.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], or [`StoreError::Unknown`] if it may have been put all the same;
    /// the sweep will put the hint again.
    async fn put(&self, hint: &Hint, delay: Duration) -> Result<(), StoreError>;

    /// How far ahead a hint may be put. What is due later is left to the sweep.
    fn horizon(&self) -> Duration;

    /// Hints put before this instant are gone, so the sweep puts them again.
    fn remembers_since(&self) -> Timestamp;

    /// How many messages were put aside because they failed again and again: the length of the poison
    /// queue, about. None where there is no such queue.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn poisoned(&self) -> Result<usize, StoreError> {
        Ok(0)
    }
}

/// The other end, for a worker of our own. (The Functions host receives by itself.)
#[async_trait]
pub trait HintReceiver: Send + Sync + 'static {
    /// Waits until at least one hint is visible and takes up to `max`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn receive(&self, max: usize) -> Result<Vec<ReceivedHint>, StoreError>;

    /// Removes a hint that was dealt with. One that is not removed may be shown again.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn delete(&self, received: &ReceivedHint) -> Result<(), StoreError>;
}

/// A hint that was taken from a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedHint {
    /// The hint.
    pub hint: Hint,
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
    pub pop: String,
}

/// A hint queue in memory, for a process that is its own worker.
///
/// It forgets everything when the process ends, which is why [`HintQueue::remembers_since`] is the
/// time it was made: the first sweep then puts again whatever is due soon. It keeps hints only for
/// the next minutes, so a million conversations for next year cost it nothing.
pub struct MemoryQueue {
    born: Timestamp,
    put: mpsc::UnboundedSender<(Hint, Instant)>,
    waiting: Mutex<Waiting>,
}

struct Waiting {
    arriving: mpsc::UnboundedReceiver<(Hint, Instant)>,
    delayed: DelayQueue<Hint>,
}

impl MemoryQueue {
    /// What a worker needs to read a conversation and claim it in time, and the timer's own step.
    const LEAD: Duration = Duration::from_millis(15);
    /// Twice as far as the sweep looks ahead, so that every conversation is seen by one of them.
    const HORIZON: Duration = Duration::from_mins(10);

    /// An empty queue, born now.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        let (put, arriving) = mpsc::unbounded_channel();
        Self { born: now, put, waiting: Mutex::new(Waiting { arriving, delayed: DelayQueue::new() }) }
    }
}

#[async_trait]
impl HintQueue for MemoryQueue {
    async fn put(&self, hint: &Hint, delay: Duration) -> Result<(), StoreError> {
        // The receiver lives as long as `self`, so this cannot fail.
        let _ = self.put.send((hint.clone(), Instant::now() + delay.saturating_sub(Self::LEAD)));
        Ok(())
    }

    fn horizon(&self) -> Duration {
        Self::HORIZON
    }

    fn remembers_since(&self) -> Timestamp {
        self.born
    }
}

#[async_trait]
impl HintReceiver for MemoryQueue {
    async fn receive(&self, max: usize) -> Result<Vec<ReceivedHint>, StoreError> {
        let mut waiting = self.waiting.lock().await;
        Ok(waiting.take(max).await)
    }

    async fn delete(&self, _: &ReceivedHint) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Waiting {
    async fn take(&mut self, max: usize) -> Vec<ReceivedHint> {
        let mut taken = Vec::new();
        loop {
            while let Ok((hint, visible)) = self.arriving.try_recv() {
                self.delayed.insert_at(hint, visible);
            }
            while taken.len() < max {
                match futures_util::FutureExt::now_or_never(next(&mut self.delayed)) {
                    Some(Some(hint)) => taken.push(shown(hint)),
                    Some(None) | None => break,
                }
            }
            if !taken.is_empty() || max == 0 {
                return taken;
            }
            tokio::select! {
                biased; // a simulated run must be the same every time
                arrived = self.arriving.recv() => {
                    if let Some((hint, visible)) = arrived {
                        self.delayed.insert_at(hint, visible);
                    }
                }
                Some(hint) = next(&mut self.delayed), if !self.delayed.is_empty() => {
                    taken.push(shown(hint));
                }
            }
        }
    }
}

fn shown(hint: Hint) -> ReceivedHint {
    ReceivedHint { hint, receipt: Receipt::default() }
}

async fn next(delayed: &mut DelayQueue<Hint>) -> Option<Hint> {
    std::future::poll_fn(|context| delayed.poll_expired(context))
        .await
        .map(tokio_util::time::delay_queue::Expired::into_inner)
}
