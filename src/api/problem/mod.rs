//! Errors as callers see them: problem documents (RFC 9457), written so that a language model can correct its next
//! call.
//!
//! `problem_type` lists the types. `constructors` makes the problems of a request, and `from_errors` those of the use
//! cases and of authentication.

mod constructors;
mod from_errors;
mod limits;
mod problem_type;

use std::borrow::Cow;

use http::header::{CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};
use tracing::Span;

use super::HealthCheck;
use crate::domain::{Scopes, Status, Timestamp};
use crate::text::escape_invisible;
pub use problem_type::ProblemType;

/// A problem document, with the headers of its response.
#[derive(Debug)]
pub struct Problem {
    kind: ProblemType,
    status: StatusCode,
    detail: String,
    instance: Option<&'static str>,
    errors: Vec<ErrorDetail>,
    hint: Option<Cow<'static, str>>,
    conversation_status: Option<Status>,
    server_time: Option<Timestamp>,
    checks: Vec<HealthCheck>,
    headers: Vec<(HeaderName, String)>,
}

/// One field of a request that is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ErrorDetail {
    /// The field, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// The error, as a sentence that follows the field's name.
    pub detail: String,
}

impl ErrorDetail {
    /// The most errors that one problem names.
    pub(crate) const MAX_COUNT: usize = 20;

    /// The sentence: the field's name and its error.
    fn sentence(&self) -> String {
        let name = self.pointer.strip_prefix('/').unwrap_or("The request");
        format!("{name} {}", self.detail)
    }

    /// The sentence for a language model. The name of an unknown field is a caller's text and could read like an
    /// instruction, so a name with other characters than those of ours is put into quotation marks.
    fn marked_sentence(&self) -> String {
        let name = self.pointer.trim_start_matches('/');
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-' | b'.');
        if name.bytes().all(plain) { self.sentence() } else { format!("{name:?} {}", self.detail) }
    }
}

impl Problem {
    fn new(kind: ProblemType, detail: impl Into<String>) -> Self {
        Self {
            kind,
            status: kind.status(),
            detail: detail.into(),
            instance: None,
            errors: Vec::new(),
            hint: None,
            conversation_status: None,
            server_time: None,
            checks: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// The schema of a problem document.
    pub(crate) fn schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<Document<'_>>()
    }

    /// The type of the problem.
    #[must_use]
    pub const fn problem_type(&self) -> ProblemType {
        self.kind
    }

    /// Adds the type of the problem to the log lines of the request.
    pub(crate) fn log_type(&self) {
        Span::current().record("error.type", self.kind.name());
    }

    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers of the response, besides those that every response has.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&HeaderName, &str)> {
        self.headers.iter().map(|(name, value)| (name, value.as_str()))
    }

    /// The explanation of this occurrence, in a sentence.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// The whole problem in words, for a language model: the error, the accepted values, and the time to retry.
    pub(crate) fn to_text(&self) -> String {
        let mut lines = vec![format!("{}.", self.kind.title())];
        if self.errors.is_empty() {
            lines.push(one_line(&self.detail));
        }
        lines.extend(self.errors.iter().map(|error| format!("- {}", one_line(&error.marked_sentence()))));
        lines.extend(self.hint.as_deref().map(one_line));
        let retry_after = self.headers().find(|(name, _)| *name == RETRY_AFTER);
        lines.extend(retry_after.map(|(_, seconds)| format!("Retry-After: {seconds} seconds.")));
        lines.extend(self.server_time.map(|now| format!("The server's time is {now}.")));
        lines.join("\n")
    }

    /// The same with the names that its caller chose escaped, for a reader that they could mislead.
    pub(crate) fn escaped(mut self) -> Self {
        self.detail = one_line(&self.detail);
        for error in &mut self.errors {
            error.pointer = one_line(&error.pointer);
        }
        self
    }

    /// Names the operation. The name never contains an id: the problem of another client's conversation must be
    /// the same, byte for byte, as that of a conversation that does not exist.
    pub(crate) fn at(mut self, path: &'static str) -> Self {
        self.instance = Some(path);
        self
    }

    /// Adds the server's time, for requests that contain a time.
    pub(crate) fn server_time(mut self, now: Timestamp) -> Self {
        self.server_time = Some(now);
        self
    }

    /// Adds everything that was examined.
    pub(crate) fn checks(self, checks: Vec<HealthCheck>) -> Self {
        Self { checks, ..self }
    }

    /// Ends the connection after the response: the unread rest of the body would be taken for the next request.
    pub(crate) fn closing(self) -> Self {
        self.header(CONNECTION, "close")
    }

    /// Adds the address at which a client learns how to log in (RFC 9728 §5.1) and the scopes to ask for, if the problem is
    /// one of authentication.
    pub(crate) fn challenge(mut self, metadata: &str, scopes: Option<Scopes>) -> Self {
        if let Some((_, challenge)) = self.headers.iter_mut().find(|(name, _)| *name == WWW_AUTHENTICATE) {
            challenge.push_str(if challenge.contains(' ') { ", " } else { " " });
            let scopes = scopes.filter(|_| !challenge.contains("scope="));
            let scopes = scopes.map(|scopes| format!(", scope=\"{scopes}\"")).unwrap_or_default();
            *challenge = format!("{challenge}resource_metadata=\"{metadata}\"{scopes}");
        }
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn conversation_status(mut self, status: Status) -> Self {
        self.conversation_status = Some(status);
        self
    }
}

/// A text that cannot be taken for several lines, nor hide a part of itself.
fn one_line(text: &str) -> String {
    escape_invisible(text, usize::MAX).0.replace('\n', r"\u{a}")
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let document = Document {
            kind: self.kind,
            title: self.kind.title(),
            status: self.status.as_u16(),
            detail: &self.detail,
            instance: self.instance,
            errors: &self.errors,
            hint: self.hint.as_deref(),
            conversation_status: self.conversation_status.map(Status::as_str),
            server_time: self.server_time.map(|now| now.to_string()),
            checks: &self.checks,
        };
        document.serialize(serializer)
    }
}

/// An error, as RFC 9457 describes it.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Problem")]
struct Document<'a> {
    /// The type of the problem, by which a program recognises it.
    #[serde(rename = "type")]
    #[schemars(with = "String")]
    kind: ProblemType,
    /// The title of the type.
    title: &'static str,
    /// The status of the response.
    status: u16,
    /// What is wrong with this request, in a sentence.
    detail: &'a str,
    /// The path of the operation, without the value of a parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'static str>,
    /// The fields of the request that are not accepted.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schemars(default)]
    errors: &'a [ErrorDetail],
    /// What the caller can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    /// The status of the conversation, if the request does not fit it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = Status::ALL.map(Status::as_str)))]
    conversation_status: Option<&'static str>,
    /// The server's time, if the request has a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    server_time: Option<String>,
    /// What the readiness check has examined. Only its problem has them, so the schema of all problems does not.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schemars(skip)]
    checks: &'a [HealthCheck],
}
