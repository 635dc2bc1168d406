//! The rules for the URL of an endpoint.
//!
//! This file checks the URL as text, when a conversation is scheduled and again before each delivery. The addresses of
//! its host name are checked by `outbound/connector.rs` each time a connection is made.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use url::{Host, ParseError, Url};

use super::{Verdict, classify};

/// A URL that passed [`EndpointPolicy::check`] when it was scheduled, as the caller wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    /// Restores an endpoint from a stored row. It passed the rules of the release that accepted it, and is checked
    /// again before each delivery.
    #[must_use]
    pub const fn from_stored(url: String) -> Self {
        Self(url)
    }

    /// The URL as the caller wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The scheme with the host and the port, as the caller wrote them. What follows may be a secret: some services accept
    /// a message from everybody who knows the path. Empty for a URL that the rules refuse.
    #[must_use]
    pub fn origin(&self) -> &str {
        let scheme = self.0.find("://").map_or(0, |at| at + "://".len());
        let rest = self.0.get(scheme..).unwrap_or_default();
        let authority = rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len());
        let origin = self.0.get(..scheme + authority).filter(|origin| scheme > 0 && !origin.contains('@'));
        origin.unwrap_or_default()
    }

    /// The host with its port. The limit on deliveries to one host uses it as the key.
    #[must_use]
    pub fn host(&self) -> String {
        let url = Url::parse(&self.0).ok();
        let host = url.as_ref().and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)));
        host.map(|(name, port)| format!("{name}:{port}")).unwrap_or_default()
    }
}

/// The rules that an endpoint has to follow.
///
/// The rules for host names give the client an early error and keep the service from calling itself. They do not
/// protect a network. The check of the address to which a delivery connects does that.
#[derive(Clone, Debug, Default)]
pub struct EndpointPolicy {
    /// The operator's own networks. They are exempt from the rules for addresses, ports and https.
    pub allowed_networks: Vec<IpNet>,
    /// The host names of this service. A delivery must not call the service itself.
    pub own_hosts: Vec<String>,
    /// The app of this service on Azure, with its deployment slots.
    pub own_app: Option<AzureApp>,
}

/// The host names that Azure gives to an app and its deployment slots: `app.azurewebsites.net` and
/// `app-slot.azurewebsites.net`, and in some regions `app-slot-hash.region.azurewebsites.net`.
///
/// An app does not know the names of its slots. So a name that a slot could have counts as one, although it can be that
/// of another app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AzureApp {
    name: String,
    domain: String,
}

impl AzureApp {
    /// The app that has this host. Its name is the first label of the host if it is not known. Returns `None` for a
    /// custom domain, which tells nothing about slots.
    #[must_use]
    pub fn of_host(host: &str, app: Option<&str>) -> Option<Self> {
        let (label, domain) = host.split_once('.')?;
        let (label, name) = (label.to_ascii_lowercase(), app.unwrap_or(label).to_ascii_lowercase());
        begins_with_name(&label, &name).then(|| Self { name, domain: domain.to_ascii_lowercase() })
    }

    /// Whether a host is one of the app, of one of its slots, or the deployment site of one of them.
    fn has(&self, host: &str) -> bool {
        let Some((label, domain)) = host.split_once('.') else { return false };
        domain.strip_prefix("scm.").unwrap_or(domain) == self.domain && begins_with_name(label, &self.name)
    }
}

fn begins_with_name(label: &str, name: &str) -> bool {
    label.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// A URL that passed [`EndpointPolicy::check_url`], in parsed form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedUrl {
    /// The parsed URL.
    pub url: Url,
    /// Whether a delivery may connect only to the operator's own networks, because the URL is accepted only for them.
    pub only_allowed_networks: bool,
}

impl EndpointPolicy {
    /// The longest endpoint accepted, in bytes.
    pub const MAX_BYTES: usize = 2048;

    /// Accepts `https` URLs of hosts on the internet, and URLs of hosts in the allowed networks.
    ///
    /// # Errors
    /// The rest of a sentence that begins with the name of the field. It says which rule is broken and shows an
    /// accepted value.
    pub fn check(&self, text: &str) -> Result<Endpoint, String> {
        self.check_url(text).map(|_| Endpoint(text.to_owned()))
    }

    /// Applies the same rules as [`EndpointPolicy::check`], before a delivery.
    ///
    /// # Errors
    /// As [`EndpointPolicy::check`].
    pub fn check_url(&self, text: &str) -> Result<CheckedUrl, String> {
        let url = parse(text)?;
        let only_allowed_networks = match url.host() {
            Some(Host::Domain(name)) => self.check_name(name)?,
            Some(Host::Ipv4(address)) => self.check_address(address.into())?,
            Some(Host::Ipv6(address)) => self.check_address(address.into())?,
            None => return Err("must have a host, such as https://example.com/hook".to_owned()),
        };
        if !only_allowed_networks {
            if url.scheme() != "https" {
                return Err("must use https; plain http is accepted only for hosts in the networks of \
                            DELIVERY_ALLOWED_NETWORKS (on a laptop: loopback)"
                    .to_owned());
            }
            if let Some(port) = url.port().filter(|port| is_bad_port(*port)) {
                return Err(format!("must not use port {port}, which belongs to another protocol"));
            }
        }
        Ok(CheckedUrl { url, only_allowed_networks })
    }

    /// Whether an address is in one of the operator's own networks.
    #[must_use]
    pub fn is_exempt(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allowed_networks.iter().any(|network| network.contains(&address))
    }

    /// The loopback addresses that are in one of the operator's own networks. The names for which
    /// [`is_loopback_name`] is true lead to them, so that the answer is known when a conversation is scheduled.
    #[must_use]
    pub fn exempt_loopback(&self) -> Vec<IpAddr> {
        let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        loopback.into_iter().filter(|address| self.is_exempt(*address)).collect()
    }

