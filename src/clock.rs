//! What time it is, and where randomness comes from: injected, so that tests can decide both.
//!
//! Durations are measured and slept with tokio's clock, which tests pause; this trait only says what
//! the calendar shows.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom, SystemRandom};

use crate::domain::Timestamp;

/// What time it is.
pub trait Clock: Send + Sync + 'static {
    /// The calendar's time.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // the one place that reads the clock
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Timestamp::MIN + since_epoch
    }
}

/// A clock that starts at a given time and goes as tokio's does: paused, advanced, or real.
#[derive(Clone, Copy, Debug)]
pub struct VirtualClock {
    start: Timestamp,
    epoch: tokio::time::Instant,
}

impl VirtualClock {
    /// A clock that shows `start` now.
    #[must_use]
    pub fn starting_at(start: Timestamp) -> Self {
        Self { start, epoch: tokio::time::Instant::now() }
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.start + self.epoch.elapsed()
    }
}

/// Where randomness comes from.
pub trait Entropy: Send + Sync + 'static {
    /// Fills a buffer with random bytes.
    fn fill(&self, buffer: &mut [u8]);
}

/// The operating system's generator.
#[derive(Clone, Debug)]
pub struct SystemEntropy(SystemRandom);

impl SystemEntropy {
    /// The operating system's generator.
    #[must_use]
    pub fn new() -> Self {
        Self(SystemRandom::new())
    }
}

impl Default for SystemEntropy {
    fn default() -> Self {
        Self::new()
    }
}

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        // getrandom(2) fails only where the system call does not exist. Ids and keys made of
        // anything else would be guessable, so there is nothing to go on with.
        if self.0.fill(buffer).is_err() {
            std::process::abort();
        }
    }
}

/// `N` random bytes.
pub fn random<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}
