//! The request that scheduled a conversation, as its record shows it.

use std::borrow::Cow;

use super::TraceContext;

/// What is known of the request that scheduled a conversation, besides its client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScheduledBy {
    /// The operation that was called. `None` if the service itself scheduled the conversation, or an earlier release did.
    pub call: Option<Call>,
    /// The program that the client's token was issued to by a login: what OAuth calls the client.
    pub program: Option<Program>,
    /// The place of the request in a trace, if it was traced.
    pub trace: Option<TraceContext>,
}

/// The name of what was called. A newer release may know others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// An operation of the REST API.
    Operation(Cow<'static, str>),
    /// A tool of the Model Context Protocol.
    Tool(Cow<'static, str>),
}

/// The id of a program, or its beginning: the id of a program that has registered itself is long, and random from its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program(String);

impl Program {
    /// The most characters that are kept.
    pub const MAX: usize = 256;

    /// The part of a `client_id` that is kept.
    #[must_use]
    pub fn of_id(id: &str) -> Self {
        Self(id.chars().take(Self::MAX).collect())
    }

    /// The id as it is kept.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_id_is_kept_by_its_beginning() {
        assert_eq!(Program::of_id("https://claude.ai/oauth/x").as_str(), "https://claude.ai/oauth/x");
        assert_eq!(Program::of_id(&"é".repeat(300)).as_str(), "é".repeat(256));
    }
}
