//! The plan of the faults in one run.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mcp_scheduler::testing::Fault;

use super::seeded_rng::SeededRng;

/// What can fail in a run. It decides how late a delivery may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// Nothing fails, except that messages are doubled and come early, and that the clocks of machines are wrong.
    Nothing,
    /// Messages are lost, late and not deleted.
    Messages,
    /// The sweeps of the timer fail and die at each of their calls, and nothing else.
    Sweeps,
    /// The table, the queue, the processes and the timer.
    Everything,
    /// The timer is dead and clients call, so that the second waker has to sweep.
    DeadTimer,
    /// The timer dies and nobody calls, so that only the dead man's switch is left.
    Silence,
    /// The queue refuses everything from some time on.
    DeadQueue,
    /// A process with a store of its own: the process, its store and its clock.
    OneProcess,
}

impl Profile {
    /// The profile of a seed on a store that several processes share.
    pub fn of_seed(seed: u64) -> Self {
        match seed % 20 {
            0..4 => Self::Nothing,
            4..7 => Self::Messages,
            7..10 => Self::Sweeps,
            10..17 => Self::Everything,
            17 => Self::DeadTimer,
            18 => Self::Silence,
            _ => Self::DeadQueue,
        }
    }

    pub fn is_in_time(self) -> bool {
        matches!(self, Self::Nothing | Self::Sweeps)
    }
}

/// The rates of the faults in one run, per thousand calls, and the times when a part of the service is dead.
#[derive(Debug)]
pub struct FaultPlan {
    pub profile: Profile,
    refused: u64,
    request_lost: u64,
    answer_lost: u64,
    applied_later: u64,
    wake_up_lost: u64,
    wake_up_late: u64,
    wake_up_doubled: u64,
    wake_up_stale: u64,
    wake_up_early: u64,
    wake_up_kept: u64,
    process_dies: u64,
    process_freezes: u64,
    sweep_dies: u64,
    pub endpoint_takes_it: u64,
    pub endpoint_answers: u64,
    timer_dead: Option<(Duration, Duration)>,
    queue_dead: Option<(Duration, Duration)>,
    /// How far the dates of the table are from the time at most.
    pub date_error: Duration,
    is_stopped: AtomicBool,
}

impl FaultPlan {
    const FOREVER: Duration = Duration::MAX;

    pub fn of(rng: &SeededRng, profile: Profile) -> Self {
        let mut plan = Self::harmless(rng, profile);
        let minutes = |from: u64, to: u64| Duration::from_mins(from) + rng.up_to(Duration::from_mins(to - from));
        match profile {
            Profile::Nothing => {}
            Profile::Messages => plan.lose_messages(rng),
            Profile::Sweeps => {
                plan.fail_at_table(rng);
                plan.sweep_dies = rng.pick(&[0, 3, 20]);
            }
            Profile::Everything => {
                plan.fail_at_table(rng);
                plan.lose_messages(rng);
                plan.process_dies = rng.pick(&[0, 1, 10]);
                plan.process_freezes = rng.pick(&[0, 3, 20]);
                plan.endpoint_answers = 900;
                let window = |begin: Duration| Some((begin, begin + minutes(1, 10)));
                plan.timer_dead = rng.chance(300).then(|| minutes(0, 15)).and_then(window);
                plan.queue_dead = rng.chance(300).then(|| minutes(0, 15)).and_then(window);
            }
            Profile::DeadTimer => {
                plan.wake_up_lost = rng.pick(&[0, 200]);
                plan.timer_dead = Some((Duration::ZERO, Self::FOREVER));
            }
            Profile::Silence => plan.timer_dead = Some((minutes(1, 30), Self::FOREVER)),
            Profile::DeadQueue => plan.queue_dead = Some((minutes(0, 5), Self::FOREVER)),
            Profile::OneProcess => {
                if rng.chance(750) {
                    plan.fail_at_table(rng);
                    plan.applied_later = 0;
                    plan.process_dies = rng.pick(&[0, 1, 10]);
                    plan.process_freezes = rng.pick(&[0, 3, 20]);
                    plan.endpoint_answers = 900;
                }
            }
        }
        plan
    }

    fn harmless(rng: &SeededRng, profile: Profile) -> Self {
        Self {
            profile,
            refused: 0,
            request_lost: 0,
            answer_lost: 0,
            applied_later: 0,
            wake_up_lost: 0,
            wake_up_late: 0,
            wake_up_doubled: rng.pick(&[0, 50, 300]),
            wake_up_stale: 0,
            wake_up_early: rng.pick(&[0, 0, 200]),
            wake_up_kept: 0,
            process_dies: 0,
            process_freezes: 0,
            sweep_dies: 0,
            endpoint_takes_it: rng.pick(&[1000, 700, 300, 0]),
            endpoint_answers: 1000,
            timer_dead: None,
            queue_dead: None,
            date_error: Duration::from_millis(rng.pick(&[0, 0, 1000])),
            is_stopped: AtomicBool::new(false),
        }
    }

