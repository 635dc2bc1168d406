//! A clock that can be turned forward.

use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use super::Clock;
use crate::domain::Timestamp;
use crate::sync::lock;

/// A clock that runs as fast as another one, can be held, and can be turned forward while it is held.
pub struct TurnableClock {
    calendar: Arc<dyn Clock>,
    shown: Mutex<Shown>,
    released: Notify,
}

#[derive(Clone, Copy)]
enum Shown {
    /// The time of the other clock, so many milliseconds later.
    Running { ahead: i64 },
    /// This time, until the clock is released.
    Held(Timestamp),
}

impl TurnableClock {
    /// A clock that shows the time of this one until it is turned.
    #[must_use]
    pub fn new(calendar: Arc<dyn Clock>) -> Self {
        Self { calendar, shown: Mutex::new(Shown::Running { ahead: 0 }), released: Notify::new() }
    }

    /// Holds the clock, and returns the time that it shows from now on.
    pub fn hold(&self) -> Timestamp {
        let mut shown = lock(&self.shown);
        let at = shown.at(self.calendar.now());
        *shown = Shown::Held(at);
        at
    }

    /// Turns a clock that is held. It is never turned back.
    pub fn turn_to(&self, time: Timestamp) {
        if let Shown::Held(at) = &mut *lock(&self.shown) {
            *at = time.max(*at);
        }
    }

    /// Lets the clock run on from the time that it shows. Those who wait for a time see it now.
    pub fn release(&self) {
        {
            let mut shown = lock(&self.shown);
            let calendar = self.calendar.now();
            *shown = Shown::Running { ahead: shown.at(calendar).as_millis() - calendar.as_millis() };
        }
        self.released.notify_waiters();
    }
}

impl Shown {
    fn at(self, calendar: Timestamp) -> Timestamp {
        match self {
            Self::Running { ahead } => Timestamp::from_millis(calendar.as_millis().saturating_add(ahead)),
            Self::Held(at) => at,
        }
    }
}

impl Clock for TurnableClock {
    fn now(&self) -> Timestamp {
        lock(&self.shown).at(self.calendar.now())
    }

    fn turned(&self) -> BoxFuture<'_, ()> {
        // It counts from its creation, not from the first poll.
        Box::pin(self.released.notified())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::time::VirtualClock;

    const NOON: Timestamp = Timestamp::from_millis(1_893_499_200_000);
    const SECOND: Duration = Duration::from_secs(1);
    const DAY: Duration = Duration::from_hours(24);

    #[tokio::test(start_paused = true)]
    async fn it_stands_still_while_it_is_held_and_runs_on_from_where_it_was_turned_to() {
        let clock = TurnableClock::new(Arc::new(VirtualClock::starting_at(NOON)));
        tokio::time::advance(SECOND).await;
        assert_eq!((clock.now(), clock.hold()), (NOON + SECOND, NOON + SECOND));
        tokio::time::advance(5 * SECOND).await;
        assert_eq!(clock.now(), NOON + SECOND);
        clock.turn_to(NOON + DAY);
        clock.turn_to(NOON);
        assert_eq!(clock.now(), NOON + DAY, "it is not turned back");
        clock.release();
        tokio::time::advance(SECOND).await;
        assert_eq!(clock.now(), NOON + DAY + SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_was_held_for_longer_than_it_was_turned_is_behind() {
        let clock = TurnableClock::new(Arc::new(VirtualClock::starting_at(NOON)));
        clock.hold();
        clock.turn_to(NOON + SECOND);
        tokio::time::advance(10 * SECOND).await;
        clock.release();
        tokio::time::advance(SECOND).await;
        assert_eq!(clock.now(), NOON + 2 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_runs_is_not_turned() {
        let clock = TurnableClock::new(Arc::new(VirtualClock::starting_at(NOON)));
        clock.turn_to(NOON + DAY);
        assert_eq!(clock.now(), NOON);
    }
}
