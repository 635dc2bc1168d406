//! The URLs by which clients know the service.

use std::net::SocketAddr;
use std::str::FromStr;

use url::{Host, Url};

/// A part of the service that a token can be made for (RFC 8707).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The whole service.
    Api,
    /// The Model Context Protocol at `/mcp`.
    Mcp,
}

impl Resource {
    /// All parts.
    pub const ALL: [Self; 2] = [Self::Api, Self::Mcp];

    /// Its path; empty for the whole service.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Api => "",
            Self::Mcp => "/mcp",
        }
    }
}

/// Scheme, host and port, such as `https://scheduler.example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// The origin as text, without a slash at its end. It is also the issuer identifier of the service (RFC 8414).
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Host and port, in the form of a `Host` header.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.0.split_once("://").map_or("", |(_, authority)| authority)
    }

    /// The identifier of a part of the service (RFC 8707).
    #[must_use]
    pub fn resource(&self, resource: Resource) -> String {
        format!("{}{}", self.0, resource.path())
    }

    /// The address of the metadata of a part of the service (RFC 9728 §3.1).
    #[must_use]
    pub fn resource_metadata(&self, resource: Resource) -> String {
        format!("{}/.well-known/oauth-protected-resource{}", self.0, resource.path())
    }
}

/// The origins by which clients know the service: one, or the loopback names of this machine.
///
/// The `Host` header of a request selects one of them. It cannot add another one, because callers can write anything
/// into that header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    first: Origin,
    others: Vec<Origin>,
    /// Hosts that requests can also name, and that clients are not told.
    unlisted_hosts: Vec<String>,
}

impl PublicUrl {
    /// The origins of a service that listens on this address, for a configuration without `PUBLIC_URL`.
    #[must_use]
    pub fn of_address(address: SocketAddr) -> Self {
        let origin = |host: &str| {
            let port = if address.port() == 80 { String::new() } else { format!(":{}", address.port()) };
            Origin(format!("http://{host}{port}"))
        };
        let ip = address.ip();
        if ip.is_loopback() || ip.is_unspecified() {
            let (first, second) = if ip.is_ipv6() { ("[::1]", "127.0.0.1") } else { ("127.0.0.1", "[::1]") };
            Self { others: vec![origin("localhost"), origin(second)], ..Self::one(origin(first)) }
        } else {
            let host = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
            Self::one(origin(&host))
        }
    }

    /// The origin of a function app with this `WEBSITE_HOSTNAME`. Azure's front end uses https. The tools that run the
    /// host on a developer's machine set `localhost:7071` and use http.
    ///
    /// # Errors
    /// [`InvalidPublicUrl`] if the text is not a host name with or without a port.
    pub fn of_website(hostname: &str) -> Result<Self, InvalidPublicUrl> {
        let url = Url::parse(&format!("https://{hostname}")).map_err(|_| InvalidPublicUrl)?;
        let local = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback() || ip.is_unspecified(),
            Some(Host::Ipv6(ip)) => ip.is_loopback() || ip.is_unspecified(),
            None => false,
        };
        format!("{}://{hostname}", if local { "http" } else { "https" }).parse()
    }

    const fn one(origin: Origin) -> Self {
        Self { first: origin, others: Vec::new(), unlisted_hosts: Vec::new() }
    }

    /// The same origins for a service that requests also reach by the hosts of `other`: a gateway can send the
    /// platform's own name.
    #[must_use]
    pub fn also_reached_by(mut self, other: &Self) -> Self {
        self.unlisted_hosts.extend(other.hosts().map(str::to_owned));
        self
    }

    /// The hosts that a request for this service can name, in the form of a `Host` header.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.origins().map(Origin::authority).chain(self.unlisted_hosts.iter().map(String::as_str))
    }

    /// All origins, the default one first.
    pub fn origins(&self) -> impl Iterator<Item = &Origin> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The origin that this `Host` header names, or else the default one.
    #[must_use]
    pub fn origin(&self, host: Option<&str>) -> &Origin {
        let named = |host: &str| self.origins().find(|origin| origin.authority().eq_ignore_ascii_case(host));
        host.and_then(named).unwrap_or(&self.first)
    }

    /// The part of the service that an identifier stands for, and its origin. A slash at the end and the case of the
    /// host make no difference.
    #[must_use]
    pub fn find(&self, identifier: &str) -> Option<(&Origin, Resource)> {
        let url = Url::parse(identifier).ok().filter(is_plain)?;
        let origin = self.origins().find(|origin| origin.0 == url.origin().ascii_serialization())?;
        let path = url.path().strip_suffix('/').unwrap_or(url.path());
        Some((origin, Resource::ALL.into_iter().find(|resource| resource.path() == path)?))
    }
}

/// Whether the URL has none of the parts that the identifier of a resource cannot have.
fn is_plain(url: &Url) -> bool {
    url.fragment().is_none() && url.query().is_none() && url.username().is_empty() && url.password().is_none()
}

impl FromStr for PublicUrl {
    type Err = InvalidPublicUrl;

    /// Reads one origin.
    fn from_str(text: &str) -> Result<Self, InvalidPublicUrl> {
        let url = Url::parse(text).map_err(|_| InvalidPublicUrl)?;
        if matches!(url.scheme(), "https" | "http") && url.path() == "/" && is_plain(&url) {
            Ok(Self::one(Origin(url.origin().ascii_serialization())))
        } else {
            Err(InvalidPublicUrl)
        }
    }
}

