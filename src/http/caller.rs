//! Tells the Functions host's own requests from those of clients that the host passes on.
//!
//! Both come to the same address on loopback. They differ in these headers (v4):
//!
//! - An invocation has this address as `Host`, a `User-Agent` that names only the host, and no `X-Forwarded-*`.
//! - A host that proxies replaces a client's `Host` by this address. It sets `X-Forwarded-For`, `X-Forwarded-Host` and
//!   `X-Forwarded-Proto`, and replaces values that the client sent.
//! - A host that forwards (an older version) keeps `Host` and `X-Forwarded-*` as the client sent them, and appends its
//!   name to `User-Agent`.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{HOST, USER_AGENT};
use http::{HeaderMap, HeaderName};

use crate::public_url::PublicUrl;

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// The headers that an invocation never has.
const FORWARDED: [HeaderName; 3] =
    [HeaderName::from_static("x-forwarded-for"), FORWARDED_HOST, HeaderName::from_static("x-forwarded-proto")];
/// The `User-Agent` of an invocation is this text and the version of the host.
const AGENT: &str = "Azure-Functions-Host/";

/// The Functions host as the caller of this process.
#[derive(Debug)]
pub struct FunctionsHost {
    /// The address that it calls, in the form of a `Host` header.
    called_at: String,
    has_called: AtomicBool,
}

impl FunctionsHost {
    /// The host that calls this address.
    #[must_use]
    pub fn calling(address: SocketAddr) -> Self {
        let called_at = PublicUrl::of_address(address).origin(None).authority().to_owned();
        Self { called_at, has_called: AtomicBool::new(false) }
    }

    /// Whether the host itself sent a request with these headers, and no client through a route.
    pub(super) fn is_caller(&self, headers: &HeaderMap) -> bool {
        only(headers, &HOST) == Some(&*self.called_at)
            && only(headers, &USER_AGENT).is_some_and(is_host_alone)
            && !FORWARDED.iter().any(|name| headers.contains_key(name))
    }

    /// The host name by which the client called. `X-Forwarded-Host` counts only where the host has set it: a proxying
    /// host leaves its own address in `Host`. Everywhere else a client could have written `X-Forwarded-Host`.
    pub(super) fn client_host<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let host = only(headers, &HOST);
        let proxied = host == Some(&*self.called_at) && headers.contains_key(FORWARDED_HOST);
        if proxied { only(headers, &FORWARDED_HOST) } else { host }
    }

    /// Remembers that a request has come.
    pub(super) fn note_call(&self) {
        self.has_called.store(true, Ordering::Relaxed);
    }

    /// Whether a request has come since this was asked before.
    pub fn has_called(&self) -> bool {
        self.has_called.swap(false, Ordering::Relaxed)
    }
}

/// The value of a header that occurs exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

fn is_host_alone(agent: &str) -> bool {
    agent.strip_prefix(AGENT).is_some_and(|version| !version.is_empty() && !version.contains(char::is_whitespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> FunctionsHost {
        FunctionsHost::calling("127.0.0.1:40001".parse().unwrap())
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    const OWN: (&str, &str) = ("host", "127.0.0.1:40001");
    const AGENT: (&str, &str) = ("user-agent", "Azure-Functions-Host/4.1037.0.0");

    #[test]
    fn an_invocation_has_our_address_the_hosts_agent_alone_and_nothing_forwarded() {
        let invocation = headers(&[OWN, AGENT, ("x-azure-functions-invocationid", "1")]);
        assert!(host().is_caller(&invocation));
        for (reason, other) in [
            ("no Host", headers(&[AGENT])),
            ("another Host", headers(&[("host", "app.azurewebsites.net"), AGENT])),
            ("another port", headers(&[("host", "127.0.0.1:40002"), AGENT])),
            ("no port", headers(&[("host", "127.0.0.1"), AGENT])),
            ("another name of loopback", headers(&[("host", "localhost:40001"), AGENT])),
            ("two Hosts", headers(&[OWN, OWN, AGENT])),
            ("no agent", headers(&[OWN])),
            ("a client's agent", headers(&[OWN, ("user-agent", "curl/8")])),
            ("the host's agent after a client's", headers(&[OWN, ("user-agent", "curl/8 Azure-Functions-Host/4.1")])),
            (
                "a client with the host's name",
                headers(&[OWN, ("user-agent", "Azure-Functions-Host/4 Azure-Functions-Host/4.1")]),
            ),
            ("no version", headers(&[OWN, ("user-agent", "Azure-Functions-Host/")])),
            ("two agents", headers(&[OWN, AGENT, AGENT])),
            ("X-Forwarded-For", headers(&[OWN, AGENT, ("x-forwarded-for", "203.0.113.9:1234")])),
            ("an empty X-Forwarded-For", headers(&[OWN, AGENT, ("x-forwarded-for", "")])),
            ("X-Forwarded-Host", headers(&[OWN, AGENT, ("x-forwarded-host", "a.example")])),
            ("X-Forwarded-Proto", headers(&[OWN, AGENT, ("x-forwarded-proto", "https")])),
        ] {
            assert!(!host().is_caller(&other), "{reason}");
        }
    }

    #[test]
    fn the_forwarded_host_counts_only_where_the_proxying_host_has_set_it() {
        let forged = ("x-forwarded-host", "127.0.0.1");
        for (pairs, expected) in [
            (&[OWN, ("x-forwarded-host", "app.example")][..], Some("app.example")),
            (&[OWN], Some("127.0.0.1:40001")),
            (&[("host", "app.example")], Some("app.example")),
            (&[("host", "evil.example"), forged], Some("evil.example")),
            (&[("host", "127.0.0.1:40002"), ("x-forwarded-host", "app.example")], Some("127.0.0.1:40002")),
            (&[OWN, ("x-forwarded-host", "app.example"), forged], None),
            (&[OWN, OWN, forged], None),
            (&[forged], None),
        ] {
            assert_eq!(host().client_host(&headers(pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn port_80_is_not_named() {
        let host = FunctionsHost::calling("127.0.0.1:80".parse().unwrap());
        assert!(host.is_caller(&headers(&[("host", "127.0.0.1"), AGENT])));
    }

    #[test]
    fn a_call_is_remembered_until_somebody_asks() {
        let host = host();
        assert!(!host.has_called());
        host.note_call();
        assert_eq!((host.has_called(), host.has_called()), (true, false));
    }
}
