//! The operations of a client on its inbox.

use http::Method;

use super::descriptions;
use super::handlers::inbox;
use super::operation::{Operation, client_with_tool, operation};
use crate::domain::Scope;
use crate::mcp::tools;

pub(super) fn inbox_operations() -> Vec<Operation> {
    vec![
        operation(
            "receiveConversations",
            Method::POST,
            "/api/inbox/receive",
            &descriptions::RECEIVE_CONVERSATIONS,
            client_with_tool(Scope::Write, tools::RECEIVE_CONVERSATIONS, |context, caller| {
                Box::pin(inbox::receive_conversations(context, caller))
            }),
        ),
        operation(
            "acknowledgeConversation",
            Method::POST,
            "/api/inbox/{id}/ack",
            &descriptions::ACKNOWLEDGE_CONVERSATION,
            client_with_tool(Scope::Write, tools::ACKNOWLEDGE_CONVERSATION, |context, caller| {
                Box::pin(inbox::acknowledge_conversation(context, caller))
            }),
        ),
    ]
}
