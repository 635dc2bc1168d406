//! The checks of a request head that hyper leaves to its users.

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderValue, Method, Request, Version};

use crate::api::Problem;

/// Checks that the target is a path, and that the request names one host.
///
/// Programs that read an ambiguous head could read different requests in it (RFC 9112 §3.2), so the connection ends
/// after the response.
pub(super) fn check<B>(request: &Request<B>) -> Result<(), Problem> {
    let problem = |detail: &'static str| Err(Problem::malformed_request(detail));
    if request.method() == Method::CONNECT || request.uri().path().is_empty() {
        return problem("The target of the request must be a path, such as /health.");
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() > Version::HTTP_10 => problem("The request must have a Host header."),
        (Some(_), Some(_)) => problem("The request must have one Host header; it has several."),
        (Some(host), None) if !is_host(host) => {
            problem("The Host header must be a host name or an address, with or without a port.")
        }
        (Some(host), None) if request.uri().authority().is_some_and(|target| !is_same(target, host)) => {
            problem("The target of the request names another host than the Host header.")
        }
        _ => Ok(()),
    }
}

/// Whether the value is a host with an optional port. It is empty if the target has no host.
fn is_host(value: &HeaderValue) -> bool {
    let authority = |text: &str| text.parse::<Authority>().is_ok_and(|host| !host.as_str().contains('@'));
    value.to_str().is_ok_and(|text| text.is_empty() || authority(text))
}

fn is_same(target: &Authority, host: &HeaderValue) -> bool {
    host.as_bytes().eq_ignore_ascii_case(target.as_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(method: Method, target: &str, version: Version, hosts: &[&[u8]]) -> bool {
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = target.parse().unwrap();
        *request.version_mut() = version;
        for host in hosts {
            request.headers_mut().append(HOST, HeaderValue::from_bytes(host).unwrap());
        }
        check(&request).is_ok()
    }

    #[test]
    fn the_target_is_a_path() {
        for target in ["/", "/health?x=1", "*", "http://h/health", "http://h"] {
            assert!(accepted(Method::GET, target, Version::HTTP_11, &[b"h"]), "{target}");
        }
        for target in ["http://169.254.169.254/", "http://h:80/health"] {
            assert!(!accepted(Method::GET, target, Version::HTTP_11, &[b"h"]), "{target} is of another host");
        }
        assert!(accepted(Method::GET, "http://H/health", Version::HTTP_11, &[b"h"]));
        for target in ["example.com:80", "h", "127.0.0.1:8000", "[::1]:8000"] {
            assert!(!accepted(Method::GET, target, Version::HTTP_11, &[b"h"]), "{target}");
            assert!(!accepted(Method::CONNECT, target, Version::HTTP_11, &[b"h"]), "{target}");
        }
    }

    #[test]
    fn the_request_names_one_host() {
        for host in ["h", "h:80", "a.example", "my_host", "127.0.0.1:8000", "[::1]:8000", "[::1]", ""] {
            assert!(accepted(Method::GET, "/", Version::HTTP_11, &[host.as_bytes()]), "{host}");
        }
        for host in [&b"a b"[..], b"a, b", b"a@b", b"http://a", b"a/b", b"a\xff", b"a:b:c"] {
            assert!(!accepted(Method::GET, "/", Version::HTTP_11, &[host]), "{host:?}");
        }
        for version in [Version::HTTP_10, Version::HTTP_11] {
            assert!(!accepted(Method::GET, "/", version, &[b"h", b"h"]), "{version:?}");
        }
        assert!(!accepted(Method::GET, "/", Version::HTTP_11, &[]));
        assert!(accepted(Method::GET, "/", Version::HTTP_10, &[]), "HTTP/1.0 had no Host header");
    }
}
