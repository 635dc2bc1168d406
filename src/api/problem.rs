//! Errors as callers see them: problem details (RFC 9457), written so that a language model can
//! correct its next call.

use std::fmt;

use http::header::{ALLOW, CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, Method, StatusCode};
use serde::Serialize;

use crate::auth::AuthError;
use crate::domain::{NotFailed, Scope, Timestamp};
use crate::scheduler::SchedulerError;

/// A problem detail, with the headers that belong to it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    #[serde(serialize_with = "code")]
    status: StatusCode,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ErrorDetail>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation_status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_time: Option<String>,
    #[serde(skip)]
    headers: Vec<(HeaderName, String)>,
}

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorDetail {
    /// The field, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// The error, as a sentence that follows the field's name.
    pub detail: String,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the signature that serde asks for
fn code<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind,
            title,
            status,
            detail: detail.into(),
            instance: None,
            errors: Vec::new(),
            hint: None,
            conversation_status: None,
            server_time: None,
            headers: Vec::new(),
        }
    }

    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers that belong to the answer.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&HeaderName, &str)> {
        self.headers.iter().map(|(name, value)| (name, value.as_str()))
    }

    /// What is wrong, in a sentence.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// All of it in words, for a language model to read: what is wrong, what would be accepted, when.
    pub(crate) fn to_text(&self) -> String {
        let mut lines = vec![format!("{}.", self.title)];
        if self.errors.is_empty() {
            lines.push(self.detail.clone());
        }
        lines.extend(self.errors.iter().map(|e| format!("- {} {}", e.pointer.trim_start_matches('/'), e.detail)));
        lines.extend(self.hint.map(str::to_owned));
        lines.extend(
            self.headers().find(|(name, _)| *name == RETRY_AFTER).map(|(_, s)| format!("Retry-After: {s} seconds.")),
        );
        lines.extend(self.server_time.as_ref().map(|now| format!("The server's time is {now}.")));
        lines.join("\n")
    }

    fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Ends the connection after this answer: what is left on it is not a request.
    pub(crate) fn closing(self) -> Self {
        self.header(CONNECTION, "close")
    }

    fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// Names the operation. It never holds an id: what one client may not see looks to it like what
    /// does not exist, byte for byte.
    pub(crate) fn at(mut self, path: &'static str) -> Self {
        self.instance = Some(path);
        self
    }

    /// Tells the server's time, for everything that has to do with time.
    pub(crate) fn server_time(mut self, now: Timestamp) -> Self {
        self.server_time = Some(now.to_string());
        self
    }

    /// Says where a client finds out how to log in (RFC 9728 §5.1), if it is told to.
    pub(crate) fn resource_metadata(mut self, url: &str) -> Self {
        if let Some((_, challenge)) = self.headers.iter_mut().find(|(name, _)| *name == WWW_AUTHENTICATE) {
            challenge.push_str(if challenge.contains(' ') { ", " } else { " " });
            challenge.push_str("resource_metadata=\"");
            challenge.push_str(url);
            challenge.push('"');
        }
        self
    }

    pub(crate) fn invalid(errors: Vec<ErrorDetail>) -> Self {
        let short =
            |ErrorDetail { pointer, detail }| ErrorDetail { pointer: shorten(pointer), detail: shorten(detail) };
        let errors: Vec<_> = errors.into_iter().map(short).collect();
        let named: Vec<_> =
            errors.iter().map(|e| format!("{} {}", e.pointer.trim_start_matches('/'), e.detail)).collect();
        let mut problem = Self::new(
            StatusCode::BAD_REQUEST,
            "urn:mcp-scheduler:problem:invalid-request",
            "The request is not valid",
            named.join("; ").trim().to_owned(),
        );
        problem.errors = errors;
        problem.hint("Correct the fields that errors points at and send the request again.")
    }

    pub(crate) fn malformed_json(detail: impl fmt::Display) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "urn:mcp-scheduler:problem:malformed-json",
            "The body is not valid JSON",
            detail.to_string(),
        )
        .hint("Send one JSON object in UTF-8, with nothing before or after it.")
    }

    pub(crate) fn body_broken_off() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "urn:mcp-scheduler:problem:incomplete-body",
            "The body is incomplete",
            "The connection broke off before the whole body had arrived.",
        )
        .closing()
    }

    pub(crate) fn body_too_slow(seconds: u64) -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "urn:mcp-scheduler:problem:request-timeout",
            "The body took too long",
            format!("The body must arrive within {seconds} seconds."),
        )
        .closing()
    }

    pub(crate) fn body_too_large(max: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "urn:mcp-scheduler:problem:body-too-large",
            "The body is too large",
            format!("A body may have at most {max} bytes."),
        )
        .closing()
    }

    pub(crate) fn unsupported_media_type(detail: &'static str) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "urn:mcp-scheduler:problem:unsupported-media-type",
            "The body's type is not supported",
            detail,
        )
        .hint("Send the header Content-Type: application/json and no Content-Encoding.")
    }

    pub(crate) fn no_such_path() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "urn:mcp-scheduler:problem:no-such-path",
            "There is nothing at this path",
            "No operation of this service has this path.",
        )
        .hint("The operations begin with /api/scheduler, /api/auth and /health.")
    }

    pub(crate) fn no_such_conversation() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "urn:mcp-scheduler:problem:no-such-conversation",
            "There is no such conversation",
            "This client has no conversation with this id.",
        )
        .hint("Use a conversationId that scheduleConversation returned to this client.")
    }

    pub(crate) fn method_not_allowed(method: &Method, allowed: &str) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "urn:mcp-scheduler:problem:method-not-allowed",
            "The method is not allowed here",
            format!(
                "This path does not support {}; it supports {allowed}.",
                method.as_str().chars().take(32).collect::<String>()
            ),
        )
        .header(ALLOW, allowed)
    }

    /// A request that is not as the transport of the Model Context Protocol wants it.
    pub(crate) fn mcp_transport(status: StatusCode, detail: impl Into<String>) -> Self {
        Self::new(
            status,
            "urn:mcp-scheduler:problem:mcp-transport",
            "The request is not as the Model Context Protocol wants it",
            detail,
        )
        .hint(
            "Send one JSON-RPC message, accept application/json and text/event-stream, and use the address that \
             PUBLIC_URL names.",
        )
    }

    pub(crate) fn not_ready(failed: &str) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "urn:mcp-scheduler:problem:unavailable",
            "The service is unavailable for the moment",
            format!("Failed checks: {failed}."),
        )
        .header(RETRY_AFTER, "5")
    }

    /// A defect or a damaged row: the log says which, the caller learns nothing of our insides.
    pub(crate) fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "urn:mcp-scheduler:problem:internal",
            "The service failed",
            "The request failed for a reason that is not the caller's. Its effect, if any, is on record.",
        )
    }

    fn unavailable(error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "store failed");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "urn:mcp-scheduler:problem:unavailable",
            "The service is unavailable for the moment",
            "The store cannot be reached. Nothing was acknowledged.",
        )
        .hint("Send the same request again after the time in the Retry-After header.")
        .header(RETRY_AFTER, "5")
    }

    fn insufficient_scope(scope: Scope) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "urn:mcp-scheduler:problem:insufficient-scope",
            "The token does not allow this",
            format!("This needs a token with the scope {scope}, and the one that was sent does not have it."),
        )
        .hint(
            "Ask for the scope when you get the token. A client that lacks it may not do this at all: tell your user.",
        )
        .header(WWW_AUTHENTICATE, format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\""))
    }

    /// One text whatever is wrong with the token: why is nobody's business.
    fn unauthorized(challenge: &'static str) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "urn:mcp-scheduler:problem:unauthorized",
            "Authentication is required",
            "The request has no bearer token that is accepted.",
        )
        .hint("Get a token with POST /api/auth/token and send it as Authorization: Bearer <token>.")
        .header(WWW_AUTHENTICATE, challenge)
    }
}

