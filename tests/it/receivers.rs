//! The receivers of docs/receivers.md accept each real delivery once, and refuse everything else. Each of them verifies
//! with the official Standard Webhooks library of its language.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use http::{HeaderMap, Method};
use mcp_scheduler::delivery::SigningSecrets;
use mcp_scheduler::time::{Clock as _, SystemClock, SystemEntropy};
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tokio::net::TcpListener;

use crate::support::app::{SIGNING_SECRET, TestApp};
use crate::support::client::{http, in_seconds};
use crate::support::receiver::{Received, Receiver};

#[allow(dead_code)] // its main
#[path = "../../examples/receiver.rs"]
mod in_rust;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A running receiver. It ends when it is dropped.
pub struct Running {
    pub url: String,
    process: Option<Child>,
}

impl Running {
    async fn in_rust(secret: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let webhook = Webhook::new(secret).unwrap();
        tokio::spawn(async move { in_rust::serve(listener, webhook).await.unwrap() });
        Self { url, process: None }
    }

    fn in_python(secret: &str) -> Self {
        let python = installed("target/venv/bin/python");
        Self::process(Command::new(python).arg("-B").arg(Path::new(ROOT).join("examples/receiver.py")), secret)
    }

    /// The receivers of tests/receivers/targets.py.
    pub fn targets() -> Self {
        let python = installed("target/receivers-venv/bin/python");
        let mut command = Command::new(python);
        Self::process(command.arg("-B").arg(Path::new(ROOT).join("tests/receivers/targets.py")), "")
    }

    fn in_node(secret: &str) -> Self {
        // Node looks for packages beside the file, so each run writes its own copy there.
        let packages = installed("target/receivers/node_modules");
        let copy = tempfile::Builder::new().suffix(".mjs").tempfile_in(packages.parent().unwrap()).unwrap();
        fs::copy(Path::new(ROOT).join("examples/receiver.mjs"), copy.path()).unwrap();
        Self::process(Command::new("node").arg(copy.path()), secret)
    }

