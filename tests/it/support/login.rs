//! A program that logs a user in by the address of the service alone, and the browser of that user.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::time::Clock;
use reqwest::{RequestBuilder, Url};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::support::app::{CLIENT, KEY};
use crate::support::client::{self, Answer};

/// The address to which the program lets the browser return.
pub const REDIRECT: &str = "http://127.0.0.1:35333/callback";
const VERIFIER: &str = "a-verifier-of-pkce-that-has-enough-characters-0123";
pub const BOTH: &str = "conversations:read conversations:write";

/// A clock that a test moves.
pub struct MovableClock(Mutex<Timestamp>);

impl MovableClock {
    pub fn starting_at(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    pub fn advance(&self, time: std::time::Duration) {
        let mut now = self.0.lock().unwrap();
        *now = *now + time;
    }
}

impl Clock for MovableClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// A program and its user's browser.
pub struct Program {
    pub http: reqwest::Client,
    pub base: String,
    pub id: String,
}

/// A page and its form.
pub struct Page {
    pub answer: Answer,
    /// The sealed request in the form.
    pub request: String,
}

impl Program {
    /// A program with an id that it has already.
    pub fn with_id(address: SocketAddr, id: &str) -> Self {
        Self { http: client::without_redirects(), base: format!("http://{address}"), id: id.to_owned() }
    }

    /// A program that registers itself.
    pub async fn registered(address: SocketAddr) -> Self {
        let program = Self::with_id(address, "");
        let answer = program.register(&json!({ "redirect_uris": [REDIRECT], "client_name": "An agent" })).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        Self { id: answer.json()["client_id"].as_str().unwrap().to_owned(), ..program }
    }

    pub async fn register(&self, metadata: &Value) -> Answer {
        let request = self.request(Method::POST, "/oauth/register").header("content-type", "application/json");
        Answer::unchecked(request.body(metadata.to_string())).await
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// The parameters of a good authorization request, with some replaced or, with an empty value, left out.
    pub fn query<'a>(&'a self, changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, String)> {
        let mut query = vec![
            ("client_id", self.id.clone()),
            ("redirect_uri", REDIRECT.to_owned()),
            ("response_type", "code".to_owned()),
            ("state", "the state".to_owned()),
            ("code_challenge", URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()))),
            ("code_challenge_method", "S256".to_owned()),
            ("scope", BOTH.to_owned()),
        ];
        query.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        query.extend(changes.iter().map(|(name, value)| (*name, (*value).to_owned())));
        query
    }

    /// Opens the page in the browser.
    pub async fn open(&self, changes: &[(&str, &str)]) -> Page {
        let request = self.request(Method::GET, "/oauth/authorize").query(&self.query(changes));
        let answer = Answer::unchecked(request).await;
        let form = answer.text.split_once("name=\"request\" value=\"").and_then(|(_, rest)| rest.split_once('"'));
        let request = form.map(|(request, _)| request.to_owned()).unwrap_or_default();
        Page { answer, request }
    }

    /// Sends the form of a page, with the origin of the service.
    pub async fn submit(&self, page: &Page, fields: &[(&str, &str)]) -> Answer {
        let form: Vec<_> = [("request", &*page.request)].into_iter().chain(fields.iter().copied()).collect();
        let request = self.request(Method::POST, "/oauth/authorize").header("origin", &self.base);
        Answer::unchecked(request.form(&form)).await
    }

    /// Lets the program in for a client. Returns the parameters with which the browser returns.
    pub async fn approve(&self, changes: &[(&str, &str)], (id, key): (&str, &str)) -> HashMap<String, String> {
        let page = self.open(changes).await;
        assert_eq!(page.answer.status, 200, "{}", page.answer.text);
        let fields = allowing(id, key, BOTH);
        returned(&self.submit(&page, &fields).await)
    }

    /// The code of a login of the first client.
    pub async fn code(&self) -> String {
        self.approve(&[], (CLIENT, KEY)).await.remove("code").unwrap()
    }

    /// Exchanges a code, with some parameters replaced or, with an empty value, left out.
    pub async fn exchange(&self, code: &str, changes: &[(&str, &str)]) -> Answer {
        let good = [
            ("grant_type", "authorization_code"),
            ("client_id", &*self.id),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        let kept = good.into_iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        let form: Vec<_> = kept.chain(changes.iter().copied()).collect();
        Answer::unchecked(self.request(Method::POST, "/oauth/token").form(&form)).await
    }

    /// Exchanges a refresh token.
    pub async fn refresh(&self, token: &str, more: &[(&str, &str)]) -> Answer {
        let good = [("grant_type", "refresh_token"), ("client_id", &*self.id), ("refresh_token", token)];
        let form: Vec<_> = good.into_iter().chain(more.iter().copied()).collect();
        Answer::unchecked(self.request(Method::POST, "/oauth/token").form(&form)).await
    }

    /// A whole login of the first client: the tokens.
    pub async fn log_in(&self) -> Value {
        let answer = self.exchange(&self.code().await, &[]).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// Lists conversations by the Model Context Protocol.
    pub async fn call(&self, token: &str) -> Answer {
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
                              "params": { "name": "listConversations", "arguments": {} } });
        let request = self.request(Method::POST, "/mcp").bearer_auth(token).header("content-type", "application/json");
        Answer::unchecked(request.header("accept", "application/json, text/event-stream").body(message.to_string()))
            .await
    }
}

/// The fields of a form that lets a program in.
pub fn allowing<'a>(id: &'a str, key: &'a str, scopes: &'a str) -> Vec<(&'a str, &'a str)> {
    let scopes = scopes.split(' ').map(|scope| ("scope", scope));
    [("decision", "allow"), ("client_id", id), ("api_key", key)].into_iter().chain(scopes).collect()
}

/// The parameters with which the browser returns to the program.
#[track_caller]
pub fn returned(answer: &Answer) -> HashMap<String, String> {
    assert_eq!(answer.status, 303, "{}", answer.text);
    let address = Url::parse(answer.header("location")).unwrap();
    assert!(address.as_str().starts_with(&format!("{REDIRECT}?")), "{address}");
    address.query_pairs().into_owned().collect()
}

/// A member of an answer that is a text.
pub fn text<'a>(json: &'a Value, name: &str) -> &'a str {
    json[name].as_str().unwrap_or_else(|| panic!("no {name} in {json}"))
}

/// The claims of a token.
pub fn claims(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}
