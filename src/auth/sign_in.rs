//! `SIGN_IN_ISSUER`: an issuer at which a user signs in, such as Entra ID, in the place of an API key (`OpenID` Connect).

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use url::{Url, form_urlencoded};

use super::DocumentFetcher;
use super::foreign_tokens::{Claims, Endpoints, ForeignTokens};
use super::trusted_issuers::{TrustedIssuer, TrustedIssuers, is_issuer, is_secure, read_clients};
use crate::domain::{ClientId, Secret, Sha256, Timestamp};
use crate::time::{Entropy, random};

/// The issuer of the setting.
#[derive(Clone, Debug)]
pub struct SignInIssuer {
    /// How the user knows it.
    name: String,
    /// The secret of this service at the issuer.
    secret: Secret<String>,
    /// The audience is the id of this service at the issuer.
    trusted: TrustedIssuer,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Written {
    name: String,
    issuer: String,
    client_id: String,
    client_secret: String,
    claim: String,
    clients: HashMap<String, String>,
}

impl FromStr for SignInIssuer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str = "must be a JSON object such as {\"name\": \"Microsoft\", \
                            \"issuer\": \"https://login.microsoftonline.com/<tenant>/v2.0\", \"clientId\": \"<application>\", \
                            \"clientSecret\": \"<its secret>\", \"claim\": \"oid\", \"clients\": {\"<value>\": \"<client id>\"}}, \
                            with all of these members and no other";
        let written: Written = serde_json::from_str(text).map_err(|_| FORM.to_owned())?;
        let Written { name, issuer, client_id: audience, client_secret, claim, clients } = written;
        if [&name, &audience, &client_secret, &claim].into_iter().any(String::is_empty) {
            return Err(FORM.to_owned());
        }
        if !is_issuer(&issuer) {
            return Err("issuer must be an https URL without a query".to_owned());
        }
        let trusted = TrustedIssuer { issuer, audience, claim, clients: read_clients(clients)? };
        Ok(Self { name, secret: Secret::new(client_secret), trusted })
    }
}

/// A sign-in that has begun: what its answer must fit.
#[derive(Serialize, Deserialize)]
pub struct PendingSignIn {
    /// The address of this service to which the issuer returns the browser.
    redirect_uri: String,
    state: String,
    nonce: String,
    /// Of PKCE (RFC 7636).
    verifier: String,
}

impl PendingSignIn {
    /// A sign-in that returns to an address of this service.
    #[must_use]
    pub fn new(redirect_uri: String, entropy: &dyn Entropy) -> Self {
        let text = || URL_SAFE_NO_PAD.encode(random::<32>(entropy));
        Self { redirect_uri, state: text(), nonce: text(), verifier: text() }
    }

    /// Whether an answer with this state is for this sign-in. The hashes are compared, so the time of the comparison says
    /// nothing about the state.
    #[must_use]
    pub fn has_state(&self, state: &str) -> bool {
        Sha256::of(state.as_bytes()) == Sha256::of(self.state.as_bytes())
    }
}

/// The reason why a sign-in names no client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInError {
    /// The issuer cannot be reached, or too many sign-ins end at one time.
    Unavailable,
    /// The issuer does not accept the code, or its answer is not valid.
    Refused,
    /// The account stands for no client.
    UnknownAccount,
}

/// The answer of a token endpoint. It has a token or an error.
#[derive(Default, Deserialize)]
#[serde(default)]
struct TokenAnswer {
    id_token: Option<String>,
    error: Option<String>,
}

/// Lets users sign in at an issuer.
pub struct SignIn {
    issuer: SignInIssuer,
    tokens: ForeignTokens,
    fetcher: Arc<dyn DocumentFetcher>,
    turns: Semaphore,
}

impl SignIn {
    /// The codes that are exchanged at one time. More are refused.
    const MAX_AT_ONCE: usize = 8;

    /// Users sign in at this issuer, which is reached by `fetcher`.
    pub fn new(issuer: SignInIssuer, fetcher: Arc<dyn DocumentFetcher>) -> Self {
        let tokens = ForeignTokens::new(TrustedIssuers(vec![issuer.trusted.clone()]), Arc::clone(&fetcher));
        Self { issuer, tokens, fetcher, turns: Semaphore::new(Self::MAX_AT_ONCE) }
    }

