//! The representations that callers see: requests, responses and problems. REST and MCP share them.

mod batch_request;
mod batch_responses;
mod body_field;
mod bulk_request;
mod field_errors;
mod idempotency;
mod list_request;
mod object_reader;
mod parsed;
mod preview_request;
mod problem;
mod recurrence_request;
mod recurrence_response;
mod responses;
mod schedule_batch;
mod schedule_once;
mod schedule_request;
mod success_when_request;
mod time_fields;
mod update_request;
mod user_content;
mod value;

pub(crate) use batch_request::BatchRequest;
pub(crate) use batch_responses::{BatchResponse, BatchResult, BulkCancelResponse, BulkRedeliverResponse};
pub(crate) use bulk_request::{BulkRequest, Cancelling, Redelivering};
pub(crate) use idempotency::{IDEMPOTENCY_KEY, MAX_KEY, misplaced_key, read_key, several_keys};
pub use list_request::ListRequest;
pub(crate) use object_reader::{FromObject, ObjectReader, Synonyms};
pub(crate) use parsed::Parsed;
pub(crate) use preview_request::PreviewRequest;
pub use problem::{ErrorDetail, Problem, ProblemType};
pub use recurrence_request::RecurrenceRequest;
pub(crate) use responses::{
    CancelResponse, ConversationResponse, ListResponse, PreviewResponse, RedeliverResponse, ScheduleResponse,
};
pub(crate) use schedule_batch::schedule_batch;
pub(crate) use schedule_once::schedule;
pub use schedule_request::{RetryRequest, ScheduleRequest};
pub use success_when_request::SuccessWhenRequest;
pub(crate) use update_request::{UpdateRequest, update};
pub(crate) use user_content::{RawContent, UntrustedContent, UserContent};
