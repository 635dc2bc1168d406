//! The queue: it records what is enqueued, and it can lose or refuse wake-ups.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::store::{ReceivedWakeUp, StoreError, WakeUp, WakeUpQueue, WakeUpReceiver};
use mcp_scheduler::testing::Fault;
use mcp_scheduler::time::Clock as _;

use super::SettableClock;

/// A queue that records each wake-up that is enqueued, and can lose or refuse it.
pub struct RecordingQueue {
    inner: Mutex<Arc<dyn DuplexQueue>>,
    clock: Arc<SettableClock>,
    enqueued: Mutex<Vec<Enqueued>>,
    fault: Mutex<Fault>,
}

trait DuplexQueue: WakeUpQueue + WakeUpReceiver {}

impl<Q: WakeUpQueue + WakeUpReceiver> DuplexQueue for Q {}

/// A wake-up that was enqueued at a time, to become visible after a delay.
#[derive(Clone, Debug)]
pub struct Enqueued {
    pub at: Timestamp,
    pub wake_up: WakeUp,
    pub delay: Duration,
}

impl Enqueued {
    /// The time from which a worker receives it.
    pub fn becomes_visible(&self) -> Timestamp {
        self.at + self.delay
    }
}

impl RecordingQueue {
    pub(super) fn new(queue: impl WakeUpQueue + WakeUpReceiver, clock: Arc<SettableClock>) -> Self {
        Self { inner: Mutex::new(Arc::new(queue)), clock, enqueued: Mutex::default(), fault: Mutex::new(Fault::None) }
    }

    /// Every wake-up that was enqueued, lost or not, oldest first.
    pub fn enqueued(&self) -> Vec<Enqueued> {
        self.enqueued.lock().unwrap().clone()
    }

    /// Sets the fault of every later `enqueue`: `None`, `RequestLost` or `Refused`.
    pub fn set_fault(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    fn inner(&self) -> Arc<dyn DuplexQueue> {
        Arc::clone(&self.inner.lock().unwrap())
    }
}

#[async_trait]
impl WakeUpQueue for RecordingQueue {
    async fn enqueue(&self, wake_up: &WakeUp, delay: Duration) -> Result<(), StoreError> {
        self.enqueued.lock().unwrap().push(Enqueued { at: self.clock.now(), wake_up: wake_up.clone(), delay });
        let fault = *self.fault.lock().unwrap();
        match fault {
            Fault::Refused => Err(StoreError::Unavailable("scripted".into())),
            Fault::RequestLost => Ok(()),
            _ => self.inner().enqueue(wake_up, delay).await,
        }
    }
}

#[async_trait]
impl WakeUpReceiver for RecordingQueue {
    async fn receive(&self, max: usize) -> Result<Vec<ReceivedWakeUp>, StoreError> {
        self.inner().receive(max).await
    }

    async fn delete(&self, received: &ReceivedWakeUp) -> Result<(), StoreError> {
        self.inner().delete(received).await
    }
}