    /// Whether the address is accepted only because it is in an allowed network.
    fn check_address(&self, address: IpAddr) -> Result<bool, String> {
        match classify(address) {
            _ if self.is_exempt(address) => Ok(true),
            Verdict::Allowed => Ok(false),
            Verdict::Denied(class) => Err(format!(
                "has the host {address}, {}; only hosts on the internet are accepted, unless the operator of this service \
                 lists the network in DELIVERY_ALLOWED_NETWORKS",
                class.describe()
            )),
        }
    }

    /// Whether the name is accepted only because of an allowed network.
    fn check_name(&self, name: &str) -> Result<bool, String> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let host_name = |label: &str| {
            (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        if name.len() > 253 || !name.split('.').all(host_name) {
            return Err(format!("has the host {name:?}, which is not a valid host name"));
        }
        if self.own_hosts.iter().any(|own| is_own(name, own)) {
            return Err("must not be this service itself".to_owned());
        }
        if self.own_app.as_ref().is_some_and(|app| app.has(name)) {
            return Err(format!(
                "must not be this service itself, and Azure gives names such as {name} to its deployment slots; if this \
                 is another app, use a custom domain of that app"
            ));
        }
        let is_internal = is_internal(name);
        let is_served = if is_loopback_name(name) {
            !self.exempt_loopback().is_empty()
        } else {
            self.allowed_networks.iter().any(|network| !network.network().is_loopback())
        };
        if is_internal && !is_served {
            return Err(format!(
                "has the host {name:?}, which exists only in an internal network; only hosts on the internet are \
                 accepted, unless the operator of this service lists the network in DELIVERY_ALLOWED_NETWORKS"
            ));
        }
        Ok(is_internal)
    }
}

/// Parses a URL and refuses URLs that other parsers may read differently.
fn parse(text: &str) -> Result<Url, String> {
    if text.is_empty() {
        return Err("is required: an https URL".to_owned());
    }
    if text.len() > EndpointPolicy::MAX_BYTES {
        return Err(format!("is {} bytes long; at most {} are accepted", text.len(), EndpointPolicy::MAX_BYTES));
    }
    // The parser would silently remove or replace these characters, so the caller would get another URL.
    if text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err("must not contain spaces, control characters or backslashes".to_owned());
    }
    let url = Url::parse(text).map_err(|error| defect(error).to_owned())?;
    let scheme = url.scheme();
    if !matches!(scheme, "http" | "https") {
        return Err("must begin with https://, such as https://example.com/hook".to_owned());
    }
    let rest = text.get(scheme.len()..).and_then(|rest| rest.strip_prefix("://"));
    let Some(rest) = rest.filter(|rest| !rest.starts_with('/')) else {
        return Err(format!("must begin with {scheme}:// and a host"));
    };
    // The check is on the text, because the parser drops an empty user name.
    if rest.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@')) {
        return Err("must not contain a user name or password; send an Authorization header instead".to_owned());
    }
    Ok(url)
}

/// The defect of a text that is not a URL.
const fn defect(error: ParseError) -> &'static str {
    match error {
        ParseError::RelativeUrlWithoutBase | ParseError::RelativeUrlWithCannotBeABaseBase => {
            "must begin with https://, such as https://example.com/hook"
        }
        ParseError::EmptyHost => "has no host; a URL is such as https://example.com/hook",
        ParseError::InvalidPort => "has a port that is not a number from 1 to 65535",
        ParseError::InvalidIpv4Address | ParseError::InvalidIpv6Address => {
            "has a host that looks like an IP address but is none"
        }
        ParseError::IdnaError | ParseError::InvalidDomainCharacter => {
            "has a host with characters that a host name cannot have"
        }
        _ => "is not a URL; a URL is such as https://example.com/hook",
    }
}

/// Whether a name stands for the machine itself wherever it is used (RFC 6761 §6.3).
#[must_use]
pub fn is_loopback_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

/// Whether a name exists only inside a network: a name without a dot, or below a domain that does not exist on the
/// internet (RFC 6761, RFC 6762 with its appendix G, RFC 8375, and ICANN's `internal`).
fn is_internal(name: &str) -> bool {
    const DOMAINS: [&str; 10] =
        ["corp", "home", "home.arpa", "internal", "intranet", "lan", "local", "localdomain", "localhost", "private"];
    let below = |domain: &&str| name.strip_suffix(*domain).is_some_and(|rest| rest.ends_with('.'));
    !name.contains('.') || name == "home.arpa" || DOMAINS.iter().any(below)
}

/// Whether a name is a host of this service or of its deployment site. On Azure the name of the deployment site has
/// `scm` as its second label: `app.scm.azurewebsites.net` for `app.azurewebsites.net`.
fn is_own(name: &str, own: &str) -> bool {
    let own = own.strip_suffix('.').unwrap_or(own);
    let scm = own.split_once('.').map(|(app, domain)| format!("{app}.scm.{domain}"));
    name.eq_ignore_ascii_case(own) || scm.is_some_and(|scm| name.eq_ignore_ascii_case(&scm))
}

/// Whether a port belongs to another protocol, according to the list of "bad ports" in the WHATWG's Fetch standard. A
/// server of another protocol may read an HTTP request as commands.
fn is_bad_port(port: u16) -> bool {
    const BAD: [u16; 83] = [
        0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104,
        109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526,
        530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045,
        4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
    ];
    BAD.binary_search(&port).is_ok()
}

#[cfg(test)]
#[path = "endpoint_tests.rs"]
mod tests;
