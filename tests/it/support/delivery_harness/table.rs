//! The faults and the latencies of the table.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcp_scheduler::testing::{Fault, Faults};

/// The faults and the latencies of the next calls to the table, in order. Later calls succeed at once.
#[derive(Clone, Default)]
pub struct TableFaults {
    faults: Arc<Mutex<VecDeque<Fault>>>,
    latencies: Arc<Mutex<VecDeque<Duration>>>,
    down: Arc<AtomicBool>,
}

impl TableFaults {
    pub fn next_calls(&self, faults: &[Fault]) {
        self.faults.lock().unwrap().extend(faults);
    }

    pub fn next_call_takes(&self, latency: Duration) {
        self.latencies.lock().unwrap().push_back(latency);
    }

    /// Sets whether the table refuses every call.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, SeqCst);
    }
}

impl Faults for TableFaults {
    fn next(&self) -> Fault {
        let scripted = self.faults.lock().unwrap().pop_front().unwrap_or_default();
        if self.down.load(SeqCst) { Fault::Refused } else { scripted }
    }

    fn latency(&self) -> Duration {
        self.latencies.lock().unwrap().pop_front().unwrap_or_default()
    }
}
