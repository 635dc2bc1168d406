//! A client of the API that checks every answer against the contract.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::{HeaderMap, Method};
use mcp_scheduler::time::{Clock as _, SystemClock};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::support::contract;

/// Calls the service as one client, with a token that it gets when it first needs one.
pub struct ApiClient {
    http: reqwest::Client,
    base: String,
    id: String,
    key: String,
    token: OnceCell<String>,
}

impl ApiClient {
    pub fn new(address: SocketAddr, id: &str, key: &str) -> Self {
        Self {
            http: http(),
            base: format!("http://{address}"),
            id: id.to_owned(),
            key: key.to_owned(),
            token: OnceCell::new(),
        }
    }

    /// A client that connects from this address.
    pub fn from_source(address: SocketAddr, id: &str, key: &str, source: IpAddr) -> Self {
        Self { http: builder().local_address(source).build().unwrap(), ..Self::new(address, id, key) }
    }

    /// The client's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The API key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The bearer token.
    pub async fn token(&self) -> &str {
        let token = self.token.get_or_init(|| async {
            let answer = self.login(&self.id, &self.key).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            answer.json()["token"].as_str().unwrap().to_owned()
        });
        token.await
    }

    /// The same client with a token for these scopes.
    pub async fn with_scopes(self, scopes: &str) -> Self {
        let form = [("grant_type", "client_credentials"), ("scope", scopes)];
        let request = self.anonymous(Method::POST, "/oauth/token").basic_auth(&self.id, Some(&self.key)).form(&form);
        let token = Answer::unchecked(request).await.json()["access_token"].as_str().unwrap().to_owned();
        Self { token: OnceCell::new_with(Some(token)), ..self }
    }

    /// Asks for a token with any credentials.
    pub async fn login(&self, id: &str, key: &str) -> Answer {
        let request = self.anonymous(Method::POST, "/api/auth/token");
        let body = json!({ "clientId": id, "apiKey": key }).to_string();
        Answer::to(request.header("content-type", "application/json").body(body)).await
    }

    /// A request without a token.
    pub fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// A request with the token.
    pub async fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(self.token().await)
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::to(self.request(Method::GET, path).await).await
    }

    /// Sends a POST request without a body.
    pub async fn post(&self, path: &str) -> Answer {
        Answer::to(self.request(Method::POST, path).await).await
    }

    /// Sends a POST request with a JSON body.
    pub async fn post_json(&self, path: &str, body: &Value) -> Answer {
        let request = self.request(Method::POST, path).await;
        Answer::to(request.header("content-type", "application/json").body(body.to_string())).await
    }

    /// Schedules [`conversation`] with these members in place of its own.
    pub async fn schedule(&self, overrides: Value) -> Answer {
        self.schedule_raw(conversation(overrides).to_string()).await
    }

    /// Schedules with a body that need not be JSON.
    pub async fn schedule_raw(&self, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.request(Method::POST, "/api/scheduler/schedule").await;
        Answer::to(request.header("content-type", "application/json").body(body)).await
    }

    /// Schedules a conversation that must be accepted, and returns its id.
    pub async fn scheduled(&self, overrides: Value) -> String {
        let answer = self.schedule(overrides).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["conversationId"].as_str().unwrap().to_owned()
    }

    pub async fn status(&self, id: &str) -> Answer {
        self.get(&format!("/api/scheduler/status/{id}")).await
    }

    /// Waits until the conversation has that status, and returns it.
    pub async fn wait_for(&self, id: &str, status: &str) -> Value {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let seen = self.status(id).await.json();
            if seen["status"] == status {
                return seen;
            }
            assert!(Instant::now() < deadline, "not {status}: {seen}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn cancel(&self, id: &str) -> Answer {
        Answer::to(self.request(Method::DELETE, &format!("/api/scheduler/{id}")).await).await
    }

    pub async fn redeliver(&self, id: &str) -> Answer {
        Answer::to(self.request(Method::POST, &format!("/api/scheduler/{id}/redeliver")).await).await
    }

    pub async fn run(&self, id: &str) -> Answer {
        Answer::to(self.request(Method::POST, &format!("/api/scheduler/{id}/run")).await).await
    }

    pub async fn put_named(&self, name: &str, body: Value) -> Answer {
        let request = self.request(Method::PUT, &format!("/api/scheduler/named/{name}")).await;
        Answer::to(request.header("content-type", "application/json").body(body.to_string())).await
    }

    /// Lists with a query string such as `?limit=2`, or an empty one.
    pub async fn list(&self, query: &str) -> Answer {
        self.get(&format!("/api/scheduler{query}")).await
    }
}

/// A valid schedule request, with some members replaced or added.
pub fn conversation(overrides: Value) -> Value {
    let mut request = json!({
        "conversationText": "hello",
        "scheduledTime": in_seconds(3600),
        "endpoint": "https://example.com/hook",
    });
    let Value::Object(overrides) = overrides else { panic!("overrides are an object") };
    request.as_object_mut().unwrap().extend(overrides);
    request
}

/// The time some seconds from now, as text.
pub fn in_seconds(seconds: i64) -> String {
    let shift = Duration::from_secs(seconds.unsigned_abs());
    let now = SystemClock.now();
    (if seconds < 0 { now - shift } else { now + shift }).to_string()
}

pub fn http() -> reqwest::Client {
    builder().build().unwrap()
}

