//! The responses of the operations on many conversations.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Problem, ScheduleResponse};
use crate::domain::Timestamp;
use crate::scheduler::BulkResult;

/// The results of a batch, in its order.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchResponse {
    pub(crate) results: Vec<BatchResult>,
    #[schemars(extend("format" = "date-time"))]
    server_time: String,
}

/// The result of one conversation of a batch.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum BatchResult {
    /// It was scheduled.
    Scheduled(ScheduleResponse),
    /// It was not scheduled.
    Failed {
        /// What is wrong with it, as for a single request.
        #[schemars(schema_with = "Problem::schema")]
        problem: Problem,
    },
}

impl BatchResponse {
    pub(crate) fn new(results: Vec<Result<ScheduleResponse, Problem>>, now: Timestamp) -> Self {
        let result = |result| match result {
            Ok(response) => BatchResult::Scheduled(response),
            Err(problem) => BatchResult::Failed { problem },
        };
        Self { results: results.into_iter().map(result).collect(), server_time: now.to_string() }
    }
}

/// The result of a call that cancels many conversations.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BulkCancelResponse {
    /// How many conversations of this call are cancelled.
    cancelled: usize,
    /// How many of them could not be cancelled, because they are being delivered or have ended meanwhile.
    skipped: usize,
    /// The cursor of the next call. Without it, all conversations were looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

impl From<BulkResult> for BulkCancelResponse {
    fn from(BulkResult { changed, skipped, next }: BulkResult) -> Self {
        Self { cancelled: changed, skipped, cursor: next }
    }
}

/// The result of a call that redelivers many conversations.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BulkRedeliverResponse {
    /// How many conversations of this call are redelivered.
    redelivered: usize,
    /// How many of them could not be redelivered, because they have had too many attempts or have changed meanwhile.
    skipped: usize,
    /// The cursor of the next call. Without it, all conversations were looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

impl From<BulkResult> for BulkRedeliverResponse {
    fn from(BulkResult { changed, skipped, next }: BulkResult) -> Self {
        Self { redelivered: changed, skipped, cursor: next }
    }
}
