//! The representations that callers see: requests, responses and problems. REST and MCP share them.

mod cursor;
mod header_pairs;
mod list_request;
mod problem;
mod responses;
mod schedule_request;
pub(crate) mod strict_json;
mod user_content;

pub use cursor::{Cursor, InvalidCursor};
pub use header_pairs::HeaderPairs;
pub use list_request::ListRequest;
pub use problem::{ErrorDetail, Problem, ProblemType};
pub(crate) use responses::{CancelResponse, ConversationResponse, ListResponse, RedeliverResponse, ScheduleResponse};
pub use schedule_request::{RetryRequest, ScheduleRequest};
pub(crate) use user_content::{RawContent, UntrustedContent, UserContent};
