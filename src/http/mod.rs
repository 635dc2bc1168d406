//! The HTTP API.
//!
//! `operations` is the table of everything that is served, an `operation` is one entry of it, and `descriptions` has what a
//! reader of the documentation needs to know beside. `router` finds the operation of a request, `pipeline`
//! takes the request through it, and `handlers` has the function that serves it. `functions_host` has the
//! functions that only the Functions host may invoke, and `server` owns the connections. `caller` tells the Functions
//! host from clients. `budget` limits what callers hold: connections, and memory for bodies.

mod backup_operations;
mod body;
mod budget;
mod caller;
mod client_operations;
mod client_stream;
mod connection;
mod context;
mod dashboard_operations;
mod descriptions;
mod dev_operations;
mod functions_host;
mod handlers;
mod inbox_operations;
mod oauth_operations;
mod operation;
mod operations;
mod pipeline;
mod precondition;
mod rate_limiter;
mod request_head;
mod request_line;
mod response;
mod router;
mod routes;
mod server;
mod shared_body;

pub use caller::FunctionsHost;
pub use context::{Invocations, RequestContext, Services};
pub use dev_operations::dev_operations;
pub use functions_host::{MAX_DEQUEUE_COUNT, invocation_operations};
pub use handlers::openapi::openapi_document;
pub use operation::{Access, ClientHandler, HandlerFuture, Operation};
pub use operations::{operations, standalone_operations};
pub use rate_limiter::RateLimiter;
pub use response::json;
pub use router::router;
pub use routes::{Routes, RoutesSender};
pub use server::{Server, ServerOptions};
