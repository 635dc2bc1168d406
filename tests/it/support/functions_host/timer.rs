//! Timers: the schedule, and the body of the call.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use chrono::{DateTime, Datelike as _, Timelike as _};
use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::time::{Clock as _, SystemClock};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::Instance;
use super::app::TimerTrigger;
use super::log::Source;

/// A schedule of six fields from seconds to weekdays. A field is `*`, a number, a range or a list, each with an optional
/// step.
#[derive(Clone, Debug)]
pub(super) struct Schedule([Vec<u32>; 6]);

impl Schedule {
    pub fn parse(cron: &str) -> Self {
        let bounds = [(0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6)];
        let fields: Vec<_> = cron.split_whitespace().collect();
        let fields: [&str; 6] = fields.try_into().unwrap_or_else(|_| panic!("{cron:?} has not six fields"));
        let mut fields = fields.into_iter().zip(bounds).map(|(field, bounds)| {
            let values = field.split(',').flat_map(|part| values(part, bounds)).collect::<Vec<_>>();
            assert!(values.iter().all(|value| (bounds.0..=bounds.1).contains(value)), "{cron:?}: {field}");
            values
        });
        Self([(); 6].map(|()| fields.next().unwrap()))
    }

    /// The time from now until the next call, more than zero.
    fn until_next(&self) -> Duration {
        let now = SystemClock.now();
        let year = now.as_secs() + 1..now.as_secs() + 366 * 86_400;
        let next = year.into_iter().find(|second| self.has(*second)).expect("once a year");
        now.until(Timestamp::from_millis(next * 1_000))
    }

    fn has(&self, second: i64) -> bool {
        let at = DateTime::from_timestamp(second, 0).unwrap();
        let weekday = at.weekday().num_days_from_sunday();
        let parts = [at.second(), at.minute(), at.hour(), at.day(), at.month(), weekday];
        self.0.iter().zip(parts).all(|(field, part)| field.contains(&part))
    }
}

fn values(part: &str, (least, most): (u32, u32)) -> Vec<u32> {
    let (range, step) = part.split_once('/').map_or((part, 1), |(range, step)| (range, step.parse().unwrap()));
    let (from, to) = match range.split_once('-') {
        _ if range == "*" => (least, most),
        Some((from, to)) => (from.parse().unwrap(), to.parse().unwrap()),
        None => (range.parse().unwrap(), range.parse().unwrap()),
    };
    (from..=to).step_by(step).collect()
}

/// Of the hosts on one storage account, only the one that holds the lock calls a timer. A real lock is the lease of a
/// blob; here, all hosts are in this process. The key is the account and the function.
static LOCKS: LazyLock<Mutex<HashMap<[String; 2], Lock>>> = LazyLock::new(Mutex::default);

struct Lock {
    holder: String,
    end: Instant,
}

/// Takes the lock or renews it. The lock of a host that dies ends half a period late, so that one call is missed.
fn holds_lock(instance: &Instance, function: &str, period: Duration) -> bool {
    let account = instance.setting("AzureWebJobsStorage").to_owned();
    let (now, mut locks) = (Instant::now(), LOCKS.lock().unwrap());
    let lock =
        locks.entry([account, function.to_owned()]).or_insert_with(|| Lock { holder: instance.id.clone(), end: now });
    let is_mine = lock.holder == instance.id || lock.end < now;
    if is_mine {
        *lock = Lock { holder: instance.id.clone(), end: now + period + period / 2 };
    }
    is_mine
}

/// A host that shuts down in order releases its locks.
pub(super) fn release_locks(instance: &Instance) {
    LOCKS.lock().unwrap().retain(|_, lock| lock.holder != instance.id);
}

/// Calls the function at each of its times, one call at a time, while the host holds the lock.
pub(super) async fn keep_time(
    instance: Arc<Instance>,
    function: String,
    trigger: TimerTrigger,
    period: Option<Duration>,
) {
    if trigger.run_on_startup {
        fire(&instance, &function, &trigger).await;
    }
    loop {
        let pause = period.unwrap_or_else(|| trigger.schedule.until_next());
        sleep(pause).await;
        let period = period.unwrap_or(Duration::from_mins(1));
        if holds_lock(&instance, &function, period) {
            fire(&instance, &function, &trigger).await;
            holds_lock(&instance, &function, period);
        }
    }
}

pub(super) async fn fire(instance: &Instance, function: &str, trigger: &TimerTrigger) {
    let info = json!({ "Schedule": { "AdjustForDST": true }, "ScheduleStatus": Value::Null, "IsPastDue": false });
    let body = json!({ "Data": { &trigger.binding: info }, "Metadata": { "sys": super::invocation::sys(function) } });
    if let Err(error) = super::invocation::invoke(instance, function, &body).await {
        instance.log.add(Source::Host, format!("{function} failed: {error}"));
    }
}

#[test]
fn a_schedule_is_read_field_by_field() {
    let monday_noon = 1_767_614_400; // 2026-01-05T12:00:00Z
    for (cron, fits) in [
        ("0 * * * * *", true),
        ("*/30 0 12 5 1 1", true),
        ("0 0 9-17 * * 1-5", true),
        ("0 0,30 12 * * *", true),
        ("1 * * * * *", false),
        ("0 0 13 * * *", false),
        ("0 0 12 * * 0", false),
    ] {
        assert_eq!(Schedule::parse(cron).has(monday_noon), fits, "{cron}");
    }
    let next = Schedule::parse("0 * * * * *").until_next();
    assert!(next > Duration::ZERO && next <= Duration::from_mins(1), "{next:?}");
}
