//! The receivers of docs/receivers.md accept each real delivery once, and refuse everything else. Those with a secret verify
//! with the official Standard Webhooks library of their language. No official library verifies with a public key, so those
//! without a secret use the ed25519 of Node (OpenSSL) and of `cryptography` for Python.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use http::{HeaderMap, Method};
use mcp_scheduler::delivery::SigningSecrets;
use mcp_scheduler::time::{Clock as _, SystemClock, SystemEntropy};
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tempfile::{NamedTempFile, TempDir};
use tokio::net::{TcpListener, TcpStream};

use crate::support::app::TestApp;
use crate::support::client::{ApiClient, http, in_seconds};
use crate::support::installed::{ROOT, installed};
use crate::support::ports::fixed_port;
use crate::support::receiver::{Received, Receiver};

#[allow(dead_code)] // its main
#[path = "../../examples/receiver.rs"]
mod in_rust;

/// A running receiver. It ends when it is dropped.
pub struct Running {
    pub url: String,
    process: Option<Child>,
    /// Its files.
    folder: Option<TempDir>,
}

impl Running {
    async fn in_rust(secret: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let webhook = Webhook::new(secret).unwrap();
        tokio::spawn(async move { in_rust::serve(listener, webhook).await.unwrap() });
        Self { url, process: None, folder: None }
    }

    fn in_python(secret: &str) -> Self {
        let python = installed("target/venv/bin/python");
        Self::process(Command::new(python).arg("-B").arg(Path::new(ROOT).join("examples/receiver.py")), secret)
    }

    /// A receiver with the public keys at this address.
    fn in_python_with_public_keys(url: &str) -> Self {
        let python = installed("target/venv/bin/python");
        Self::process(Command::new(python).arg("-B").arg(Path::new(ROOT).join("examples/receiver_public_key.py")), url)
    }

    /// A receiver with the public keys at this address.
    fn in_node_with_public_keys(url: &str) -> Self {
        Self::process(Command::new("node").arg(Path::new(ROOT).join("examples/receiver-public-key.mjs")), url)
    }

    /// The receivers of tests/receivers/targets.py.
    pub fn targets() -> Self {
        let python = installed("target/receivers-venv/bin/python");
        let mut command = Command::new(python);
        Self::process(command.arg("-B").arg(Path::new(ROOT).join("tests/receivers/targets.py")), "")
    }

    fn in_node(secret: &str) -> Self {
        let copy = beside_packages("receiver.mjs");
        Self::process(Command::new("node").arg(copy.path()), secret)
    }

    fn in_express(secret: &str) -> Self {
        let copy = beside_packages("receiver-express.ts");
        // The command tsx would start another process, which would go on after the test.
        let mut node = Command::new("node");
        node.args(["--import", "tsx"]).arg(copy.path()).current_dir(installed("target/receivers"));
        Self::process(&mut node, secret)
    }

    async fn in_fastapi(secret: &str) -> Self {
        Self::in_framework(&["uvicorn", "receiver_fastapi:app", "--log-level", "warning"], secret).await
    }

    async fn in_flask(secret: &str) -> Self {
        Self::in_framework(&["flask", "--app", "receiver_flask", "run"], secret).await
    }

