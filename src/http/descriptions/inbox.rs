//! The operations on the inbox of a client.

use schemars::SchemaGenerator;

use super::{body, json};
use crate::api::openapi::{Description, SchemaOf, Tag};
use crate::api::{AcknowledgeRequest, AcknowledgeResponse, ProblemType, ReceiveRequest, ReceiveResponse};

const RECEIVED: SchemaOf = SchemaGenerator::subschema_for::<ReceiveResponse<'_>>;

pub(in crate::http) static RECEIVE_CONVERSATIONS: Description = Description {
    tag: Tag::Inbox,
    summary: "Receive conversations from the inbox",
    details: "Returns conversations with deliver: inbox whose time has come, the earliest first, and leases them: nobody else \
              receives them before leaseUntil. Acknowledge each one. What is not acknowledged by then is received again, and \
              fails after the last attempt. Needs conversations:read, too, because it returns texts.",
    input: body(
        SchemaGenerator::subschema_for::<ReceiveRequest>,
        &[("aLongPoll", r#"{ "max": 1, "leaseSeconds": 60, "waitSeconds": 20 }"#)],
    ),
    reads_if_match: false,
    answer: json(
        "What was received. It is empty if nothing is due.",
        RECEIVED,
        r#"{ "conversations": [
               { "conversationId": "01890000-0000-7000-8000-00000000000f",
                 "conversationText": "Is the deployment done?", "scheduledTime": "2030-01-31T08:30:00.000Z",
                 "additionalInfo": null, "deliveryId": "01890000-0000-7000-8000-00000000000f", "attempt": 1,
                 "receipt": "0-1-0a1b2c3d4e5f60", "leaseUntil": "2030-01-31T08:31:00.010Z" }],
             "serverTime": "2030-01-31T08:30:00.010Z" }"#,
    ),
    other_answers: &[],
    problems: &[ProblemType::Busy],
    links: &[("acknowledgeConversation", "id", "$response.body#/conversations/0/conversationId")],
};

pub(in crate::http) static ACKNOWLEDGE_CONVERSATION: Description = Description {
    tag: Tag::Inbox,
    summary: "Acknowledge a conversation of the inbox",
    details: "Completes a conversation that was received, or ends the attempt with outcome failed. Repeating the request has the \
              same response. After the lease it still succeeds, until somebody else has received the conversation or the \
              attempt is recorded as lost.",
    input: body(
        SchemaGenerator::subschema_for::<AcknowledgeRequest>,
        &[
            ("done", r#"{ "receipt": "0-1-0a1b2c3d4e5f60" }"#),
            ("failed", r#"{ "receipt": "0-1-0a1b2c3d4e5f60", "outcome": "failed" }"#),
        ],
    ),
    reads_if_match: false,
    answer: json(
        "The attempt is recorded.",
        SchemaGenerator::subschema_for::<AcknowledgeResponse>,
        r#"{ "conversationId": "01890000-0000-7000-8000-00000000000f", "acknowledged": true }"#,
    ),
    other_answers: &[],
    problems: &[ProblemType::ReceiptOver, ProblemType::Busy],
    links: &[],
};
