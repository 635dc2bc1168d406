//! The money that the counts come to, at list prices and without free grants.

pub use mcp_scheduler::cost::{EXECUTION, GB_SECOND, INSTANCE, MONTH, QUEUE_OPERATION, TABLE_TRANSACTION};

use super::batch;
use super::counts::Kind;
use super::load::Measured;

pub const MILLION: f64 = 1_000_000.0;

/// The dollars for a million conversations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bill {
    /// The executions for the calls that schedule.
    pub calls: f64,
    /// The executions for wake-ups.
    pub invocations: f64,
    pub queue: f64,
    pub tables: f64,
    /// The time of the instances.
    pub instances: f64,
}

impl Bill {
    /// Of conversations that were scheduled one by one, with two instances that are busy all the time: one of the HTTP
    /// functions and one of the queue function.
    pub fn one_by_one(measured: &Measured) -> Self {
        let per_million = |kinds: &[Kind]| MILLION * measured.per_conversation(kinds);
        Self {
            calls: per_million(&[Kind::Call]) * EXECUTION,
            invocations: per_million(&[Kind::Invocation]) * EXECUTION,
            queue: per_million(Kind::QUEUE) * QUEUE_OPERATION,
            tables: per_million(Kind::TABLES) * TABLE_TRANSACTION,
            instances: two_busy_instances(measured.load.per_second),
        }
    }

    /// Of the same conversations, if batch calls had scheduled them, each with this many commits.
    pub fn in_batches(measured: &Measured, commits_of_batch: f64) -> Self {
        let commits = measured.per_conversation(&[Kind::ScheduleCommit]);
        let saved = commits - commits.min(commits_of_batch / f64::from(batch::SIZE));
        let one_by_one = Self::one_by_one(measured);
        Self {
            calls: one_by_one.calls / f64::from(batch::SIZE),
            tables: one_by_one.tables - MILLION * saved * TABLE_TRANSACTION,
            ..one_by_one
        }
    }

    /// Of conversations that were scheduled one by one, with the instances that the queue function had. An instance is
    /// billed while it runs a function.
    pub fn with_its_instances(measured: &Measured) -> Self {
        let seconds = MILLION * measured.per_conversation(&[Kind::HttpMillisecond, Kind::QueueMillisecond]) / 1000.0;
        Self { instances: seconds * INSTANCE * GB_SECOND, ..Self::one_by_one(measured) }
    }

    /// Of the first release, whose wake-ups named one conversation: a put, a get and a delete; the commit that schedules,
    /// a read, the claim and the result.
    pub fn of_first_release(per_second: u64) -> Self {
        Self {
            calls: MILLION * EXECUTION,
            invocations: MILLION * EXECUTION,
            queue: 3.0 * MILLION * QUEUE_OPERATION,
            tables: 4.0 * MILLION * TABLE_TRANSACTION,
            instances: two_busy_instances(per_second),
        }
    }

    pub fn without_instances(&self) -> f64 {
        self.calls + self.invocations + self.queue + self.tables
    }

    pub fn all_in(&self) -> f64 {
        self.without_instances() + self.instances
    }
}

/// The dollars for two instances while a million conversations come.
fn two_busy_instances(per_second: u64) -> f64 {
    #[allow(clippy::cast_precision_loss)] // a thousand
    let seconds = MILLION / per_second as f64;
    2.0 * seconds * INSTANCE * GB_SECOND
}

/// The dollars for empty polls while a million conversations come.
pub fn polls(measured: &Measured) -> f64 {
    MILLION * measured.polls_per_second / measured.per_second() * QUEUE_OPERATION
}
