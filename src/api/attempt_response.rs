//! What responses say of the attempts of a conversation.

use schemars::JsonSchema;
use serde::Serialize;

use super::UserContent;
use crate::domain::{Attempt, Conversation, ErrorClass, Outcome, millis};
use crate::json::text;

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", bound = "F: UserContent<'a>")]
#[schemars(rename = "AttemptResponse", bound = "F: UserContent<'a>")]
pub(super) struct AttemptResponse<'a, F: UserContent<'a>> {
    number: u32,
    #[schemars(extend("format" = "date-time"))]
    started_time: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text::optional::serialize")]
    #[schemars(with = "Option<String>")]
    error: Option<ErrorClass>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_excerpt: Option<F::Text>,
}

/// All attempts, the oldest first.
pub(super) fn attempts<'a, F: UserContent<'a>>(conversation: &'a Conversation) -> Vec<AttemptResponse<'a, F>> {
    let over = conversation.attempts().iter().map(|Attempt { start, result }| AttemptResponse {
        number: start.number,
        started_time: start.started.to_string(),
        outcome: result.outcome.as_str(),
        duration_ms: Some(result.duration_ms),
        http_status: result.http_status,
        error: result.error,
        response_excerpt: Some(&*result.response_excerpt).filter(|text| !text.is_empty()).map(F::text),
    });
    let in_flight = conversation.in_flight().map(|start| AttemptResponse {
        number: start.number,
        started_time: start.started.to_string(),
        outcome: "inFlight",
        duration_ms: None,
        http_status: None,
        error: None,
        response_excerpt: None,
    });
    over.chain(in_flight).collect()
}

/// How late the first attempt began, in milliseconds. The time of the first byte is known once an attempt has a result: an
/// attempt in flight or lost has only the time of its claim.
pub(super) fn lateness_ms(conversation: &Conversation) -> Option<u64> {
    let first = conversation.attempts().first().filter(|attempt| attempt.result.outcome != Outcome::Unknown)?;
    (first.start.number == 1).then(|| millis(conversation.due().until(first.start.started)))
}
