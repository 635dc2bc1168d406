//! The problems of a request, before a use case is called.

use http::header::{ALLOW, RETRY_AFTER};
use http::{Method, StatusCode};

use super::{ErrorDetail, Problem, ProblemType};
use crate::json::syntax;

/// The time after which a caller should retry while the store is not available, in seconds.
pub(super) const STORE_RETRY_SECONDS: &str = "5";

impl Problem {
    pub(crate) fn invalid(errors: Vec<ErrorDetail>) -> Self {
        const MAX_POINTER: usize = 64;
        // The list of all fields fits, with the argument of an MCP tool.
        const MAX_DETAIL: usize = 384;
        let short = |ErrorDetail { pointer, detail }| ErrorDetail {
            pointer: shorten(pointer, MAX_POINTER),
            detail: shorten(detail, MAX_DETAIL),
        };
        let more = errors.len() > ErrorDetail::MAX_COUNT;
        let more =
            more.then(|| ErrorDetail { pointer: String::new(), detail: "has more errors than these".to_owned() });
        let errors: Vec<_> = errors.into_iter().take(ErrorDetail::MAX_COUNT).map(short).chain(more).collect();
        let sentences: Vec<_> = errors.iter().map(ErrorDetail::sentence).collect();
        let detail = sentences.join("; ");
        let hint = "Correct these errors and send the request again.";
        Self { errors, ..Self::new(ProblemType::InvalidRequest, detail).hint(hint) }
    }

    /// A request head that is not valid HTTP, or that other programs could read in another way.
    pub(crate) fn malformed_request(detail: &'static str) -> Self {
        Self::new(ProblemType::MalformedRequest, detail).closing()
    }

    /// The problem with a body in which the parser found an error.
    pub(crate) fn malformed_json(body: &[u8], error: &serde_json::Error) -> Self {
        let detail = if body.trim_ascii().is_empty() {
            "The body is empty.".to_owned()
        } else {
            format!("The body {}.", syntax::defect(body, error))
        };
        Self::new(ProblemType::MalformedJson, detail)
            .hint("Send one JSON object in UTF-8, with nothing before or after it.")
    }

    pub(crate) fn incomplete_body() -> Self {
        Self::new(ProblemType::IncompleteBody, "The connection ended before the whole body arrived.").closing()
    }

    pub(crate) fn request_timeout(seconds: u64) -> Self {
        Self::new(ProblemType::RequestTimeout, format!("The body must arrive within {seconds} seconds.")).closing()
    }

    pub(crate) fn too_many_slow_bodies() -> Self {
        Self::new(ProblemType::Unavailable, "Too many bodies arrive slowly, and this one has waited longest.")
            .hint("Send the same request again, its body without pauses.")
            .header(RETRY_AFTER, STORE_RETRY_SECONDS)
            .closing()
    }

    pub(crate) fn body_too_large(max: usize) -> Self {
        Self::new(ProblemType::BodyTooLarge, format!("The body may have at most {max} bytes.")).closing()
    }

    pub(crate) fn unsupported_media_type(detail: &'static str) -> Self {
        Self::new(ProblemType::UnsupportedMediaType, detail)
            .hint("Send the header Content-Type: application/json and no Content-Encoding.")
    }

    pub(crate) fn rate_limited(per_second: u32, retry_after: u64) -> Self {
        let detail =
            format!("The request limit of this client is {per_second} per second, and the client has used it up.");
        Self::new(ProblemType::RateLimited, detail)
            .hint("Send the same request again after the time in the Retry-After header.")
            .header(RETRY_AFTER, retry_after.to_string())
    }

    pub(crate) fn no_such_path() -> Self {
        Self::new(ProblemType::NoSuchPath, "No operation of this service has this path.")
    }

    /// The path is that of an operation but for case and slashes.
    pub(crate) fn misspelled_path(path: &str) -> Self {
        let detail = format!(
            "No operation of this service has this path. Use {path}: paths are in lower case, without empty segments and \
             without a slash at the end."
        );
        Self::new(ProblemType::NoSuchPath, detail)
    }

    /// Adds the operations of the service, for a caller that called none of them.
    pub(crate) fn operations(self, operations: &str) -> Self {
        self.hint(format!("The operations are {operations}."))
    }

    /// A delivery whose signature does not verify. The reason is of Standard Webhooks.
    pub(crate) fn unverified(reason: impl std::fmt::Display) -> Self {
        Self::new(ProblemType::Unauthorized, format!("The delivery does not verify: {reason}."))
    }

    pub(crate) fn stopping() -> Self {
        Self::new(ProblemType::Unavailable, "The service is stopping.").header(RETRY_AFTER, STORE_RETRY_SECONDS)
    }

    pub(crate) fn no_such_conversation() -> Self {
        Self::new(ProblemType::NoSuchConversation, "This client has no conversation with this id.")
            .hint("Use a conversationId that scheduleConversation or listConversations returned to this client.")
    }

    pub(crate) fn no_such_client() -> Self {
        Self::new(ProblemType::NoSuchClient, "There is no client with this id.")
            .hint("Use a clientId that listClients returns. Upper and lower case differ.")
    }

    pub(crate) fn no_such_name() -> Self {
        Self::new(ProblemType::NoSuchConversation, "This client has no conversation with this name.")
            .hint("Use a name that this client gave to scheduleNamedConversation. Upper and lower case differ.")
    }

    pub(crate) fn method_not_allowed(method: &Method, allowed: &str) -> Self {
        let method: String = method.as_str().chars().take(32).collect();
        let detail = format!("This path does not support {method}; it supports {allowed}.");
        Self::new(ProblemType::MethodNotAllowed, detail).header(ALLOW, allowed)
    }

    /// A request that does not follow the transport of the Model Context Protocol, with the status that the
    /// transport prescribes.
    pub(crate) fn mcp_transport(status: StatusCode, detail: impl Into<String>) -> Self {
        let problem = Self::new(ProblemType::McpTransport, detail).hint(
            "Send one JSON-RPC message. Accept application/json and text/event-stream. Use the host that PUBLIC_URL \
             names.",
        );
        Self { status, ..problem }
    }

    pub(crate) fn not_ready(failed: &str) -> Self {
        Self::new(ProblemType::Unavailable, format!("Failed checks: {failed}."))
            .header(RETRY_AFTER, STORE_RETRY_SECONDS)
    }

    /// The service does not have its secrets yet. Only the log says why: it names secrets and the vault.
    pub(crate) fn starting() -> Self {
        Self::new(ProblemType::Unavailable, "The service is starting: it could not read its secrets yet.")
            .hint("Send the same request again after the time in the Retry-After header.")
            .header(RETRY_AFTER, STORE_RETRY_SECONDS)
    }

    /// A defect or a damaged row. Only the log has the cause: it could tell the caller how the service works inside.
    pub(crate) fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "request failed");
        Self::new(
            ProblemType::Internal,
            "An error inside the service stopped the request. The request may have taken effect: check before you \
             repeat it.",
        )
    }
}

/// Names that callers choose may be as long as a body, and a problem repeats them.
fn shorten(text: String, max_characters: usize) -> String {
    match text.char_indices().nth(max_characters) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + "…",
        None => text,
    }
}
