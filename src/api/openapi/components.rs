//! The parts of the document that operations share.

use serde_json::{Value, json};

use crate::api::MAX_KEY;
use crate::domain::{ClientId, ConversationName, Scope, Scopes};

/// The beginning of the document.
pub(super) const INTRODUCTION: &str = "\
Schedules a text for an HTTP endpoint: at its time it is delivered at least once, never early, with every attempt on \
record.\n\n\
A client has an id and an API key. It exchanges them for a token (`issueToken`, or `issueOauthToken` for OAuth libraries) \
and sends the token with every call, as `Authorization: Bearer <token>`.\n\n\
Times in responses are RFC 3339 in UTC. Unknown fields are errors. An error is a problem document (RFC 9457): `type` says \
which, `errors` names the fields and what they accept, and `hint` says what to do. No response may be cached.";

/// The name of the scheme by which a client gets a token with an OAuth library.
pub(super) const OAUTH: &str = "oauth";
/// The name of the scheme of a client that has a token.
pub(super) const BEARER: &str = "bearer";

/// The ways to authenticate.
pub(super) fn security_schemes() -> Value {
    let scopes = |scopes: Scopes| {
        let pairs = scopes.iter().map(|scope| (scope.as_str().to_owned(), Value::from(meaning(scope))));
        Value::Object(pairs.collect())
    };
    json!({
        OAUTH: {
            "type": "oauth2",
            "description": "The login of a user in a browser, or the client credentials grant (RFC 6749 §4.4) with the API \
                            key as the client secret.",
            "flows": {
                "authorizationCode": {
                    "authorizationUrl": "/oauth/authorize",
                    "tokenUrl": "/oauth/token",
                    "refreshUrl": "/oauth/token",
                    "scopes": scopes(Scopes::all()),
                },
                "clientCredentials": {
                    "tokenUrl": "/oauth/token",
                    "scopes": scopes(Scopes::with_operator()),
                },
            },
        },
        BEARER: {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A token of issueToken or issueOauthToken, or an API key.",
        },
    })
}

const fn meaning(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "Read conversations.",
        Scope::Write => "Schedule, change, cancel and redeliver conversations.",
        Scope::WebhookSecrets => "Read the client's own secrets, which verify its deliveries.",
        Scope::Metrics => "Read the metrics of the service, which are about all clients.",
        Scope::Operator => "Administrate clients, and with conversations:read read the conversations of all clients.",
    }
}

/// The headers of responses.
pub(super) fn headers() -> Value {
    let text = |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    json!({
        "ETag": text("The tag of the conversation's state, for If-Match."),
        "WWW-Authenticate": text("How to authenticate, and the address of the metadata about it."),
        "Allow": text("The methods that the path has."),
        "RateLimit": text("How many requests the client may still send, if it has a limit."),
        "RateLimit-Policy": text("The limit of the client, if it has one."),
        "Retry-After": {
            "description": "The seconds after which to send the request again.",
            "schema": { "type": "integer", "minimum": 0 },
        },
    })
}

/// A reference to one of the headers.
pub(super) fn header(name: &str) -> (String, Value) {
    (name.to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }))
}

/// The headers of the responses with this status.
pub(super) fn headers_of(status: u16) -> &'static [&'static str] {
    match status {
        401 | 403 => &["WWW-Authenticate"],
        405 => &["Allow"],
        429 | 503 => &["Retry-After"],
        _ => &[],
    }
}

/// The parameter in a path.
pub(super) fn path_parameter(name: &str) -> Value {
    let (description, example, schema) = match name {
        "id" => (
            "The conversationId that the service gave to the conversation.",
            "01890000-0000-7000-8000-00000000000f",
            json!({ "type": "string", "format": "uuid" }),
        ),
        "clientId" => (
            "The id of the client.",
            "anna",
            json!({ "type": "string", "minLength": 1, "maxLength": ClientId::MAX, "pattern": ClientId::PATTERN }),
        ),
        _ => (
            "The name of the conversation, which the caller chooses.",
            "daily-report",
            json!({
                "type": "string", "minLength": 1, "maxLength": ConversationName::MAX,
                // Not only dots.
                "pattern": "^[A-Za-z0-9._-]*[A-Za-z0-9_-][A-Za-z0-9._-]*$",
            }),
        ),
    };
    json!({
        "name": name, "in": "path", "required": true, "description": description, "schema": schema, "example": example,
    })
}

/// The header `Idempotency-Key`.
pub(super) fn idempotency_key() -> Value {
    json!({
        "name": crate::api::IDEMPOTENCY_KEY,
        "in": "header",
        "description": "Makes it safe to repeat the request, for 24 hours: a repetition has the response of the first \
                        request. Use a new value for each conversation, such as a UUID.",
        // A key in quotation marks is a quoted string of RFC 9651.
        "schema": { "type": "string", "minLength": 1, "maxLength": MAX_KEY, "pattern": "^[!#-~][!-~]*$" },
        "example": "0198c7a2-6f1e-7b3a-9d55-2c1f0e4b8a77",
    })
}

/// The header `If-Match`.
pub(super) fn if_match() -> Value {
    json!({
        "name": "If-Match",
        "in": "header",
        "description": "The ETag of the state that the caller has seen. In any other state nothing is changed.",
        "schema": { "type": "string" },
        "example": "\"3f2a\"",
    })
}
