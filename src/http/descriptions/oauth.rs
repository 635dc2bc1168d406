//! The operations by which programs get tokens with OAuth.

use schemars::SchemaGenerator;

use super::{json, page};
use crate::api::ProblemType;
use crate::api::openapi::{Answer, Body, Description, Input, OtherAnswer, Refusal, SchemaOf, Tag};
use crate::http::handlers::oauth::ErrorResponse;
use crate::http::handlers::oauth::authorize::{AuthorizationQuery, DecisionForm};
use crate::http::handlers::oauth::revoke::{RevocationForm, Revoked};
use crate::http::handlers::oauth::sign_in::AnswerQuery;
use crate::http::handlers::oauth::token::{TokenForm, TokenResponse};
use crate::login::{Registered, Registration};

const ERROR: SchemaOf = SchemaGenerator::subschema_for::<ErrorResponse<'_>>;

/// The refusals of the token endpoint and of the revocation.
const REFUSALS: &[OtherAnswer] = &[
    OtherAnswer {
        status: 400,
        details: "The request is not valid.",
        body: Refusal::Json(ERROR, r#"{ "error": "invalid_request", "error_description": "grant_type is required." }"#),
    },
    OtherAnswer {
        status: 401,
        details: "The id or the key is wrong or missing.",
        body: Refusal::Json(
            ERROR,
            r#"{ "error": "invalid_client", "error_description": "The client id or the API key is wrong or missing." }"#,
        ),
    },
    OtherAnswer {
        status: 429,
        details: "Too many logins had wrong keys.",
        body: Refusal::Json(
            ERROR,
            r#"{ "error": "invalid_client", "error_description": "Too many logins had wrong credentials." }"#,
        ),
    },
];

const fn form(schema: SchemaOf, examples: &'static [(&'static str, &'static str)]) -> Input {
    Input::Body(Body { media_types: &["application/x-www-form-urlencoded"], schema, examples })
}

/// An operation that everybody may call.
const PUBLIC: Description = Description {
    tag: Tag::Tokens,
    summary: "",
    details: "",
    input: Input::Nothing,
    reads_if_match: false,
    answer: page(""),
    other_answers: &[],
    problems: &[],
    links: &[],
};

pub(in crate::http) static ISSUE_OAUTH_TOKEN: Description = Description {
    summary: "Exchange a code, a refresh token or an API key for a token",
    details: "The grants authorization_code (with PKCE) and refresh_token of OAuth 2.1, for a program that a user has let in, and \
              client_credentials (RFC 6749 §4.4), for a client with its API key. The client sends its id and its key by HTTP \
              Basic or in the form. Errors about the login have the form of OAuth.",
    input: form(
        SchemaGenerator::subschema_for::<TokenForm>,
        &[(
            "inTheForm",
            r#"{ "grant_type": "client_credentials", "client_id": "local", "client_secret": "msk_local_…" }"#,
        )],
    ),
    answer: json(
        "The token.",
        SchemaGenerator::subschema_for::<TokenResponse<'_>>,
        r#"{ "access_token": "eyJ…", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "msr_…",
             "scope": "conversations:read conversations:write" }"#,
    ),
    other_answers: REFUSALS,
    ..PUBLIC
};

pub(in crate::http) static REVOKE_OAUTH_TOKEN: Description = Description {
    summary: "End what a login has allowed",
    details: "The refresh token and those after it are not valid any more (RFC 7009). A token for calls ends by itself, within an \
              hour. A text that is no token ends nothing, and gets the same answer.",
    input: form(SchemaGenerator::subschema_for::<RevocationForm>, &[("byTheProgram", r#"{ "token": "msr_…" }"#)]),
    answer: json("It is over.", SchemaGenerator::subschema_for::<Revoked>, "{}"),
    other_answers: REFUSALS,
    ..PUBLIC
};

pub(in crate::http) static REGISTER_OAUTH_CLIENT: Description = Description {
    summary: "Register a program",
    details: "Gives a program an id (RFC 7591). It gets no secret: with PKCE it needs none. Nothing is stored: the id is the \
              sealed metadata.",
    input: Input::Body(Body {
        media_types: &["application/json"],
        schema: SchemaGenerator::subschema_for::<Registration>,
        examples: &[("agent", r#"{ "redirect_uris": ["http://localhost/callback"], "client_name": "An agent" }"#)],
    }),
    answer: Answer {
        status: 201,
        ..json(
            "The program.",
            SchemaGenerator::subschema_for::<Registered>,
            r#"{ "client_id": "dcr_…", "client_id_issued_at": 1893499200, "client_name": "An agent",
                 "redirect_uris": ["http://localhost/callback"], "token_endpoint_auth_method": "none",
                 "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"] }"#,
        )
    },
    other_answers: &[
        OtherAnswer {
            status: 400,
            details: "The metadata is not accepted.",
            body: Refusal::Json(
                ERROR,
                r#"{ "error": "invalid_redirect_uri", "error_description": "redirect_uris must have 1 to 10 addresses." }"#,
            ),
        },
        OtherAnswer {
            status: 429,
            details: "Too many programs were registered from one source.",
            body: Refusal::Json(ERROR, r#"{ "error": "invalid_client", "error_description": "Retry in 60 seconds." }"#),
        },
    ],
    ..PUBLIC
};

const RETURN: OtherAnswer = OtherAnswer {
    status: 303,
    details: "The browser returns to the program, with the code or an error.",
    body: Refusal::Empty,
};

const NOT_GOING_ON: OtherAnswer =
    OtherAnswer { status: 400, details: "A page that says why the login does not go on.", body: Refusal::Page };

pub(in crate::http) static AUTHORIZE: Description = Description {
    summary: "Ask a user to let a program in",
    details: "The authorization endpoint of OAuth 2.1, for the browser of a user. The page names the program, where the browser \
              returns to, and the scopes.",
    input: Input::Query(SchemaGenerator::subschema_for::<AuthorizationQuery>),
    answer: page("The page."),
    other_answers: &[RETURN, NOT_GOING_ON],
    problems: &[ProblemType::Unavailable],
    ..PUBLIC
};

pub(in crate::http) static SUBMIT_AUTHORIZATION: Description = Description {
    summary: "Let a program in, or deny it",
    details: "The form of the page. The browser must name the origin of this service in the header Origin.",
    input: form(
        SchemaGenerator::subschema_for::<DecisionForm>,
        &[("deny", r#"{ "request": "…", "decision": "deny" }"#)],
    ),
    answer: page(
        "The page again: the key is wrong, or nothing that the client may do was ticked. Or a page that leads to the issuer at \
         which the user signs in.",
    ),
    other_answers: &[
        RETURN,
        NOT_GOING_ON,
        OtherAnswer {
            status: 403,
            details: "A page that says that the form does not come from the page of this service.",
            body: Refusal::Page,
        },
        OtherAnswer { status: 429, details: "The page again: too many keys were wrong.", body: Refusal::Page },
    ],
    ..PUBLIC
};

pub(in crate::http) static COMPLETE_SIGN_IN: Description = Description {
    summary: "Go on with a login after the user has signed in",
    details: "The issuer of SIGN_IN_ISSUER returns the browser of the user to this address. The browser must have the cookie \
              of the login.",
    input: Input::Query(SchemaGenerator::subschema_for::<AnswerQuery>),
    answer: page("The page again: nothing that the client may do was ticked."),
    other_answers: &[RETURN, NOT_GOING_ON],
    problems: &[ProblemType::Unavailable],
    ..PUBLIC
};