/// The text is not an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a scheme and a host with an optional port and nothing else, such as https://scheduler.example.com")]
pub struct InvalidPublicUrl;

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(url: &PublicUrl) -> Vec<&str> {
        url.origins().map(Origin::as_str).collect()
    }

    #[test]
    fn a_configured_url_is_one_origin_in_its_usual_form() {
        for (text, origin) in [
            ("https://Scheduler.Example.com", "https://scheduler.example.com"),
            ("https://scheduler.example.com:443/", "https://scheduler.example.com"),
            ("http://10.0.0.1:8000", "http://10.0.0.1:8000"),
            ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        ] {
            assert_eq!(origins(&text.parse().unwrap()), [origin], "{text}");
        }
        for bad in [
            "",
            "scheduler.example.com",
            "ftp://scheduler.example.com",
            "https://",
            "https://a/b",
            "https://a?b",
            "https://a#b",
            "https://user@a",
            "https://:secret@a",
            "https://a b",
        ] {
            assert_eq!(bad.parse::<PublicUrl>(), Err(InvalidPublicUrl), "{bad}");
        }
    }

    #[test]
    fn a_website_uses_https_except_on_a_developers_machine() {
        for (hostname, origin) in [
            ("app.azurewebsites.net", "https://app.azurewebsites.net"),
            ("localhost:7071", "http://localhost:7071"),
            ("127.0.0.1:7071", "http://127.0.0.1:7071"),
            ("[::1]:7071", "http://[::1]:7071"),
            ("localhost.example.com", "https://localhost.example.com"),
        ] {
            assert_eq!(origins(&PublicUrl::of_website(hostname).unwrap()), [origin]);
        }
        for bad in ["", "a/b", "https://a", "user@a", "a:port"] {
            assert_eq!(PublicUrl::of_website(bad), Err(InvalidPublicUrl), "{bad}");
        }
    }

    #[test]
    fn a_service_on_loopback_has_all_loopback_names() {
        let names = |address: &str| {
            let url = PublicUrl::of_address(address.parse().unwrap());
            url.origins().map(|origin| origin.authority().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names("127.0.0.1:8000"), ["127.0.0.1:8000", "localhost:8000", "[::1]:8000"]);
        assert_eq!(names("[::1]:8000"), ["[::1]:8000", "localhost:8000", "127.0.0.1:8000"]);
        assert_eq!(names("0.0.0.0:80"), ["127.0.0.1", "localhost", "[::1]"]);
        assert_eq!(names("192.0.2.1:8000"), ["192.0.2.1:8000"]);
        assert_eq!(names("[2001:db8::1]:8000"), ["[2001:db8::1]:8000"]);
    }

    #[test]
    fn the_host_header_selects_an_origin_and_cannot_add_one() {
        let local = PublicUrl::of_address("127.0.0.1:8000".parse().unwrap());
        assert_eq!(local.origin(Some("LOCALHOST:8000")).as_str(), "http://localhost:8000");
        for host in
            [None, Some(""), Some("localhost"), Some("localhost:80"), Some("evil.example"), Some("localhost:8000.")]
        {
            assert_eq!(local.origin(host).as_str(), "http://127.0.0.1:8000", "{host:?}");
        }
        let public: PublicUrl = "https://a.example".parse().unwrap();
        assert_eq!(public.origin(Some("127.0.0.1:8000")).as_str(), "https://a.example");
    }

    #[test]
    fn a_further_host_is_accepted_and_never_shown() {
        let url: PublicUrl = "https://a.example".parse().unwrap();
        let url = url.also_reached_by(&PublicUrl::of_website("app.azurewebsites.net").unwrap());
        assert_eq!(url.hosts().collect::<Vec<_>>(), ["a.example", "app.azurewebsites.net"]);
        assert_eq!(origins(&url), ["https://a.example"]);
        assert_eq!(url.origin(Some("app.azurewebsites.net")).as_str(), "https://a.example");
        assert_eq!(url.find("https://app.azurewebsites.net"), None);
    }

    #[test]
    fn only_the_exact_identifier_of_a_resource_is_found() {
        let url: PublicUrl = "https://a.example".parse().unwrap();
        for (identifier, resource) in [
            ("https://a.example", Resource::Api),
            ("https://a.example/", Resource::Api),
            ("HTTPS://A.example:443", Resource::Api),
            ("https://a.example/mcp", Resource::Mcp),
            ("https://a.example/mcp/", Resource::Mcp),
        ] {
            assert_eq!(url.find(identifier).map(|(_, found)| found), Some(resource), "{identifier}");
        }
        for near in [
            "",
            "/mcp",
            "a.example",
            "http://a.example",
            "https://a.example:8443",
            "https://a.example.org",
            "https://b.a.example",
            "https://a.example/mcp//",
            "https://a.example/MCP",
            "https://a.example/api",
            "https://a.example/mcp?x",
            "https://a.example/mcp#x",
            "https://a.example@b.example",
            "https://user@a.example",
            "urn:a.example",
        ] {
            assert_eq!(url.find(near), None, "{near}");
        }
    }

    #[test]
    fn every_resource_is_found_by_its_identifier() {
        let url = PublicUrl::of_address("127.0.0.1:8000".parse().unwrap());
        for origin in url.origins() {
            for resource in Resource::ALL {
                assert_eq!(url.find(&origin.resource(resource)), Some((origin, resource)));
            }
        }
    }
}
