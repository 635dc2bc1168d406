//! The HTTP request that a conversation is sent with: endpoint and method, and the caller's headers.

use std::collections::HashSet;

use super::words::words;
use super::{Endpoint, Secret};

/// The endpoint of a conversation, with the method of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The URL, as the caller wrote it.
    pub endpoint: Endpoint,
    /// The HTTP method.
    pub method: Method,
}

/// The HTTP methods with which a conversation can be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Method {
    #[default]
    Post,
    Put,
    Patch,
    Get,
    Delete,
}

impl Method {
    /// All methods, for parsing.
    pub const ALL: [Self; 5] = [Self::Post, Self::Put, Self::Patch, Self::Get, Self::Delete];

    /// The name in HTTP, in the API and in stored rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Get => "GET",
            Self::Delete => "DELETE",
        }
    }

    /// Whether a request with this method has a body. In a GET or DELETE request a body has no defined meaning (RFC
    /// 9110 §9.3.1 and §9.3.5), and intermediaries refuse it.
    #[must_use]
    pub const fn has_content(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

words!(Method);

/// The caller's headers, in the caller's order. Their values are often credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Secret<String>)>);

impl Headers {
    /// The largest number of headers that is accepted.
    pub const MAX_COUNT: usize = 32;
    const MAX_NAME: usize = 128;
    const MAX_VALUE: usize = 4 * 1024;
    const MAX_TOTAL: usize = 16 * 1024;

    /// Checks a caller's headers: their number, sizes, characters and names. Each name may occur once.
    ///
    /// # Errors
    /// The rest of a sentence for each broken rule. It begins with the name of the field, and never shows a value.
    pub fn parse(headers: Vec<(String, Secret<String>)>) -> Result<Self, Vec<String>> {
        let headers = Self(headers);
        headers.check()?;
        Ok(headers)
    }

    /// Restores headers from a stored row. They passed the rules of the release that accepted them.
    #[must_use]
    pub const fn from_stored(headers: Vec<(String, Secret<String>)>) -> Self {
        Self(headers)
    }

    /// The names and values, in the caller's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret<String>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Whether the caller gave no headers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The size of all names and values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.expose().len()).sum()
    }

    fn check(&self) -> Result<(), Vec<String>> {
        let mut problems = Vec::new();
        if self.0.len() > Self::MAX_COUNT {
            problems.push(format!("has {} headers; at most {} are accepted", self.0.len(), Self::MAX_COUNT));
        }
        let total = self.bytes();
        if total > Self::MAX_TOTAL {
            problems.push(format!("is {total} bytes in all; at most {} are accepted", Self::MAX_TOTAL));
        }
        let mut seen = HashSet::new();
        for (name, value) in self.0.iter().take(Self::MAX_COUNT) {
            if let Err(problem) = check_name(name).and_then(|()| check_value(name, value.expose())) {
                problems.push(problem);
            } else if !seen.insert(name.to_ascii_lowercase()) {
                problems.push(format!("has the header {name} twice (names ignore case)"));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > Headers::MAX_NAME {
        return Err(format!("has a header name of {} bytes; 1 to {} are accepted", name.len(), Headers::MAX_NAME));
    }
    // RFC 9110 §5.6.2: token.
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !name.bytes().all(token) {
        return Err(format!("has the header name {name:?}, which is not valid in HTTP"));
    }
    // Receivers that follow CGI do not distinguish '-' and '_', so a name with '_' could replace a refused one.
    if is_refused(&name.to_ascii_lowercase().replace('_', "-")) {
        return Err(format!(
            "has the header {name}, which callers cannot set: it belongs to the connection, the platform or the scheduler"
        ));
    }
    Ok(())
}

fn check_value(name: &str, value: &str) -> Result<(), String> {
    if value.len() > Headers::MAX_VALUE {
        return Err(format!(
            "has a value of {} bytes for {name}; at most {} are accepted",
            value.len(),
            Headers::MAX_VALUE
        ));
    }
    if !value.bytes().all(|b| matches!(b, b'\t' | b' '..=b'~')) {
        return Err(format!("has a value for {name} with characters other than visible ASCII, space and tab"));
    }
    Ok(())
}

/// Whether a caller may not set a header, because it would change framing, method or routing, imitate a proxy or the
/// front end of a platform, give access to a metadata service, or imitate our signature.
fn is_refused(name: &str) -> bool {
    const NAMES: [&str; 28] = [
        "cf-connecting-ip",
        "cf-connecting-ipv6",
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "fastly-client-ip",
        "forwarded",
        "host",
        "http2-settings",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "true-client-ip",
        "upgrade",
        "via",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-host",
        "x-http-method",
        "x-http-method-override",
        "x-identity-header",
        "x-method-override",
        "x-original-host",
        "x-original-url",
        "x-real-ip",
        "x-rewrite-url",
    ];
    const PREFIXES: [&str; 9] = [
        "metadata",
        "proxy-",
        "webhook-",
        "x-arr-",
        "x-aws-ec2-metadata-token",
        "x-azure-",
        "x-forwarded-",
        "x-functions-",
        "x-ms-",
    ];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        Headers(pairs.iter().map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned()))).collect())
    }

    #[test]
    fn a_method_is_read_in_any_case_but_in_no_other_form() {
        assert_eq!("post".parse(), Ok(Method::Post));
        assert_eq!("DeLeTe".parse(), Ok(Method::Delete));
        for bad in ["", "CONNECT", "POST ", "POST\r\nX: y"] {
            assert!(bad.parse::<Method>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn refused_headers_are_named_but_their_values_are_not() {
        for bad in [
            "Content-Length",
            "Connection",
            "Upgrade",
            "Proxy-Authorization",
            "Trailer",
            "X-Forwarded-For",
            "X-Real-IP",
            "Metadata-Flavor",
            "Metadata",
            "X-aws-ec2-metadata-token",
            "webhook-signature",
            "Webhook_Signature",
            "X_Forwarded_For",
            "",
            "X:Y",
            "x y",
            "Host",
            "X-MS-Foo",
            "X-HTTP-Method-Override",
            "X-HTTP-Method",
            "X_Method_Override",
            "X-Client-IP",
            "True-Client-IP",
            "X-Cluster-Client-IP",
            "Fastly-Client-IP",
            "CF-Connecting-IP",
            "X-Rewrite-URL",
            "X-Original-URL",
            "X-Original-Host",
            "X-Host",
        ] {
            let problems = headers(&[(bad, "canary")]).check().unwrap_err();
            assert_eq!(problems.len(), 1, "{bad}");
            assert!(!problems.concat().contains("canary"), "{bad}");
        }
        assert_eq!(headers(&[("Authorization", "Bearer x"), ("Cookie", "a=b"), ("X-A", "a\tb")]).check(), Ok(()));
        for good in ["X-Client-Id", "X-Method", "X-Original-Id", "X-Http-Version", "Client-IP-Allowed", "X-Hostess"] {
            assert_eq!(headers(&[(good, "1")]).check(), Ok(()), "{good}");
        }
    }

    #[test]
    fn duplicates_sizes_and_characters_are_checked() {
        assert!(headers(&[("X-A", "1"), ("x-a", "2")]).check().unwrap_err().concat().contains("twice"));
        assert!(headers(&[("X-A", "a\r\nHost: evil")]).check().is_err());
        assert!(headers(&[("X-A", "日本")]).check().is_err());
        for c in '\0'..='\u{ff}' {
            let one = Headers(vec![("X-A".to_owned(), Secret::new(format!("a{c}b")))]);
            assert_eq!(one.check().is_ok(), c == '\t' || (' '..='~').contains(&c), "{c:?}");
        }
        let names: Vec<_> = (0..33).map(|i| format!("X-{i}")).collect();
        let many: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
        assert!(headers(&many).check().unwrap_err().concat().contains("33 headers"));
        assert!(headers(&[("X", &"a".repeat(4097))]).check().is_err());
        assert!(headers(&[(&"X".repeat(129), "a")]).check().is_err());
    }

    #[test]
    fn values_do_not_show_in_debug() {
        assert!(!format!("{:?}", headers(&[("X-A", "canary")])).contains("canary"));
    }

    proptest! {
        #[test]
        fn an_accepted_header_is_one_line(name in "(?s).{0,20}", value in "(?s).{0,40}") {
            let one = Headers(vec![(name.clone(), Secret::new(value.clone()))]);
            if one.check().is_ok() {
                prop_assert!(http::HeaderName::from_bytes(name.as_bytes()).is_ok());
                prop_assert!(http::HeaderValue::from_str(&value).is_ok());
            }
        }
    }
}
