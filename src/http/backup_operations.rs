//! The part of the table of operations with which an operator exports and imports the whole store. Neither is a tool: what
//! all clients have scheduled does not belong into the context of a language model.

use http::Method;

use super::descriptions;
use super::handlers::backup;
use super::operation::{Operation, client, operation};
use crate::domain::Scope;

/// The operations of an operator on the whole store.
pub(super) fn backup_operations() -> Vec<Operation> {
    vec![
        operation(
            "exportConversations",
            Method::GET,
            "/api/export",
            &descriptions::EXPORT_CONVERSATIONS,
            client(Scope::Operator, |context, caller| Box::pin(backup::export_conversations(context, caller))),
        ),
        Operation {
            body_limit: IMPORT_LIMIT,
            ..operation(
                "importConversations",
                Method::POST,
                "/api/import",
                &descriptions::IMPORT_CONVERSATIONS,
                client(Scope::Operator, |context, caller| Box::pin(backup::import_conversations(context, caller))),
            )
        },
    ]
}

/// The largest body of an import, in bytes. The longest line fits.
const IMPORT_LIMIT: usize = 4 * 1024 * 1024;
