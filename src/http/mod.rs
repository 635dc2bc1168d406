//! The HTTP API.
//!
//! `operations` is the table of everything that is served. `router` finds the operation of a request, `pipeline`
//! takes the request through it, and `handlers` has the function that serves it. `functions_host` has the
//! functions that only the Functions host may invoke, and `server` owns the connections. `caller` tells the Functions
//! host from clients. `budget` limits what callers hold: connections, and memory for bodies.

mod body;
mod budget;
mod caller;
mod client_stream;
mod connection;
mod context;
mod functions_host;
mod handlers;
mod operations;
mod pipeline;
mod precondition;
mod rate_limiter;
mod request_head;
mod response;
mod router;
mod server;
mod shared_body;

pub use caller::FunctionsHost;
pub use context::{Invocations, RequestContext, Services};
pub use functions_host::{MAX_DEQUEUE_COUNT, invocation_operations};
pub use operations::{Access, ClientHandler, HandlerFuture, Operation, operations};
pub use rate_limiter::RateLimiter;
pub use response::json;
pub use router::router;
pub use server::{Server, ServerOptions};
