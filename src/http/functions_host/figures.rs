//! The figures of an invocation: one JSON object that the host logs.
//!
//! The alerts in `infra/` read its members. Those that are also metrics have the names and units of these metrics
//! ([docs/metrics.md](../../../docs/metrics.md)).

use serde::Serialize;

use crate::delivery::RunReport;
use crate::maintenance::SweepReport;

/// What an invocation has done.
#[derive(Serialize)]
#[serde(tag = "message")]
pub(super) enum Figures {
    /// A wake-up was handled.
    #[serde(rename = "wake-up handled")]
    Run {
        /// The attempts that were made.
        attempts: usize,
        /// The lateness of the latest attempt, in seconds.
        #[serde(rename = "scheduler.delivery.lateness", skip_serializing_if = "Option::is_none")]
        lateness: Option<f64>,
        /// The rows that had nothing left to do.
        nothing_to_do: usize,
        /// The rows that other wake-ups run.
        left: usize,
        /// The rows that cannot be delivered.
        undeliverable: usize,
    },
    /// A sweep has ended.
    #[serde(rename = "swept")]
    Sweep {
        #[serde(rename = "scheduler.sweep.enqueued")]
        enqueued: usize,
        /// In seconds.
        #[serde(rename = "scheduler.sweep.overdue")]
        overdue: u64,
        #[serde(rename = "scheduler.poison_queue.length")]
        poison_queue_length: usize,
    },
}

impl Figures {
    /// The line for the host. Numbers and fixed names can always be written.
    pub(super) fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl From<RunReport> for Figures {
    fn from(RunReport { attempted, lateness, nothing, left, failed }: RunReport) -> Self {
        Self::Run {
            attempts: attempted,
            lateness: (attempted > 0).then_some(lateness.as_secs_f64()),
            nothing_to_do: nothing,
            left,
            undeliverable: failed,
        }
    }
}

impl From<SweepReport> for Figures {
    fn from(SweepReport { enqueued, overdue, poison_queue_length }: SweepReport) -> Self {
        Self::Sweep { enqueued, overdue: overdue.as_secs(), poison_queue_length }
    }
}
