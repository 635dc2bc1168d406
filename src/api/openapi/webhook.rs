//! The deliveries, which the service sends to the endpoints of its clients.

use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::schemas::Schemas;
use crate::delivery::{CloudEvent, JsonBody};

/// The name of the webhook.
pub(super) const NAME: &str = "conversationDue";

/// The headers of a delivery: name, meaning, schema, and whether every delivery has it.
const HEADERS: [(&str, &str, &str, bool); 11] = [
    ("webhook-id", "The conversation's id, the same on every attempt. Drop duplicates by it.", "string", true),
    ("webhook-timestamp", "When this attempt was sent, in seconds since 1970.", "integer", true),
    (
        "webhook-signature",
        "Signatures of {webhook-id}.{webhook-timestamp}.{body}, separated by spaces (Standard Webhooks). For each secret of the \
         client: v1, and the base64 of the HMAC-SHA256. Then for each key pair of the client: v1a, and the base64 of the \
         ed25519 signature. Verify one of them first.",
        "string",
        true,
    ),
    ("idempotency-key", "The same as webhook-id.", "string", true),
    ("scheduler-attempt", "The number of the attempt, counted from 1.", "integer", true),
    ("scheduler-scheduled-time", "The time that the conversation was scheduled for.", "string", true),
    ("scheduler-lateness-ms", "The time of the attempt's first byte minus the scheduled time.", "integer", true),
    ("scheduler-occurrence", "The number of the occurrence, for a conversation that recurs.", "integer", false),
    ("scheduler-missed-occurrences", "How many occurrences were left out before it.", "integer", false),
    ("scheduler-thread-id", "The threadId of the conversation, if it has one.", "string", false),
    ("traceparent", "W3C Trace Context: the trace is the conversation, the span is the attempt.", "string", true),
];

/// The path item of the webhook.
pub(super) fn write(schemas: &mut Schemas) -> Value {
    let parameters = HEADERS.map(|(name, description, kind, required)| {
        json!({ "name": name, "in": "header", "required": required, "description": description, "schema": { "type": kind } })
    });
    let responses: Map<_, _> = [
        ("2XX", "The conversation is Completed, if the body meets successWhen."),
        ("408", "Another attempt follows."),
        ("409", "Another attempt follows."),
        ("425", "Another attempt follows."),
        ("429", "Another attempt follows, not before the time in Retry-After."),
        ("4XX", "The conversation is Failed."),
        ("3XX", "The conversation is Failed. Redirects are not followed."),
        ("5XX", "Another attempt follows, with 503 not before the time in Retry-After."),
    ]
    .map(|(status, meaning)| (status.to_owned(), json!({ "description": meaning })))
    .into_iter()
    .collect();
    let delivery = schemas.response(SchemaGenerator::subschema_for::<JsonBody<'_>>);
    let event = schemas.response(SchemaGenerator::subschema_for::<CloudEvent<'_>>);
    json!({
        "post": {
            "operationId": NAME,
            "summary": "A conversation is due",
            "description": "The request that an endpoint gets, with the method, the headers and the format of the schedule \
                            request. With the methods GET and DELETE it has no body. A schedule request with a body of its \
                            own has that body instead.",
            "security": [],
            "parameters": parameters,
            "requestBody": {
                "content": {
                    "application/json": { "schema": delivery },
                    "application/cloudevents+json": { "schema": event },
                    "text/plain": { "schema": { "type": "string" } },
                },
            },
            "responses": responses,
        },
    })
}
