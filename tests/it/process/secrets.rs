//! No secret is in a log, an error or an answer. The test puts secrets into every input, and searches all output at the
//! most detailed log level for them.

use std::time::Duration;

use http::Method;
use mcp_scheduler::delivery::SigningSecrets;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::client::{http, in_seconds};
use crate::support::receiver::{Receiver, Reply};
use crate::support::service::Place;

const CLIENT: &str = "tester";
const API_KEY: &str = "canary-api-key-4f1e2d3c";
const JWT_KEY: &str = "0badc0de5ec2e7c0ffee00112233445566778899aabbccddeeff001122334455";
const WEBHOOK_SECRET: &str = "whsec_Y2FuYXJ5LXdlYmhvb2stc2VjcmV0LTAwMTE=";
/// Header values for the endpoint. Each can be a credential, whatever the name of its header.
const AUTHORIZATION: &str = "Bearer canary-authorization-9a8b7c6d";
const COOKIE: &str = "session=canary-cookie-1122334455";
const OWN_HEADER: &str = "canary-own-header-a1b2c3d4";
/// A value in requests that are refused.
const REFUSED: &str = "canary-refused-55667788";
/// The text and the endpoint of a conversation: its owner may see them, but no other client and no log.
const TEXT: &str = "canary-text-99aabbcc";
const QUERY: &str = "canary-query-ddeeff00";

/// A client that records every answer of the API.
struct RecordingClient {
    http: reqwest::Client,
    url: String,
    token: String,
    answers: Vec<String>,
}

impl RecordingClient {
    fn request(&self, method: Method, path: &str, body: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        request.header("content-type", "application/json").body(body.to_owned())
    }

    async fn send(&mut self, request: RequestBuilder) -> (u16, Value) {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let head = format!("{status} {:?}", answer.headers());
        let text = answer.text().await.unwrap();
        let json = serde_json::from_str(&text).unwrap_or_default();
        self.answers.extend([head, text]);
        (status, json)
    }

    async fn schedule(&mut self, conversation: &Value) -> (u16, Value) {
        self.send(self.request(Method::POST, "/api/scheduler/schedule", &conversation.to_string())).await
    }

