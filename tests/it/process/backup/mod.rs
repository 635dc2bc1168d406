//! `mcp-scheduler export`, `import` and `verify`: a move between the backends, an export of a service under writes, and
//! secrets.

mod refusals;

use std::fs;
use std::process::Output;
use std::time::Duration;

use http::Method;
use mcp_scheduler::time::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::support::azurite::Azurite;
use crate::support::client::http;
use crate::support::ports::fixed_port;
use crate::support::process_api::Api;
use crate::support::receiver::{Receiver, Reply};
use crate::support::service::{CLIENT, CONFIGURED, KEY, Place, Service, text};

const PATIENCE: Duration = Duration::from_mins(1);
const SECRET: &str = "canary";
const OTHER_KEY: &str = "other:1111111111111111111111111111111111111111111111111111111111111111";

/// Runs a command that must succeed, and returns what it prints.
#[track_caller]
fn run(place: &Place, arguments: &[&str], settings: &[(&str, &str)]) -> String {
    let output = place.run(arguments, settings);
    assert!(output.status.success(), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Asserts that an import has failed, and returns why.
#[track_caller]
fn failed(output: &Output) -> String {
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(1), ""), "{}", text(&output.stderr));
    text(&output.stderr)
}

/// Writes a file beside the store, and returns its name.
fn write(place: &Place, lines: &[&str]) -> &'static str {
    fs::write(place.cwd().join("all.jsonl"), lines.iter().flat_map(|line| [*line, "\n"]).collect::<String>()).unwrap();
    "all.jsonl"
}

fn import(place: &Place, export: &str, settings: &[(&str, &str)]) -> String {
    let lines: Vec<_> = export.lines().collect();
    run(place, &["import", write(place, &lines)], settings)
}

async fn send(service: &Service, key: Option<&str>, method: Method, path: &str, body: &Value) -> Value {
    let api = Api::login(service.url(), CLIENT, KEY).await;
    let request = http().request(method, format!("{}{path}", service.url())).bearer_auth(api.token());
    let request = key.into_iter().fold(request, |request, key| request.header("idempotency-key", key));
    let response = request.header("content-type", "application/json").body(body.to_string()).send().await.unwrap();
    let (status, text) = (response.status(), response.text().await.unwrap());
    assert!(status.is_success(), "{status} {text}");
    serde_json::from_str(&text).unwrap()
}

/// A conversation with secrets.
fn conversation(endpoint: &str, after: Duration, repeat: usize) -> Value {
    json!({
        "conversationText": "visible".repeat(repeat),
        "scheduledTime": (SystemClock.now() + after).to_string(),
        "endpoint": endpoint,
        "headers": { "X-Key": "canary-header" },
        "body": { "text": "{{conversationText}}", "key": "canary-body" },
        "onFailed": { "endpoint": "http://127.0.0.1:9/canary-callback" },
        "retry": { "maxAttempts": 1 },
    })
}

const SCHEDULE: &str = "/api/scheduler/schedule";
const FAR: Duration = Duration::from_hours(10);

async fn scheduled(service: &Service, new: &Value) -> String {
    send(service, None, Method::POST, SCHEDULE, new).await["conversationId"].as_str().unwrap().to_owned()
}

/// The number of deliveries of a conversation.
fn deliveries(receiver: &Receiver, id: &str) -> usize {
    receiver.received().iter().filter(|request| request.headers["webhook-id"].to_str().unwrap().starts_with(id)).count()
}

async fn delivered(receiver: &Receiver, id: &str, service: &Service) {
    let is_there = |request: &crate::support::receiver::Received| request.headers["webhook-id"] == *id;
    let arrived = receiver.wait_until(PATIENCE, |received| received.iter().any(is_there)).await;
    assert!(arrived, "{}", service.stderr());
}

/// What must be the same in each of the stores.
struct Moved {
    history: Vec<(String, Value)>,
    named: String,
    keyed: (Value, String),
    anna: (String, String),
}

impl Moved {
    async fn fill(place: &Place, service: &Service, receiver: &Receiver) -> Self {
        let endpoint = receiver.url("/canary-path");
        let done = scheduled(service, &conversation(&endpoint, Duration::ZERO, 1)).await;
        let failed = scheduled(service, &conversation("http://127.0.0.1:9/canary-path", Duration::ZERO, 1)).await;
        let large = scheduled(service, &conversation(&endpoint, FAR, 10_000)).await;
        let mut series = conversation(&endpoint, FAR, 1);
        series["recurrence"] = json!({ "cron": "0 9 * * *", "timeZone": "Europe/Berlin" });
        let series = scheduled(service, &series).await;
        let path = "/api/scheduler/named/report";
        let named = send(service, None, Method::PUT, path, &conversation(&endpoint, FAR, 1)).await;
        let body = conversation(&endpoint, FAR, 1);
        let keyed = send(service, Some("once"), Method::POST, SCHEDULE, &body).await;
        let command = ["client", "add", "anna", "--json", "--url", service.url()];
        let anna: Value = serde_json::from_str(&run(place, &command, &CONFIGURED)).unwrap();
        let anna = anna["apiKey"].as_str().unwrap().to_owned();
        let api = Api::login(service.url(), "anna", &anna).await;
        let of_anna = api.schedule(FAR, &endpoint).await;
        let api = Api::login(service.url(), CLIENT, KEY).await;
        api.completed(&done, PATIENCE).await;
        let mut history = Vec::new();
        for id in [done, failed, large, series] {
            history.push((id.clone(), settled(&api, &id).await));
        }
        let id = |answer: &Value| answer["conversationId"].as_str().unwrap().to_owned();
        Self { history, named: id(&named), keyed: (body, id(&keyed)), anna: (anna, of_anna) }
    }

