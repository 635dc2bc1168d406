//! The network address of a caller, through the proxies that the operator trusts.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;

/// The address that a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    address: IpAddr,
    is_counted: bool,
}

impl Source {
    /// The caller's network: an IPv4 address, or the /64 of an IPv6 address, because one host can use all addresses of
    /// its /64.
    #[must_use]
    pub fn network(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(_) => self.address,
            IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        }
    }

    /// The network that limits for each source count by; `None` if many callers may share the address.
    #[must_use]
    pub fn counted(&self) -> Option<IpAddr> {
        self.is_counted.then(|| self.network())
    }
}

impl From<IpAddr> for Source {
    /// A source that no limit counts by.
    fn from(address: IpAddr) -> Self {
        Self { address: address.to_canonical(), is_counted: false }
    }
}

/// `TRUSTED_PROXIES`: the proxies whose `X-Forwarded-For` names the caller.
///
/// Without the setting the service cannot know whether an address belongs to one caller or to a proxy with many, so
/// no limit counts by source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Option<Vec<IpNet>>);

impl TrustedProxies {
    /// The source of a request from this peer with these `X-Forwarded-For` headers.
    ///
    /// Each proxy appends the address that it sees, so the list is read from its end for as long as it names trusted
    /// proxies. The caller can write anything before that.
    #[must_use]
    pub fn source<'a>(&self, peer: IpAddr, forwarded_for: impl DoubleEndedIterator<Item = &'a str>) -> Source {
        let Some(proxies) = &self.0 else { return peer.into() };
        let mut address = peer.to_canonical();
        let is_proxy = |address: IpAddr| proxies.iter().any(|network| network.contains(&address));
        let mut hops = forwarded_for.flat_map(|header| header.split(',')).rev().map(parse_hop);
        while is_proxy(address)
            && let Some(Some(hop)) = hops.next()
        {
            address = hop;
        }
        Source { address, is_counted: !address.is_loopback() && !is_proxy(address) }
    }
}

impl FromStr for TrustedProxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(Some(Vec::new())));
        }
        let parse = |network: &str| match network.parse::<IpAddr>() {
            Ok(address) => Ok(address.into()),
            Err(_) => network.parse().map_err(|_| {
                format!(
                    "{network:?} is not a network such as 10.0.0.0/8 or an address; none means that there is no proxy"
                )
            }),
        };
        let networks = text.split(',').map(str::trim).filter(|network| !network.is_empty()).map(parse);
        Ok(Self(Some(networks.collect::<Result<_, _>>()?)))
    }
}

/// The address of one hop. Some proxies add the port.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let address = hop.parse().or_else(|_| hop.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(proxies: &str, peer: &str, forwarded_for: &[&str]) -> (String, bool) {
        let proxies: TrustedProxies = proxies.parse().unwrap();
        let source = proxies.source(peer.parse().unwrap(), forwarded_for.iter().copied());
        (source.address.to_string(), source.counted().is_some())
    }

    #[test]
    fn a_trusted_proxy_names_the_source_and_nobody_else_does() {
        let proxies = "10.0.0.0/8, 192.0.2.7";
        for (peer, forwarded_for, address) in [
            ("10.1.1.1", &["203.0.113.5"][..], "203.0.113.5"),
            ("192.0.2.7", &["203.0.113.5"], "203.0.113.5"),
            // What the caller itself has written stands before the address that the proxy appends.
            ("10.1.1.1", &["198.51.100.1, 203.0.113.5"], "203.0.113.5"),
            ("10.1.1.1", &["198.51.100.1", "203.0.113.5"], "203.0.113.5"),
            ("10.1.1.1", &["203.0.113.5, 10.2.2.2,192.0.2.7"], "203.0.113.5"),
            ("10.1.1.1", &["203.0.113.5:4711"], "203.0.113.5"),
            ("10.1.1.1", &["[2001:db8::5]:4711"], "2001:db8::5"),
            ("::ffff:10.1.1.1", &["::ffff:203.0.113.5"], "203.0.113.5"),
            ("192.0.2.8", &["203.0.113.5"], "192.0.2.8"),
            ("203.0.113.9", &[], "203.0.113.9"),
        ] {
            assert_eq!(source(proxies, peer, forwarded_for), (address.to_owned(), true), "{peer} {forwarded_for:?}");
        }
    }

    #[test]
    fn a_source_that_may_be_many_callers_is_not_counted() {
        for (proxies, peer, forwarded_for) in [
            ("10.0.0.0/8", "10.1.1.1", &[][..]),
            ("10.0.0.0/8", "10.1.1.1", &["unknown"]),
            ("10.0.0.0/8", "10.1.1.1", &["203.0.113.5, unknown"]),
            ("10.0.0.0/8", "127.0.0.1", &["203.0.113.5"]),
            ("none", "127.0.0.2", &[]),
            ("none", "::1", &[]),
            ("127.0.0.1", "127.0.0.1", &["127.0.0.1"]),
        ] {
            assert!(!source(proxies, peer, forwarded_for).1, "{peer} {forwarded_for:?}");
        }
        let unset = TrustedProxies::default().source([203, 0, 113, 5].into(), std::iter::empty());
        assert_eq!(unset.counted(), None, "without the setting the peer may be a proxy");
        assert!(source("none", "203.0.113.5", &[]).1);
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_source() {
        let proxies: TrustedProxies = "none".parse().unwrap();
        let network = |peer: &str| proxies.source(peer.parse().unwrap(), std::iter::empty()).counted().unwrap();
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_ne!(network("203.0.113.5"), network("203.0.113.6"));
    }

    #[test]
    fn a_list_with_something_else_than_networks_is_refused() {
        for bad in ["10.0.0.0/33", "proxy.example", "10.0.0.1:80", "any"] {
            assert!(bad.parse::<TrustedProxies>().is_err(), "{bad}");
        }
    }
}
