//! Public tools read the document of the API: a lint, requests made from it, and a client generated from it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mcp_scheduler::domain::Scopes;
use mcp_scheduler::http::openapi_document;
use serde_json::Value;

use crate::support::client::ApiClient;
use crate::support::installed::{ROOT, installed};
use crate::support::receiver::Receiver;
use crate::support::service::{BINARY, CLIENT, CONFIGURED, KEY, Place, Service, text};

fn file(name: &str) -> PathBuf {
    Path::new(ROOT).join("tests/openapi").join(name)
}

/// Writes the document into the place, as the command prints it.
fn document(place: &Place) -> PathBuf {
    let path = place.cwd().join("openapi.json");
    let output = Command::new(BINARY).arg("openapi").output().unwrap();
    fs::write(&path, output.stdout).unwrap();
    path
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    let shown = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{shown}");
    shown
}

#[test]
fn the_command_prints_the_document_for_people_to_read() {
    let output = Place::new().run(&["openapi"], &[]);
    assert!(output.status.success(), "{output:?}");
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed, openapi_document());
    assert!(text(&output.stdout).starts_with("{\n  \"components\""), "{output:?}");
}

#[test]
fn the_lint_finds_nothing() {
    let place = Place::new();
    let output = Command::new("node")
        .arg(installed("target/openapi/node_modules/@redocly/cli/bin/cli.js"))
        .arg("lint")
        .arg(document(&place))
        .arg("--config")
        .arg(file("redocly.yaml"))
        .env("REDOCLY_TELEMETRY", "off")
        .env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true")
        .output()
        .unwrap();
    let shown = succeeded(&output);
    assert!(shown.contains("Your API description is valid"), "{shown}");
}

/// Requests of every kind, valid and invalid, alone and in sequences. Deliveries go only to this machine: the requests are
/// changed so, and most are due far ahead.
#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_generated_requests_get_the_answers_that_the_document_describes() {
    let (place, receiver) = (Place::new(), Receiver::accepting().await);
    let service = place.start(&CONFIGURED);
    // With every scope. The requests cannot disable their own client: it is that of the settings.
    let address = service.url().strip_prefix("http://").unwrap().parse().unwrap();
    let client = ApiClient::new(address, CLIENT, KEY).with_scopes(&Scopes::with_operator().to_string()).await;
    let token = client.token().await;
    let output = Command::new(installed("target/openapi-venv/bin/schemathesis"))
        .arg("--config-file")
        .arg(file("schemathesis.toml"))
        .args(["run", &format!("{}/openapi.json", service.url())])
        .args(["--header", &format!("Authorization: Bearer {token}"), "--no-color"])
        .current_dir(place.cwd())
        .env("SCHEMATHESIS_HOOKS", file("hooks.py"))
        .env("TEST_ENDPOINT", receiver.url("/"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NO_PROXY", "*")
        .output()
        .unwrap();
    let shown = succeeded(&output);
    let generated = shown.split(" generated, ").next().and_then(|before| before.split_whitespace().last());
    let generated: u32 = generated.unwrap().parse().unwrap();
    assert!(generated >= 5_000, "{generated} requests");
    assert!(!service.stderr().contains("ERROR"), "{}", service.stderr());
}

#[test]
fn a_generated_client_schedules_and_lists() {
    let place = Place::new();
    let client = place.cwd().join("scheduler_client");
    let generated = Command::new(installed("target/openapi-venv/bin/openapi-python-client"))
        .args(["generate", "--meta", "none", "--fail-on-warning", "--path"])
        .arg(document(&place))
        .arg("--output-path")
        .arg(&client)
        .arg("--config")
        .arg(file("client.yaml"))
        .output()
        .unwrap();
    succeeded(&generated);
    let service = place.start(&CONFIGURED);
    let used = use_client(&service, &place.cwd());
    assert_eq!(succeeded(&used), "hello Scheduled 1 True /endpoint\n");
}

/// Runs the program that uses the client in this folder.
fn use_client(service: &Service, folder: &Path) -> Output {
    Command::new(installed("target/openapi-venv/bin/python"))
        .arg("-B")
        .arg(file("use_client.py"))
        .arg(folder)
        .env("TEST_APP_URL", service.url())
        .env("TEST_CLIENT_ID", CLIENT)
        .env("TEST_API_KEY", KEY)
        .env("NO_PROXY", "*")
        .output()
        .unwrap()
}
