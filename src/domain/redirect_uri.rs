//! The address to which a login returns the user's browser.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

/// An address to which a login returns the user's browser, as its program wrote it.
///
/// It is `https`, or `http` on the user's own machine, or has the scheme of an editor that opens such links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUri(String);

/// The text is not such an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be an https URL, or an http URL of localhost, 127.0.0.1 or [::1], or begin with cursor:// or vscode://, in at most \
     {} characters, without a fragment and without user info",
    RedirectUri::MAX
)]
pub struct InvalidRedirectUri;

impl RedirectUri {
    /// The most characters.
    pub const MAX: usize = 1024;
    /// The schemes of programs that register them with the system.
    const OF_PROGRAMS: [&str; 2] = ["cursor", "vscode"];

    /// The address as its program wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the address is on the machine of the user.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.url().is_some_and(|url| is_loopback(&url))
    }

    /// Whether a request with the address `presented` may use this one, which is registered. Both are the same, except
    /// that a program on the user's machine chooses its port when it starts (RFC 8252 §7.3).
    #[must_use]
    pub fn allows(&self, presented: &Self) -> bool {
        self == presented || self.is_loopback() && self.without_port() == presented.without_port()
    }

    /// Where the browser goes, for a person: the host with its port, or the scheme of a program.
    #[must_use]
    pub fn place(&self) -> String {
        match self.url().as_ref().map(|url| (url.host_str(), url.port(), url.scheme())) {
            Some((Some(host), Some(port), "http" | "https")) => format!("{host}:{port}"),
            Some((Some(host), None, "http" | "https")) => host.to_owned(),
            Some((_, _, scheme)) => format!("{scheme}:"),
            None => String::new(),
        }
    }

    /// The source of a content security policy that allows the browser to go there.
    #[must_use]
    pub fn policy_source(&self) -> String {
        let Some(url) = self.url() else { return "'none'".to_owned() };
        match url.host() {
            // A policy cannot name an IPv6 address.
            Some(Host::Ipv6(_)) => format!("{}:", url.scheme()),
            _ if Self::OF_PROGRAMS.contains(&url.scheme()) => format!("{}:", url.scheme()),
            _ => url.origin().ascii_serialization(),
        }
    }

    /// The address without its port, if it has the form of one.
    fn without_port(&self) -> Option<String> {
        let mut url = self.url()?;
        url.set_port(None).ok()?;
        Some(url.into())
    }

    fn url(&self) -> Option<Url> {
        Url::parse(&self.0).ok()
    }
}

fn is_loopback(url: &Url) -> bool {
    url.scheme() == "http"
        && match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        }
}

impl FromStr for RedirectUri {
    type Err = InvalidRedirectUri;

    fn from_str(text: &str) -> Result<Self, InvalidRedirectUri> {
        // A backslash is a slash for a browser and something else for other programs.
        let is_plain = text.len() <= Self::MAX && text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        let url = Url::parse(text).ok().filter(|_| is_plain).ok_or(InvalidRedirectUri)?;
        let is_allowed = match url.scheme() {
            "https" => url.host().is_some(),
            "http" => is_loopback(&url),
            scheme => Self::OF_PROGRAMS.contains(&scheme),
        };
        let is_bare = url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
        if is_allowed && is_bare { Ok(Self(text.to_owned())) } else { Err(InvalidRedirectUri) }
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> RedirectUri {
        text.parse().unwrap_or_else(|error| panic!("{text} {error}"))
    }

    #[test]
    fn only_https_loopback_and_known_programs_are_accepted() {
        for good in [
            "https://claude.ai/api/mcp/auth_callback",
            "https://a.example/back?x=1",
            "http://localhost:63664/callback",
            "http://127.0.0.1/callback",
            "http://[::1]:9/",
            "cursor://anysphere.cursor-retrieval/oauth/user-x/callback",
            "vscode://vscode.github-authentication",
        ] {
            uri(good);
        }
        let long = format!("https://a.example/{}", "x".repeat(RedirectUri::MAX));
        for bad in [
            "",
            "/back",
            "http://a.example/back",
            "http://localhost.example/",
            "http://10.0.0.1/",
            "http://0.0.0.0/",
            "https://a.example/#x",
            "https://a.example/#",
            "https://user@a.example/",
            "https://:secret@a.example/",
            "https://a.example\\@b.example/",
            "https://a.example/ b",
            "https://ä.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "evil://x",
            &long,
        ] {
            assert_eq!(bad.parse::<RedirectUri>(), Err(InvalidRedirectUri), "{bad}");
        }
    }

    #[test]
    fn an_address_is_the_registered_one_but_for_the_port_of_loopback() {
        for (registered, presented) in [
            ("https://a.example/back", "https://a.example/back"),
            ("http://localhost/callback", "http://localhost:63664/callback"),
            ("http://127.0.0.1:1/callback", "http://127.0.0.1:35333/callback"),
            ("http://[::1]/", "http://[::1]:4"),
        ] {
            assert!(uri(registered).allows(&uri(presented)), "{registered} {presented}");
        }
        for (registered, presented) in [
            ("https://a.example/back", "https://a.example/back2"),
            ("https://a.example/back", "https://a.example/back?x"),
            ("https://a.example/back", "https://a.example:8443/back"),
            ("https://a.example/back", "https://b.example/back"),
            ("https://localhost/back", "https://localhost:1/back"),
            ("http://localhost/callback", "http://127.0.0.1/callback"),
            ("http://localhost/callback", "http://localhost/other"),
            ("cursor://a/b", "cursor://a:1/b"),
        ] {
            assert!(!uri(registered).allows(&uri(presented)), "{registered} {presented}");
        }
    }

    #[test]
    fn a_person_and_a_policy_are_told_where_the_browser_goes() {
        for (text, place, source) in [
            ("https://a.example/back", "a.example", "https://a.example"),
            ("https://a.example:8443/back", "a.example:8443", "https://a.example:8443"),
            ("http://localhost:1/back", "localhost:1", "http://localhost:1"),
            ("http://[::1]:1/back", "[::1]:1", "http:"),
            ("cursor://a/b", "cursor:", "cursor:"),
        ] {
            assert_eq!((uri(text).place().as_str(), uri(text).policy_source().as_str()), (place, source), "{text}");
        }
    }
}