    /// How the user knows the issuer.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.issuer.name
    }

    /// Whether this is the issuer (`iss` of an answer, RFC 9207).
    #[must_use]
    pub fn is_from(&self, issuer: &str) -> bool {
        self.issuer.trusted.issuer == issuer
    }

    /// The address at which the user signs in. `None` if the issuer cannot be reached.
    pub async fn address(&self, pending: &PendingSignIn) -> Option<String> {
        let endpoints = self.endpoints().await?;
        let mut url = Url::parse(&endpoints.authorization_endpoint).ok().filter(is_secure)?;
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, pending.verifier.as_bytes()));
        url.query_pairs_mut().extend_pairs([
            ("client_id", &*self.issuer.trusted.audience),
            ("response_type", "code"),
            ("response_mode", "query"),
            // Entra ID writes `oid` only with `profile`.
            ("scope", "openid profile"),
            ("redirect_uri", &*pending.redirect_uri),
            ("state", &*pending.state),
            ("nonce", &*pending.nonce),
            ("code_challenge", &*challenge),
            ("code_challenge_method", "S256"),
        ]);
        Some(url.into())
    }

    /// The client of the account with which the user has signed in.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn client_of(
        &self,
        code: &str,
        pending: &PendingSignIn,
        now: Timestamp,
    ) -> Result<ClientId, SignInError> {
        let _turn = self.turns.try_acquire().map_err(|_| SignInError::Unavailable)?;
        let token = self.exchange(code, pending).await?;
        let verified = self.tokens.verify(&token, now).await;
        let is_answer =
            |claims: &Claims| claims.has_one_audience() && claims.text("nonce") == Some(pending.nonce.as_str());
        let Some((issuer, claims)) = verified.filter(|(_, claims)| is_answer(claims)) else {
            tracing::warn!("the ID token of a sign-in is not valid");
            return Err(SignInError::Refused);
        };
        let account = claims.text(&issuer.claim);
        let Some(client) = account.and_then(|account| issuer.clients.get(account)) else {
            tracing::warn!(account, "an account that stands for no client has signed in; see SIGN_IN_ISSUER");
            return Err(SignInError::UnknownAccount);
        };
        tracing::info!(account, %client, "an account has signed in");
        Ok(client.clone())
    }

    async fn endpoints(&self) -> Option<Endpoints> {
        let endpoints = self.tokens.endpoints(&self.issuer.trusted).await;
        if endpoints.is_none() {
            tracing::warn!(
                "nobody can sign in: the openid-configuration of SIGN_IN_ISSUER cannot be read, lacks an endpoint, or names \
                 another issuer"
            );
        }
        endpoints
    }

    /// Exchanges a code for an ID token.
    async fn exchange(&self, code: &str, pending: &PendingSignIn) -> Result<String, SignInError> {
        let endpoints = self.endpoints().await.ok_or(SignInError::Unavailable)?;
        let form = self.form(code, pending).into();
        let answer = self.fetcher.send_form(&endpoints.token_endpoint, form).await.ok_or(SignInError::Unavailable)?;
        let TokenAnswer { id_token, error } = serde_json::from_slice(&answer).unwrap_or_default();
        id_token.ok_or_else(|| {
            tracing::warn!(error, "the issuer has not accepted the code of a sign-in");
            SignInError::Refused
        })
    }

    /// The request for an ID token.
    fn form(&self, code: &str, pending: &PendingSignIn) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs([
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &*pending.redirect_uri),
            ("client_id", &*self.issuer.trusted.audience),
            ("client_secret", self.issuer.secret.expose()),
            ("code_verifier", &*pending.verifier),
        ]);
        form.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use async_trait::async_trait;
    use bytes::Bytes;
    use futures_util::future::join_all;

    use super::*;
    use crate::time::SystemEntropy;

    /// An issuer with this metadata, whose token endpoint does not answer.
    struct Silent(String);

    #[async_trait]
    impl DocumentFetcher for Silent {
        async fn fetch(&self, _: &str) -> Option<Bytes> {
            Some(self.0.clone().into())
        }

        async fn send_form(&self, _: &str, _: Bytes) -> Option<Bytes> {
            std::future::pending().await
        }
    }

    const SETTING: &str = r#"{"name":"M","issuer":"https://a.example/v2.0","clientId":"app","clientSecret":"canary",
                              "claim":"oid","clients":{"x":"anna"}}"#;

    fn sign_in(issuer: &str, authorization_endpoint: &str) -> (SignIn, PendingSignIn) {
        let metadata = format!(
            r#"{{"issuer":"{issuer}","authorization_endpoint":"{authorization_endpoint}","token_endpoint":"https://a.example/t",
                 "jwks_uri":"https://a.example/k","keys":[]}}"#
        );
        let pending = PendingSignIn::new("https://b.example/".to_owned(), &SystemEntropy::new());
        (SignIn::new(SETTING.parse().unwrap(), Arc::new(Silent(metadata))), pending)
    }

    #[tokio::test]
    async fn the_browser_is_sent_only_to_an_https_address_of_the_issuer_itself() {
        const ISSUER: &str = "https://a.example/v2.0";
        for (issuer, endpoint, is_good) in [
            (ISSUER, "https://a.example/authorize", true),
            (ISSUER, "http://a.example/authorize", false),
            (ISSUER, "javascript:alert(1)", false),
            (ISSUER, "", false),
            ("https://a.example/v2.0/", "https://a.example/authorize", false),
            ("https://b.example", "https://a.example/authorize", false),
        ] {
            let (sign_in, pending) = sign_in(issuer, endpoint);
            assert_eq!(sign_in.address(&pending).await.is_some(), is_good, "{issuer} {endpoint}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn eight_codes_are_exchanged_at_one_time() {
        let (sign_in, pending) = sign_in("https://a.example/v2.0", "https://a.example/authorize");
        let exchange = || sign_in.client_of("code", &pending, Timestamp::from_millis(0));
        tokio::select! {
            biased;
            _ = join_all((0..8).map(|_| exchange())) => panic!("the issuer has answered"),
            result = exchange() => assert_eq!(result, Err(SignInError::Unavailable)),
            () = tokio::time::sleep(Duration::from_secs(1)) => panic!("a ninth code is exchanged"),
        }
    }

    #[test]
    fn the_setting_is_an_object_whose_secret_is_never_shown() {
        let text = SETTING;
        let issuer: SignInIssuer = text.parse().unwrap();
        assert_eq!((&*issuer.trusted.audience, issuer.trusted.clients["x"].as_str()), ("app", "anna"));
        assert!(!format!("{issuer:?}").contains("canary"));
        for bad in [
            "canary",
            "[]",
            &text.replace("https", "http"),
            &text.replace("v2.0", "v2.0?x"),
            &text.replace("anna", "a b"),
            &text.replace("\"M\"", "\"\""),
            &text.replace("\"app\"", "\"\""),
            &text.replace("\"oid\"", "\"\""),
            &text.replace("\"canary\"", "\"\""),
            &text.replace("\"canary\"", "\"canary\",\"more\":\"x\""),
        ] {
            let error = bad.parse::<SignInIssuer>().unwrap_err();
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
