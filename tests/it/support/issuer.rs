//! An issuer on this machine: it publishes its keys, makes tokens, and lets users sign in.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::LOCATION;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mcp_scheduler::time::{Clock as _, SystemClock};
use reqwest::Url;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::form_urlencoded;

pub const FIRST: &[u8] = include_bytes!("../../fixtures/issuer/first.pk8");
pub const SECOND: &[u8] = include_bytes!("../../fixtures/issuer/second.pk8");

/// The service as the issuer knows it.
pub const APPLICATION: &str = "the-application";
pub const APPLICATION_SECRET: &str = "canary-secret-of-the-application";

/// The id and the private key of an issuer.
pub type Key = (&'static str, &'static [u8]);

type Query = HashMap<String, String>;

/// An issuer on this machine.
pub struct Issuer {
    pub url: String,
    /// How it calls itself.
    pub name: Mutex<String>,
    /// The keys that it publishes.
    pub keys: Mutex<Vec<Key>>,
    /// How often they were read.
    pub reads: Mutex<usize>,
    /// The key that signs the tokens of users.
    pub signs: Mutex<Key>,
    /// Claims of the next tokens of users, in the place of the usual ones.
    pub changes: Mutex<Value>,
    /// The sign-ins whose codes were not exchanged.
    begun: Mutex<HashMap<String, Query>>,
}

impl Issuer {
    pub async fn start() -> Arc<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/tenant/v2.0", listener.local_addr().unwrap());
        let issuer = Arc::new(Self {
            name: Mutex::new(url.clone()),
            url,
            keys: Mutex::new(vec![("first", FIRST)]),
            reads: Mutex::default(),
            signs: Mutex::new(("first", FIRST)),
            changes: Mutex::new(json!({})),
            begun: Mutex::default(),
        });
        let serving = Arc::clone(&issuer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let issuer = Arc::clone(&serving);
                let serve = service_fn(move |request| Arc::clone(&issuer).serve(request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), serve));
            }
        });
        issuer
    }

    /// The setting of a service at which users of this issuer sign in.
    pub fn sign_in_setting(&self, clients: &Value) -> String {
        json!({ "name": "Our <Company>", "issuer": self.url, "clientId": APPLICATION, "clientSecret": APPLICATION_SECRET,
                "claim": "oid", "clients": clients })
        .to_string()
    }

    async fn serve(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let query = read(request.uri().query().unwrap_or_default().as_bytes());
        let path = request.uri().path().strip_prefix("/tenant/v2.0").unwrap_or_default().to_owned();
        let url = &self.url;
        let (status, body) = match &*path {
            "/.well-known/openid-configuration" => {
                let name = self.name.lock().unwrap().clone();
                let metadata = json!({ "issuer": name, "jwks_uri": format!("{url}/keys"),
                    "authorization_endpoint": format!("{url}/authorize?a=b"), "token_endpoint": format!("{url}/token") });
                (StatusCode::OK, metadata)
            }
            "/keys" => {
                *self.reads.lock().unwrap() += 1;
                let keys: Vec<_> = self.keys.lock().unwrap().iter().map(|(kid, key)| jwk(kid, key)).collect();
                (StatusCode::OK, json!({ "keys": keys }))
            }
            "/authorize" => return Ok(self.authorize(query)),
            "/token" => self.exchange(&read(&request.into_body().collect().await.unwrap().to_bytes())),
            _ => (StatusCode::NOT_FOUND, json!({})),
        };
        Ok(Response::builder().status(status).body(Full::new(body.to_string().into())).unwrap())
    }

    /// A user who is signed in already returns at once.
    fn authorize(&self, query: Query) -> Response<Full<Bytes>> {
        let expected = [("a", "b"), ("response_type", "code"), ("scope", "openid profile"), ("client_id", APPLICATION)];
        assert!(expected.iter().all(|(name, value)| query[*name] == *value), "{query:?}");
        assert_eq!((&*query["code_challenge_method"], &*query["response_mode"]), ("S256", "query"));
        let mut begun = self.begun.lock().unwrap();
        let code = format!("canary-code-{}", begun.len());
        let answer = [("code", &*code), ("state", &*query["state"]), ("iss", &*self.url)];
        let address = Url::parse_with_params(&query["redirect_uri"], answer).unwrap();
        begun.insert(code, query);
        Response::builder().status(302).header(LOCATION, address.as_str()).body(Full::default()).unwrap()
    }

    fn exchange(&self, form: &Query) -> (StatusCode, Value) {
        let begun = self.begun.lock().unwrap().remove(&form["code"]);
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, form["code_verifier"].as_bytes()));
        let is_known = form["client_id"] == APPLICATION && form["client_secret"] == APPLICATION_SECRET;
        let begun = begun.filter(|begun| {
            begun["code_challenge"] == challenge && begun["redirect_uri"] == form["redirect_uri"] && is_known
        });
        let Some(begun) = begun.filter(|_| form["grant_type"] == "authorization_code") else {
            return (StatusCode::BAD_REQUEST, json!({ "error": "invalid_grant" }));
        };
        let mut changes = json!({ "aud": APPLICATION, "oid": "anna", "nonce": begun["nonce"] });
        changes.as_object_mut().unwrap().extend(self.changes.lock().unwrap().as_object().unwrap().clone());
        let token = self.token(*self.signs.lock().unwrap(), &changes);
        (StatusCode::OK, json!({ "token_type": "Bearer", "access_token": "x", "id_token": token }))
    }

    /// A token with some claims replaced.
    pub fn token(&self, (kid, key): (&str, &[u8]), changes: &Value) -> String {
        let now = SystemClock.now().as_secs();
        let mut claims = json!({ "iss": self.url, "aud": "the-api", "azp": "workload", "iat": now, "exp": now + 600 });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        signed(&json!({ "alg": "RS256", "typ": "JWT", "kid": kid, "x5t": kid }), &claims, key)
    }
}

fn read(form: &[u8]) -> Query {
    form_urlencoded::parse(form).into_owned().collect()
}

fn pair(key: &[u8]) -> RsaKeyPair {
    RsaKeyPair::from_pkcs8(key).unwrap()
}

fn jwk(kid: &str, key: &[u8]) -> Value {
    let PublicKeyComponents { n, e }: PublicKeyComponents<Vec<u8>> = pair(key).public().into();
    let [n, e] = [n, e].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
    json!({ "kty": "RSA", "use": "sig", "kid": kid, "n": n, "e": e })
}

/// A token with this header and these claims.
pub fn signed(header: &Value, claims: &Value, key: &[u8]) -> String {
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let message = format!("{header}.{claims}");
    let pair = pair(key);
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}
