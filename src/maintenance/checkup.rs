//! The checkup: whether everything works that deliveries need, for the readiness check and for `mcp-scheduler doctor`.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use super::Sweeper;
use crate::domain::Timestamp;
use crate::store::{ConversationStore, DueBound, StoreError, WakeUps};
use crate::time::{Clock, machine_offset};

/// Examines a store and what wakes the processes that share it.
pub struct Checkup {
    store: ConversationStore,
    wake_ups: Option<Arc<WakeUps>>,
    clock: Arc<dyn Clock>,
    last: Mutex<Option<(Instant, Vec<Check>)>>,
}

/// One thing that was examined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was examined.
    pub name: &'static str,
    /// The result.
    pub status: CheckStatus,
    /// What was seen, in words for an operator. It has no secrets, and no causes from inside the service.
    pub detail: Option<String>,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckStatus {
    /// It works.
    Ok,
    /// It works, but somebody should look at it.
    Warning,
    /// Conversations cannot be scheduled or delivered.
    Failed,
}

impl CheckStatus {
    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

impl Check {
    /// A check without anything to say.
    #[must_use]
    pub const fn ok(name: &'static str) -> Self {
        Self { name, status: CheckStatus::Ok, detail: None }
    }

    /// A check that has something to say.
    #[must_use]
    pub fn new(name: &'static str, status: CheckStatus, detail: impl Into<String>) -> Self {
        Self { name, status, detail: Some(detail.into()) }
    }
}

impl Checkup {
    /// The longest time of a checkup. What has not answered by then has failed.
    pub const LIMIT: Duration = Duration::from_millis(1500);
    /// The results are used again for this time: everybody may ask, and on a storage account each checkup costs about 20
    /// operations.
    const REUSED_FOR: Duration = Duration::from_secs(1);
    /// A last sweep that is older than this has missed several turns of the timer.
    const MAX_SWEEP_AGE: Duration = Duration::from_mins(5);

    /// A checkup of a store, and of the queue if several processes share the store.
    #[must_use]
    pub fn new(store: ConversationStore, wake_ups: Option<Arc<WakeUps>>, clock: Arc<dyn Clock>) -> Self {
        Self { store, wake_ups, clock, last: Mutex::default() }
    }

    /// Examines everything.
    pub async fn run(&self) -> Vec<Check> {
        let mut last = self.last.lock().await;
        if let Some((_, checks)) = last.as_ref().filter(|(began, _)| began.elapsed() < Self::REUSED_FOR) {
            return checks.clone();
        }
        let began = Instant::now();
        let checks = self.examine(began + Self::LIMIT).await;
        *last = Some((began, checks.clone()));
        checks
    }

    async fn examine(&self, deadline: Instant) -> Vec<Check> {
        let store = async {
            // The clock of the storage learns the time from this answer, so the next line needs no other one.
            self.store.check().await?;
            self.store.tell_time(&*self.clock).await?;
            Ok(Check::ok("store"))
        };
        let (store, queue) = tokio::join!(limited(deadline, "store", store), self.queue(deadline));
        let clock = machine_offset(&*self.clock)
            .map_or(Check::ok("clock"), |offset| Check::new("clock", CheckStatus::Warning, offset.to_string()));
        let responds = store.status == CheckStatus::Ok;
        let mut checks = vec![store, clock];
        if responds {
            checks.extend(self.due(deadline).await);
        }
        checks.extend(queue);
        checks
    }

    /// Whether conversations are overdue, and whether the sweeps keep up if there are sweeps.
    async fn due(&self, deadline: Instant) -> Vec<Check> {
        let now = self.clock.now();
        let (mut checks, mut oldest) = (Vec::new(), None);
        let overdue = async {
            oldest = self.oldest_overdue(now).await?;
            Ok(oldest.map_or(Check::ok("overdue"), |at| {
                let seconds = at.until(now).as_secs();
                Check::new("overdue", CheckStatus::Warning, format!("a conversation has been due for {seconds} s"))
            }))
        };
        checks.push(limited(deadline, "overdue", overdue).await);
        if self.wake_ups.is_some() {
            checks.push(limited(deadline, "sweep", self.sweep(now, oldest.is_some())).await);
        }
        checks
    }

    /// How old the last sweep is. That is a failure only if a conversation is overdue: an app that has nothing to deliver
    /// may sleep, and a new one has not swept yet.
    async fn sweep(&self, now: Timestamp, is_overdue: bool) -> Result<Check, StoreError> {
        let read = self.store.watermark().await?;
        let swept = read.map(|(watermark, _)| watermark.lowest().start()).filter(|mark| *mark > Timestamp::MIN);
        let age = swept.map(|mark| (mark - Sweeper::AHEAD).until(now));
        let is_late = is_overdue && age.is_none_or(|age| age > Self::MAX_SWEEP_AGE);
        let status = if is_late { CheckStatus::Failed } else { CheckStatus::Ok };
        let detail = age.map_or_else(
            || "there was no sweep yet".to_owned(),
            |age| format!("the last sweep was {} s ago", age.as_secs()),
        );
        Ok(Check::new("sweep", status, detail))
    }

    /// Whether the queue answers, and how many of its messages nobody could handle.
    async fn queue(&self, deadline: Instant) -> Option<Check> {
        let wake_ups = self.wake_ups.as_ref()?;
        let length = async {
            Ok(match wake_ups.poison_queue_length().await? {
                0 => Check::ok("queue"),
                length => {
                    Check::new("queue", CheckStatus::Warning, format!("{length} messages are in the poison queue"))
                }
            })
        };
        Some(limited(deadline, "queue", length).await)
    }

    async fn oldest_overdue(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let (begin, end) = (DueBound::Time(Timestamp::MIN), now - Sweeper::GRACE);
        let oldest = join_all(ConversationStore::partitions().map(|at| self.store.due(at, &begin, end, 1))).await;
        let oldest = oldest.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(oldest.into_iter().flatten().map(|row| row.key.at).min())
    }
}

/// A check that fails if it cannot be made, or not in time. The log has the cause.
async fn limited(
    deadline: Instant,
    name: &'static str,
    check: impl Future<Output = Result<Check, StoreError>>,
) -> Check {
    let why = match timeout_at(deadline, check).await {
        Ok(Ok(check)) => return check,
        Ok(Err(error)) => {
            tracing::warn!(check = name, %error, "a check failed");
            "it cannot be read"
        }
        Err(_) => {
            tracing::warn!(check = name, "a check failed: there was no answer in time");
            "there was no answer in time"
        }
    };
    Check::new(name, CheckStatus::Failed, why)
}