    fn process(command: &mut Command, secret: &str) -> Self {
        let settings = [("WEBHOOK_SECRET", secret), ("PORT", "0")];
        let mut process = command.envs(settings).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some(url) = line.trim().strip_prefix("listening on ") else {
            let _ = process.kill();
            let output = process.wait_with_output().unwrap();
            panic!("no address in {line:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        Self { url: url.to_owned(), process: Some(process) }
    }

    /// Sends it a request, and returns the status and the body of its answer.
    async fn answer_to(&self, request: &Received) -> (u16, String) {
        let sent = http().request(request.method.clone(), &self.url).headers(request.headers.clone());
        let answer = sent.body(request.body.clone()).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn installed(path: &str) -> PathBuf {
    let path = Path::new(ROOT).join(path);
    assert!(path.exists(), "{} is missing: run scripts/test, which makes it", path.display());
    path
}

async fn all(secret: &str) -> [(&'static str, Running); 3] {
    [
        ("Python", Running::in_python(secret)),
        ("Node", Running::in_node(secret)),
        ("Rust", Running::in_rust(secret).await),
    ]
}

/// Schedules one delivery for now.
async fn deliver(app: &TestApp, endpoint: &str, method: &str, format: &str) -> String {
    let text = "Grüße, 日本 🦀\n\"{}\"";
    let conversation = json!({
        "conversationText": text, "format": format, "method": method, "endpoint": endpoint, "scheduledTime": in_seconds(0),
    });
    app.client().scheduled(conversation).await
}

/// A real delivery of the service, which a test can repeat and change.
async fn delivered(settings: &[(&str, &str)], method: &str, format: &str) -> Received {
    let (app, recorder) = (TestApp::start_with(settings).await, Receiver::accepting().await);
    deliver(&app, &recorder.url("/"), method, format).await;
    let mut received = recorder.wait_for(1).await.remove(0);
    // A repeated request gets these headers from its own client.
    for name in ["host", "content-length"] {
        received.headers.remove(name);
    }
    received
}

fn new_secret() -> String {
    SigningSecrets::generate(&SystemEntropy::new()).expose().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_with_any_method_and_format_is_verified() {
    let app = TestApp::start().await;
    for (language, receiver) in &all(SIGNING_SECRET).await {
        for (method, format) in [
            ("POST", "json"),
            ("POST", "text"),
            ("PUT", "json"),
            ("PATCH", "text"),
            ("GET", "json"),
            ("DELETE", "text"),
        ] {
            let id = deliver(&app, &receiver.url, method, format).await;
            let shown = app.client().wait_for(&id, "Completed").await;
            assert_eq!(shown["attempts"][0]["responseExcerpt"], "received", "{language} {method} {format}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_is_recognised_and_a_forgery_refused() {
    let original = delivered(&[], "POST", "json").await;
    let with = |name: &'static str, value: &str| {
        let mut forged = original.clone();
        forged.headers.insert(name, value.parse().unwrap());
        forged
    };
    let without = |name: &str| {
        let mut forged = original.clone();
        forged.headers.remove(name).expect("it was there");
        forged
    };
    let minutes_ago = (SystemClock.now() - std::time::Duration::from_mins(10)).as_secs();
    let signature = original.headers["webhook-signature"].to_str().unwrap().to_owned();
    let forgeries = [
        Received { body: "{}".into(), ..original.clone() },
        Received { body: "".into(), ..original.clone() },
        with("webhook-id", "another"),
        with("webhook-timestamp", &minutes_ago.to_string()),
        with("webhook-timestamp", "now"),
        with("webhook-signature", &signature.replace("v1,", "v2,")),
        with("webhook-signature", "v1,AAAA"),
        with("webhook-signature", "v1"),
        without("webhook-id"),
        without("webhook-timestamp"),
        without("webhook-signature"),
        Received { method: Method::GET, headers: HeaderMap::new(), body: "".into(), ..original.clone() },
    ];
    for (language, receiver) in &all(SIGNING_SECRET).await {
        for forged in &forgeries {
            assert_eq!(receiver.answer_to(forged).await.0, 401, "{language} {forged:?}");
        }
        assert_eq!(receiver.answer_to(&original).await, (200, "received".to_owned()), "{language}");
        for _ in 0..2 {
            assert_eq!(receiver.answer_to(&original).await, (200, "already received".to_owned()), "{language}");
        }
    }
    for (language, stranger) in &all(&new_secret()).await {
        assert_eq!(stranger.answer_to(&original).await.0, 401, "{language}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn during_a_rotation_receivers_with_the_old_or_the_new_secret_verify() {
    let (old, new) = (new_secret(), new_secret());
    let both = delivered(&[("WEBHOOK_SIGNING_SECRETS", &format!("{new} {old}"))], "POST", "text").await;
    for secret in [&old, &new] {
        for (language, receiver) in &all(secret).await {
            assert_eq!(receiver.answer_to(&both).await.0, 200, "{language}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_sdk_reads_a_cloud_event() {
    let (app, receiver) = (TestApp::start().await, Running::targets());
    let id = deliver(&app, &format!("{}/cloudevents", receiver.url), "POST", "cloudevents").await;
    let shown = app.client().wait_for(&id, "Completed").await;
    let read: Value = serde_json::from_str(shown["attempts"][0]["responseExcerpt"].as_str().unwrap()).unwrap();
    let time = shown["scheduledTime"].as_str().unwrap();
    let expected = json!({
        "specversion": "1.0", "id": id, "source": "mcp-scheduler", "type": "mcp-scheduler.conversation.due",
        "time": read["attributes"]["time"], "datacontenttype": "application/json",
    });
    assert_eq!((&read["contentType"], &read["attributes"]), (&json!("application/cloudevents+json"), &expected));
    assert!(read["attributes"]["time"].as_str().unwrap().starts_with(&time[..10]), "a time: {read}");
    assert_eq!((&read["data"]["conversationId"], &read["data"]["scheduledTime"]), (&json!(id), &json!(time)));
    assert_eq!(read["data"]["conversationText"], shown["conversationText"]);
}

#[test]
fn docs_receivers_shows_the_tested_sources() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/receivers.md")).unwrap();
    for (file, language) in [("receiver.py", "python"), ("receiver.mjs", "javascript"), ("receiver.rs", "rust")] {
        let code = fs::read_to_string(Path::new(ROOT).join("examples").join(file)).unwrap();
        assert!(page.contains(&format!("```{language}\n{code}```\n")), "{file} is not in docs/receivers.md as it is");
    }
}
