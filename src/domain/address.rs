//! Tells addresses on the internet from special-purpose addresses.
//!
//! For IPv4 this file lists the denied ranges, because most of the address space is in use. For IPv6 it allows one
//! range and denies the rest, because most of the address space is not in use. The ranges come from the IANA
//! special-purpose address registries (RFC 6890 and its updates). A few further ones, such as that of the platform
//! agent, are in no registry.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The address is on the internet.
    Allowed,
    /// The address is in a denied range.
    Denied(AddressClass),
}

/// The purpose of a denied address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressClass {
    /// "This network" (RFC 791). On most systems a connection to it reaches the machine itself.
    Unspecified,
    /// The machine itself.
    Loopback,
    /// Private networks (RFC 1918), unique local addresses (RFC 4193), and the site-local ones before them.
    Private,
    /// Shared between a provider and its customers (RFC 6598). Clouds run their own services in this range.
    Shared,
    /// The local link, and the metadata services of the clouds (RFC 3927, RFC 4291).
    LinkLocal,
    /// The agent on the host of an Azure machine: 168.63.129.16. No registry lists it as special.
    PlatformAgent,
    /// Reserved for network protocols: 192.0.0.0/24, Teredo, ORCHID, benchmarking, AS112, AMT.
    Protocol,
    /// Reserved for examples in documentation (RFC 5737, RFC 3849, RFC 9637).
    Documentation,
    /// Tests of network equipment (RFC 2544).
    Benchmarking,
    /// An IPv4 address inside an IPv6 address, reached through a translator: NAT64, 6to4, IPv4-compatible.
    Translated,
    /// A group of receivers (RFC 5771, RFC 4291).
    Multicast,
    /// Not assigned.
    Reserved,
}

impl AddressClass {
    /// The class as a noun phrase, for error texts.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Unspecified => "an unspecified address",
            Self::Loopback => "a loopback address",
            Self::Private => "an address of a private network",
            Self::Shared => "an address shared inside a provider's network",
            Self::LinkLocal => "a link-local address",
            Self::PlatformAgent => "an address of the cloud platform",
            Self::Protocol => "an address reserved for network protocols",
            Self::Documentation => "an address for documentation",
            Self::Benchmarking => "an address for benchmarks",
            Self::Translated => "an address of an IPv4-to-IPv6 translator",
            Self::Multicast => "a multicast address",
            Self::Reserved => "a reserved address",
        }
    }
}

/// Classifies an address. An IPv4-mapped IPv6 address (`::ffff:a.b.c.d`) is classified as the IPv4 address, because a
/// connection to it reaches that address.
#[must_use]
pub fn classify(address: IpAddr) -> Verdict {
    let class = match address.to_canonical() {
        IpAddr::V4(address) => class_of_v4(address),
        IpAddr::V6(address) => class_of_v6(address),
    };
    class.map_or(Verdict::Allowed, Verdict::Denied)
}

const fn class_of_v4(address: Ipv4Addr) -> Option<AddressClass> {
    use AddressClass as Is;
    Some(match address.octets() {
        [0, ..] => Is::Unspecified,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Is::Private,
        [100, 64..=127, ..] => Is::Shared,
        [127, ..] => Is::Loopback,
        [168, 63, 129, 16] => Is::PlatformAgent,
        [169, 254, ..] => Is::LinkLocal,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Is::Documentation,
        // AS112 (RFC 7535, RFC 7534), AMT (RFC 7450) and the 6to4 relays (RFC 7526) are anycast: the nearest machine
        // answers, and it may be in our own network. None of them is an endpoint.
        [192, 0, 0, _] | [192, 31, 196, _] | [192, 52, 193, _] | [192, 175, 48, _] => Is::Protocol,
        [192, 88, 99, _] => Is::Translated,
        [198, 18..=19, ..] => Is::Benchmarking,
        [224..=239, ..] => Is::Multicast,
        [240..=255, ..] => Is::Reserved,
        _ => return None,
    })
}

