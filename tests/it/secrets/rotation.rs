//! A service whose secrets are in a vault: its start, and what a change of each secret does while it runs.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use http::Method;
use mcp_scheduler::app::App;
use mcp_scheduler::config::Config;
use mcp_scheduler::delivery::SigningSecrets;
use mcp_scheduler::time::{Clock as _, SystemClock};
use ring::hmac;
use serde_json::json;
use standardwebhooks::Webhook;
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::client::{Answer, ApiClient, conversation, http, in_seconds};
use crate::support::key_vault::Vault;
use crate::support::receiver::{Receiver, Reply};

const CLIENT: &str = "ann";
const KEY: &str = "the-first-key-of-ann";
const SECRETS: [&str; 2] =
    ["whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"];
const LIST: &str = "/api/scheduler";

/// The whole service. It ends when it is dropped.
struct VaultApp {
    address: SocketAddr,
    _stop: DropGuard,
    _data: TempDir,
}

impl VaultApp {
    async fn start(vault: &Vault) -> Self {
        let data = tempfile::tempdir().unwrap();
        let own = [("PORT", "0".to_owned()), ("SCHEDULER_DATA_DIR", data.path().to_str().unwrap().to_owned())];
        let settings: Vec<_> = own.iter().chain(&vault.settings).collect();
        let lookup = |name: &str| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        let mut config = Config::from_vars(lookup).unwrap();
        config.key_vault.as_mut().unwrap().authority = vault.certificate();
        let app = App::start(config).await.unwrap();
        let (address, stop) = (app.address(), CancellationToken::new());
        tokio::spawn(app.run(stop.clone()));
        Self { address, _stop: stop.drop_guard(), _data: data }
    }

    fn client(&self, key: &str) -> ApiClient {
        ApiClient::new(self.address, CLIENT, key)
    }

    /// Lists the conversations with a token.
    async fn list(&self, token: &str) -> u16 {
        Answer::unchecked(http().get(format!("http://{}{LIST}", self.address)).bearer_auth(token)).await.status
    }
}

fn key(byte: u8) -> Vec<u8> {
    vec![byte; 32]
}

/// `kid:secret`, with a secret of this byte alone.
fn pair(kid: &str, byte: u8) -> String {
    format!("{kid}:{}", URL_SAFE_NO_PAD.encode(key(byte)))
}

/// A token that another process has signed.
fn token(kid: &str, byte: u8) -> String {
    let now = SystemClock.now().as_secs();
    let header = json!({ "alg": "HS256", "kid": kid, "typ": "JWT" });
    let claims = json!({
        "iss": "mcp-scheduler", "aud": "mcp-scheduler", "sub": CLIENT, "iat": now, "exp": now + 600, "jti": "j",
        "scope": "conversations:read conversations:write",
    });
    let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key(byte)), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
}

async fn vault() -> Vault {
    let vault = Vault::start().await;
    fill(&vault);
    vault
}

