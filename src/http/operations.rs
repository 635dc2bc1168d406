//! The table of operations: everything that the service offers over HTTP.
//!
//! The routes, 404, 405 and `Allow`, the scope that a token needs, the MCP tools, the span of a request and the check
//! of the folders in `functions/` are derived from it.

use std::future::ready;

use http::Method;

use super::backup_operations::backup_operations;
use super::client_operations::{client_limit_operations, client_operations};
use super::dashboard_operations::dashboard_operations;
use super::descriptions;
use super::handlers::{
    batches, conversations, health, mcp, metadata, metrics, named, openapi, time, token, webhook_keys,
};
use super::inbox_operations::inbox_operations;
use super::oauth_operations::oauth_operations;
use super::operation::{Access, Operation, client, client_with_tool, operation, undocumented};
use crate::domain::Scope;
use crate::mcp::tools;
use crate::public_url::Resource;

/// All operations, in the order in which `Allow` and the list of tools name them.
#[must_use]
pub fn operations() -> Vec<Operation> {
    [
        service_operations(),
        dashboard_operations(),
        login_operations(),
        oauth_operations(),
        conversation_operations(),
        redelivery_operations(),
        query_operations(),
        named_operations(),
        batch_operations(),
        inbox_operations(),
        webhook_operations(),
        client_operations(),
        client_limit_operations(),
        backup_operations(),
        vec![mcp_operation()],
    ]
    .concat()
}

/// The operations about the service itself: health checks and its documentation. They need no token.
fn service_operations() -> Vec<Operation> {
    use Access::Anyone;
    vec![
        operation(
            "health",
            Method::GET,
            "/health",
            &descriptions::HEALTH,
            Anyone(|context| Box::pin(ready(health::health(&context)))),
        ),
        operation(
            "ready",
            Method::GET,
            "/health/ready",
            &descriptions::READY,
            Anyone(|context| Box::pin(health::ready(context))),
        ),
        operation(
            "openapi",
            Method::GET,
            "/openapi.json",
            &descriptions::OPENAPI,
            Anyone(|_| Box::pin(ready(Ok(openapi::openapi())))),
        ),
        operation("docs", Method::GET, "/docs", &descriptions::DOCS, Anyone(|_| Box::pin(ready(Ok(openapi::docs()))))),
    ]
}

/// What a service without a Functions host serves beside. An app under the host has more processes than one, and the host
/// chooses which of them answers.
#[must_use]
pub fn standalone_operations() -> Vec<Operation> {
    let read = client(Scope::Metrics, |_, _| Box::pin(ready(metrics::metrics())));
    vec![undocumented("metrics", Method::GET, "/metrics", read)]
}

/// The login with an API key, and the metadata by which clients find the others. They need no token.
fn login_operations() -> Vec<Operation> {
    use Access::Anyone;
    vec![
        operation(
            "issueToken",
            Method::POST,
            "/api/auth/token",
            &descriptions::ISSUE_TOKEN,
            Anyone(|context| Box::pin(token::issue_token(context))),
        ),
        operation(
            "oauthMetadata",
            Method::GET,
            "/.well-known/oauth-authorization-server",
            &descriptions::OAUTH_METADATA,
            Anyone(|context| Box::pin(ready(metadata::oauth_metadata(&context)))),
        ),
        operation(
            "protectedResource",
            Method::GET,
            "/.well-known/oauth-protected-resource",
            &descriptions::PROTECTED_RESOURCE,
            Anyone(|context| Box::pin(ready(metadata::protected_resource(&context, Resource::Api)))),
        ),
        operation(
            "protectedMcpResource",
            Method::GET,
            "/.well-known/oauth-protected-resource/mcp",
            &descriptions::PROTECTED_MCP_RESOURCE,
            Anyone(|context| Box::pin(ready(metadata::protected_resource(&context, Resource::Mcp)))),
        ),
    ]
}

/// The operations of a client on its conversations.
fn conversation_operations() -> Vec<Operation> {
    vec![
        Operation {
            takes_idempotency_key: true,
            ..operation(
                "scheduleConversation",
                Method::POST,
                "/api/scheduler/schedule",
                &descriptions::SCHEDULE_CONVERSATION,
                client_with_tool(Scope::Write, tools::SCHEDULE_CONVERSATION, |context, caller| {
                    Box::pin(conversations::schedule_conversation(context, caller))
                }),
            )
        },
        operation(
            "getConversationStatus",
            Method::GET,
            "/api/scheduler/status/{id}",
            &descriptions::GET_CONVERSATION_STATUS,
            client_with_tool(Scope::Read, tools::GET_CONVERSATION_STATUS, |context, caller| {
                Box::pin(conversations::get_conversation_status(context, caller))
            }),
        ),
        operation(
            "waitForConversation",
            Method::GET,
            "/api/scheduler/wait/{id}",
            &descriptions::WAIT_FOR_CONVERSATION,
            client_with_tool(Scope::Read, tools::WAIT_FOR_CONVERSATION, |context, caller| {
                Box::pin(conversations::wait_for_conversation(context, caller))
            }),
        ),
        operation(
            "updateConversation",
            Method::PATCH,
            "/api/scheduler/{id}",
            &descriptions::UPDATE_CONVERSATION,
            client_with_tool(Scope::Write, tools::UPDATE_CONVERSATION, |context, caller| {
                Box::pin(conversations::update_conversation(context, caller))
            }),
        ),
        operation(
            "cancelConversation",
            Method::DELETE,
            "/api/scheduler/{id}",
            &descriptions::CANCEL_CONVERSATION,
            client_with_tool(Scope::Write, tools::CANCEL_CONVERSATION, |context, caller| {
                Box::pin(conversations::cancel_conversation(context, caller))
            }),
        ),
    ]
}