    /// Starts a module of Python that serves an application of examples/ on a port of its own.
    async fn in_framework(module: &[&str], secret: &str) -> Self {
        let (port, folder) = (fixed_port().to_string(), tempfile::tempdir().unwrap());
        let mut command = Command::new(installed("target/receivers-venv/bin/python"));
        command.args(["-B", "-m"]).args(module).args(["--port", &port]).current_dir(Path::new(ROOT).join("examples"));
        command.env("WEBHOOK_SECRET", secret).env("DATABASE", folder.path().join("received.db"));
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let running = Self { url: format!("http://127.0.0.1:{port}"), process: Some(process), folder: Some(folder) };
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port.parse().unwrap())).await.is_err() {
            assert!(Instant::now() < deadline, "{module:?} does not listen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        running
    }

    /// Starts a receiver that verifies with this secret, or with the public keys at this address.
    fn process(command: &mut Command, verify_with: &str) -> Self {
        let settings = [("WEBHOOK_SECRET", verify_with), ("WEBHOOK_KEYS_URL", verify_with), ("PORT", "0")];
        let mut process = command.envs(settings).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some(url) = line.trim().strip_prefix("listening on ") else {
            let _ = process.kill();
            let output = process.wait_with_output().unwrap();
            panic!("no address in {line:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        Self { url: url.to_owned(), process: Some(process), folder: None }
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
        drop(self.folder.take());
    }
}

/// A copy of an example, where Node finds the packages that it imports.
pub fn beside_packages(example: &str) -> NamedTempFile {
    let (file, packages) = (Path::new(ROOT).join("examples").join(example), installed("target/receivers/node_modules"));
    let suffix = format!(".{}", file.extension().unwrap().to_str().unwrap());
    let copy = tempfile::Builder::new().suffix(&suffix).tempfile_in(packages.parent().unwrap()).unwrap();
    fs::copy(file, copy.path()).unwrap();
    copy
}

/// What a client's receivers verify with.
struct Keys {
    secret: String,
    public_keys_url: String,
}

impl Keys {
    /// Those of the client with the secret at this place of the list, and all its public keys.
    async fn of(client: &ApiClient, place: usize) -> Self {
        let shown = client.get("/api/webhooks/keys").await.json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self { secret: text(&shown["secrets"][place]), public_keys_url: text(&shown["publicKeysUrl"]) }
    }

    async fn with_secret(&self) -> [(&'static str, Running); 3] {
        [
            ("Python", Running::in_python(&self.secret)),
            ("Node", Running::in_node(&self.secret)),
            ("Rust", Running::in_rust(&self.secret).await),
        ]
    }

    fn with_public_keys(&self) -> [(&'static str, Running); 2] {
        let url = &self.public_keys_url;
        [
            ("Python with public keys", Running::in_python_with_public_keys(url)),
            ("Node with public keys", Running::in_node_with_public_keys(url)),
        ]
    }

    async fn in_frameworks(&self) -> [(&'static str, Running); 3] {
        [
            ("Express", Running::in_express(&self.secret)),
            ("FastAPI", Running::in_fastapi(&self.secret).await),
            ("Flask", Running::in_flask(&self.secret).await),
        ]
    }

    /// All receivers but those in frameworks, which verify with the same libraries.
    async fn all(&self) -> Vec<(&'static str, Running)> {
        self.with_secret().await.into_iter().chain(self.with_public_keys()).collect()
    }
}

/// Schedules one delivery for now.
async fn deliver(client: &ApiClient, endpoint: &str, method: &str, format: &str) -> String {
    let text = "Grüße, 日本 🦀\n\"{}\"";
    let conversation = json!({
        "conversationText": text, "format": format, "method": method, "endpoint": endpoint, "scheduledTime": in_seconds(0),
    });
    client.scheduled(conversation).await
}

/// A real delivery of a client, which a test can repeat and change.
async fn delivered(client: &ApiClient, method: &str, format: &str) -> Received {
    let recorder = Receiver::accepting().await;
    deliver(client, &recorder.url("/"), method, format).await;
    let mut received = recorder.wait_for(1).await.remove(0);
    // A repeated request gets these headers from its own client.
    for name in ["host", "content-length"] {
        received.headers.remove(name);
    }
    received
}

fn with_header(original: &Received, name: &'static str, value: &str) -> Received {
    let mut changed = original.clone();
    changed.headers.insert(name, value.parse().unwrap());
    changed
}

fn signatures(delivery: &Received) -> Vec<&str> {
    delivery.headers["webhook-signature"].to_str().unwrap().split(' ').collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_with_any_method_and_format_is_verified() {
    let app = TestApp::start().await;
    let client = app.client();
    let keys = Keys::of(&client, 0).await;
    for (language, receiver) in keys.all().await.iter().chain(&keys.in_frameworks().await) {
        for (method, format) in [
            ("POST", "json"),
            ("POST", "text"),
            ("PUT", "json"),
            ("PATCH", "text"),
            ("GET", "json"),
            ("DELETE", "text"),
        ] {
            let id = deliver(&client, &receiver.url, method, format).await;
            let shown = client.wait_for(&id, "Completed").await;
            assert_eq!(shown["attempts"][0]["responseExcerpt"], "received", "{language} {method} {format}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_is_recognised_and_a_forgery_refused() {
    let app = TestApp::start().await;
    let original = delivered(&app.client(), "POST", "json").await;
    let with = |name: &'static str, value: &str| with_header(&original, name, value);
    let without = |name: &str| {
        let mut forged = original.clone();
        forged.headers.remove(name).expect("it was there");
        forged
    };
    let minutes_ago = (SystemClock.now() - Duration::from_mins(10)).as_secs();
    let signature = signatures(&original).join(" ");
    let forgeries = [
        Received { body: "{}".into(), ..original.clone() },
        Received { body: "".into(), ..original.clone() },
        with("webhook-id", "another"),
        with("webhook-timestamp", &minutes_ago.to_string()),
        with("webhook-timestamp", "now"),
        with("webhook-signature", &signature.replace("v1", "v2")),
        with("webhook-signature", &signature.replace("v1a,", "v3,").replace("v1,", "v1a,").replace("v3,", "v1,")),
        with("webhook-signature", "v1,AAAA v1a,AAAA"),
        with("webhook-signature", "v1 v1a"),
        without("webhook-id"),
        without("webhook-timestamp"),
        without("webhook-signature"),
        Received { method: Method::GET, headers: HeaderMap::new(), body: "".into(), ..original.clone() },
    ];
    let keys = Keys::of(&app.client(), 0).await;
    for (language, receiver) in keys.all().await.iter().chain(&keys.in_frameworks().await) {
        for forged in &forgeries {
            assert_eq!(receiver.answer_to(forged).await.0, 401, "{language} {forged:?}");
        }
        assert_eq!(receiver.answer_to(&original).await, (200, "received".to_owned()), "{language}");
        for _ in 0..2 {
            assert_eq!(receiver.answer_to(&original).await, (200, "already received".to_owned()), "{language}");
        }
    }
}

/// The text of a delivery is chosen by a client, also for an endpoint of somebody else. So the receivers of one client
/// refuse what the service delivers for another one.
#[tokio::test(flavor = "multi_thread")]
async fn the_receivers_of_a_client_refuse_the_deliveries_of_another() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.client(), app.other_client());
    let deliveries = [delivered(&alice, "POST", "json").await, delivered(&bob, "POST", "json").await];
    for (own, client) in [&alice, &bob].into_iter().enumerate() {
        for (language, receiver) in &Keys::of(client, 0).await.all().await {
            for (by, delivery) in deliveries.iter().enumerate() {
                let status = if by == own { 200 } else { 401 };
                assert_eq!(receiver.answer_to(delivery).await.0, status, "{language}, {own} gets that of {by}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn during_a_rotation_receivers_with_the_old_or_the_new_keys_verify() {
    let [old, new] = [(); 2].map(|()| SigningSecrets::generate(&SystemEntropy::new()).expose().clone());
    let start = async |masters: &str| TestApp::start_with(&[("WEBHOOK_SIGNING_SECRETS", masters)]).await;
    let (before, during, after) = (start(&old).await, start(&format!("{new} {old}")).await, start(&new).await);
    let both = delivered(&during.client(), "POST", "text").await;
    let versions: Vec<_> = signatures(&both).iter().map(|signature| signature.split(',').next().unwrap()).collect();
    assert_eq!(versions, ["v1", "v1", "v1a", "v1a"]);

    let (old_keys, new_keys) = (Keys::of(&before.client(), 0).await, Keys::of(&after.client(), 0).await);
    for (place, keys) in [&new_keys, &old_keys].into_iter().enumerate() {
        assert_eq!(Keys::of(&during.client(), place).await.secret, keys.secret, "the order is that of the masters");
        for (language, receiver) in &keys.all().await {
            assert_eq!(receiver.answer_to(&both).await.0, 200, "{language} {place}");
        }
        // StandardWebhooks 1.1.2 for .NET does not look at the last of several signatures.
        let all_but_the_last = signatures(&both).split_last().unwrap().1.join(" ");
        let as_dotnet_reads = with_header(&both, "webhook-signature", &all_but_the_last);
        for (language, receiver) in &keys.with_secret().await {
            assert_eq!(receiver.answer_to(&as_dotnet_reads).await.0, 200, "{language} {place}");
        }
    }
    let done = delivered(&after.client(), "POST", "text").await;
    for (language, receiver) in &old_keys.all().await {
        assert_eq!(receiver.answer_to(&done).await.0, 401, "{language} after the old master has been removed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_sdk_reads_a_cloud_event() {
    let (app, receiver) = (TestApp::start().await, Running::targets());
    let id = deliver(&app.client(), &format!("{}/cloudevents", receiver.url), "POST", "cloudevents").await;
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
fn the_pages_show_the_tested_sources() {
    for (page, file, language) in [
        ("receivers.md", "receiver.py", "python"),
        ("receivers.md", "receiver.mjs", "javascript"),
        ("receivers.md", "receiver.rs", "rust"),
        ("receivers.md", "receiver_public_key.py", "python"),
        ("receivers.md", "receiver-public-key.mjs", "javascript"),
        ("frameworks.md", "receiver-express.ts", "typescript"),
        ("frameworks.md", "receiver_fastapi.py", "python"),
        ("frameworks.md", "receiver_flask.py", "python"),
    ] {
        let shown = fs::read_to_string(Path::new(ROOT).join("docs").join(page)).unwrap();
        let code = fs::read_to_string(Path::new(ROOT).join("examples").join(file)).unwrap();
        assert!(shown.contains(&format!("```{language}\n{code}```\n")), "{file} is not in docs/{page} as it is");
    }
}

#[test]
fn the_receiver_in_typescript_has_no_error_of_types() {
    let copy = beside_packages("receiver-express.ts");
    let mut check = Command::new(installed("target/receivers/node_modules/.bin/tsc"));
    check.args(["--strict", "--noEmit", "--module", "nodenext", "--target", "es2022"]).arg(copy.path());
    let checked = check.current_dir(copy.path().parent().unwrap()).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}
