//! An endpoint that records the conversations that arrive.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use mcp_scheduler::domain::Timestamp;
use serde_json::Value;

use crate::support::receiver::{Received, Receiver as Listener, Reply};

/// A conversation that arrived.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub id: String,
    pub at: Timestamp,
    /// The scheduled time in the request.
    pub scheduled: Timestamp,
}

impl Arrival {
    fn of(request: &Received) -> Self {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        let scheduled = Timestamp::parse(&text("scheduledTime")).unwrap();
        Self { id: text("conversationId"), at: request.at, scheduled }
    }
}

pub struct Receiver {
    pub endpoint: String,
    listener: Listener,
    /// The requests that have been parsed. They are kept, because tests ask often and thousands arrive.
    read: Mutex<Vec<Arrival>>,
}

impl Receiver {
    /// Starts an endpoint that answers 200 after this time.
    pub async fn start(answers_after: Duration) -> Self {
        let listener = Listener::start([Reply::status(200).after(answers_after)]).await;
        Self { endpoint: listener.url("/inbox"), listener, read: Mutex::default() }
    }

    pub fn arrivals(&self) -> Vec<Arrival> {
        self.read(&self.listener.received()).clone()
    }

    /// Waits until the arrivals meet a condition; `false` if they do not in time.
    pub async fn wait(&self, patience: Duration, condition: impl Fn(&[Arrival]) -> bool) -> bool {
        self.listener.wait_until(patience, |requests| condition(&self.read(requests))).await
    }

    fn read(&self, requests: &[Received]) -> MutexGuard<'_, Vec<Arrival>> {
        let mut read = self.read.lock().unwrap();
        let new = requests.iter().skip(read.len()).map(Arrival::of);
        read.extend(new.collect::<Vec<_>>());
        read
    }
}
