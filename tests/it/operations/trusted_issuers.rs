//! Tokens of another issuer.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mcp_scheduler::time::{Clock as _, SystemClock};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::app::TestApp;
use crate::support::client::{Answer, ApiClient};

const FIRST: &[u8] = include_bytes!("../../fixtures/issuer/first.pk8");
const SECOND: &[u8] = include_bytes!("../../fixtures/issuer/second.pk8");

/// The ids and the private keys of an issuer.
type Keys = Arc<Mutex<Vec<(&'static str, &'static [u8])>>>;

/// An issuer on this machine. It publishes the keys that it has.
struct Issuer {
    url: String,
    keys: Keys,
    reads: Arc<Mutex<usize>>,
}

impl Issuer {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/tenant/v2.0", listener.local_addr().unwrap());
        let (keys, reads): (Keys, _) = (Arc::new(Mutex::new(vec![("first", FIRST)])), Arc::default());
        let issuer = Self { url: url.clone(), keys: Arc::clone(&keys), reads: Arc::clone(&reads) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (url, keys, reads) = (url.clone(), Arc::clone(&keys), Arc::clone(&reads));
                let serve = service_fn(move |request: Request<Incoming>| {
                    let body = if request.uri().path() == "/tenant/v2.0/.well-known/openid-configuration" {
                        json!({ "issuer": url, "jwks_uri": format!("{url}/keys") })
                    } else {
                        *reads.lock().unwrap() += 1;
                        json!({ "keys": keys.lock().unwrap().iter().map(|(kid, key)| jwk(kid, key)).collect::<Vec<_>>() })
                    };
                    let response = Response::new(Full::new(Bytes::from(body.to_string())));
                    std::future::ready(Ok::<_, Infallible>(response))
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), serve));
            }
        });
        issuer
    }

    /// A service that trusts this issuer.
    async fn app(&self) -> TestApp {
        let setting = json!([{ "issuer": self.url, "audience": "the-api", "claim": "azp",
                               "clients": { "workload": "carol", "other": "nobody", "boss": "alice" } }]);
        TestApp::start_with(&[("TRUSTED_ISSUERS", &setting.to_string())]).await
    }

    /// A token with some claims replaced.
    fn token(&self, (kid, key): (&str, &[u8]), changes: &Value) -> String {
        let now = SystemClock.now().as_secs();
        let mut claims = json!({ "iss": self.url, "aud": "the-api", "azp": "workload", "iat": now, "exp": now + 600 });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        signed(&json!({ "alg": "RS256", "typ": "JWT", "kid": kid, "x5t": kid }), &claims, key)
    }
}

fn pair(key: &[u8]) -> RsaKeyPair {
    RsaKeyPair::from_pkcs8(key).unwrap()
}

fn jwk(kid: &str, key: &[u8]) -> Value {
    let PublicKeyComponents { n, e }: PublicKeyComponents<Vec<u8>> = pair(key).public().into();
    let [n, e] = [n, e].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
    json!({ "kty": "RSA", "use": "sig", "kid": kid, "n": n, "e": e })
}

fn signed(header: &Value, claims: &Value, key: &[u8]) -> String {
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let message = format!("{header}.{claims}");
    let pair = pair(key);
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

async fn list(client: &ApiClient, token: &str) -> u16 {
    Answer::to(client.anonymous(Method::GET, "/api/scheduler").bearer_auth(token)).await.status
}

#[tokio::test]
async fn a_token_of_a_trusted_issuer_stands_for_a_client() {
    let issuer = Issuer::start().await;
    let app = issuer.app().await;
    let (client, key) = (app.client(), ("first", FIRST));
    let now = SystemClock.now().as_secs();
    for good in [json!({}), json!({ "aud": ["x", "the-api"] }), json!({ "exp": now - 20, "nbf": now + 20 })] {
        assert_eq!(list(&client, &issuer.token(key, &good)).await, 200, "{good}");
    }
    let schedule = client.anonymous(Method::POST, "/api/scheduler/schedule").bearer_auth(issuer.token(key, &json!({})));
    Answer::to(schedule).await.assert_problem(403, "insufficient-scope");
    for bad in [
        json!({ "iss": format!("{}/", issuer.url) }),
        json!({ "aud": "another-api" }),
        json!({ "aud": ["x"] }),
        json!({ "azp": "unknown" }),
        json!({ "azp": 1 }),
        json!({ "azp": "other" }),
        json!({ "exp": now - 40 }),
        json!({ "nbf": now + 40 }),
        json!({ "iat": now + 40 }),
        json!({ "exp": null }),
    ] {
        assert_eq!(list(&client, &issuer.token(key, &bad)).await, 401, "{bad}");
    }
    assert_eq!(list(&client, &issuer.token(("first", SECOND), &json!({}))).await, 401, "signed with another key");
    let claims = json!({ "iss": issuer.url, "aud": "the-api", "azp": "workload", "iat": now, "exp": now + 600 });
    for header in [
        json!({ "alg": "HS256", "kid": "first" }),
        json!({ "alg": "none", "kid": "first" }),
        json!({ "alg": "RS512", "kid": "first" }),
        json!({ "alg": "RS256", "kid": "first", "crit": ["x"] }),
        json!({ "alg": "RS256" }),
    ] {
        assert_eq!(list(&client, &signed(&header, &claims, FIRST)).await, 401, "{header}");
    }
    let clients =
        client.anonymous(Method::GET, "/api/clients").bearer_auth(issuer.token(key, &json!({ "azp": "boss" })));
    Answer::to(clients).await.assert_problem(403, "insufficient-scope");
    assert_eq!(*issuer.reads.lock().unwrap(), 1, "the keys are kept");
    assert_eq!(app.operator().await.post("/api/clients/carol/disable").await.status, 200);
    assert_eq!(list(&client, &issuer.token(key, &json!({}))).await, 401);
}

#[tokio::test]
async fn an_unknown_key_has_the_keys_read_again_once_in_a_minute() {
    let issuer = Issuer::start().await;
    let app = issuer.app().await;
    let (client, second) = (app.client(), issuer.token(("second", SECOND), &json!({})));
    for _ in 0..5 {
        assert_eq!(list(&client, &second).await, 401);
    }
    issuer.keys.lock().unwrap().push(("second", SECOND));
    assert_eq!(list(&client, &second).await, 401);
    assert_eq!(*issuer.reads.lock().unwrap(), 1, "strangers cannot make the service read the keys for each token");
}
