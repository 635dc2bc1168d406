//! A stand-in for an Azure Key Vault, and for the identity endpoint whose tokens it accepts.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mcp_scheduler::time::{Clock as _, SystemClock};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use crate::support::outbound::tls::Authority;

/// The secret that authenticates an app to the identity endpoint.
pub const IDENTITY_HEADER: &str = "canary-identity-header-5f6a";

/// What the vault does with a request.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// This status, and the error body of the service.
    Status(u16),
    /// 429 that asks the caller to wait for these seconds.
    RetryAfter(u64),
    /// 200 with this body.
    Body(&'static str),
    /// No answer.
    Silence,
}

/// The status, the seconds of `Retry-After` and the body of a response.
type Reply = (u16, Option<u64>, String);

/// A vault. All names of its secrets are as on Azure.
pub struct Vault {
    /// The settings `KEYVAULT_URI`, `IDENTITY_ENDPOINT` and `IDENTITY_HEADER`.
    pub settings: [(&'static str, String); 3],
    authority: Option<Authority>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    secrets: HashMap<String, String>,
    /// The answers to the next requests, before the vault gives secrets.
    next: VecDeque<Answer>,
    latency: Duration,
    /// The number of the last token. Only this token is accepted.
    token: usize,
    asked: Vec<String>,
    identity_asked: Vec<String>,
}

impl Vault {
    /// A vault that speaks TLS, with a certificate of a local authority.
    pub async fn start() -> Self {
        Self::with(Some(Authority::new())).await
    }

    /// A vault without TLS, for processes, which trust no local authority.
    pub async fn without_tls() -> Self {
        Self::with(None).await
    }

    async fn with(authority: Option<Authority>) -> Self {
        let state = Arc::<Mutex<State>>::default();
        let acceptor = authority.as_ref().map(|authority| authority.acceptor(&["localhost"]));
        let (vault, identity) = (listener().await, listener().await);
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let settings = [
            ("KEYVAULT_URI", format!("{scheme}://localhost:{}/", vault.local_addr().unwrap().port())),
            ("IDENTITY_ENDPOINT", format!("http://{}/msi/token", identity.local_addr().unwrap())),
            ("IDENTITY_HEADER", IDENTITY_HEADER.to_owned()),
        ];
        let of_vault = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = vault.accept().await {
                let (state, acceptor) = (Arc::clone(&of_vault), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None => serve(TokioIo::new(stream), state, get_secret).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(TokioIo::new(stream), state, get_secret).await;
                            }
                        }
                    }
                });
            }
        });
        let of_identity = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = identity.accept().await {
                let answer = |state: &mut State, request: &Request<Incoming>| Some(issue_token(state, request));
                tokio::spawn(serve(TokioIo::<TcpStream>::new(stream), Arc::clone(&of_identity), answer));
            }
        });
        Self { settings, authority, state }
    }

    /// The authority that certifies the vault.
    pub fn certificate(&self) -> Option<reqwest::Certificate> {
        self.authority.as_ref().map(Authority::certificate)
    }

    pub fn put(&self, name: &str, text: &str) {
        self.state().secrets.insert(name.to_owned(), text.to_owned());
    }

    /// Gives these answers to the next requests.
    pub fn answer_next(&self, answers: &[Answer]) {
        self.state().next.extend(answers);
    }

    /// Waits before each answer, also of the identity endpoint.
    pub fn set_latency(&self, latency: Duration) {
        self.state().latency = latency;
    }

    /// Accepts no token that was issued before.
    pub fn revoke_token(&self) {
        self.state().token += 1;
    }

    /// The names of the secrets that were asked for since this was called before.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state().asked)
    }

    /// The requests to the identity endpoint since this was called before.
    pub fn identity_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state().identity_asked)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).await.unwrap()
}

async fn serve<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static>(
    stream: TokioIo<S>,
    state: Arc<Mutex<State>>,
    answer: fn(&mut State, &Request<Incoming>) -> Option<Reply>,
) {
    let service = service_fn(move |request| {
        let (latency, answered) = {
            let mut state = state.lock().unwrap();
            (state.latency, answer(&mut state, &request))
        };
        async move {
            tokio::time::sleep(latency).await;
            let Some((status, retry_after, body)) = answered else { return std::future::pending().await };
            let mut response = Response::builder().status(status).header("content-type", "application/json");
            if let Some(seconds) = retry_after {
                response = response.header("retry-after", seconds);
            }
            Ok::<_, Infallible>(response.body(Full::new(Bytes::from(body))).unwrap())
        }
    });
    let _ = http1::Builder::new().serve_connection(stream, service).await;
}

fn get_secret(state: &mut State, request: &Request<Incoming>) -> Option<Reply> {
    let name = request.uri().path().strip_prefix("/secrets/").unwrap_or_default().to_owned();
    state.asked.push(name.clone());
    let error = |status: u16, code: &str| {
        // A careless program would log this.
        let body = json!({ "error": { "code": code, "message": "canary-message", "innererror": { "code": code } } });
        Some((status, None, body.to_string()))
    };
    match state.next.pop_front() {
        Some(Answer::Status(status)) => return error(status, "CauseOfTheVault"),
        Some(Answer::RetryAfter(seconds)) => return Some((429, Some(seconds), String::new())),
        Some(Answer::Body(body)) => return Some((200, None, body.to_owned())),
        Some(Answer::Silence) => return None,
        None => {}
    }
    let token = format!("Bearer canary-token-{}", state.token);
    if request.headers().get(AUTHORIZATION).is_none_or(|shown| *shown != *token) {
        return error(401, "Unauthorized");
    }
    if request.method() != "GET" || request.uri().query() != Some("api-version=7.4") {
        return error(400, "BadParameter");
    }
    match state.secrets.get(&name) {
        Some(value) => {
            let id = format!("https://kv.vault.azure.net/secrets/{name}/4387e9f3d6e14c459867679a90fd0f79");
            let body = json!({ "value": value, "id": id, "attributes": { "enabled": true }, "tags": {} });
            Some((200, None, body.to_string()))
        }
        None => error(404, "SecretNotFound"),
    }
}

fn issue_token(state: &mut State, request: &Request<Incoming>) -> Reply {
    state.identity_asked.push(request.uri().to_string());
    if request.headers().get("x-identity-header").is_none_or(|header| header != IDENTITY_HEADER) {
        return (401, None, String::new());
    }
    let expires = SystemClock.now().as_secs() + 3600;
    let token = format!("canary-token-{}", state.token);
    let body = json!({ "access_token": token, "expires_on": expires.to_string(), "token_type": "Bearer" });
    (200, None, body.to_string())
}