    async fn assert_in(&self, service: &Service) {
        let api = Api::login(service.url(), CLIENT, KEY).await;
        for (id, before) in &self.history {
            assert_eq!(settled(&api, id).await, *before);
        }
        assert_eq!(api.get("/api/scheduler/named/report").await["conversationId"], *self.named);
        let (body, id) = &self.keyed;
        assert_eq!(send(service, Some("once"), Method::POST, SCHEDULE, body).await["conversationId"], **id);
        let (key, id) = &self.anna;
        Api::login(service.url(), "anna", key).await.status(id).await;
    }
}

/// The conversation, once no attempt of it is under way, without what depends on the time of the request.
async fn settled(api: &Api, id: &str) -> Value {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let mut record = api.status(id).await;
        if record["status"] != "InProgress" {
            record
                .as_object_mut()
                .unwrap()
                .retain(|name, _| !matches!(name.as_str(), "serverTime" | "secondsUntilDue"));
            return record;
        }
        assert!(tokio::time::Instant::now() < deadline, "{record}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_to_a_storage_account_and_back_keeps_everything_and_delivers_what_was_due_meanwhile() {
    let (laptop, cloud, home, azurite) = (Place::new(), Place::new(), Place::new(), Azurite::start());
    let connection = azurite.connection_string();
    let on_azure = [
        ("USE_AZURE_SERVICES", "true"),
        ("AzureWebJobsStorage", &*connection),
        ("RATE_LIMIT_PER_SECOND", "0"),
        ("DELIVERY_ALLOWED_NETWORKS", "127.0.0.0/8"),
    ];
    let azure = [&CONFIGURED[..], &on_azure].concat();
    let receiver = Receiver::start([Reply::status(200)]).await;
    let endpoint = receiver.url("/canary-path");

    let service = laptop.start(&CONFIGURED);
    let moved = Moved::fill(&laptop, &service, &receiver).await;
    let soon = Duration::from_secs(1);
    let meanwhile = scheduled(&service, &conversation(&endpoint, soon, 1)).await;
    service.stop();
    let export = run(&laptop, &["export"], &CONFIGURED);
    assert!(!export.contains(SECRET));
    tokio::time::sleep(soon).await;
    let done = import(&cloud, &export, &azure);
    assert!(done.starts_with("9 conversations, 1 client and 1 idempotency key imported; 0 lines"), "{done}");
    assert!(run(&cloud, &["verify"], &azure).ends_with("The store is whole.\n"));

    let service = cloud.start(&azure);
    delivered(&receiver, &meanwhile, &service).await;
    moved.assert_in(&service).await;
    Api::login(service.url(), CLIENT, KEY).await.completed(&meanwhile, PATIENCE).await;
    let again = scheduled(&service, &conversation(&endpoint, soon, 10_000)).await;
    service.stop();
    let export = run(&cloud, &["export"], &azure);
    assert!(!export.contains(SECRET));
    tokio::time::sleep(soon).await;
    let done = import(&home, &export, &CONFIGURED);
    assert!(done.starts_with("10 conversations, 1 client and 1 idempotency key imported; 0 lines"), "{done}");
    assert!(run(&home, &["verify"], &CONFIGURED).ends_with("The store is whole.\n"));

    let service = home.start(&CONFIGURED);
    delivered(&receiver, &again, &service).await;
    moved.assert_in(&service).await;
    let api = Api::login(service.url(), CLIENT, KEY).await;
    api.completed(&again, PATIENCE).await;
    for id in [&meanwhile, &again, &moved.history[0].0] {
        assert_eq!(deliveries(&receiver, id), 1);
    }
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_a_service_under_writes_has_every_conversation_that_was_there() {
    let (place, to) = (Place::new(), Place::new());
    let service = place.start(&CONFIGURED);
    let receiver = Receiver::start([Reply::status(200)]).await;
    let api = Api::login(service.url(), CLIENT, KEY).await;
    let mut before = Vec::new();
    for number in 0..200 {
        let new = conversation(&receiver.url("/"), FAR, if number % 10 == 0 { 5_000 } else { 1 });
        before.push(api.try_schedule_this(&new).await.unwrap());
    }
    let (writer, endpoint) = (api.clone(), receiver.url("/"));
    let writes = tokio::spawn(async move {
        loop {
            writer.schedule(Duration::ZERO, &endpoint).await;
        }
    });
    let elsewhere = failed(&place.run(&["export"], &CONFIGURED));
    assert!(elsewhere.contains("name it with --url"), "{elsewhere}");
    let arguments = ["export", "--url", service.url()];
    let export = tokio::task::block_in_place(|| run(&place, &arguments, &CONFIGURED));
    writes.abort();
    service.stop();
    // One that was delivering is exported with its lease, and the process that had it is gone.
    import(&to, &export, &CONFIGURED);
    assert!(run(&to, &["verify"], &CONFIGURED).ends_with("The store is whole.\n"));
    let service = to.start(&CONFIGURED);
    let api = api.at(service.url());
    for id in before {
        assert_eq!(api.status(&id).await["status"], "Scheduled");
    }
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_through_a_running_service_is_delivered_at_once_and_can_be_repeated() {
    let (from, to, port) = (Place::new(), Place::new(), fixed_port().to_string());
    let receiver = Receiver::start([Reply::status(200)]).await;
    let service = from.start(&CONFIGURED);
    let api = Api::login(service.url(), CLIENT, KEY).await;
    let soon = api.schedule(Duration::from_millis(500), &receiver.url("/")).await;
    for _ in 0..250 {
        api.schedule(FAR, &receiver.url("/")).await;
    }
    service.stop();
    let export = run(&from, &["export"], &CONFIGURED);
    // What listens at the address of the settings is called.
    let settings = [&CONFIGURED[..], &[("PORT", &*port)]].concat();
    let service = to.start(&settings);
    assert!(import(&to, &export, &settings).starts_with("251 conversations, 0 clients"));
    delivered(&receiver, &soon, &service).await;
    let again = import(&to, &export, &settings);
    assert_eq!(again, "0 conversations, 0 clients and 0 idempotency keys imported; 251 lines skipped\n");
    Api::login(service.url(), CLIENT, KEY).await.completed(&soon, PATIENCE).await;
    assert_eq!(receiver.received().len(), 1);
    // The store is in use: it cannot be verified, and the message says what to do.
    let refused = failed(&to.run(&["verify"], &settings));
    assert!(refused.contains("stop it, and verify the store then"), "{refused}");
    service.stop();
    assert!(run(&to, &["verify"], &CONFIGURED).contains("conversations     251\n"));
}

/// An export of three conversations, as lines.
async fn small_export(place: &Place) -> Vec<String> {
    let service = place.start(&CONFIGURED);
    for number in 0..3 {
        scheduled(&service, &conversation("http://127.0.0.1:9/canary", FAR, 1 + number * 2000)).await;
    }
    service.stop();
    run(place, &["export"], &CONFIGURED).lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_in_an_export_only_if_they_are_revealed() {
    let from = Place::new();
    let export = small_export(&from).await.join("\n");
    assert!(export.contains("visible") && !export.contains(SECRET), "{export}");
    let other = [&CONFIGURED[..4], &[("DATA_ENCRYPTION_KEYS", OTHER_KEY)]].concat();
    let to = Place::new();
    let lines: Vec<_> = export.lines().collect();
    let refused = failed(&to.run(&["import", write(&to, &lines)], &other));
    assert!(refused.contains("with the key test, which DATA_ENCRYPTION_KEYS does not have"), "{refused}");

    let service = from.start(&CONFIGURED);
    for arguments in [&["export", "--reveal", "--url", service.url()][..], &["export", "--url", service.url()]] {
        let output = from.run(arguments, &CONFIGURED);
        let (revealed, warning) = (text(&output.stdout), text(&output.stderr));
        let is_revealed = arguments.contains(&"--reveal");
        assert_eq!(
            warning.contains("in plain text: whoever reads it can call the endpoints"),
            is_revealed,
            "{warning}"
        );
        assert_eq!(revealed.contains("canary-header") && revealed.contains("canary-callback"), is_revealed);
        assert_eq!(revealed.contains(SECRET), is_revealed);
        if is_revealed {
            assert!(import(&to, &revealed, &other).starts_with("3 conversations"));
            assert!(run(&to, &["verify"], &other).ends_with("The store is whole.\n"));
        }
    }
    service.stop();
    // Who has no operator's key gets nothing.
    let service = from.start(&CONFIGURED);
    let add: Value =
        serde_json::from_str(&run(&from, &["client", "add", "bob", "--json", "--url", service.url()], &CONFIGURED))
            .unwrap();
    let bob = [("SCHEDULER_CLIENT_ID", "bob"), ("SCHEDULER_API_KEY", add["apiKey"].as_str().unwrap())];
    let refused = failed(&Place::new().run(&["export", "--reveal", "--url", service.url()], &bob));
    assert!(refused.contains("the client bob does not have the scope operator"), "{refused}");
}
