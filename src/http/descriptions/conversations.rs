//! The operations on one conversation, and the list.

use schemars::SchemaGenerator;

use super::{body, json};
use crate::api::openapi::{Answer, Body, Description, Input, SchemaOf, Tag};
use crate::api::{
    CancelResponse, ConversationResponse, CurrentTimeRequest, CurrentTimeResponse, ListViewRequest, ListViewResponse,
    PreviewRequest, PreviewResponse, ProblemType, RawContent, RedeliverResponse, ScheduleRequest, ScheduleResponse,
    StatusRequest, UpdateRequest, WaitRequest,
};

/// The operations that take the id of a response.
pub(super) const LINKS: &[(&str, &str, &str)] = &[
    ("getConversationStatus", "id", "$response.body#/conversationId"),
    ("waitForConversation", "id", "$response.body#/conversationId"),
    ("updateConversation", "id", "$response.body#/conversationId"),
    ("runConversation", "id", "$response.body#/conversationId"),
    ("redeliverConversation", "id", "$response.body#/conversationId"),
    ("cancelConversation", "id", "$response.body#/conversationId"),
];

/// Examples of a schedule request.
pub(super) const REQUESTS: &[(&str, &str)] = &[
    (
        "atATime",
        r#"{ "conversationText": "Remind Anna of the invoice.", "scheduledTime": "2030-01-31T09:30:00",
             "timeZone": "Europe/Berlin", "endpoint": "https://example.com/hook", "labels": { "team": "ops" } }"#,
    ),
    (
        "afterADelay",
        r#"{ "conversationText": "Is the deployment done?", "delay": "5m", "endpoint": "https://example.com/hook",
             "expireAfter": "2h", "retry": { "maxAttempts": 3 } }"#,
    ),
    (
        "recurring",
        r#"{ "conversationText": "Write the daily report.", "endpoint": "https://example.com/hook",
             "recurrence": { "cron": "30 9 * * MON-FRI", "timeZone": "Europe/Berlin" } }"#,
    ),
    (
        "withABodyOfItsOwn",
        r#"{ "conversationText": "Lunch is ready.", "delay": "1h", "endpoint": "https://example.com/chat",
             "body": { "text": "{{conversationText}}" }, "successWhen": { "pointer": "/ok", "equals": true } }"#,
    ),
];

pub(super) const CANCELLED: Answer = json(
    "No attempt will begin any more.",
    SchemaGenerator::subschema_for::<CancelResponse>,
    r#"{ "conversationId": "01890000-0000-7000-8000-00000000000f", "cancelled": true }"#,
);

pub(super) const RECORD: Answer = Answer { has_tag: true, ..json("The whole record.", RECORD_SCHEMA, RECORD_EXAMPLE) };
const RECORD_SCHEMA: SchemaOf = SchemaGenerator::subschema_for::<ConversationResponse<'_, RawContent>>;
const RECORD_EXAMPLE: &str = r#"{
    "conversationId": "01890000-0000-7000-8000-00000000000f", "status": "Completed",
    "scheduledTime": "2030-01-31T08:30:00.000Z", "timeZone": "Europe/Berlin",
    "localTime": "2030-01-31T09:30:00.000+01:00[Europe/Berlin]",
    "serverTime": "2030-01-31T08:31:00.000Z", "createdTime": "2030-01-30T10:00:00.000Z",
    "updatedTime": "2030-01-31T08:30:00.120Z", "conversationText": "Remind Anna of the invoice.",
    "endpoint": "https://example.com/hook", "method": "POST", "headers": { "Authorization": "[redacted]" },
    "additionalInfo": null, "format": "json", "retry": { "maxAttempts": 8 }, "timeoutSeconds": 30,
    "labels": { "team": "ops" }, "latenessMs": 3,
    "scheduledBy": { "clientId": "anna", "operation": "scheduleConversation" },
    "attempts": [{ "number": 1, "startedTime": "2030-01-31T08:30:00.003Z", "outcome": "success", "durationMs": 112,
                   "httpStatus": 200, "responseExcerpt": "thanks" }]
}"#;

const SCHEDULED: Answer =
    json("The conversation that was scheduled.", SchemaGenerator::subschema_for::<ScheduleResponse>, SCHEDULED_EXAMPLE);
