//! What a reader of the documentation needs to know of each operation, beside what the table says.

mod backup;
mod batches;
mod clients;
mod conversations;
mod dashboard;
mod inbox;
mod mcp;
mod named;
mod oauth;
mod service;
mod tokens;
mod webhooks;

pub(super) use backup::{EXPORT_CONVERSATIONS, IMPORT_CONVERSATIONS};
pub(super) use batches::{CANCEL_CONVERSATIONS, REDELIVER_CONVERSATIONS, SCHEDULE_BATCH};
pub(super) use clients::{
    ADD_CLIENT, APPROVE_CLIENT_HOST, DISABLE_CLIENT, ENABLE_CLIENT, GET_CLIENT, LIST_CLIENTS, RETIRE_CLIENT_KEY,
    ROTATE_CLIENT_KEY, SET_CLIENT_LIMITS, SET_CLIENT_SIGNATURES,
};
pub(super) use conversations::{
    CANCEL_CONVERSATION, GET_CONVERSATION_STATUS, GET_CURRENT_TIME, LIST_CONVERSATIONS, PREVIEW_TIME,
    REDELIVER_CONVERSATION, RUN_CONVERSATION, SCHEDULE_CONVERSATION, UPDATE_CONVERSATION, WAIT_FOR_CONVERSATION,
};
pub(super) use dashboard::{DASHBOARD, DASHBOARD_SCRIPT, DASHBOARD_STYLE};
pub(super) use inbox::{ACKNOWLEDGE_CONVERSATION, RECEIVE_CONVERSATIONS};
pub(super) use mcp::MCP;
pub(super) use named::{CANCEL_NAMED_CONVERSATION, GET_NAMED_CONVERSATION, SCHEDULE_NAMED_CONVERSATION};
pub(super) use oauth::{
    AUTHORIZE, COMPLETE_SIGN_IN, ISSUE_OAUTH_TOKEN, REGISTER_OAUTH_CLIENT, REVOKE_OAUTH_TOKEN, SUBMIT_AUTHORIZATION,
};
pub(super) use service::{DOCS, HEALTH, OPENAPI, READY};
pub(super) use tokens::{ISSUE_TOKEN, OAUTH_METADATA, PROTECTED_MCP_RESOURCE, PROTECTED_RESOURCE};
pub(super) use webhooks::{GET_SIGNING_KEYS, WEBHOOK_KEYS};

use crate::api::openapi::{Answer, Body, Input, SchemaOf};

/// A JSON response.
const fn json(details: &'static str, schema: SchemaOf, example: &'static str) -> Answer {
    Answer {
        status: 200,
        details,
        media_type: "application/json",
        schema: Some(schema),
        example: Some(example),
        has_tag: false,
    }
}

/// A page for people.
const fn page(details: &'static str) -> Answer {
    Answer { status: 200, details, media_type: "text/html", schema: None, example: None, has_tag: false }
}

/// A JSON body.
const fn body(schema: SchemaOf, examples: &'static [(&'static str, &'static str)]) -> Input {
    Input::Body(Body { media_types: &["application/json"], schema, examples })
}
