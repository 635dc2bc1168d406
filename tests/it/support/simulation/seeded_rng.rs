//! Random numbers that can be repeated, and the plan of the faults in one run.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mcp_scheduler::testing::{Fault, Faults};
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

/// The rates of the faults in one run, per thousand calls.
#[derive(Debug)]
pub struct FaultPlan {
    refused: u64,
    request_lost: u64,
    answer_lost: u64,
    wake_up_lost: u64,
    wake_up_doubled: u64,
    pub wake_up_early: u64,
    pub process_dies: u64,
    pub process_freezes: u64,
    pub endpoint_takes_it: u64,
    stopped: AtomicBool,
}

impl FaultPlan {
    pub fn of(rng: &SeededRng) -> Self {
        Self {
            refused: rng.pick(&[0, 10, 30, 80]),
            request_lost: rng.pick(&[0, 10, 30, 80]),
            answer_lost: rng.pick(&[0, 10, 30, 80]),
            wake_up_lost: rng.pick(&[0, 50, 300]),
            wake_up_doubled: rng.pick(&[0, 50, 300]),
            wake_up_early: rng.pick(&[0, 0, 200]),
            process_dies: rng.pick(&[0, 1, 10]),
            process_freezes: rng.pick(&[0, 10, 40]),
            endpoint_takes_it: rng.pick(&[1000, 700, 300, 0]),
            stopped: AtomicBool::new(false),
        }
    }

    /// Ends all faults.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    pub fn on_table_call(&self, rng: &SeededRng) -> Fault {
        let limits = [
            (self.refused, Fault::Refused),
            (self.request_lost, Fault::RequestLost),
            (self.answer_lost, Fault::AnswerLost),
        ];
        self.choose(rng, &limits)
    }

    fn on_queue_call(&self, rng: &SeededRng) -> Fault {
        let limits = [
            (self.refused, Fault::Refused),
            (self.wake_up_lost, Fault::RequestLost),
            (self.wake_up_doubled, Fault::Doubled),
            (self.answer_lost, Fault::AnswerLost),
        ];
        self.choose(rng, &limits)
    }

    fn choose(&self, rng: &SeededRng, limits: &[(u64, Fault)]) -> Fault {
        if self.is_stopped() {
            return Fault::None;
        }
        let mut next_u64 = rng.below(1000);
        for (limit, fault) in limits {
            if next_u64 < *limit {
                return *fault;
            }
            next_u64 -= limit;
        }
        Fault::None
    }
}

/// The faults of the queue.
pub struct QueueFaults(pub std::sync::Arc<(SeededRng, FaultPlan)>);

impl Faults for QueueFaults {
    fn next(&self) -> Fault {
        self.0.1.on_queue_call(&self.0.0)
    }

    fn latency(&self) -> Duration {
        if self.0.1.is_stopped() { Duration::ZERO } else { self.0.0.up_to(Duration::from_millis(40)) }
    }
}
