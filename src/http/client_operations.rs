//! The part of the table of operations with which an operator administrates clients. None of them is a tool: an agent must
//! not be talked into adding clients.

use http::Method;

use super::descriptions;
use super::handlers::clients;
use super::operation::{Access, ClientHandler, Operation, operation};
use crate::domain::Scope;

/// The operations of an operator on clients.
pub(super) fn client_operations() -> Vec<Operation> {
    vec![
        operation(
            "listClients",
            Method::GET,
            "/api/clients",
            &descriptions::LIST_CLIENTS,
            operator(|context, caller| Box::pin(clients::list_clients(context, caller))),
        ),
        operation(
            "addClient",
            Method::POST,
            "/api/clients",
            &descriptions::ADD_CLIENT,
            operator(|context, caller| Box::pin(clients::add_client(context, caller))),
        ),
        operation(
            "getClient",
            Method::GET,
            "/api/clients/{clientId}",
            &descriptions::GET_CLIENT,
            operator(|context, caller| Box::pin(clients::get_client(context, caller))),
        ),
        operation(
            "rotateClientKey",
            Method::POST,
            "/api/clients/{clientId}/rotate",
            &descriptions::ROTATE_CLIENT_KEY,
            operator(|context, caller| Box::pin(clients::rotate_client_key(context, caller))),
        ),
        operation(
            "retireClientKey",
            Method::POST,
            "/api/clients/{clientId}/retire",
            &descriptions::RETIRE_CLIENT_KEY,
            operator(|context, caller| Box::pin(clients::retire_client_key(context, caller))),
        ),
        operation(
            "disableClient",
            Method::POST,
            "/api/clients/{clientId}/disable",
            &descriptions::DISABLE_CLIENT,
            operator(|context, caller| Box::pin(clients::disable_client(context, caller))),
        ),
        operation(
            "enableClient",
            Method::POST,
            "/api/clients/{clientId}/enable",
            &descriptions::ENABLE_CLIENT,
            operator(|context, caller| Box::pin(clients::enable_client(context, caller))),
        ),
        operation(
            "setClientSignatures",
            Method::POST,
            "/api/clients/{clientId}/signatures",
            &descriptions::SET_CLIENT_SIGNATURES,
            operator(|context, caller| Box::pin(clients::set_client_signatures(context, caller))),
        ),
    ]
}

/// The operations of an operator on what clients may schedule.
pub(super) fn client_limit_operations() -> Vec<Operation> {
    vec![
        operation(
            "setClientLimits",
            Method::POST,
            "/api/clients/{clientId}/limits",
            &descriptions::SET_CLIENT_LIMITS,
            operator(|context, caller| Box::pin(clients::set_client_limits(context, caller))),
        ),
        operation(
            "approveClientHost",
            Method::POST,
            "/api/clients/{clientId}/hosts",
            &descriptions::APPROVE_CLIENT_HOST,
            operator(|context, caller| Box::pin(clients::approve_client_host(context, caller))),
        ),
    ]
}

const fn operator(handler: ClientHandler) -> Access {
    Access::Client { scope: Scope::Operator, handler, tool: None }
}
