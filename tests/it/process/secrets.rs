//! No secret leaves the service in anything that it says: logs, errors, answers. Everything that it
//! emits at the most talkative level is searched for secrets that went in by every way there is.

use std::time::Duration;

use http::Method;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::client::{http, in_seconds};
use crate::support::receiver::{Receiver, Reply};
use crate::support::service::Place;

const CLIENT: &str = "tester";
const API_KEY: &str = "canary-api-key-4f1e2d3c";
const JWT_KEY: &str = "0badc0de5ec2e7c0ffee00112233445566778899aabbccddeeff001122334455";
const WEBHOOK_SECRET: &str = "whsec_Y2FuYXJ5LXdlYmhvb2stc2VjcmV0LTAwMTE=";
/// Header values for the endpoint: credentials, whatever the headers are called.
const AUTHORIZATION: &str = "Bearer canary-authorization-9a8b7c6d";
const COOKIE: &str = "session=canary-cookie-1122334455";
const OWN_HEADER: &str = "canary-own-header-a1b2c3d4";
/// In requests that are refused.
const REFUSED: &str = "canary-refused-55667788";
/// What is said, and where: its owner may see it again, and nobody else, logs included.
const TEXT: &str = "canary-text-99aabbcc";
const QUERY: &str = "canary-query-ddeeff00";

/// Everything the API has answered.
struct Ear {
    http: reqwest::Client,
    url: String,
    token: String,
    heard: Vec<String>,
}

impl Ear {
    fn request(&self, method: Method, path: &str, body: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        request.header("content-type", "application/json").body(body.to_owned())
    }

    async fn hear(&mut self, request: RequestBuilder) -> (u16, Value) {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let head = format!("{status} {:?}", answer.headers());
        let text = answer.text().await.unwrap();
        let json = serde_json::from_str(&text).unwrap_or_default();
        self.heard.extend([head, text]);
        (status, json)
    }

    async fn schedule(&mut self, conversation: &Value) -> (u16, Value) {
        self.hear(self.request(Method::POST, "/api/scheduler/schedule", &conversation.to_string())).await
    }

    /// The owner's own view, which may show what is said, is not kept here.
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

/// An endpoint that repeats what it was sent, in its own words.
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

/// Requests that are refused, each with a canary where it is wrong.
async fn be_refused(ear: &mut Ear) {
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
        assert_eq!(ear.schedule(&wrong).await.0, 400, "{wrong}");
    }
    let cut = good.to_string();
    for malformed in [&cut[..cut.len() - 1], &format!("{cut}{REFUSED}"), &cut.replace(':', REFUSED)] {
        let (status, _) = ear.hear(ear.request(Method::POST, "/api/scheduler/schedule", malformed)).await;
        assert_eq!(status, 400, "{malformed}");
    }
    let login = json!({ "clientId": CLIENT, "apiKey": REFUSED }).to_string();
    assert_eq!(ear.hear(ear.request(Method::POST, "/api/auth/token", &login)).await.0, 401);
    let form =
        ear.http.post(format!("{}/oauth/token", ear.url)).header("content-type", "application/x-www-form-urlencoded");
    let form = form.body(format!("grant_type=client_credentials&client_id={CLIENT}&client_secret={REFUSED}"));
    assert_eq!(ear.hear(form).await.0, 401);
    let basic = ear.http.post(format!("{}/oauth/token", ear.url)).basic_auth(CLIENT, Some(REFUSED));
    let basic = basic.header("content-type", "application/x-www-form-urlencoded").body("grant_type=client_credentials");
    assert_eq!(ear.hear(basic).await.0, 401);
    let stranger = ear.http.get(format!("{}/api/scheduler", ear.url)).bearer_auth(format!("{}x", ear.token));
    assert_eq!(ear.hear(stranger).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_anything_that_the_service_says() {
    let place = Place::new();
    let service = place.start(&[
        ("SCHEDULER_CLIENT_ID", CLIENT),
        ("SCHEDULER_API_KEY", API_KEY),
        ("JWT_SIGNING_KEYS", &format!("k1:{JWT_KEY}")),
        ("WEBHOOK_SIGNING_SECRETS", WEBHOOK_SECRET),
        ("RUST_LOG", "trace"),
    ]);
    let mut ear = Ear { http: http(), url: service.url().to_owned(), token: String::new(), heard: Vec::new() };
    let login = json!({ "clientId": CLIENT, "apiKey": API_KEY }).to_string();
    let answer = ear.request(Method::POST, "/api/auth/token", &login).send().await.unwrap().text().await.unwrap();
    ear.token = serde_json::from_str::<Value>(&answer).unwrap()["token"].as_str().unwrap().to_owned();

    be_refused(&mut ear).await;
    let mut own_view = String::new();
    for (status, end) in [(200, "Completed"), (500, "Failed"), (404, "Failed")] {
        let receiver = reflecting(status).await;
        let (_, accepted) = ear.schedule(&conversation(&receiver.url("/"))).await;
        let id = accepted["conversationId"].as_str().unwrap();
        own_view += &ear.wait_for(id, end).await;
        assert_eq!(receiver.received()[0].headers["authorization"], AUTHORIZATION, "it does arrive");
        for (method, path) in
            [(Method::POST, format!("/api/scheduler/{id}/redeliver")), (Method::DELETE, format!("/api/scheduler/{id}"))]
        {
            ear.hear(ear.request(method, &path, "")).await;
        }
    }
    // Nobody listens there.
    let (_, accepted) = ear.schedule(&conversation("http://127.0.0.1:9/")).await;
    own_view += &ear.wait_for(accepted["conversationId"].as_str().unwrap(), "Failed").await;
    assert!(own_view.contains("responseExcerpt") && own_view.contains(TEXT), "{own_view}");

    let (out, err, heard) = (service.stdout(), service.stderr(), ear.heard.join("\n"));
    service.stop();
    assert!(err.contains("TRACE") && err.contains("attempt finished"), "nothing was said: {err}");
    let credentials = [
        API_KEY,
        JWT_KEY,
        WEBHOOK_SECRET,
        WEBHOOK_SECRET.trim_start_matches("whsec_"),
        &*ear.token,
        AUTHORIZATION.trim_start_matches("Bearer "),
        COOKIE.trim_start_matches("session="),
        OWN_HEADER,
        REFUSED,
    ];
    for (place, said) in [("stdout", &out), ("stderr", &err), ("answers", &heard), ("the owner's view", &own_view)] {
        for secret in credentials {
            let line = said.lines().find(|line| line.contains(secret));
            assert!(line.is_none(), "{secret} in {place}: {line:?}");
        }
    }
    for (place, said) in [("stdout", &out), ("stderr", &err), ("answers", &heard)] {
        for private in [TEXT, QUERY] {
            let line = said.lines().find(|line| line.contains(private));
            assert!(line.is_none(), "{private} in {place}: {line:?}");
        }
    }
}
