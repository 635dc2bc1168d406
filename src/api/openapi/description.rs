//! What the document says of an operation beside what the table of operations says.

use http::Method;
use schemars::{Schema, SchemaGenerator};

use crate::api::ProblemType;
use crate::domain::Scope;

/// Adds the schema of a type to the document, and returns a reference to it.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What a reader needs to know of an operation.
#[derive(Debug)]
pub struct Description {
    /// The group of operations that it belongs to.
    pub tag: Tag,
    /// What it does, in a few words. It is also the title of the MCP tool.
    pub summary: &'static str,
    /// What it does, in sentences.
    pub details: &'static str,
    /// The query or the body that it reads.
    pub input: Input,
    /// Whether it reads the header `If-Match`.
    pub reads_if_match: bool,
    /// The answer if all is well.
    pub answer: Answer,
    /// Answers with other statuses that are not problems, and problems that have another status than their type.
    pub other_answers: &'static [OtherAnswer],
    /// The problems of this operation, besides those that follow from the table.
    pub problems: &'static [ProblemType],
    /// Other operations that take an id or a name from the answer or the request: the name of the operation, the name of its
    /// parameter, and the runtime expression of the value.
    pub links: &'static [(&'static str, &'static str, &'static str)],
}

/// The query or the body that an operation reads.
#[derive(Debug)]
pub enum Input {
    /// It reads neither.
    Nothing,
    /// The parameters of the query, as an object.
    Query(SchemaOf),
    /// A body.
    Body(Body),
}

/// The body of a request.
#[derive(Debug)]
pub struct Body {
    /// The content types that are accepted.
    pub media_types: &'static [&'static str],
    /// The schema.
    pub schema: SchemaOf,
    /// Examples: the name and the JSON of each.
    pub examples: &'static [(&'static str, &'static str)],
}

/// The usual response.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// What the body is, in a sentence.
    pub details: &'static str,
    /// The content type.
    pub media_type: &'static str,
    /// The schema; `None` for a page for people.
    pub schema: Option<SchemaOf>,
    /// The JSON of an example.
    pub example: Option<&'static str>,
    /// Whether the header `ETag` has the tag of the state.
    pub has_tag: bool,
}

/// A response that is neither the usual one nor a problem with the status of its type.
#[derive(Debug)]
pub struct OtherAnswer {
    /// The status.
    pub status: u16,
    /// When it comes, in a sentence.
    pub details: &'static str,
    /// The body.
    pub body: Refusal,
}

/// The body of an [`OtherAnswer`].
#[derive(Debug)]
pub enum Refusal {
    /// There is none.
    Empty,
    /// JSON of this schema, and an example.
    Json(SchemaOf, &'static str),
    /// A problem of this type.
    Problem(ProblemType),
    /// A page for people.
    Page,
}

/// An operation of the table and its description.
#[derive(Debug)]
pub struct Documented {
    /// Its name.
    pub name: &'static str,
    /// Its method.
    pub method: Method,
    /// Its path; a segment in braces is a parameter.
    pub path: &'static str,
    /// Whether it needs a token.
    pub needs_token: bool,
    /// The scope that the token needs.
    pub scope: Option<Scope>,
    /// Whether it reads the header `Idempotency-Key`.
    pub takes_idempotency_key: bool,
    /// The largest body that it reads, in bytes.
    pub body_limit: usize,
    /// The rest.
    pub description: &'static Description,
}

/// A group of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// One conversation.
    Conversations,
    /// A conversation with a name.
    Named,
    /// Many conversations.
    Batches,
    /// What a client receives itself.
    Inbox,
    /// What receivers verify deliveries with.
    Webhooks,
    /// Logins and the metadata about them.
    Tokens,
    /// The administration of clients.
    Clients,
    /// Backup and move.
    Backup,
    /// Language models.
    Mcp,
    /// The service itself.
    Service,
}

impl Tag {
    /// All groups, in the order in which people read them.
    pub(super) const ALL: [Self; 10] = [
        Self::Conversations,
        Self::Named,
        Self::Batches,
        Self::Inbox,
        Self::Webhooks,
        Self::Tokens,
        Self::Clients,
        Self::Backup,
        Self::Mcp,
        Self::Service,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Conversations => "Conversations",
            Self::Named => "Named conversations",
            Self::Batches => "Many conversations",
            Self::Inbox => "Inbox",
            Self::Webhooks => "Signatures",
            Self::Tokens => "Tokens",
            Self::Clients => "Clients",
            Self::Backup => "Backup and move",
            Self::Mcp => "Model Context Protocol",
            Self::Service => "Service",
        }
    }

    pub(super) const fn description(self) -> &'static str {
        match self {
            Self::Conversations => "Schedule a text for an endpoint, look at it, change it and cancel it.",
            Self::Named => "Conversations that exist once, such as a daily report. The caller chooses the name.",
            Self::Batches => "The same for up to 100 conversations in one request.",
            Self::Inbox => "Receive what is due, for a receiver that has no URL: schedule it with deliver: inbox.",
            Self::Webhooks => "Get what receivers need to verify that a delivery is real.",
            Self::Tokens => "Exchange an API key for a token, and find out how.",
            Self::Clients => {
                "Add clients, give them other keys, disable them. A token for this has to ask for the scope operator."
            }
            Self::Backup => {
                "Copy all clients and conversations to a file or to another store. A token for this has to ask for the scope operator."
            }
            Self::Mcp => "The operations on conversations as tools for language models.",
            Self::Service => "Health checks and this documentation.",
        }
    }
}
