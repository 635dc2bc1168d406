//! Conversations that are scheduled and delivered.

use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::api::ScheduleRequest;
use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::time::Clock as _;
use tokio::task::JoinSet;

use super::account::{Account, Delivered, START};
use super::counts::{Counts, Kind};
use super::host;
use super::service::{Role, Service};

const MINUTE: Duration = Duration::from_mins(1);
pub const A_MINUTE: Duration = MINUTE;
pub const A_DAY: Duration = Duration::from_hours(24);

/// When conversations are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// At times that do not depend on each other.
    Independent,
    /// Each a little after the one before it: of one per second, each has a second of its own.
    Regular,
    /// All at one instant.
    AtOnce,
}

/// As many conversations as are due per second, for so many seconds, each scheduled by a call of its own.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub per_second: u64,
    pub seconds: u64,
    pub ahead: Duration,
    pub spread: Spread,
    /// The instances of the queue function.
    pub queues: usize,
    /// How many times the load is run, each time with other random numbers.
    pub runs: u64,
}

/// What a load has cost.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    pub load: Load,
    /// Without what the same minutes cost when there is nothing to do.
    pub counts: Counts,
    /// The empty polls while the conversations were delivered.
    pub polls_per_second: f64,
    pub delivered: Delivered,
}

#[allow(clippy::cast_precision_loss)] // the counts are small
impl Measured {
    /// The number of these kinds for one conversation.
    pub fn per_conversation(&self, kinds: &[Kind]) -> f64 {
        self.counts.sum(kinds) as f64 / self.load.conversations() as f64
    }

    pub const fn per_second(&self) -> f64 {
        self.load.per_second as f64
    }
}

impl Load {
    pub const fn conversations(&self) -> u64 {
        self.per_second * self.seconds * self.runs
    }

    pub fn is_regular(&self) -> bool {
        self.spread == Spread::Regular
    }

    /// Runs the load.
    pub fn run(self) -> Measured {
        let mut total = self.run_once(1);
        for seed in 2..=self.runs {
            let next = self.run_once(seed);
            total.counts += next.counts;
            total.delivered.requests += next.delivered.requests;
            total.delivered.lateness = total.delivered.lateness.max(next.delivered.lateness);
        }
        assert_eq!(total.delivered.requests, self.conversations(), "{self:?}");
        total
    }

    fn run_once(self, seed: u64) -> Measured {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(self.measure(seed))
    }

    async fn measure(self, seed: u64) -> Measured {
        let account = Account::new(seed);
        let [http, timer] = [Role::Http, Role::Timer].map(|role| Service::new(&account, role));
        let queues: Vec<_> = (0..self.queues).map(|_| Service::new(&account, Role::Queue)).collect();
        let start = || host::start(&account, &timer, &queues);
        let mut running = start();
        account.sleep_until(START + 3 * MINUTE / 2).await;
        account.take_counts();
        tokio::time::sleep(MINUTE).await;
        let mut idle_minute = account.take_counts();
        idle_minute.clear(Kind::Poll);
        assert_eq!(idle_minute[Kind::Sweep], 1);

        let first = account.clock.now();
        self.schedule(&account, &http).await;
        let mut counts = Counts::default();
        if self.ahead > 10 * MINUTE {
            counts += account.take_counts();
            running.shutdown().await;
            account.sleep_until(first + self.ahead - 7 * MINUTE).await;
            running = start();
            account.sleep_until(first + self.ahead - 5 * MINUTE).await;
            account.take_counts();
        }
        let (due, second) = (first + self.ahead, Duration::from_secs(1));
        account.sleep_until(due - second).await;
        counts += account.take_counts();
        let began = account.clock.now();
        account.sleep_until(due + second * u32::try_from(self.seconds).unwrap()).await;
        let (deliveries, lasted) = (account.take_counts(), began.until(account.clock.now()));
        tokio::time::sleep(20 * second).await;
        counts += deliveries;
        counts += account.take_counts();
        running.shutdown().await;
        counts.clear(Kind::Poll);
        assert_eq!(counts[Kind::Switch], 0, "the dead man's switch belongs to the idle cost");
        #[allow(clippy::cast_precision_loss)] // the counts are small
        let polls_per_second = deliveries[Kind::Poll] as f64 / lasted.as_secs_f64();
        let counts = counts - idle_minute.times(counts[Kind::Sweep]);
        Measured { load: self, counts, polls_per_second, delivered: account.delivered() }
    }

    /// Schedules all conversations, each at its time.
    async fn schedule(&self, account: &Arc<Account>, http: &Arc<Service>) {
        let (began, mut calls) = (account.clock.now(), JoinSet::new());
        let at_once = began + Duration::from_secs(self.seconds) + self.ahead;
        for (number, offset) in self.offsets(account).into_iter().enumerate() {
            let time = began + offset;
            account.sleep_until(time).await;
            let due = if self.spread == Spread::AtOnce { at_once } else { time + self.ahead };
            let (account, http) = (Arc::clone(account), Arc::clone(http));
            calls.spawn(async move {
                account.count(Kind::Call);
                http.handler.look();
                http.meter.run(schedule(&http, number, due)).await;
            });
        }
        calls.join_all().await;
        // So that this does not end in the middle of a sweep.
        account.sleep_until(began + Duration::from_secs(self.seconds + 5)).await;
    }

    /// When the conversations are scheduled, from the first one on.
    fn offsets(&self, account: &Account) -> Vec<Duration> {
        let (count, pause) = (self.per_second * self.seconds, 1000 / self.per_second);
        let offset = |number| match self.spread {
            Spread::Independent => account.rng.below(self.seconds * 1000),
            Spread::Regular | Spread::AtOnce => number * pause + account.rng.below(pause),
        };
        let mut offsets: Vec<_> = (0..count).map(offset).map(Duration::from_millis).collect();
        offsets.sort_unstable();
        offsets
    }
}

/// Schedules a conversation of one of ten clients, for an endpoint of its own.
pub(super) async fn schedule(http: &Service, number: usize, due: Timestamp) {
    let request = ScheduleRequest {
        conversation_text: Some(format!("conversation {number}")),
        scheduled_time: Some(due.to_string()),
        endpoint: Some(format!("https://host-{number}.example.com/hook")),
        ..ScheduleRequest::default()
    };
    let client = format!("client-{}", number % 10).parse().unwrap();
    let new = request.validate(http.scheduler.now(), http.scheduler.endpoint_policy()).unwrap();
    http.scheduler.schedule(&client, new).await.unwrap();
}