const fn class_of_v6(address: Ipv6Addr) -> Option<AddressClass> {
    use AddressClass as Is;
    Some(match address.segments() {
        // IANA assigns public addresses from 2000::/3, but not from the ranges it reserves for protocols.
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Is::Documentation,
        [0x2001, 0..=0x1ff, ..] | [0x2620, 0x4f, 0x8000, ..] => Is::Protocol,
        [0x2002, ..] => Is::Translated,
        [0x2000..=0x3fff, ..] => return None,
        // All other addresses are denied. The class only gives the reason.
        [0, 0, 0, 0, 0, 0, 0, 0] => Is::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Is::Loopback,
        [0, 0, 0, 0, 0, 0, ..] | [0x64, 0xff9b, ..] => Is::Translated,
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Is::Private,
        [0xfe80..=0xfebf, ..] => Is::LinkLocal,
        [0xff00..=0xffff, ..] => Is::Multicast,
        _ => Is::Reserved,
    })
}

#[cfg(test)]
mod tests {
    use ipnet::IpNet;
    use proptest::prelude::*;

    use super::AddressClass as Is;
    use super::*;

    /// Every denied range with its class, in the notation of the registries.
    const DENIED: [(&str, Is); 41] = [
        ("0.0.0.0/8", Is::Unspecified),
        ("10.0.0.0/8", Is::Private),
        ("100.64.0.0/10", Is::Shared),
        ("127.0.0.0/8", Is::Loopback),
        ("168.63.129.16/32", Is::PlatformAgent),
        ("169.254.0.0/16", Is::LinkLocal),
        ("172.16.0.0/12", Is::Private),
        ("192.0.0.0/24", Is::Protocol),
        ("192.0.2.0/24", Is::Documentation),
        ("192.31.196.0/24", Is::Protocol),
        ("192.52.193.0/24", Is::Protocol),
        ("192.88.99.0/24", Is::Translated),
        ("192.168.0.0/16", Is::Private),
        ("192.175.48.0/24", Is::Protocol),
        ("198.18.0.0/15", Is::Benchmarking),
        ("198.51.100.0/24", Is::Documentation),
        ("203.0.113.0/24", Is::Documentation),
        ("224.0.0.0/4", Is::Multicast),
        ("240.0.0.0/4", Is::Reserved),
        ("::/128", Is::Unspecified),
        ("::1/128", Is::Loopback),
        ("::2/127", Is::Translated),
        ("::1:0:0/96", Is::Reserved),
        ("64:ff9b::/32", Is::Translated),
        ("100::/64", Is::Reserved),
        ("100:0:0:1::/64", Is::Reserved),
        ("1000::/4", Is::Reserved),
        ("2001::/23", Is::Protocol),
        ("2001:db8::/32", Is::Documentation),
        ("2002::/16", Is::Translated),
        ("2620:4f:8000::/48", Is::Protocol),
        ("3fff::/20", Is::Documentation),
        ("4000::/3", Is::Reserved),
        ("5f00::/16", Is::Reserved),
        ("6000::/3", Is::Reserved),
        ("8000::/2", Is::Reserved),
        ("c000::/3", Is::Reserved),
        ("fc00::/7", Is::Private),
        ("fe80::/10", Is::LinkLocal),
        ("fec0::/10", Is::Private),
        ("ff00::/8", Is::Multicast),
    ];

    fn denied() -> impl Iterator<Item = (IpNet, Is)> {
        DENIED.iter().map(|(net, class)| (net.parse().unwrap(), *class))
    }

    fn step(address: IpAddr, by: i8) -> Option<IpAddr> {
        let by = i128::from(by);
        match address {
            IpAddr::V4(ip) => {
                u32::try_from(i128::from(ip.to_bits()) + by).ok().map(|bits| Ipv4Addr::from_bits(bits).into())
            }
            IpAddr::V6(ip) => ip.to_bits().checked_add_signed(by).map(|bits| Ipv6Addr::from_bits(bits).into()),
        }
    }