/// Names that callers make up may be as long as a body; what we say about them is not.
fn shorten(text: String) -> String {
    const LONGEST: usize = 256;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + "…",
        None => text,
    }
}

impl From<crate::store::StoreError> for Problem {
    fn from(error: crate::store::StoreError) -> Self {
        use crate::store::StoreError::{Conflict, Corrupt, Refused, Unavailable, Unknown};
        match error {
            Conflict | Unavailable(_) | Unknown(_) => Self::unavailable(&error),
            Refused(_) | Corrupt { .. } => Self::internal(&error),
        }
    }
}

impl From<Vec<ErrorDetail>> for Problem {
    fn from(errors: Vec<ErrorDetail>) -> Self {
        Self::invalid(errors)
    }
}

impl From<SchedulerError> for Problem {
    fn from(error: SchedulerError) -> Self {
        let conflict = |title, detail: String| {
            Self::new(StatusCode::CONFLICT, "urn:mcp-scheduler:problem:too-late", title, detail)
        };
        match error {
            SchedulerError::NotFound => Self::no_such_conversation(),
            SchedulerError::TooLate { status, reason } => {
                let mut problem = conflict("It is too late for that", format!("The conversation {reason}."));
                problem.conversation_status = Some(status.as_str());
                problem
            }
            SchedulerError::NotFailed(NotFailed(status)) => {
                let mut problem = Self::new(
                    StatusCode::CONFLICT,
                    "urn:mcp-scheduler:problem:not-failed",
                    "Only a failed conversation can be redelivered",
                    format!("The conversation is {}.", status.as_str()),
                )
                .hint("While it is Scheduled or InProgress it is attempted by itself. To say it once more, schedule a new one.");
                problem.conversation_status = Some(status.as_str());
                problem
            }
            SchedulerError::Busy => {
                conflict("The conversation is busy", "Others kept changing the conversation first.".to_owned())
                    .hint("Send the same request again.")
            }
            SchedulerError::Store(error) => error.into(),
        }
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Missing => Self::unauthorized("Bearer"),
            AuthError::InvalidToken => Self::unauthorized("Bearer error=\"invalid_token\""),
            AuthError::InsufficientScope(scope) => Self::insufficient_scope(scope),
            AuthError::WrongCredentials => Self::new(
                StatusCode::UNAUTHORIZED,
                "urn:mcp-scheduler:problem:wrong-credentials",
                "The credentials are wrong",
                "The clientId or the apiKey is wrong.",
            )
            .header(WWW_AUTHENTICATE, "Bearer"),
            AuthError::InvalidScope => Self::new(
                StatusCode::FORBIDDEN,
                "urn:mcp-scheduler:problem:no-scope",
                "The client may do nothing",
                "This client has none of the scopes that the token was to have.",
            ),
            AuthError::TooManyFailures { retry_after } => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "urn:mcp-scheduler:problem:too-many-failures",
                "Too many wrong credentials",
                format!("Too many logins with wrong credentials; the next is looked at in {retry_after} seconds."),
            )
            .header(RETRY_AFTER, retry_after.to_string()),
            AuthError::Store(error) => error.into(),
        }
    }
}
