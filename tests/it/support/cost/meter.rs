//! The time in which an instance is billed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::account::Account;
use super::counts::Kind;

/// An instance is billed while it runs at least one function, and at least for a second.
pub struct Meter {
    account: Arc<Account>,
    kind: Kind,
    state: Mutex<State>,
}

struct State {
    running: usize,
    billed_until: Instant,
}

impl Meter {
    const LEAST: Duration = Duration::from_secs(1);

    pub fn new(account: &Arc<Account>, kind: Kind) -> Self {
        let state = Mutex::new(State { running: 0, billed_until: Instant::now() });
        Self { account: Arc::clone(account), kind, state }
    }

    /// Runs a function.
    pub async fn run<T>(&self, function: impl Future<Output = T>) -> T {
        {
            let mut state = self.state.lock().unwrap();
            if state.running == 0 {
                state.billed_until = state.billed_until.max(Instant::now());
                self.bill(&mut state, Instant::now() + Self::LEAST);
            }
            state.running += 1;
        }
        let result = function.await;
        let mut state = self.state.lock().unwrap();
        state.running -= 1;
        if state.running == 0 {
            self.bill(&mut state, Instant::now());
        }
        result
    }

    fn bill(&self, state: &mut State, until: Instant) {
        let more = until.saturating_duration_since(state.billed_until);
        state.billed_until += more;
        self.account.count_many(self.kind, u64::try_from(more.as_millis()).unwrap());
    }
}
