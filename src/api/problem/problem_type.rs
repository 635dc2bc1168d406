//! The types of problems: the URN by which a program recognises a problem, its status and its title.

use http::StatusCode;
use serde::{Serialize, Serializer};

/// The type of a problem. One type always has the same URN and title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemType {
    /// Fields or parameters of the request have values that are not accepted, are missing or are not known.
    InvalidRequest,
    /// The head of the request is not valid HTTP: its target is not a path, or it does not name one host.
    MalformedRequest,
    /// The body is not one JSON object.
    MalformedJson,
    /// The connection ended before the whole body arrived.
    IncompleteBody,
    /// The body did not arrive in time.
    RequestTimeout,
    /// The body has more bytes than the operation accepts.
    BodyTooLarge,
    /// The body is compressed, or has a content type that the operation does not read.
    UnsupportedMediaType,
    /// No operation has the path of the request.
    NoSuchPath,
    /// An operation has the path of the request, but with another method.
    MethodNotAllowed,
    /// The client has no conversation with the id. A malformed id and the id of another client's conversation are
    /// the same problem, so that nobody can find out which ids exist.
    NoSuchConversation,
    /// There is no client with the id.
    NoSuchClient,
    /// A client with the id exists.
    ClientExists,
    /// The client is the first one: it is not in the store, so no operation can change it.
    FirstClient,
    /// The idempotency key of the request belongs to an earlier request with other content.
    IdempotencyKeyReused,
    /// The conversation that an earlier request with the same idempotency key has scheduled no longer exists.
    ConversationGone,
    /// The conversation is being delivered or is final, so it can no longer be cancelled.
    TooLate,
    /// The conversation is not in the state that the request names in `If-Match`.
    PreconditionFailed,
    /// Other requests changed the conversation first, several times in a row. The URN is that of
    /// [`ProblemType::TooLate`], because clients already know both conflicts by it.
    Busy,
    /// The conversation is not Failed, so it cannot be redelivered.
    NotFailed,
    /// The conversation has failed too often to be redelivered.
    TooManyAttempts,
    /// The attempt that a receipt names is over, so it cannot be acknowledged.
    ReceiptOver,
    /// The request has no bearer token, or one that is not accepted.
    Unauthorized,
    /// The client id or the API key of a login is wrong.
    WrongCredentials,
    /// Too many logins of one client from one address had wrong credentials.
    TooManyFailures,
    /// The client has sent more requests in a second than it may.
    RateLimited,
    /// The client has as many pending conversations as it may have.
    QuotaExceeded,
    /// A budget of the client has no room for what it asks for. Waiting alone does not help, so this is not 429.
    BudgetExceeded,
    /// The client may schedule only to approved hosts, and the host of an endpoint is not approved.
    HostNotApproved,
    /// The token is valid and lacks the scope that the operation needs.
    InsufficientScope,
    /// The client that logs in has no scopes, so a token would allow nothing.
    NoScope,
    /// The request to `/mcp` does not follow the transport of the Model Context Protocol. The status is the one that
    /// the transport prescribes for the mistake.
    McpTransport,
    /// The store cannot be reached, or did not confirm a change. The same request may succeed later.
    Unavailable,
    /// A defect of the service, or a damaged row. The log has the cause.
    Internal,
}

impl ProblemType {
    /// All types.
    pub const ALL: [Self; 33] = [
        Self::InvalidRequest,
        Self::MalformedRequest,
        Self::MalformedJson,
        Self::IncompleteBody,
        Self::RequestTimeout,
        Self::BodyTooLarge,
        Self::UnsupportedMediaType,
        Self::NoSuchPath,
        Self::MethodNotAllowed,
        Self::NoSuchConversation,
        Self::NoSuchClient,
        Self::ClientExists,
        Self::FirstClient,
        Self::IdempotencyKeyReused,
        Self::ConversationGone,
        Self::TooLate,
        Self::PreconditionFailed,
        Self::Busy,
        Self::NotFailed,
        Self::TooManyAttempts,
        Self::ReceiptOver,
        Self::Unauthorized,
        Self::WrongCredentials,
        Self::TooManyFailures,
        Self::RateLimited,
        Self::QuotaExceeded,
        Self::BudgetExceeded,
        Self::HostNotApproved,
        Self::InsufficientScope,
        Self::NoScope,
        Self::McpTransport,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The URN, as the `type` of a problem document shows it.
    #[must_use]
    pub const fn urn(self) -> &'static str {
        self.definition().0
    }

