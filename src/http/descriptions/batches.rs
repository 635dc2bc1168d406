//! The operations on many conversations.

use schemars::SchemaGenerator;

use super::{body, json};
use crate::api::openapi::{Description, Tag};
use crate::api::{
    BatchRequest, BatchResponse, BulkCancelResponse, BulkRedeliverResponse, BulkRequest, Cancelling, ProblemType,
    Redelivering,
};

pub(in crate::http) static SCHEDULE_BATCH: Description = Description {
    tag: Tag::Batches,
    summary: "Schedule many conversations",
    details: "Schedules up to 100 conversations. Each is scheduled or fails on its own. Results come in the order of the request.",
    input: body(
        SchemaGenerator::subschema_for::<BatchRequest>,
        &[(
            "two",
            r#"{ "conversations": [
                   { "conversationText": "First.", "delay": "5m", "endpoint": "https://example.com/hook" },
                   { "conversationText": "Second.", "delay": "10m", "endpoint": "https://example.com/hook" }] }"#,
        )],
    ),
    reads_if_match: false,
    answer: json(
        "The result of each conversation.",
        SchemaGenerator::subschema_for::<BatchResponse>,
        r#"{ "results": [
               { "conversationId": "01890000-0000-7000-8000-00000000000f", "status": "Scheduled",
                 "scheduledTime": "2030-01-30T10:05:00.000Z", "serverTime": "2030-01-30T10:00:00.000Z",
                 "dueInSeconds": 300.0, "notes": [] },
               { "problem": { "type": "urn:mcp-scheduler:problem:invalid-request", "title": "The request is not valid",
                              "status": 400, "detail": "endpoint is required: an https URL",
                              "errors": [{ "pointer": "/endpoint", "detail": "is required: an https URL" }] } }],
             "serverTime": "2030-01-30T10:00:00.000Z" }"#,
    ),
    other_answers: &[],
    problems: &[],
    links: &[],
};

pub(in crate::http) static CANCEL_CONVERSATIONS: Description = Description {
    tag: Tag::Batches,
    summary: "Cancel many conversations",
    details: "Cancels the conversations that match the filter and have not ended, up to 100 in a call. While the response has a \
              cursor, call again with it and the same filter.",
    input: body(
        SchemaGenerator::subschema_for::<BulkRequest<Cancelling>>,
        &[("ofALabel", r#"{ "filter": { "label": "team:ops" } }"#)],
    ),
    reads_if_match: false,
    answer: json(
        "How many conversations are cancelled.",
        SchemaGenerator::subschema_for::<BulkCancelResponse>,
        r#"{ "cancelled": 7, "skipped": 0 }"#,
    ),
    other_answers: &[],
    problems: &[],
    links: &[],
};

pub(in crate::http) static REDELIVER_CONVERSATIONS: Description = Description {
    tag: Tag::Batches,
    summary: "Redeliver many conversations",
    details: "Sends the Failed conversations that match the filter again, up to 100 in a call, each with a fresh set of attempts. \
              While the response has a cursor, call again with it and the same filter.",
    input: body(
        SchemaGenerator::subschema_for::<BulkRequest<Redelivering>>,
        &[("ofAHost", r#"{ "filter": { "endpointHost": "example.com", "from": "2030-01-31T00:00:00Z" } }"#)],
    ),
    reads_if_match: false,
    answer: json(
        "How many conversations are redelivered.",
        SchemaGenerator::subschema_for::<BulkRedeliverResponse>,
        r#"{ "redelivered": 7, "skipped": 1 }"#,
    ),
    other_answers: &[],
    problems: &[ProblemType::QuotaExceeded, ProblemType::BudgetExceeded],
    links: &[],
};
