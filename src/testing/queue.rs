//! A queue in memory with the semantics of a storage queue.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Fault, Faults};
use crate::store::{Receipt, ReceivedWakeUp, StoreError, WakeUp, WakeUpQueue, WakeUpReceiver};
use crate::sync::lock;

/// A queue in memory. A test can keep it while it restarts the worker, as a storage queue outlives its workers.
pub struct SimulatedQueue {
    state: Mutex<State>,
    arrived: Notify,
    faults: Arc<dyn Faults>,
    hidden: Duration,
}

#[derive(Default)]
struct State {
    last: u64,
    /// By the time at which they become visible.
    messages: BTreeMap<(Instant, u64), Message>,
    poisoned: usize,
}

impl State {
    /// Takes a message out, if nobody has received it since.
    fn remove(&mut self, received: &ReceivedWakeUp) -> Option<(Instant, u64, Message)> {
        let is_it = |((_, number), message): (&(Instant, u64), &Message)| {
            number.to_string() == received.receipt.message
                && message.received.to_string() == received.receipt.pop_receipt
        };
        let key = self.messages.iter().find(|entry| is_it(*entry)).map(|(key, _)| *key)?;
        self.messages.remove(&key).map(|message| (key.0, key.1, message))
    }
}

struct Message {
    wake_up: WakeUp,
    received: u32,
}

impl SimulatedQueue {
    /// A received message that is not deleted becomes visible again after this time.
    const HIDDEN: Duration = Duration::from_mins(3);
    /// A message that was received so often is poisoned.
    const TRIES: u32 = 5;

    /// An empty queue.
    pub fn new(faults: impl Faults) -> Self {
        Self { state: Mutex::default(), arrived: Notify::new(), faults: Arc::new(faults), hidden: Self::HIDDEN }
    }

    /// The same queue, but a received message is hidden for this time.
    #[must_use]
    pub fn hidden_for(self, hidden: Duration) -> Self {
        Self { hidden, ..self }
    }

    /// Shows a received message again after a delay, because its handling failed.
    pub fn release(&self, received: &ReceivedWakeUp, delay: Duration) {
        let mut state = lock(&self.state);
        if let Some((_, number, message)) = state.remove(received) {
            state.messages.insert((Instant::now() + delay, number), message);
            self.arrived.notify_one();
        }
    }

    /// The number of messages, visible or not.
    #[must_use]
    pub fn length(&self) -> usize {
        lock(&self.state).messages.len()
    }

    fn add(&self, wake_up: &WakeUp, delay: Duration) {
        let mut state = lock(&self.state);
        state.last += 1;
        let key = (Instant::now() + delay, state.last);
        state.messages.insert(key, Message { wake_up: wake_up.clone(), received: 0 });
        self.arrived.notify_one();
    }

    /// Takes the visible messages, and says when the next one becomes visible.
    fn take(&self, max: usize) -> (Vec<ReceivedWakeUp>, Option<Instant>) {
        let (mut state, now, mut taken) = (lock(&self.state), Instant::now(), Vec::new());
        while taken.len() < max
            && let Some(first) = state.messages.first_entry().filter(|first| first.key().0 <= now)
        {
            let ((_, number), mut message) = first.remove_entry();
            if message.received == Self::TRIES {
                state.poisoned += 1;
                continue;
            }
            message.received += 1;
            let receipt = Receipt { message: number.to_string(), pop_receipt: message.received.to_string() };
            taken.push(ReceivedWakeUp { wake_up: message.wake_up.clone(), receipt });
            state.messages.insert((now + self.hidden, number), message);
        }
        (taken, state.messages.keys().next().map(|(visible, _)| *visible))
    }
}

#[async_trait]
impl WakeUpQueue for SimulatedQueue {
    async fn enqueue(&self, wake_up: &WakeUp, delay: Duration) -> Result<(), StoreError> {
        tokio::time::sleep(self.faults.latency()).await;
        let fault = self.faults.next();
        match fault {
            Fault::RequestLost => return Ok(()),
            Fault::Refused => return Err(StoreError::Unavailable("simulated".into())),
            Fault::Doubled => self.add(wake_up, delay),
            Fault::None | Fault::AnswerLost => {}
        }
        self.add(wake_up, delay);
        if fault == Fault::AnswerLost { Err(StoreError::Unknown("simulated".into())) } else { Ok(()) }
    }

    async fn poison_queue_length(&self) -> Result<usize, StoreError> {
        Ok(lock(&self.state).poisoned)
    }
}

#[async_trait]
impl WakeUpReceiver for SimulatedQueue {
    async fn receive(&self, max: usize) -> Result<Vec<ReceivedWakeUp>, StoreError> {
        loop {
            let (taken, next) = self.take(max);
            if !taken.is_empty() || max == 0 {
                return Ok(taken);
            }
            let visible = async {
                match next {
                    Some(next) => tokio::time::sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased; // a simulation with the same seed must take the same branch each time
                () = self.arrived.notified() => {}
                () = visible => {}
            }
        }
    }

    async fn delete(&self, received: &ReceivedWakeUp) -> Result<(), StoreError> {
        lock(&self.state).remove(received);
        Ok(())
    }
}
