//! The operations on conversations with a name.

use schemars::SchemaGenerator;

use super::conversations::{CANCELLED, RECORD, REQUESTS};
use super::{body, json};
use crate::api::openapi::{Description, Input, Tag};
use crate::api::{NamedResponse, ProblemType, ScheduleRequest};

const LINKS: &[(&str, &str, &str)] = &[
    ("getNamedConversation", "name", "$request.path.name"),
    ("cancelNamedConversation", "name", "$request.path.name"),
    ("updateConversation", "id", "$response.body#/conversationId"),
];

pub(in crate::http) static SCHEDULE_NAMED_CONVERSATION: Description = Description {
    tag: Tag::Named,
    summary: "Schedule a conversation under a name",
    details: "Creates the conversation with this name, or brings the one that has the name to this definition. Fields that are \
              left out have their defaults. A repetition changes nothing.",
    input: body(ScheduleRequest::schema, REQUESTS),
    reads_if_match: false,
    answer: json(
        "The conversation that has the name now, and what the request did.",
        SchemaGenerator::subschema_for::<NamedResponse>,
        r#"{ "conversationId": "01890000-0000-7000-8000-00000000000f", "name": "daily-report", "status": "Scheduled",
             "scheduledTime": "2030-01-31T08:30:00.000Z", "serverTime": "2030-01-30T10:00:00.000Z",
             "dueInSeconds": 81000.0, "notes": [], "outcome": "created" }"#,
    ),
    other_answers: &[],
    problems: &[
        ProblemType::TooLate,
        ProblemType::Busy,
        ProblemType::QuotaExceeded,
        ProblemType::BudgetExceeded,
        ProblemType::HostNotApproved,
    ],
    links: LINKS,
};

pub(in crate::http) static GET_NAMED_CONVERSATION: Description = Description {
    tag: Tag::Named,
    summary: "Get the conversation with a name",
    details: "Returns the record of the conversation that was last scheduled under the name.",
    input: Input::Nothing,
    reads_if_match: false,
    answer: RECORD,
    other_answers: &[],
    problems: &[],
    links: &[],
};

pub(in crate::http) static CANCEL_NAMED_CONVERSATION: Description = Description {
    tag: Tag::Named,
    summary: "Cancel the conversation with a name",
    details: "Cancels the conversation that was last scheduled under the name, and frees the name.",
    input: Input::Nothing,
    reads_if_match: false,
    answer: CANCELLED,
    other_answers: &[],
    problems: &[ProblemType::TooLate, ProblemType::Busy],
    links: &[],
};