/// The operations of a client that deliver a conversation once more.
fn redelivery_operations() -> Vec<Operation> {
    vec![
        operation(
            "redeliverConversation",
            Method::POST,
            "/api/scheduler/{id}/redeliver",
            &descriptions::REDELIVER_CONVERSATION,
            client_with_tool(Scope::Write, tools::REDELIVER_CONVERSATION, |context, caller| {
                Box::pin(conversations::redeliver_conversation(context, caller))
            }),
        ),
        Operation {
            takes_idempotency_key: true,
            ..operation(
                "runConversation",
                Method::POST,
                "/api/scheduler/{id}/run",
                &descriptions::RUN_CONVERSATION,
                client_with_tool(Scope::Write, tools::RUN_CONVERSATION, |context, caller| {
                    Box::pin(conversations::run_conversation(context, caller))
                }),
            )
        },
    ]
}

/// The operations of a client that change nothing and name no conversation.
fn query_operations() -> Vec<Operation> {
    vec![
        operation(
            "listConversations",
            Method::GET,
            "/api/scheduler",
            &descriptions::LIST_CONVERSATIONS,
            client_with_tool(Scope::Read, tools::LIST_CONVERSATIONS, |context, caller| {
                Box::pin(conversations::list_conversations(context, caller))
            }),
        ),
        operation(
            "previewTime",
            Method::POST,
            "/api/scheduler/preview",
            &descriptions::PREVIEW_TIME,
            client_with_tool(Scope::Read, tools::PREVIEW_TIME, |context, caller| {
                Box::pin(time::preview_time(context, caller))
            }),
        ),
        operation(
            "getCurrentTime",
            Method::GET,
            "/api/scheduler/time",
            &descriptions::GET_CURRENT_TIME,
            client_with_tool(Scope::Read, tools::GET_CURRENT_TIME, |context, _| {
                Box::pin(ready(time::get_current_time(&context)))
            }),
        ),
    ]
}

/// The operations of a client on conversations with a name.
fn named_operations() -> Vec<Operation> {
    const PATH: &str = "/api/scheduler/named/{name}";
    vec![
        operation(
            "scheduleNamedConversation",
            Method::PUT,
            PATH,
            &descriptions::SCHEDULE_NAMED_CONVERSATION,
            client_with_tool(Scope::Write, tools::SCHEDULE_NAMED_CONVERSATION, |context, caller| {
                Box::pin(named::schedule_named_conversation(context, caller))
            }),
        ),
        operation(
            "getNamedConversation",
            Method::GET,
            PATH,
            &descriptions::GET_NAMED_CONVERSATION,
            client_with_tool(Scope::Read, tools::GET_NAMED_CONVERSATION, |context, caller| {
                Box::pin(named::get_named_conversation(context, caller))
            }),
        ),
        operation(
            "cancelNamedConversation",
            Method::DELETE,
            PATH,
            &descriptions::CANCEL_NAMED_CONVERSATION,
            client_with_tool(Scope::Write, tools::CANCEL_NAMED_CONVERSATION, |context, caller| {
                Box::pin(named::cancel_named_conversation(context, caller))
            }),
        ),
    ]
}

/// The operations of a client on many conversations at once.
fn batch_operations() -> Vec<Operation> {
    vec![
        Operation {
            takes_idempotency_key: true,
            body_limit: BATCH_LIMIT,
            ..operation(
                "scheduleBatch",
                Method::POST,
                "/api/scheduler/batch",
                &descriptions::SCHEDULE_BATCH,
                client_with_tool(Scope::Write, tools::SCHEDULE_BATCH, |context, caller| {
                    Box::pin(batches::schedule_batch(context, caller))
                }),
            )
        },
        operation(
            "cancelConversations",
            Method::POST,
            "/api/scheduler/cancel",
            &descriptions::CANCEL_CONVERSATIONS,
            client_with_tool(Scope::Write, tools::CANCEL_CONVERSATIONS, |context, caller| {
                Box::pin(batches::cancel_conversations(context, caller))
            }),
        ),
        operation(
            "redeliverConversations",
            Method::POST,
            "/api/scheduler/redeliver",
            &descriptions::REDELIVER_CONVERSATIONS,
            client_with_tool(Scope::Write, tools::REDELIVER_CONVERSATIONS, |context, caller| {
                Box::pin(batches::redeliver_conversations(context, caller))
            }),
        ),
    ]
}

/// The largest body of a batch, in bytes.
const BATCH_LIMIT: usize = 4 * 1024 * 1024;

/// What receivers verify deliveries with. Neither is a tool: secrets do not belong into the context of a language model.
fn webhook_operations() -> Vec<Operation> {
    vec![
        operation(
            "getSigningKeys",
            Method::GET,
            "/api/webhooks/keys",
            &descriptions::GET_SIGNING_KEYS,
            client(Scope::WebhookSecrets, |context, caller| {
                Box::pin(ready(webhook_keys::get_signing_keys(&context, &caller)))
            }),
        ),
        operation(
            "webhookKeys",
            Method::GET,
            webhook_keys::PATH,
            &descriptions::WEBHOOK_KEYS,
            Access::Anyone(|context| Box::pin(ready(webhook_keys::webhook_keys(&context)))),
        ),
    ]
}

/// The Model Context Protocol. Each of its tools is one of the operations above and needs the scope of that operation.
fn mcp_operation() -> Operation {
    operation(
        "mcp",
        Method::POST,
        Resource::Mcp.path(),
        &descriptions::MCP,
        Access::AnyClient(|context, caller| Box::pin(mcp::mcp(context, caller))),
    )
}