    #[test]
    fn both_edges_of_every_range_are_denied_and_their_neighbours_follow_their_own_range() {
        for (net, class) in denied() {
            for edge in [net.network(), net.broadcast()] {
                assert_eq!(classify(edge), Verdict::Denied(class), "{edge} of {net}");
            }
            let outside = [step(net.network(), -1), step(net.broadcast(), 1)];
            for neighbour in outside.into_iter().flatten() {
                let own = denied().filter(|(n, _)| n.contains(&neighbour)).max_by_key(|(n, _)| n.prefix_len());
                let on_internet = neighbour.is_ipv4() || "2000::/3".parse::<IpNet>().unwrap().contains(&neighbour);
                match own {
                    Some((_, class)) => assert_eq!(classify(neighbour), Verdict::Denied(class), "{neighbour}"),
                    None if on_internet => assert_eq!(classify(neighbour), Verdict::Allowed, "{neighbour}"),
                    None => assert_ne!(classify(neighbour), Verdict::Allowed, "{neighbour}"),
                }
            }
        }
    }

    #[test]
    fn ordinary_addresses_are_allowed() {
        for address in [
            "1.1.1.1",
            "93.184.215.14",
            "100.63.255.255",
            "100.128.0.1",
            "168.63.129.15",
            "168.63.129.17",
            "172.32.0.0",
            "223.255.255.255",
            "2000::",
            "2001:200::",
            "2606:4700:4700::1111",
            "2a00:1450::1",
            "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "::ffff:8.8.8.8",
        ] {
            assert_eq!(classify(address.parse().unwrap()), Verdict::Allowed, "{address}");
        }
    }

    #[test]
    fn an_ipv4_address_inside_an_ipv6_address_is_classified_as_itself_or_denied_as_translated() {
        for (address, class) in [
            ("::ffff:127.0.0.1", Is::Loopback),
            ("::ffff:a9fe:a9fe", Is::LinkLocal),
            ("::ffff:168.63.129.16", Is::PlatformAgent),
            ("::127.0.0.1", Is::Translated),
            ("::8.8.8.8", Is::Translated),
            ("::ffff:0:127.0.0.1", Is::Reserved),
            ("64:ff9b::169.254.169.254", Is::Translated),
            ("64:ff9b::8.8.8.8", Is::Translated),
            ("64:ff9b:1::10.0.0.1", Is::Translated),
            ("2002:7f00:1::", Is::Translated),
            ("2001:0:7f00:1::", Is::Protocol),
            ("fd00:ec2::254", Is::Private),
            ("fd20:ce::254", Is::Private),
        ] {
            assert_eq!(classify(address.parse().unwrap()), Verdict::Denied(class), "{address}");
        }
    }

    proptest! {
        /// Compares the function with the table above.
        #[test]
        fn an_ipv4_address_is_allowed_exactly_if_no_denied_range_contains_it(bits: u32) {
            let address = IpAddr::V4(Ipv4Addr::from_bits(bits));
            let by_table = denied().find(|(net, _)| net.contains(&address)).map(|(_, class)| class);
            prop_assert_eq!(classify(address), by_table.map_or(Verdict::Allowed, Verdict::Denied));
        }

        #[test]
        fn an_ipv6_address_is_allowed_exactly_if_it_is_assigned_and_no_denied_range_contains_it(
            first in prop_oneof![any::<u16>(), 0x1ffe_u16..=0x2003, 0x3ffe_u16..=0x4001, Just(0x2620)],
            second in prop_oneof![any::<u16>(), 0_u16..=0x201, Just(0xdb8), Just(0x4f)],
            rest: [u16; 6],
        ) {
            let [c, d, e, f, g, h] = rest;
            let address = IpAddr::from([first, second, c, d, e, f, g, h]);
            let assigned = "2000::/3".parse::<IpNet>().unwrap().contains(&address);
            let is_denied = denied().any(|(net, _)| net.contains(&address));
            prop_assert_eq!(classify(address) == Verdict::Allowed, assigned && !is_denied);
        }

        #[test]
        fn a_mapped_address_is_its_ipv4_address(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            prop_assert_eq!(classify(v4.to_ipv6_mapped().into()), classify(v4.into()));
        }

        #[test]
        fn an_address_that_the_standard_library_calls_special_is_denied(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            let special = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast()
                || v4.is_broadcast() || v4.is_documentation() || v4.is_unspecified();
            prop_assert!(!special || classify(v4.into()) != Verdict::Allowed);
        }
    }
}