pub(super) const SCHEDULED_EXAMPLE: &str = r#"{
    "conversationId": "01890000-0000-7000-8000-00000000000f", "status": "Scheduled",
    "scheduledTime": "2030-01-31T08:30:00.000Z", "localTime": "2030-01-31T09:30:00.000+01:00[Europe/Berlin]",
    "serverTime": "2030-01-30T10:00:00.000Z", "dueInSeconds": 81000.0, "notes": []
}"#;

pub(in crate::http) static SCHEDULE_CONVERSATION: Description = Description {
    tag: Tag::Conversations,
    summary: "Schedule a conversation",
    details: "Schedules a text for an endpoint, at a time or after a delay, once or again and again. Exactly one of scheduledTime \
              and delay is required, unless there is a recurrence.",
    input: body(ScheduleRequest::schema, REQUESTS),
    reads_if_match: false,
    answer: SCHEDULED,
    other_answers: &[],
    problems: &[ProblemType::QuotaExceeded, ProblemType::BudgetExceeded, ProblemType::HostNotApproved],
    links: LINKS,
};

pub(in crate::http) static GET_CONVERSATION_STATUS: Description = Description {
    tag: Tag::Conversations,
    summary: "Get the status of a conversation",
    details: "Returns the whole record of a conversation, with every attempt. InProgress can also mean that an attempt failed and \
              the next one follows at nextAttemptTime.",
    input: Input::Query(SchemaGenerator::subschema_for::<StatusRequest>),
    reads_if_match: false,
    answer: RECORD,
    other_answers: &[],
    problems: &[],
    links: &[],
};

pub(in crate::http) static WAIT_FOR_CONVERSATION: Description = Description {
    tag: Tag::Conversations,
    summary: "Wait for the end of a conversation",
    details: "Returns the whole record as soon as the conversation has ended (Completed, Failed or Cancelled), and at the latest \
              after waitSeconds, with the status that it has then: repeat the request. A conversation that recurs ends with its \
              last occurrence. A service on Azure Functions returns at once.",
    input: Input::Query(SchemaGenerator::subschema_for::<WaitRequest>),
    reads_if_match: false,
    answer: RECORD,
    other_answers: &[],
    problems: &[],
    links: &[],
};

