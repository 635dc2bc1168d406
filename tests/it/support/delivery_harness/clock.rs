//! The clock: a test sets it, and says how exactly it knows the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::time::{Clock, VirtualClock};

use super::NOON;

/// A clock that can be set, as an administrator or NTP sets the clock of a machine.
pub struct SettableClock {
    ticking: VirtualClock,
    offset_ms: AtomicI64,
    /// How far the machine's calendar is ahead of it.
    machine_ms: AtomicI64,
    width_ms: AtomicU64,
    is_unknown: AtomicBool,
}

impl SettableClock {
    pub(super) fn at_noon() -> Arc<Self> {
        Arc::new(Self {
            ticking: VirtualClock::starting_at(NOON),
            offset_ms: AtomicI64::new(0),
            machine_ms: AtomicI64::new(0),
            width_ms: AtomicU64::new(0),
            is_unknown: AtomicBool::new(false),
        })
    }

    pub fn jump(&self, seconds: i64) {
        self.offset_ms.fetch_add(seconds * 1000, SeqCst);
    }

    /// Sets the calendar of the machine alone, as if this clock were that of the storage.
    pub fn jump_machine(&self, seconds: i64) {
        self.machine_ms.fetch_add(seconds * 1000, SeqCst);
    }

    /// Sets the difference between the two ends of what the clock knows.
    pub fn set_width(&self, seconds: u64) {
        self.width_ms.store(seconds * 1000, SeqCst);
    }

    /// Sets whether the clock knows the time.
    pub fn set_known(&self, is_known: bool) {
        self.is_unknown.store(!is_known, SeqCst);
    }
}

impl Clock for SettableClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.ticking.now().as_millis() + self.offset_ms.load(SeqCst))
    }

    fn latest(&self) -> Timestamp {
        self.now() + Duration::from_millis(self.width_ms.load(SeqCst))
    }

    fn machine(&self) -> Timestamp {
        Timestamp::from_millis(self.now().as_millis() + self.machine_ms.load(SeqCst))
    }

    fn is_known(&self) -> bool {
        !self.is_unknown.load(SeqCst)
    }
}
