//! Which URLs a conversation may be sent to.
//!
//! Everything here is about the URL as it is written. Where its host name leads is looked at when the
//! conversation is delivered, each time anew: `delivery/egress.rs`.

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

use super::{Verdict, classify};

/// A URL that passed [`EndpointPolicy::check`] when it was scheduled, as the caller wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    /// An endpoint as a store kept it. It was accepted by the rules of its time, and is checked again before each
    /// delivery.
    #[must_use]
    pub const fn from_stored(url: String) -> Self {
        Self(url)
    }

    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host with its port, by which deliveries to one and the same host are known.
    #[must_use]
    pub fn host(&self) -> String {
        let url = Url::parse(&self.0).ok();
        let host = url.as_ref().and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)));
        host.map(|(name, port)| format!("{name}:{port}")).unwrap_or_default()
    }
}

/// Which endpoints are accepted.
///
/// The rules on names save a round trip and keep the service from calling itself; the rule that counts is
/// the one on addresses, and it is applied to the address that is connected to.
#[derive(Clone, Debug, Default)]
pub struct EndpointPolicy {
    /// The operator's own networks: exempt from the rules on addresses, ports and https.
    pub allowed_networks: Vec<IpNet>,
    /// Host names of this very service.
    pub own_hosts: Vec<String>,
}

/// Where an accepted URL leads to, ready to be looked up and connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedUrl {
    /// The URL.
    pub url: Url,
    /// Whether nothing but the operator's own networks will do: the URL is one that only they are allowed.
    pub only_allowed_networks: bool,
}

impl EndpointPolicy {
    /// The longest endpoint accepted, in bytes.
    pub const MAX_BYTES: usize = 2048;

    /// Accepts `https` URLs of hosts on the internet, and what the allowed networks are exempt from.
    ///
    /// # Errors
    /// A sentence that says what is wrong and what would be accepted.
    pub fn check(&self, text: &str) -> Result<Endpoint, String> {
        self.check_url(text).map(|_| Endpoint(text.to_owned()))
    }

    /// The same decision, for a URL that is about to be called.
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
                return Err("must use https; plain http is only accepted to the networks in \
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

    /// Whether only the allowed networks are meant by this address.
    fn check_address(&self, address: IpAddr) -> Result<bool, String> {
        match classify(address) {
            _ if self.is_exempt(address) => Ok(true),
            Verdict::Allowed => Ok(false),
            Verdict::Denied(class) => Err(format!(
                "must not be {}: {address} cannot be reached from here; only hosts on the internet can",
                class.describe()
            )),
        }
    }

    /// Whether only the allowed networks are meant by this name.
    fn check_name(&self, name: &str) -> Result<bool, String> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let host_name = |label: &str| {
            (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        if name.len() > 253 || !name.split('.').all(host_name) {
            return Err(format!("has the host {name:?}, which is no host name"));
        }
        if self.own_hosts.iter().any(|own| is_own(name, own)) {
            return Err("must not be this service itself".to_owned());
        }
        let is_loopback = name == "localhost" || name.ends_with(".localhost");
        if is_loopback && self.is_exempt([127, 0, 0, 1].into()) {
            return Ok(true);
        }
        let is_internal = is_loopback || is_internal(name);
        let serves_internal = self.allowed_networks.iter().any(|network| !network.network().is_loopback());
        if is_internal && !serves_internal {
            return Err(format!(
                "has the host {name:?}, a name that only an internal network knows; use a public one such as example.com"
            ));
        }
        Ok(is_internal)
    }
}

/// Reads a URL that means the same to every reader.
fn parse(text: &str) -> Result<Url, String> {
    if text.is_empty() {
        return Err("is required: an https URL".to_owned());
    }
    if text.len() > EndpointPolicy::MAX_BYTES {
        return Err(format!("is {} bytes long; at most {} are accepted", text.len(), EndpointPolicy::MAX_BYTES));
    }
    // The parser repairs all of these; a caller who writes them means something else.
    if text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err("must not contain spaces, control characters or backslashes".to_owned());
    }
    let url = Url::parse(text).map_err(|e| format!("is not a URL: {e}"))?;
    let scheme = url.scheme();
    if !matches!(scheme, "http" | "https") {
        return Err("must be an https URL such as https://example.com/hook".to_owned());
    }
    let rest = text.get(scheme.len()..).and_then(|rest| rest.strip_prefix("://"));
    let Some(rest) = rest.filter(|rest| !rest.starts_with('/')) else {
        return Err(format!("must begin with {scheme}:// and a host"));
    };
    // Also an empty user name, which the parser drops.
    if rest.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@')) {
        return Err("must not contain a user name or password; send an Authorization header instead".to_owned());
    }
    Ok(url)
}

/// Names that mean something only inside a network: without a dot, or below a domain that the internet
/// does not have (RFC 6761, RFC 6762 with its appendix G, RFC 8375, and ICANN's `internal`).
fn is_internal(name: &str) -> bool {
    const DOMAINS: [&str; 10] =
        ["corp", "home", "home.arpa", "internal", "intranet", "lan", "local", "localdomain", "localhost", "private"];
    let below = |domain: &&str| name.strip_suffix(*domain).is_some_and(|rest| rest.ends_with('.'));
    !name.contains('.') || name == "home.arpa" || DOMAINS.iter().any(below)
}

/// Whether a name is a host of this service, or the deployment site that Azure puts beside it: `scm`
/// as the second label (`app.azurewebsites.net`, `app.scm.azurewebsites.net`).
fn is_own(name: &str, own: &str) -> bool {
    let own = own.strip_suffix('.').unwrap_or(own);
    let scm = own.split_once('.').map(|(app, domain)| format!("{app}.scm.{domain}"));
    name.eq_ignore_ascii_case(own) || scm.is_some_and(|scm| name.eq_ignore_ascii_case(&scm))
}

/// The ports of other protocols, as the WHATWG's Fetch standard lists them ("bad ports"): a request to one
/// of them may be understood as something else.
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