pub(in crate::http) static UPDATE_CONVERSATION: Description = Description {
    tag: Tag::Conversations,
    summary: "Update a conversation",
    details: "Changes the fields that the request has, and leaves all others as they are. With If-Match, only the state that the \
              caller has seen is changed.",
    input: Input::Body(Body {
        media_types: &["application/json", "application/merge-patch+json"],
        schema: SchemaGenerator::subschema_for::<UpdateRequest>,
        examples: &[
            ("later", r#"{ "scheduledTime": "2030-01-31T10:30:00", "timeZone": "Europe/Berlin" }"#),
            ("paused", r#"{ "paused": true }"#),
            ("otherText", r#"{ "conversationText": "Remind Anna of both invoices.", "labels": null }"#),
        ],
    }),
    reads_if_match: true,
    answer: RECORD,
    other_answers: &[],
    problems: &[
        ProblemType::TooLate,
        ProblemType::Busy,
        ProblemType::PreconditionFailed,
        ProblemType::QuotaExceeded,
        ProblemType::BudgetExceeded,
        ProblemType::HostNotApproved,
    ],
    links: &[],
};

pub(in crate::http) static CANCEL_CONVERSATION: Description = Description {
    tag: Tag::Conversations,
    summary: "Cancel a conversation",
    details: "Cancels a conversation that has not been delivered. A repetition says the same. A conversation that recurs is \
              cancelled also during an attempt, and ends with it.",
    input: Input::Nothing,
    reads_if_match: false,
    answer: CANCELLED,
    other_answers: &[],
    problems: &[ProblemType::TooLate, ProblemType::Busy],
    links: &[("getConversationStatus", "id", "$request.path.id")],
};

pub(in crate::http) static REDELIVER_CONVERSATION: Description = Description {
    tag: Tag::Conversations,
    summary: "Redeliver a conversation",
    details: "Sends a Failed conversation again, at once, with a fresh set of attempts. A repetition while these are under way \
              says the same.",
    input: Input::Nothing,
    reads_if_match: false,
    answer: json(
        "The conversation that is redelivered.",
        SchemaGenerator::subschema_for::<RedeliverResponse>,
        r#"{ "conversationId": "01890000-0000-7000-8000-00000000000f", "status": "InProgress",
             "nextAttemptTime": "2030-01-31T09:00:00.000Z", "serverTime": "2030-01-31T09:00:00.000Z" }"#,
    ),
    other_answers: &[],
    problems: &[
        ProblemType::Busy,
        ProblemType::NotFailed,
        ProblemType::TooManyAttempts,
        ProblemType::QuotaExceeded,
        ProblemType::BudgetExceeded,
    ],
    links: &[],
};

pub(in crate::http) static RUN_CONVERSATION: Description = Description {
    tag: Tag::Conversations,
    summary: "Run a conversation now",
    details: "Sends what a conversation sends once more, now, whatever its status. It schedules a copy that is due now. The \
              conversation itself stays as it is.",
    input: Input::Nothing,
    reads_if_match: false,
    answer: SCHEDULED,
    other_answers: &[],
    problems: &[ProblemType::QuotaExceeded, ProblemType::BudgetExceeded, ProblemType::HostNotApproved],
    links: LINKS,
};

pub(in crate::http) static LIST_CONVERSATIONS: Description = Description {
    tag: Tag::Conversations,
    summary: "List conversations",
    details: "Lists the conversations of the client with the first characters of their texts, the newest first or in the \
              order of the status. While more may follow, the page has a nextCursor.",
    input: Input::Query(SchemaGenerator::subschema_for::<ListViewRequest>),
    reads_if_match: false,
    answer: json(
        "A page of conversations.",
        SchemaGenerator::subschema_for::<ListViewResponse<'_>>,
        r#"{ "conversations": [{
                 "conversationId": "01890000-0000-7000-8000-00000000000f", "status": "Scheduled",
                 "scheduledTime": "2030-01-31T08:30:00.000Z", "createdTime": "2030-01-30T10:00:00.000Z",
                 "textExcerpt": "Remind Anna of the invoice.", "endpoint": "https://example.com", "attempts": 0,
                 "labels": { "team": "ops" }, "nextAttemptTime": "2030-01-31T08:30:00.000Z" }],
             "nextCursor": null, "serverTime": "2030-01-30T10:00:00.000Z" }"#,
    ),
    other_answers: &[],
    problems: &[],
    links: &[],
};

pub(in crate::http) static GET_CURRENT_TIME: Description = Description {
    tag: Tag::Conversations,
    summary: "Get the current time",
    details: "Returns the time of the server, in UTC and in a time zone.",
    input: Input::Query(SchemaGenerator::subschema_for::<CurrentTimeRequest>),
    reads_if_match: false,
    answer: json(
        "The time.",
        SchemaGenerator::subschema_for::<CurrentTimeResponse>,
        r#"{ "serverTime": "2030-01-30T10:00:00.000Z", "localTime": "2030-01-30T11:00:00.000+01:00[Europe/Berlin]" }"#,
    ),
    other_answers: &[],
    problems: &[],
    links: &[],
};

pub(in crate::http) static PREVIEW_TIME: Description = Description {
    tag: Tag::Conversations,
    summary: "Preview a time",
    details: "Returns the instants that a time, a delay or a recurrence means. It schedules nothing.",
    input: body(
        SchemaGenerator::subschema_for::<PreviewRequest>,
        &[
            ("aTime", r#"{ "scheduledTime": "2030-01-31T09:30:00", "timeZone": "Europe/Berlin" }"#),
            ("now", r#"{ "delay": "0s" }"#),
            (
                "recurring",
                r#"{ "recurrence": { "cron": "30 9 * * MON-FRI", "timeZone": "Europe/Berlin" }, "count": 5 }"#,
            ),
        ],
    ),
    reads_if_match: false,
    answer: json(
        "The instants.",
        SchemaGenerator::subschema_for::<PreviewResponse>,
        r#"{ "instants": ["2030-01-31T08:30:00.000Z"],
             "localTimes": ["2030-01-31T09:30:00.000+01:00[Europe/Berlin]"],
             "serverTime": "2030-01-30T10:00:00.000Z", "notes": [] }"#,
    ),
    other_answers: &[],
    problems: &[],
    links: &[],
};
