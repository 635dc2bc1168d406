//! The registration of a program by itself (RFC 7591). Nothing is stored: the id of the program is its sealed metadata.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::program::Program;
use super::seal::{Sealable, Seals};
use crate::domain::{RedirectUri, Timestamp};
use crate::json::StrictObject;

/// The metadata of a program that registers itself. Other members are ignored (RFC 7591 §2).
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "OauthRegistration")]
pub struct Registration {
    /// The addresses to which a login returns the browser.
    #[schemars(length(min = 1, max = Registration::MAX_URIS))]
    redirect_uris: Vec<String>,
    /// The name that users are shown.
    #[serde(default)]
    client_name: Option<String>,
}

/// The metadata is not accepted. The text says why.
#[derive(Debug, PartialEq, Eq)]
pub enum InvalidMetadata {
    /// A redirect address is not accepted.
    RedirectUri(String),
    /// Something else.
    Other(String),
}

/// A program that has registered itself.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OauthProgram")]
pub struct Registered {
    client_id: String,
    client_id_issued_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_name: Option<String>,
    redirect_uris: Vec<String>,
    /// The program gets no secret: PKCE shows that it is the one that began a login.
    token_endpoint_auth_method: &'static str,
    grant_types: [&'static str; 2],
    response_types: [&'static str; 1],
}

/// The metadata in the id of a program.
#[derive(Serialize, Deserialize)]
pub(super) struct RegisteredId {
    #[serde(rename = "r")]
    redirect_uris: Vec<String>,
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

impl Sealable for RegisteredId {
    const KIND: &'static str = "program ids";
    const PREFIX: &'static str = "dcr_";
}

impl RegisteredId {
    pub(super) fn into_program(self, id: &str) -> Program {
        let redirect_uris = self.redirect_uris.iter().filter_map(|uri| uri.parse().ok()).collect();
        Program { id: id.to_owned(), name: self.name, redirect_uris }
    }
}

impl Registration {
    const MAX_URIS: usize = 10;
    /// The most characters of a name.
    const MAX_NAME: usize = 100;
    /// The longest id. It is a parameter of requests and a claim of tokens.
    const MAX_ID: usize = 2048;

    /// Reads the metadata.
    ///
    /// # Errors
    /// [`InvalidMetadata`].
    pub fn parse(body: &[u8]) -> Result<Self, InvalidMetadata> {
        let other = |why: &str| InvalidMetadata::Other(why.to_owned());
        let StrictObject(read) = serde_json::from_slice::<StrictObject<Self>>(body).map_err(|_| {
            other(
                "The body must be a JSON object with redirect_uris, a list of texts, and perhaps client_name, a text.",
            )
        })?;
        if !(1..=Self::MAX_URIS).contains(&read.redirect_uris.len()) {
            let why = format!("redirect_uris must have 1 to {} addresses.", Self::MAX_URIS);
            return Err(InvalidMetadata::RedirectUri(why));
        }
        for uri in &read.redirect_uris {
            uri.parse::<RedirectUri>()
                .map_err(|error| InvalidMetadata::RedirectUri(format!("A redirect_uri {error}.")))?;
        }
        let client_name = read.client_name.map(|name| name.chars().take(Self::MAX_NAME).collect());
        Ok(Self { client_name, ..read })
    }

    /// Gives the program its id.
    ///
    /// # Errors
    /// [`InvalidMetadata`] if the id would be too long.
    pub(super) fn register(self, seals: &Seals, now: Timestamp) -> Result<Registered, InvalidMetadata> {
        let Self { redirect_uris, client_name } = self;
        let client_id = seals.seal(&RegisteredId { redirect_uris: redirect_uris.clone(), name: client_name.clone() });
        if client_id.len() > Self::MAX_ID {
            return Err(InvalidMetadata::Other(
                "The metadata is too long: use fewer or shorter redirect_uris.".to_owned(),
            ));
        }
        Ok(Registered {
            client_id,
            client_id_issued_at: now.as_secs(),
            client_name,
            redirect_uris,
            token_endpoint_auth_method: "none",
            grant_types: ["authorization_code", "refresh_token"],
            response_types: ["code"],
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::auth::SigningKeys;
    use crate::time::SystemEntropy;

    const NOW: Timestamp = Timestamp::from_millis(1_893_499_200_000);

    fn seals() -> Seals {
        let keys: SigningKeys = format!("k1:{}", "ab".repeat(32)).parse().unwrap();
        Seals::new(keys, Arc::new(SystemEntropy::new()))
    }

    #[test]
    fn the_id_of_a_program_is_its_metadata() {
        let metadata =
            br#"{"redirect_uris":["http://localhost/cb"],"client_name":"An agent","grant_types":["x"],"logo":1}"#;
        let registered = Registration::parse(metadata).unwrap().register(&seals(), NOW).ok().unwrap();
        let opened: RegisteredId = seals().open(&registered.client_id).unwrap();
        let program = opened.into_program(&registered.client_id);
        assert_eq!((program.name.as_deref(), program.redirect_uris.len()), (Some("An agent"), 1));
        assert_eq!((program.id, registered.token_endpoint_auth_method), (registered.client_id, "none"));
    }

    #[test]
    fn metadata_that_cannot_be_used_is_refused() {
        let parse = |text: &str| Registration::parse(text.as_bytes()).err();
        for (text, is_address) in [
            ("", false),
            ("[]", false),
            (r#"[["https://a.example"],null]"#, false),
            ("{}", false),
            (r#"{"redirect_uris":"https://a.example"}"#, false),
            (r#"{"redirect_uris":["https://a.example"],"client_name":1}"#, false),
            (r#"{"redirect_uris":[]}"#, true),
            (r#"{"redirect_uris":["https://a.example","http://a.example"]}"#, true),
            (&format!(r#"{{"redirect_uris":[{}"https://a.example"]}}"#, r#""https://a.example","#.repeat(10)), true),
        ] {
            let refused = parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(matches!(refused, InvalidMetadata::RedirectUri(_)), is_address, "{text}");
        }
        let long = format!("https://a.example/{}", "x".repeat(900));
        let metadata = format!(r#"{{"redirect_uris":["{long}","{long}"]}}"#);
        let registered = Registration::parse(metadata.as_bytes()).unwrap().register(&seals(), NOW);
        assert!(matches!(registered, Err(InvalidMetadata::Other(_))));
    }

    #[test]
    fn a_long_name_is_cut() {
        let metadata = format!(r#"{{"redirect_uris":["https://a.example"],"client_name":"{}"}}"#, "ä".repeat(101));
        let read = Registration::parse(metadata.as_bytes()).unwrap();
        assert_eq!(read.client_name.unwrap().chars().count(), 100);
    }
}