    /// The last part of the URN.
    pub(crate) fn name(self) -> &'static str {
        self.urn().rsplit(':').next().unwrap_or_default()
    }

    /// The HTTP status of the response.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        self.definition().1
    }

    /// The title, as a sentence without its full stop.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.definition().2
    }

    #[rustfmt::skip] // one line for each type
    const fn definition(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::InvalidRequest => ("urn:mcp-scheduler:problem:invalid-request", StatusCode::BAD_REQUEST, "The request is not valid"),
            Self::MalformedRequest => ("urn:mcp-scheduler:problem:malformed-request", StatusCode::BAD_REQUEST, "The request is not valid HTTP"),
            Self::MalformedJson => ("urn:mcp-scheduler:problem:malformed-json", StatusCode::BAD_REQUEST, "The body is not valid JSON"),
            Self::IncompleteBody => ("urn:mcp-scheduler:problem:incomplete-body", StatusCode::BAD_REQUEST, "The body is incomplete"),
            Self::RequestTimeout => ("urn:mcp-scheduler:problem:request-timeout", StatusCode::REQUEST_TIMEOUT, "The body arrived too slowly"),
            Self::BodyTooLarge => ("urn:mcp-scheduler:problem:body-too-large", StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"),
            Self::UnsupportedMediaType => ("urn:mcp-scheduler:problem:unsupported-media-type", StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body's type is not supported"),
            Self::NoSuchPath => ("urn:mcp-scheduler:problem:no-such-path", StatusCode::NOT_FOUND, "The path does not exist"),
            Self::MethodNotAllowed => ("urn:mcp-scheduler:problem:method-not-allowed", StatusCode::METHOD_NOT_ALLOWED, "The method is not allowed"),
            Self::NoSuchConversation => ("urn:mcp-scheduler:problem:no-such-conversation", StatusCode::NOT_FOUND, "The conversation does not exist"),
            Self::NoSuchClient => ("urn:mcp-scheduler:problem:no-such-client", StatusCode::NOT_FOUND, "The client does not exist"),
            Self::ClientExists => ("urn:mcp-scheduler:problem:client-exists", StatusCode::CONFLICT, "The client exists already"),
            Self::FirstClient => ("urn:mcp-scheduler:problem:first-client", StatusCode::CONFLICT, "The first client cannot be changed"),
            Self::IdempotencyKeyReused => ("urn:mcp-scheduler:problem:idempotency-key-reused", StatusCode::UNPROCESSABLE_ENTITY, "The idempotency key belongs to another request"),
            Self::ConversationGone => ("urn:mcp-scheduler:problem:conversation-gone", StatusCode::GONE, "The conversation no longer exists"),
            Self::TooLate => ("urn:mcp-scheduler:problem:too-late", StatusCode::CONFLICT, "It is too late to change the conversation"),
            Self::PreconditionFailed => ("urn:mcp-scheduler:problem:precondition-failed", StatusCode::PRECONDITION_FAILED, "The conversation has changed"),
            Self::Busy => ("urn:mcp-scheduler:problem:too-late", StatusCode::CONFLICT, "The conversation is busy"),
            Self::NotFailed => ("urn:mcp-scheduler:problem:not-failed", StatusCode::CONFLICT, "Only a failed conversation can be redelivered"),
            Self::TooManyAttempts => ("urn:mcp-scheduler:problem:too-many-attempts", StatusCode::CONFLICT, "The conversation has had too many attempts"),
            Self::ReceiptOver => ("urn:mcp-scheduler:problem:receipt-over", StatusCode::CONFLICT, "The attempt of the receipt is over"),
            Self::Unauthorized => ("urn:mcp-scheduler:problem:unauthorized", StatusCode::UNAUTHORIZED, "Authentication is required"),
            Self::WrongCredentials => ("urn:mcp-scheduler:problem:wrong-credentials", StatusCode::UNAUTHORIZED, "The credentials are wrong"),
            Self::TooManyFailures => ("urn:mcp-scheduler:problem:too-many-failures", StatusCode::TOO_MANY_REQUESTS, "Too many logins had wrong credentials"),
            Self::RateLimited => ("urn:mcp-scheduler:problem:rate-limited", StatusCode::TOO_MANY_REQUESTS, "The client sends too many requests"),
            Self::QuotaExceeded => ("urn:mcp-scheduler:problem:quota-exceeded", StatusCode::TOO_MANY_REQUESTS, "The pending conversations of the client have reached a quota"),
            Self::BudgetExceeded => ("urn:mcp-scheduler:problem:budget-exceeded", StatusCode::FORBIDDEN, "A budget of the client has no room"),
            Self::HostNotApproved => ("urn:mcp-scheduler:problem:host-not-approved", StatusCode::FORBIDDEN, "The host is not approved for the client"),
            Self::InsufficientScope => ("urn:mcp-scheduler:problem:insufficient-scope", StatusCode::FORBIDDEN, "The token lacks a scope"),
            Self::NoScope => ("urn:mcp-scheduler:problem:no-scope", StatusCode::FORBIDDEN, "The client has no scopes"),
            Self::McpTransport => ("urn:mcp-scheduler:problem:mcp-transport", StatusCode::BAD_REQUEST, "The request does not follow the MCP transport"),
            Self::Unavailable => ("urn:mcp-scheduler:problem:unavailable", StatusCode::SERVICE_UNAVAILABLE, "The service is temporarily unavailable"),
            Self::Internal => ("urn:mcp-scheduler:problem:internal", StatusCode::INTERNAL_SERVER_ERROR, "The service failed"),
        }
    }
}

impl Serialize for ProblemType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.urn())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn all_names_every_type_once_and_each_has_its_own_title() {
        for (position, problem_type) in ProblemType::ALL.into_iter().enumerate() {
            assert_eq!(problem_type as usize, position, "{problem_type:?}");
        }
        assert_eq!(ProblemType::ALL.last(), Some(&ProblemType::Internal), "the last variant");
        let titles: HashSet<_> = ProblemType::ALL.map(ProblemType::title).into();
        assert_eq!(titles.len(), ProblemType::ALL.len());
    }

    #[test]
    fn the_urn_is_the_name_of_the_variant() {
        for problem_type in ProblemType::ALL {
            let name = format!("{problem_type:?}").chars().fold(String::new(), |mut name, c| {
                if c.is_ascii_uppercase() && !name.is_empty() {
                    name.push('-');
                }
                name.push(c.to_ascii_lowercase());
                name
            });
            let name = if problem_type == ProblemType::Busy { "too-late".to_owned() } else { name };
            assert_eq!(problem_type.urn(), format!("urn:mcp-scheduler:problem:{name}"));
        }
    }

    #[test]
    fn every_status_is_an_error() {
        for problem_type in ProblemType::ALL {
            let status = problem_type.status();
            assert!(status.is_client_error() || status.is_server_error(), "{problem_type:?}");
        }
    }
}
