//! How a program or a client says who it is at the token endpoint.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use percent_encoding::percent_decode_str;

use super::refusal::Refusal;
use crate::domain::Secret;
use crate::login::Parameters;

/// An id and perhaps a secret, as they were sent.
pub(super) struct Credentials {
    pub(super) id: String,
    pub(super) secret: Option<Secret<String>>,
}

impl Credentials {
    /// Reads the credentials: from HTTP Basic or from the form, not from both. A header of another scheme counts for
    /// nothing, because some libraries send a token that they have with every request.
    pub(super) fn read(headers: &HeaderMap, form: &Parameters) -> Result<Self, Refusal> {
        let (id, secret) = (form.get("client_id"), form.get("client_secret"));
        let mut values = headers.get_all(AUTHORIZATION).iter().filter(|value| is_basic(value.as_bytes()));
        let Some(value) = values.next() else {
            let id = id.ok_or(Refusal::InvalidClient)?.to_owned();
            return Ok(Self { id, secret: secret.map(|secret| Secret::new(secret.to_owned())) });
        };
        if values.next().is_some() || secret.is_some() {
            return Err(Refusal::invalid_request(
                "Send the API key once: by HTTP Basic or as client_secret, not both.",
            ));
        }
        let (basic, secret) = value.to_str().ok().and_then(basic).ok_or(Refusal::InvalidClient)?;
        if id.is_some_and(|id| id != basic) {
            return Err(Refusal::invalid_request("client_id must be the user name of HTTP Basic, or be left out."));
        }
        // A program without a secret may send an empty one.
        Ok(Self { id: basic, secret: Some(secret).filter(|secret| !secret.expose().is_empty()) })
    }

    /// The id and the API key of a client that has to send both.
    pub(super) fn both(self) -> Result<(String, Secret<String>), Refusal> {
        Ok((self.id, self.secret.ok_or(Refusal::InvalidClient)?))
    }
}

/// Whether the header is about this login. One of the scheme Bearer has a token.
fn is_basic(value: &[u8]) -> bool {
    let scheme = value.split(|byte| *byte == b' ').next().unwrap_or_default();
    !scheme.eq_ignore_ascii_case(b"bearer")
}

/// Reads HTTP Basic in the form of OAuth, where id and key are percent-encoded first (RFC 6749 §2.3.1).
///
/// A `+` stands for itself and not for a space, because no key contains a space. Therefore a key without a `%` is also
/// read correctly from a library that leaves out the encoding.
fn basic(authorization: &str) -> Option<(String, Secret<String>)> {
    let (scheme, credentials) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (client, key) = text.split_once(':')?;
    let decoded = |part| Some(percent_decode_str(part).decode_utf8().ok()?.into_owned());
    Some((decoded(client)?, Secret::new(decoded(key)?)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use url::form_urlencoded;

    use super::*;

    fn decoded(text: impl AsRef<[u8]>) -> Option<(String, String)> {
        let (client, key) = basic(&format!("Basic {}", STANDARD.encode(text)))?;
        Some((client, key.expose().clone()))
    }

    #[test]
    fn basic_credentials_are_decoded_twice() {
        for (text, client, key) in [
            ("a:b", "a", "b"),
            ("a:b:c", "a", "b:c"),
            ("a:", "a", ""),
            (":b", "", "b"),
            ("a%3Ab:c%25%2B%3d%2f", "a:b", "c%+=/"),
            ("a:raw+base64/=", "a", "raw+base64/="),
            ("a:50%", "a", "50%"),
            ("a:%zz", "a", "%zz"),
            ("a:%C3%A9", "a", "é"),
            ("a:é", "a", "é"),
        ] {
            assert_eq!(decoded(text), Some((client.to_owned(), key.to_owned())), "{text}");
        }
        for bad in [&b"ab"[..], b"", b"a:\xff", b"a:%ff", b"a%3Ab"] {
            assert_eq!(decoded(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn every_id_and_key_is_read_encoded_or_not(client in "[A-Za-z0-9._-]{1,64}", key in "[!-~]{16,256}") {
            let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let arrived = Some((client.clone(), key.clone()));
            prop_assert_eq!(decoded(format!("{}:{}", encoded(&client), encoded(&key))), arrived.clone());
            if !key.contains('%') {
                prop_assert_eq!(decoded(format!("{client}:{key}")), arrived);
            }
        }

        #[test]
        fn no_input_panics(value in "\\PC*") {
            let _ = basic(&value);
            let _ = basic(&format!("Basic {value}"));
            let _ = Parameters::parse(value.as_bytes());
        }
    }

    #[test]
    fn only_the_basic_scheme_with_base64_is_read() {
        for good in ["Basic YTpi", "basic YTpi", "BASIC  YTpi "] {
            assert!(basic(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "Basic",
            "Basic ",
            "Basic YTpi YTpi",
            "Basic YTp",
            "Basic Y-_i",
            "Bearer YTpi",
            "BasicYTpi",
            "Basic\tYTpi",
        ] {
            assert!(basic(bad).is_none(), "{bad}");
        }
    }
}