    /// Does not record the owner's view, which may show the text.
    async fn wait_for(&mut self, id: &str, status: &str) -> String {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            let request = self.request(Method::GET, &format!("/api/scheduler/status/{id}"), "");
            let text = request.send().await.unwrap().text().await.unwrap();
            if text.contains(&format!("\"status\":\"{status}\"")) {
                return text;
            }
            assert!(tokio::time::Instant::now() < deadline, "not {status}: {text}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// An endpoint that repeats the values that it received in its response.
async fn reflecting(status: u16) -> Receiver {
    let body = format!(
        "you sent {AUTHORIZATION} and {{\"cookie\": \"{COOKIE}\"}} and x-own={OWN_HEADER}, token {}",
        AUTHORIZATION.trim_start_matches("Bearer ")
    );
    Receiver::start([Reply::status(status).header("x-reflected", AUTHORIZATION).body(body)]).await
}

fn conversation(endpoint: &str) -> Value {
    json!({
        "conversationText": TEXT,
        "scheduledTime": in_seconds(0),
        "endpoint": format!("{endpoint}?token={QUERY}"),
        "headers": { "Authorization": AUTHORIZATION, "Cookie": COOKIE, "X-Own": OWN_HEADER },
        "retry": { "maxAttempts": 1 },
    })
}

/// Sends requests that are refused, each with a canary in the wrong place.
async fn be_refused(client: &mut RecordingClient) {
    let good = conversation("http://127.0.0.1:9/");
    let with = |member: &str, value: Value| {
        let mut wrong = good.clone();
        wrong[member] = value;
        wrong
    };
    for wrong in [
        with("headers", json!({ "X-Own": format!("{REFUSED}\r\nHost: evil") })),
        with("headers", json!({ "X-Own": format!("{REFUSED}{}", "x".repeat(5000)) })),
        with("headers", json!({ "webhook-signature": REFUSED })),
        with("headers", json!({ "Proxy-Authorization": REFUSED })),
        with("headers", json!({ "X-Own": REFUSED, "x-own": OWN_HEADER })),
        with("headers", json!({ "X-Own": [REFUSED] })),
        with("headers", json!([REFUSED])),
        with("headers", json!(REFUSED)),
        with("retry", json!({ "maxAttempts": 0 })),
    ] {
        assert_eq!(client.schedule(&wrong).await.0, 400, "{wrong}");
    }
    let cut = good.to_string();
    for malformed in [&cut[..cut.len() - 1], &format!("{cut}{REFUSED}"), &cut.replace(':', REFUSED)] {
        let (status, _) = client.send(client.request(Method::POST, "/api/scheduler/schedule", malformed)).await;
        assert_eq!(status, 400, "{malformed}");
    }
    let login = json!({ "clientId": CLIENT, "apiKey": REFUSED }).to_string();
    assert_eq!(client.send(client.request(Method::POST, "/api/auth/token", &login)).await.0, 401);
    let form = client
        .http
        .post(format!("{}/oauth/token", client.url))
        .header("content-type", "application/x-www-form-urlencoded");
    let form = form.body(format!("grant_type=client_credentials&client_id={CLIENT}&client_secret={REFUSED}"));
    assert_eq!(client.send(form).await.0, 401);
    let basic = client.http.post(format!("{}/oauth/token", client.url)).basic_auth(CLIENT, Some(REFUSED));
    let basic = basic.header("content-type", "application/x-www-form-urlencoded").body("grant_type=client_credentials");
    assert_eq!(client.send(basic).await.0, 401);
    let stranger = client.http.get(format!("{}/api/scheduler", client.url)).bearer_auth(format!("{}x", client.token));
    assert_eq!(client.send(stranger).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_any_log_error_or_answer() {
    let place = Place::new();
    let service = place.start(&[
        ("SCHEDULER_CLIENT_ID", CLIENT),
        ("SCHEDULER_API_KEY", API_KEY),
        ("JWT_SIGNING_KEYS", &format!("k1:{JWT_KEY}")),
        ("WEBHOOK_SIGNING_SECRETS", WEBHOOK_SECRET),
        ("RUST_LOG", "trace"),
    ]);
    let mut client =
        RecordingClient { http: http(), url: service.url().to_owned(), token: String::new(), answers: Vec::new() };
    let login = json!({ "clientId": CLIENT, "apiKey": API_KEY }).to_string();
    let answer = client.request(Method::POST, "/api/auth/token", &login).send().await.unwrap().text().await.unwrap();
    client.token = serde_json::from_str::<Value>(&answer).unwrap()["token"].as_str().unwrap().to_owned();

    be_refused(&mut client).await;
    let mut own_view = String::new();
    for (status, end) in [(200, "Completed"), (500, "Failed"), (404, "Failed")] {
        let receiver = reflecting(status).await;
        let (_, accepted) = client.schedule(&conversation(&receiver.url("/"))).await;
        let id = accepted["conversationId"].as_str().unwrap();
        own_view += &client.wait_for(id, end).await;
        assert_eq!(receiver.received()[0].headers["authorization"], AUTHORIZATION, "it does arrive");
        for (method, path) in
            [(Method::POST, format!("/api/scheduler/{id}/redeliver")), (Method::DELETE, format!("/api/scheduler/{id}"))]
        {
            client.send(client.request(method, &path, "")).await;
        }
    }
    // Nothing listens on port 9.
    let (_, accepted) = client.schedule(&conversation("http://127.0.0.1:9/")).await;
    own_view += &client.wait_for(accepted["conversationId"].as_str().unwrap(), "Failed").await;
    assert!(own_view.contains("responseExcerpt") && own_view.contains(TEXT), "{own_view}");

    let keys = WEBHOOK_SECRET.parse::<SigningSecrets>().unwrap().derive(&CLIENT.parse().unwrap());
    let derived = keys.secrets()[0].expose().clone();
    let (out, err, answers) = (service.stdout(), service.stderr(), client.answers.join("\n"));
    service.stop();
    assert!(err.contains("request finished") && err.contains("attempt finished"), "the log is not detailed: {err}");
    let credentials = [
        API_KEY,
        JWT_KEY,
        WEBHOOK_SECRET,
        WEBHOOK_SECRET.trim_start_matches("whsec_"),
        derived.trim_start_matches("whsec_"),
        &*client.token,
        AUTHORIZATION.trim_start_matches("Bearer "),
        COOKIE.trim_start_matches("session="),
        OWN_HEADER,
        REFUSED,
    ];
    for (place, said) in [("stdout", &out), ("stderr", &err), ("answers", &answers), ("the owner's view", &own_view)] {
        for secret in credentials {
            let line = said.lines().find(|line| line.contains(secret));
            assert!(line.is_none(), "{secret} in {place}: {line:?}");
        }
    }
    for (place, said) in [("stdout", &out), ("stderr", &err), ("answers", &answers)] {
        for private in [TEXT, QUERY] {
            let line = said.lines().find(|line| line.contains(private));
            assert!(line.is_none(), "{private} in {place}: {line:?}");
        }
    }
}
