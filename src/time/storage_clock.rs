//! The clock of the storage, which all processes of an installation share.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::server_time::ServerTime;
use super::{Clock, MachineClock};
use crate::domain::Timestamp;
use crate::sync::lock;

/// The clock of the storage, learned from the dates of its responses.
///
/// The clocks of the processes of an installation may differ. If each process followed its own, one that is ahead would
/// deliver early and take over leases that are still held. So all of them follow the storage.
pub struct StorageClock {
    machine: Arc<dyn MachineClock>,
    time: Mutex<Learned>,
}

#[derive(Default)]
struct Learned {
    time: ServerTime,
    /// Whether the log says that the machine's clock is wrong.
    is_reported: bool,
}

impl StorageClock {
    /// A clock that knows nothing yet. It measures the time between two responses by the machine.
    pub fn new(machine: Arc<dyn MachineClock>) -> Self {
        Self { machine, time: Mutex::default() }
    }

    /// The time of a request, for [`StorageClock::learn`].
    #[must_use]
    pub fn since_boot(&self) -> Duration {
        self.machine.since_boot()
    }

    /// Learns from the date of a response that has just arrived, to a request that was sent at this time.
    pub fn learn(&self, date: Timestamp, sent: Duration) {
        let arrived = self.machine.since_boot();
        lock(&self.time).time.learn(date.as_millis(), sent, arrived);
        let offset = machine_offset(self);
        let was_reported = std::mem::replace(&mut lock(&self.time).is_reported, offset.is_some());
        match offset {
            Some(offset) if !was_reported => tracing::warn!("{offset}; deliveries follow the storage"),
            None if was_reported => tracing::info!("the clock of this machine is right again"),
            _ => {}
        }
    }
}

impl Clock for StorageClock {
    fn now(&self) -> Timestamp {
        let earliest = lock(&self.time).time.earliest(self.machine.since_boot());
        earliest.map_or_else(|| self.machine.now(), Timestamp::from_millis)
    }

    fn latest(&self) -> Timestamp {
        let latest = lock(&self.time).time.latest(self.machine.since_boot());
        latest.map_or_else(|| self.machine.now(), Timestamp::from_millis)
    }

    fn machine(&self) -> Timestamp {
        self.machine.now()
    }

    fn is_known(&self) -> bool {
        lock(&self.time).time.is_known()
    }
}

impl fmt::Debug for StorageClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageClock").finish_non_exhaustive()
    }
}

/// How far the clock of the machine is from the one that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineOffset {
    /// The machine's clock is ahead by at least this much.
    Ahead(Duration),
    /// The machine's clock is behind by at least this much.
    Behind(Duration),
}

impl MachineOffset {
    /// A smaller difference is not worth a warning.
    const MAX: Duration = Duration::from_mins(5);
}

/// How far the clock of the machine is from the one that decides about deliveries, if that is more than five minutes.
#[must_use]
pub fn machine_offset(clock: &dyn Clock) -> Option<MachineOffset> {
    let machine = clock.machine();
    let (ahead, behind) = (clock.latest().until(machine), machine.until(clock.now()));
    match () {
        () if ahead > MachineOffset::MAX => Some(MachineOffset::Ahead(ahead)),
        () if behind > MachineOffset::MAX => Some(MachineOffset::Behind(behind)),
        () => None,
    }
}

impl fmt::Display for MachineOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (offset, direction) = match self {
            Self::Ahead(offset) => (offset, "ahead of"),
            Self::Behind(offset) => (offset, "behind"),
        };
        write!(f, "the clock of this machine is {} s {direction} the clock of the storage", offset.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::VirtualClock;

    const NOON: Timestamp = Timestamp::from_millis(1_893_499_200_000);
    const SECOND: Duration = Duration::from_secs(1);

    /// The clock of a machine that shows noon, and that of a storage with another time.
    fn clock(storage: Timestamp) -> StorageClock {
        let clock = StorageClock::new(Arc::new(VirtualClock::starting_at(NOON)));
        clock.learn(storage, clock.since_boot());
        clock
    }

    #[tokio::test(start_paused = true)]
    async fn it_shows_the_time_of_the_machine_until_it_has_heard_the_storage() {
        let clock = StorageClock::new(Arc::new(VirtualClock::starting_at(NOON)));
        assert_eq!((clock.is_known(), clock.now(), clock.latest()), (false, NOON, NOON));
        clock.learn(NOON - 60 * SECOND, clock.since_boot());
        assert!(clock.is_known());
        assert!(clock.now() <= NOON - 60 * SECOND && clock.latest() >= NOON - 59 * SECOND);
        assert_eq!(clock.machine(), NOON);
    }

    #[tokio::test(start_paused = true)]
    async fn it_runs_on_between_two_responses_and_the_machine_cannot_set_it() {
        let clock = clock(NOON - 600 * SECOND);
        tokio::time::advance(30 * SECOND).await;
        let now = clock.now();
        assert!((NOON - 571 * SECOND..=NOON - 570 * SECOND).contains(&now), "{now}");
        assert!(clock.latest().as_millis() - now.as_millis() < 1_100);
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_that_is_more_than_five_minutes_wrong_is_named() {
        assert_eq!(machine_offset(&VirtualClock::starting_at(NOON)), None);
        assert_eq!(machine_offset(&clock(NOON - 300 * SECOND)), None);
        assert_eq!(machine_offset(&clock(NOON + 300 * SECOND)), None);
        let ahead = machine_offset(&clock(NOON - 3600 * SECOND)).unwrap();
        assert_eq!(ahead.to_string(), "the clock of this machine is 3598 s ahead of the clock of the storage");
        let behind = machine_offset(&clock(NOON + 3600 * SECOND)).unwrap();
        assert_eq!(behind.to_string(), "the clock of this machine is 3599 s behind the clock of the storage");
    }
}
