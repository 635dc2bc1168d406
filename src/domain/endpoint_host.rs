//! The host of an endpoint, by which lists find conversations.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

use super::Endpoint;

/// A host name or an IP address, in the form in which URLs have it: names are in lower case and in ASCII.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndpointHost(String);

impl EndpointHost {
    /// The longest host that is read, in bytes. A host name has at most 253 characters.
    pub const MAX: usize = 255;

    /// The host as URLs have it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Endpoint {
    /// The host, without the port. `None` for a text that is no URL, which no request can bring in.
    #[must_use]
    pub fn endpoint_host(&self) -> Option<EndpointHost> {
        Url::parse(self.as_str()).ok()?.host_str().map(|host| EndpointHost(host.to_owned()))
    }

    /// Whether this is the host of the endpoint. The port does not matter.
    #[must_use]
    pub fn is_at(&self, host: &EndpointHost) -> bool {
        self.endpoint_host().as_ref() == Some(host)
    }
}

impl fmt::Display for EndpointHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a host alone, such as example.com, without a scheme, a port or a path")]
pub struct InvalidHost;

impl FromStr for EndpointHost {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        // The parser would remove these escapes.
        if text.len() > Self::MAX || text.contains('%') {
            return Err(InvalidHost);
        }
        Host::parse(text).map(|host| Self(host.to_string())).map_err(|_| InvalidHost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_compared_as_urls_have_it_and_as_a_whole() {
        let is_at = |url: &str, host: &str| Endpoint::from_stored(url.to_owned()).is_at(&host.parse().unwrap());
        for (url, host) in [
            ("https://example.com/hook", "example.com"),
            ("https://EXAMPLE.com:8443/a?b#c", "Example.COM"),
            ("https://bücher.example/", "BÜCHER.example"),
            ("https://xn--bcher-kva.example/", "bücher.example"),
            ("http://127.0.0.1:8000/", "127.0.0.1"),
            ("http://[::1]/", "[::1]"),
        ] {
            assert!(is_at(url, host), "{url} {host}");
        }
        for (url, host) in [
            ("https://www.example.com/", "example.com"),
            ("https://example.com.evil.example/", "example.com"),
            ("https://example.com/", "xample.com"),
            ("https://evil.example/example.com", "example.com"),
            ("not a URL", "example.com"),
        ] {
            assert!(!is_at(url, host), "{url} {host}");
        }
    }

    #[test]
    fn only_a_host_alone_is_one() {
        let long = format!("{}.example", "a".repeat(250));
        for text in
            ["", "https://example.com", "example.com:443", "example.com/hook", "a b", "a\nb", "%61.example", &long]
        {
            assert_eq!(text.parse::<EndpointHost>(), Err(InvalidHost), "{text}");
        }
    }
}
