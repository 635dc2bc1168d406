//! The clock of a machine, which may be wrong and may be set.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::time::{Clock, MachineClock, VirtualClock};

/// How far the calendar of a machine is ahead, and how often somebody has set it.
#[derive(Clone, Default)]
pub struct Offset(Arc<(AtomicI64, AtomicU64)>);

impl Offset {
    pub fn of_seconds(ahead: i64) -> Self {
        Self(Arc::new((AtomicI64::new(1000 * ahead), AtomicU64::new(0))))
    }

    pub fn set_seconds(&self, ahead: i64) {
        self.0.0.store(1000 * ahead, Ordering::Relaxed);
        self.0.1.fetch_add(1, Ordering::Relaxed);
    }

    pub fn times_set(&self) -> u64 {
        self.0.1.load(Ordering::Relaxed)
    }
}

/// The clock of a machine.
#[derive(Clone)]
pub struct Machine {
    pub right: VirtualClock,
    pub offset: Offset,
}

impl Clock for Machine {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.right.now().as_millis() + self.offset.0.0.load(Ordering::Relaxed))
    }
}

impl MachineClock for Machine {
    fn since_boot(&self) -> Duration {
        self.right.since_boot()
    }
}