/// A client that shows a redirection and does not follow it.
pub fn without_redirects() -> reqwest::Client {
    builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

#[allow(clippy::disallowed_methods)] // tests call the service from outside
fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy().timeout(Duration::from_mins(1))
}

/// An answer that meets the contract of all answers.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    /// Sends a request and checks the answer against the contract, and against the document of the API.
    pub async fn to(request: RequestBuilder) -> Self {
        let (client, request) = request.build_split();
        let request = request.unwrap();
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let answer = Self::unchecked(RequestBuilder::from_parts(client, request)).await;
        answer.check();
        let problem = Some(&answer.text).filter(|text| answer.status >= 400 && !text.is_empty());
        contract::check(&method, &path, answer.status, problem.map(|_| answer.json()["type"].clone()).as_ref());
        answer
    }

    /// Sends a request whose answer has another form, and does not check it.
    pub async fn unchecked(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e} in {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The pointers in `errors`, in order.
    pub fn pointers(&self) -> Vec<String> {
        let json = self.json();
        let errors = json["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
    }

    /// The challenge of a refusal, without its link to the metadata, which it must have, and the scopes to ask for.
    #[track_caller]
    pub fn challenge(&self) -> &str {
        let (challenge, metadata) = self.header("www-authenticate").split_once("resource_metadata=").unwrap();
        let metadata = metadata.strip_prefix('"').and_then(|rest| rest.split('"').next()).unwrap();
        assert!(metadata.starts_with("http://127.0.0.1:"), "{metadata}");
        assert!(metadata.ends_with("/.well-known/oauth-protected-resource"), "{metadata}");
        challenge.trim_end_matches([',', ' '])
    }

    /// Asserts a problem of that status and kind.
    #[track_caller]
    pub fn assert_problem(&self, status: u16, kind: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.json()["type"], format!("urn:mcp-scheduler:problem:{kind}"), "{}", self.text);
    }

    /// Asserts a 400 that points at exactly these fields.
    #[track_caller]
    pub fn assert_invalid(&self, pointers: &[&str]) {
        self.assert_problem(400, "invalid-request");
        assert_eq!(self.pointers(), pointers, "{}", self.text);
    }

    /// Checks what every answer of the API must have.
    #[track_caller]
    pub fn check(&self) {
        self.check_headers(None);
        if self.status < 400 {
            assert_eq!(self.header("content-type"), "application/json");
            return;
        }
        assert_eq!(self.header("content-type"), "application/problem+json");
        if self.text.is_empty() {
            return; // the answer to a HEAD
        }
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        for member in ["type", "title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member} in {self:?}");
        }
        for error in problem["errors"].as_array().into_iter().flatten() {
            let pointer = error["pointer"].as_str().unwrap();
            assert!(pointer.is_empty() || pointer.starts_with('/'), "{self:?}");
            assert!(error["detail"].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        }
        assert!(self.text.len() < 32 * 1024, "an error is short, whatever caused it: {}", self.text.len());
    }

    /// Checks that the answer has no header but those on this list.
    #[track_caller]
    pub fn check_headers(&self, more: Option<&'static str>) {
        let mut expected = vec![
            "cache-control",
            "content-length",
            "content-security-policy",
            "content-type",
            "date",
            "strict-transport-security",
            "x-content-type-options",
        ];
        expected.extend(more);
        expected.extend(match self.status {
            401 => Some("www-authenticate"),
            // A 403 for the wrong origin has no challenge, because a token would not help.
            403 if self.text.contains("insufficient-scope") => Some("www-authenticate"),
            405 => Some("allow"),
            429 | 503 => Some("retry-after"),
            _ => None,
        });
        // The whole record of a conversation has the tag of its state.
        let is_record = self.text.starts_with("{\"conversationId\"") && self.text.contains("\"updatedTime\"");
        let answers_head = self.status == 200 && self.text.is_empty() && self.headers.contains_key("etag");
        if is_record || answers_head {
            expected.push("etag");
        }
        // Where clients have a rate limit, each response tells the rest of it.
        if self.headers.contains_key("ratelimit") {
            expected.extend(["ratelimit", "ratelimit-policy"]);
        }
        // The service closes the connection if it left a body unread or if it is stopping.
        if matches!(self.status, 408 | 413) || self.headers.contains_key("connection") {
            expected.push("connection");
            assert_eq!(self.header("connection"), "close");
        }
        // The Functions host adds its own.
        if self.header("server") == "Kestrel" {
            expected.push("server");
        }
        expected.sort_unstable();
        let mut names: Vec<_> = self.headers.keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, expected, "{self:?}");
        // Everybody may keep public keys for a while.
        let is_key_set = self.text.starts_with("{\"keys\":[");
        let cache_control = if is_key_set { "public, max-age=300" } else { "no-store" };
        assert_eq!(self.header("cache-control"), cache_control);
        assert_eq!(self.header("x-content-type-options"), "nosniff");
        // A page for people has a policy of its own, which its test checks.
        let is_page = self.header("content-type").starts_with("text/html");
        assert!(is_page || self.header("content-security-policy") == "default-src 'none'", "{self:?}");
        assert_eq!(self.header("strict-transport-security"), "max-age=31536000");
    }
}

/// The random part of an API key. Before it are `msk_`, the id of the client, here one without `_`, and `_`. It may have `_`
/// itself.
pub fn random_part(key: &str) -> &str {
    key.splitn(3, '_').nth(2).unwrap()
}
