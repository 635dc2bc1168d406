//! The faults and the latencies of the table.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcp_scheduler::testing::{Fault, Faults};

/// The faults and the latencies of the next calls to the table, in order. Later calls succeed at once.
#[derive(Clone, Default)]
pub struct TableFaults {
    faults: Arc<Mutex<VecDeque<Fault>>>,
    latencies: Arc<Mutex<VecDeque<Duration>>>,
    down: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
}

impl TableFaults {
    pub fn next_calls(&self, faults: &[Fault]) {
        self.faults.lock().unwrap().extend(faults);
    }

    /// Removes the faults that are left.
    pub fn forget(&self) {
        self.faults.lock().unwrap().clear();
    }

    pub fn next_call_takes(&self, latency: Duration) {
        self.latencies.lock().unwrap().push_back(latency);
    }

    /// The number of calls so far.
    pub fn calls(&self) -> usize {
        self.calls.load(SeqCst)
    }

    /// Sets whether the table refuses every call.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, SeqCst);
    }
}

impl Faults for TableFaults {
    fn next(&self) -> Fault {
        self.calls.fetch_add(1, SeqCst);
        let scripted = self.faults.lock().unwrap().pop_front().unwrap_or_default();
        if self.down.load(SeqCst) { Fault::Refused } else { scripted }
    }

    fn latency(&self) -> Duration {
        self.latencies.lock().unwrap().pop_front().unwrap_or_default()
    }
}
