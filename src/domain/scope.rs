//! The permissions of tokens and clients.

use std::fmt;
use std::ops::BitAnd;
use std::str::FromStr;

/// A permission of a token or client (RFC 6749 §3.3). No scope includes another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `conversations:read` allows reading conversations.
    Read,
    /// `conversations:write` allows scheduling, cancelling and redelivering conversations.
    Write,
    /// `webhooks:read` allows reading the client's own secrets, with which its receivers verify deliveries.
    WebhookSecrets,
    /// `metrics:read` allows reading the metrics of the service, which are about all clients.
    Metrics,
    /// `operator` allows administrating clients, and with `conversations:read` reading the conversations of all clients.
    Operator,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 5] = [Self::Read, Self::Write, Self::WebhookSecrets, Self::Metrics, Self::Operator];

    /// The name in tokens, requests, stored rows and the MCP metadata.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "conversations:read",
            Self::Write => "conversations:write",
            Self::WebhookSecrets => "webhooks:read",
            Self::Metrics => "metrics:read",
            Self::Operator => "operator",
        }
    }

    /// The scope with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of scopes. Its text form is the names, separated by spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// All scopes on what belongs to the client itself. They are the default for clients and tokens where nobody names
    /// scopes. `operator` has to be named, so that the token that an agent holds cannot add clients, and so has
    /// `metrics:read`, which is about all clients.
    #[must_use]
    pub const fn all() -> Self {
        Self(Self::on_conversations().0 | Scope::WebhookSecrets.bit())
    }

    /// The scopes that the operations on conversations need. Clients and tokens created before scopes existed have these:
    /// a later scope is not given to them unasked.
    #[must_use]
    pub const fn on_conversations() -> Self {
        Self(Scope::Read.bit() | Scope::Write.bit())
    }

    /// All scopes that exist.
    #[must_use]
    pub const fn with_operator() -> Self {
        Self::all().with(Scope::Metrics).with(Scope::Operator)
    }

    /// The set with one more scope.
    #[must_use]
    pub const fn with(self, scope: Scope) -> Self {
        Self(self.0 | scope.bit())
    }

    /// The known scopes in a stored text. A newer release may have written the text, so unknown names are ignored.
    #[must_use]
    pub fn known_in(text: &str) -> Self {
        text.split(' ').filter_map(Scope::named).collect()
    }

    /// The empty set.
    #[must_use]
    pub const fn none() -> Self {
        Self(0)
    }

    /// Whether the set allows no operation.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the set contains a scope.
    #[must_use]
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// The scopes in the set.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }

    /// The names of the scopes in the set.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        self.iter().map(Scope::as_str).collect()
    }
}

impl From<Scope> for Scopes {
    fn from(scope: Scope) -> Self {
        Self(scope.bit())
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

/// The scopes that are in both sets.
impl BitAnd for Scopes {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, scope) in self.iter().enumerate() {
            write!(f, "{}{scope}", if i == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

/// The text contains a name that is not a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be names of scopes, separated by spaces; the scopes are {}", Scopes::with_operator())]
pub struct UnknownScope;

impl FromStr for Scopes {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        text.split(' ').filter(|name| !name.is_empty()).map(|name| Scope::named(name).ok_or(UnknownScope)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_is_the_names_separated_by_spaces() {
        for (scopes, text) in [
            (Scopes::all(), "conversations:read conversations:write webhooks:read"),
            (Scopes::on_conversations(), "conversations:read conversations:write"),
            (Scope::Read.into(), "conversations:read"),
            (Scope::Write.into(), "conversations:write"),
            (Scope::WebhookSecrets.into(), "webhooks:read"),
            (Scope::Metrics.into(), "metrics:read"),
            (Scope::Operator.into(), "operator"),
            (Scopes::with_operator(), "conversations:read conversations:write webhooks:read metrics:read operator"),
            (Scopes::none(), ""),
        ] {
            assert_eq!(scopes.to_string(), text);
            assert_eq!(text.parse(), Ok(scopes));
            assert_eq!(Scopes::known_in(text), scopes);
        }
        let twice = "conversations:write  conversations:read conversations:read";
        assert_eq!(twice.parse(), Ok(Scopes::on_conversations()));
    }

    #[test]
    fn an_unknown_name_is_refused_in_a_request_and_ignored_in_a_row() {
        for text in ["conversations:admin", "Conversations:read", "conversations:read,conversations:write", "\t"] {
            assert_eq!(text.parse::<Scopes>(), Err(UnknownScope), "{text}");
            assert!(Scopes::known_in(text).is_empty(), "{text}");
        }
        assert_eq!(Scopes::known_in("conversations:admin conversations:read"), Scope::Read.into());
    }

    #[test]
    fn no_scope_includes_another_and_the_intersection_has_the_common_scopes() {
        let (read, write) = (Scopes::from(Scope::Read), Scopes::from(Scope::Write));
        assert!(read.contains(Scope::Read) && !read.contains(Scope::Write) && !write.contains(Scope::Read));
        assert_eq!((read & write, read & Scopes::all()), (Scopes::none(), read));
        for named in [Scope::Metrics, Scope::Operator] {
            assert!(!Scopes::all().contains(named), "{named} has to be named");
        }
        assert_eq!(Scope::ALL.into_iter().collect::<Scopes>(), Scopes::with_operator());
    }
}
