//! Which IP addresses are on the internet, and which only look like it.
//!
//! IPv4 by the ranges that are denied, because nearly all of it is in use; IPv6 by the one range that is
//! allowed, because nearly all of it is not. The ranges are those of the IANA special-purpose address
//! registries (RFC 6890 and its updates), and a few that no registry knows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// An ordinary address on the internet.
    Allowed,
    /// Anything else.
    Denied(AddressClass),
}

/// What a denied address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressClass {
    /// "This network": connects to the machine itself on most systems.
    Unspecified,
    /// The machine itself.
    Loopback,
    /// Private networks (RFC 1918), unique local addresses (RFC 4193), and the site-local ones before them.
    Private,
    /// Shared between a provider and its customers (RFC 6598); clouds keep services of their own there.
    Shared,
    /// The same wire, and the metadata services of the clouds (RFC 3927, RFC 4291).
    LinkLocal,
    /// The agent on the host of an Azure machine: 168.63.129.16, a public address by its looks.
    PlatformAgent,
    /// Protocols between routers and hosts: 192.0.0.0/24, Teredo, ORCHID, benchmarking, AS112, AMT.
    Protocol,
    /// Written in books only.
    Documentation,
    /// Tests of network equipment (RFC 2544).
    Benchmarking,
    /// An IPv4 address in an IPv6 one, reached through a translator: NAT64, 6to4, IPv4-compatible.
    Translated,
    /// More than one receiver.
    Multicast,
    /// Not assigned to anybody.
    Reserved,
}

impl AddressClass {
    /// What it is, for people.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Unspecified => "an unspecified address",
            Self::Loopback => "a loopback address",
            Self::Private => "an address of private networks",
            Self::Shared => "an address shared inside a provider's network",
            Self::LinkLocal => "a link-local address",
            Self::PlatformAgent => "an address of the cloud platform",
            Self::Protocol => "an address kept for network protocols",
            Self::Documentation => "an address for documentation",
            Self::Benchmarking => "an address for benchmarks",
            Self::Translated => "an address of an IPv4-to-IPv6 translator",
            Self::Multicast => "a multicast address",
            Self::Reserved => "a reserved address",
        }
    }
}

/// Decides about one address. An IPv4 address written as an IPv6 one (`::ffff:a.b.c.d`) is the IPv4
/// address, because that is where it leads.
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
        // AS112 (RFC 7535, RFC 7534), AMT (RFC 7450) and the 6to4 relays (RFC 7526) are answered by
        // whoever is nearest, which may be a machine of our own network; none is anybody's endpoint.
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
        // 2000::/3 is what IANA gives out, less what it keeps for protocols.
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Is::Documentation,
        [0x2001, 0..=0x1ff, ..] | [0x2620, 0x4f, 0x8000, ..] => Is::Protocol,
        [0x2002, ..] => Is::Translated,
        [0x2000..=0x3fff, ..] => return None,
        // Everything else is denied; the classes only say why.
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

    /// Every range with its class, as the registries write it.
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
    fn both_edges_of_every_range_are_inside_and_their_neighbours_are_judged_by_their_own_range() {
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
    fn an_ipv4_address_in_ipv6_clothes_is_judged_by_itself_or_denied_as_a_translation() {
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
        /// The other way to the same answer: by the table above.
        #[test]
        fn any_ipv4_address_is_allowed_exactly_if_no_range_holds_it(bits: u32) {
            let address = IpAddr::V4(Ipv4Addr::from_bits(bits));
            let by_table = denied().find(|(net, _)| net.contains(&address)).map(|(_, class)| class);
            prop_assert_eq!(classify(address), by_table.map_or(Verdict::Allowed, Verdict::Denied));
        }

        #[test]
        fn any_ipv6_address_is_allowed_exactly_if_it_is_given_out_and_no_range_holds_it(
            first in prop_oneof![any::<u16>(), 0x1ffe_u16..=0x2003, 0x3ffe_u16..=0x4001, Just(0x2620)],
            second in prop_oneof![any::<u16>(), 0_u16..=0x201, Just(0xdb8), Just(0x4f)],
            rest: [u16; 6],
        ) {
            let [c, d, e, f, g, h] = rest;
            let address = IpAddr::from([first, second, c, d, e, f, g, h]);
            let given_out = "2000::/3".parse::<IpNet>().unwrap().contains(&address);
            let kept = denied().any(|(net, _)| net.contains(&address));
            prop_assert_eq!(classify(address) == Verdict::Allowed, given_out && !kept);
        }

        #[test]
        fn a_mapped_address_is_its_ipv4_address(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            prop_assert_eq!(classify(v4.to_ipv6_mapped().into()), classify(v4.into()));
        }

        /// Whatever the standard library already knows not to be on the internet.
        #[test]
        fn nothing_that_the_standard_library_knows_as_special_is_allowed(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            let special = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast()
                || v4.is_broadcast() || v4.is_documentation() || v4.is_unspecified();
            prop_assert!(!special || classify(v4.into()) != Verdict::Allowed);
        }
    }
}