fn fill(vault: &Vault) {
    for (name, text) in [
        ("SCHEDULER-CLIENT-ID", CLIENT.to_owned()),
        ("SCHEDULER-API-KEY", KEY.to_owned()),
        ("JWT-SIGNING-KEYS", pair("k1", 1)),
        ("WEBHOOK-SIGNING-SECRETS", SECRETS[0].to_owned()),
        ("DATA-ENCRYPTION-KEYS", pair("d1", 1)),
    ] {
        vault.put(name, &text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_starts_before_its_vault_has_secrets_and_requests_wait_for_them() {
    let vault = Vault::start().await;
    let app = VaultApp::start(&vault).await;
    let anonymous = app.client(KEY);
    let health = async || Answer::to(anonymous.anonymous(Method::GET, "/health")).await.status;
    assert_eq!(health().await, 200);
    let waiting = app.client(KEY);
    let login = tokio::spawn(async move { waiting.login(CLIENT, KEY).await });
    while vault.asked().is_empty() {
        assert_eq!(health().await, 200);
    }
    assert!(!login.is_finished());
    fill(&vault);
    assert_eq!(login.await.unwrap().status, 200);
    assert_eq!(app.client(KEY).get(LIST).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_newer_key_is_accepted_at_once_and_one_of_a_retired_key_is_forgotten() {
    let vault = vault().await;
    let app = VaultApp::start(&vault).await;
    let old = app.client(KEY).token().await.to_owned();
    assert_eq!((app.list(&old).await, app.list(&token("k1", 1)).await), (200, 200));
    assert_eq!(app.list(&token("k1", 2)).await, 401, "a forged token has the vault read by nobody");
    assert_eq!(vault.asked().len(), 5);

    vault.put("JWT-SIGNING-KEYS", &format!("{},{}", pair("k2", 2), pair("k1", 1)));
    assert_eq!(app.list(&token("k2", 2)).await, 200);
    assert_eq!((app.list(&old).await, vault.asked().len()), (200, 5));
    for kid in ["k3", "k4", "garbage"] {
        assert_eq!(app.list(&token(kid, 3)).await, 401);
    }
    assert_eq!(vault.asked().len(), 0, "garbage does not have the vault read again and again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_no_longer_in_the_vault_accepts_nothing_although_its_tokens_were_verified_before() {
    let vault = vault().await;
    let app = VaultApp::start(&vault).await;
    let client = app.client(KEY);
    let old = client.token().await.to_owned();
    assert_eq!(app.list(&old).await, 200);
    vault.put("JWT-SIGNING-KEYS", &pair("k2", 2));
    vault.put("SCHEDULER-API-KEY", "the-second-key-of-ann");
    // It makes the service read the vault, and no token of the new key is verified before the old one is shown again.
    assert_eq!(app.list(&token("garbage", 3)).await, 401);
    assert_eq!((app.list(&old).await, app.list(&token("k2", 2)).await), (401, 200));
    assert_eq!(client.login(CLIENT, KEY).await.status, 401);
    let again = app.client("the-second-key-of-ann");
    assert_eq!(app.list(again.token().await).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_secrets_change_while_a_thousand_deliveries_are_under_way_and_none_fails() {
    const COUNT: usize = 1000;
    let vault = vault().await;
    let app = VaultApp::start(&vault).await;
    let receiver = Receiver::start([Reply::status(200).after(Duration::from_millis(100))]).await;
    let client = app.client(KEY);
    let due = in_seconds(6);
    let endpoint = receiver.url("/");
    let one = || conversation(json!({ "scheduledTime": due, "endpoint": endpoint, "headers": { "X-Key": "canary" } }));
    let batches = (0..COUNT / 100).map(|_| async {
        let batch = json!({ "conversations": (0..100).map(|_| one()).collect::<Vec<_>>() });
        client.post_json("/api/scheduler/batch", &batch).await.json()
    });
    let scheduled = join_all(batches).await;
    let ids = scheduled.iter().flat_map(|batch| batch["results"].as_array().unwrap());
    let ids: Vec<_> = ids.map(|result| result["conversationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), COUNT);

    receiver.wait_for(COUNT / 10).await;
    vault.put("WEBHOOK-SIGNING-SECRETS", SECRETS[1]);
    vault.put("JWT-SIGNING-KEYS", &format!("{},{}", pair("k2", 2), pair("k1", 1)));
    vault.put("DATA-ENCRYPTION-KEYS", &format!("{},{}", pair("d2", 2), pair("d1", 1)));
    assert_eq!(app.list(&token("k2", 2)).await, 200, "it makes the service read the vault");
    let before = receiver.received().len();
    assert!(before < COUNT, "the rotation came too late");

    let arrived = receiver.wait_for(COUNT).await;
    let client_keys = SECRETS.map(|master| master.parse::<SigningSecrets>().unwrap().derive(&CLIENT.parse().unwrap()));
    let webhooks = client_keys.map(|keys| Webhook::new(keys.secrets()[0].expose()).unwrap());
    let mut verified = [0, 0];
    for delivery in &arrived {
        let by = webhooks.iter().position(|webhook| webhook.verify(&delivery.body, &delivery.headers).is_ok());
        verified[by.expect("a signature of the old or of the new secret")] += 1;
        assert_eq!(delivery.headers["x-key"], "canary");
    }
    assert!(verified[0] > 0 && verified[1] > 0, "{verified:?}");
    for id in ids {
        let record = client.wait_for(id, "Completed").await;
        assert_eq!(record["attempts"].as_array().unwrap().len(), 1, "{record}");
    }
}
