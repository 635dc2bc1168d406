//! `TRUSTED_ISSUERS`: the issuers whose tokens are accepted too, such as Entra ID for a workload without an API key.

use std::collections::HashMap;
use std::str::FromStr;

use serde::Deserialize;
use url::Url;

use crate::domain::ClientId;

/// An issuer, and the clients that its tokens stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedIssuer {
    pub(super) issuer: String,
    pub(super) audience: String,
    /// The claim that says who calls.
    pub(super) claim: String,
    /// The client of each value of that claim.
    pub(super) clients: HashMap<String, ClientId>,
}

/// All issuers of the setting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedIssuers(pub(super) Vec<TrustedIssuer>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    issuer: String,
    audience: String,
    claim: String,
    clients: HashMap<String, String>,
}

impl TrustedIssuers {
    /// The issuer with exactly this name.
    pub(super) fn find(&self, issuer: &str) -> Option<&TrustedIssuer> {
        self.0.iter().find(|trusted| trusted.issuer == issuer)
    }
}

impl FromStr for TrustedIssuers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str = "must be a JSON list such as [{\"issuer\": \"https://login.microsoftonline.com/<tenant>/v2.0\", \
                            \"audience\": \"<application>\", \"claim\": \"azp\", \"clients\": {\"<value>\": \"<client id>\"}}]";
        let written: Vec<Written> = serde_json::from_str(text).map_err(|_| FORM.to_owned())?;
        let mut issuers: Vec<TrustedIssuer> = Vec::new();
        for Written { issuer, audience, claim, clients } in written {
            if !is_issuer(&issuer) || issuers.iter().any(|known| known.issuer == issuer) {
                return Err(format!("{issuer:?} must be an https URL without a query that no other entry has"));
            }
            issuers.push(TrustedIssuer { issuer, audience, claim, clients: read_clients(clients)? });
        }
        Ok(Self(issuers))
    }
}

/// The client of each value of a claim.
pub(super) fn read_clients(written: HashMap<String, String>) -> Result<HashMap<String, ClientId>, String> {
    let client = |(value, id): (String, String)| {
        let client = id.parse().map_err(|error| format!("the client id {id:?} {error}"))?;
        Ok((value, client))
    };
    written.into_iter().map(client).collect()
}

/// Whether the text is the URL of an issuer.
pub(super) fn is_issuer(text: &str) -> bool {
    let url = Url::parse(text).ok().filter(is_secure);
    url.is_some_and(|url| url.query().is_none() && url.fragment().is_none())
}

/// Whether a URL of an issuer is one of https. An issuer on this machine is for tests: it is reached by http.
pub(super) fn is_secure(url: &Url) -> bool {
    let is_local = url.scheme() == "http" && matches!(url.host_str(), Some("127.0.0.1" | "localhost"));
    url.scheme() == "https" || is_local
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_is_a_list_of_issuers_with_their_clients() {
        let text = r#"[{"issuer":"https://a.example/v2.0","audience":"api","claim":"azp","clients":{"x":"anna"}}]"#;
        let issuers: TrustedIssuers = text.parse().unwrap();
        let issuer = issuers.find("https://a.example/v2.0").unwrap();
        assert_eq!((&*issuer.audience, &*issuer.claim, issuer.clients["x"].as_str()), ("api", "azp", "anna"));
        assert_eq!(issuers.find("https://a.example/v2.0/"), None);
        for bad in [
            "",
            "{}",
            "https://a.example",
            &text.replace("https", "http"),
            &text.replace("v2.0", "v2.0?x"),
            &text.replace("anna", "a b"),
            &text.replace("azp", "azp\",\"more\":\"x"),
            &format!("[{0},{0}]", &text[1..text.len() - 1]),
        ] {
            assert!(bad.parse::<TrustedIssuers>().is_err(), "{bad}");
        }
    }
}