    fn fail_at_table(&mut self, rng: &SeededRng) {
        self.refused = rng.pick(&[0, 10, 30, 80]);
        self.request_lost = rng.pick(&[0, 10, 30, 80]);
        self.answer_lost = rng.pick(&[0, 10, 30, 80]);
        self.applied_later = rng.pick(&[0, 10, 30]);
    }

    fn lose_messages(&mut self, rng: &SeededRng) {
        self.wake_up_lost = rng.pick(&[0, 50, 300]);
        self.wake_up_late = rng.pick(&[0, 0, 100]);
        self.wake_up_stale = rng.pick(&[0, 0, 100]);
        self.wake_up_kept = rng.pick(&[0, 0, 100]);
    }

    /// Ends all faults.
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    pub fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    /// How long the faults last.
    pub fn lasts(&self) -> Duration {
        if self.profile == Profile::Silence { Duration::from_mins(75) } else { Duration::from_mins(20) }
    }

    /// Whether a process may be killed at any time.
    pub fn kills(&self) -> bool {
        self.profile == Profile::Everything || (self.profile == Profile::OneProcess && self.endpoint_answers < 1000)
    }

    /// Whether the timer starts no sweep at this time of the run.
    pub fn timer_is_dead(&self, at: Duration) -> bool {
        !self.is_stopped() && self.timer_dead.is_some_and(|(from, to)| from <= at && at < to)
    }

    fn hits(&self, rng: &SeededRng, per_mille: u64) -> bool {
        per_mille > 0 && !self.is_stopped() && rng.chance(per_mille)
    }

    pub fn process_dies(&self, rng: &SeededRng) -> bool {
        self.hits(rng, self.process_dies)
    }

    pub fn process_freezes(&self, rng: &SeededRng) -> bool {
        self.hits(rng, self.process_freezes)
    }

    pub fn sweep_dies(&self, rng: &SeededRng) -> bool {
        self.hits(rng, self.sweep_dies)
    }

    pub fn wake_up_is_kept(&self, rng: &SeededRng) -> bool {
        self.hits(rng, self.wake_up_kept)
    }

    /// The delay of a wake-up, and that of a copy which comes much later.
    pub fn delays(&self, rng: &SeededRng, delay: Duration) -> (Duration, Option<Duration>) {
        let stale = self.hits(rng, self.wake_up_stale).then(|| delay + rng.up_to(Duration::from_hours(1)));
        let delay = match () {
            () if self.hits(rng, self.wake_up_early) => delay.saturating_sub(rng.up_to(Duration::from_secs(90))),
            () if self.hits(rng, self.wake_up_late) => delay + rng.up_to(Duration::from_mins(30)),
            () => delay,
        };
        (delay, stale)
    }

    /// The fault of a call of the table, which comes from a sweep of the timer or not.
    pub fn on_table_call(&self, rng: &SeededRng, in_sweep: bool) -> TableFault {
        if self.profile == Profile::Sweeps && !in_sweep {
            return TableFault::None;
        }
        let limits = [
            (self.refused, TableFault::Refused),
            (self.request_lost, TableFault::RequestLost),
            (self.answer_lost, TableFault::AnswerLost),
            (self.applied_later, TableFault::AppliedLater),
        ];
        self.choose(rng, TableFault::None, &limits)
    }

    pub fn on_queue_call(&self, rng: &SeededRng, at: Duration, in_sweep: bool) -> Fault {
        if !self.is_stopped() && self.queue_dead.is_some_and(|(from, to)| from <= at && at < to) {
            return Fault::Refused;
        }
        let fails = self.profile != Profile::Sweeps || in_sweep;
        let limits = [
            (if fails { self.refused } else { 0 }, Fault::Refused),
            (self.wake_up_lost, Fault::RequestLost),
            (self.wake_up_doubled, Fault::Doubled),
            (if fails { self.answer_lost } else { 0 }, Fault::AnswerLost),
        ];
        self.choose(rng, Fault::None, &limits)
    }

    fn choose<F: Copy>(&self, rng: &SeededRng, none: F, limits: &[(u64, F)]) -> F {
        if self.is_stopped() {
            return none;
        }
        let mut next = rng.below(1000);
        for (limit, fault) in limits {
            if next < *limit {
                return *fault;
            }
            next -= limit;
        }
        none
    }
}

/// The fault of one call of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFault {
    None,
    /// It has no effect, and the caller learns that.
    Refused,
    /// It has no effect, and the caller does not learn that.
    RequestLost,
    /// It has its effect, and the caller does not learn that.
    AnswerLost,
    /// It has its effect up to 90 seconds later, and the caller does not learn that.
    AppliedLater,
}
