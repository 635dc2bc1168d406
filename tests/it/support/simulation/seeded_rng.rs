//! Random numbers that can be repeated.

use std::sync::Mutex;
use std::time::Duration;

use mcp_scheduler::time::Entropy;

/// A generator of random numbers (splitmix64). Equal seeds give equal numbers.
pub struct SeededRng(Mutex<u64>);

impl SeededRng {
    pub const fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    pub fn next_u64(&self) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&self, end: u64) -> u64 {
        self.next_u64() % end
    }

    pub fn chance(&self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    pub fn pick<T: Copy>(&self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }

    /// A duration from zero to `longest`.
    pub fn up_to(&self, longest: Duration) -> Duration {
        Duration::from_millis(self.below(1 + u64::try_from(longest.as_millis()).unwrap()))
    }
}

impl Entropy for SeededRng {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill_with(|| self.next_u64().to_le_bytes()[0]);
    }
}
