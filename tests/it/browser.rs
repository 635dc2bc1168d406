//! The pages of the service in a real browser, which scripts/test installs.

use std::fs;
use std::path::Path;

use mcp_scheduler::http::operations;
use serde_json::{Value, json};
use tokio::task::block_in_place;

use crate::support::browser::{node, run};
use crate::support::issuer::Issuer;
use crate::support::service::{CLIENT, CONFIGURED, KEY, Place};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn the_page_of_the_api_shows_every_operation() {
    let place = Place::new();
    let service = place.start(&CONFIGURED);
    let names = operations().into_iter().map(|operation| operation.name);
    run("docs.mjs", [service.url()].into_iter().chain(names));
}

/// The script has one part for each view. Its screenshots are in target/screenshots.
#[test]
fn people_see_and_change_their_conversations_in_the_dashboard() {
    let place = Place::new();
    let own = [("DELIVERY_ALLOWED_NETWORKS", "127.0.0.0/8")];
    let service = place.start(&[&CONFIGURED[..], &own].concat());
    let screenshots = Path::new(ROOT).join("target/screenshots");
    run("dashboard.mjs", [service.url(), CLIENT, KEY, screenshots.to_str().unwrap()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_lets_a_program_in_that_knows_only_the_address() {
    let (place, issuer) = (Place::new(), Issuer::start().await);
    let setting = issuer.sign_in_setting(&json!({ "anna": CLIENT }));
    let service = place.start(&[&CONFIGURED[..], &[("SIGN_IN_ISSUER", &setting)]].concat());
    block_in_place(|| run("login.mjs", [service.url(), CLIENT, KEY, &issuer.url]));
}

#[test]
fn people_turn_the_clock_of_a_scheduler_for_development_and_see_what_arrives() {
    let place = Place::new();
    let dev = place.spawn_command(place.command(&["dev", "--port", "0", "--json"], &[]));
    let started: Value = serde_json::from_str(&dev.stdout_with("\n")).unwrap();
    run("dev.mjs", ["url", "apiKey"].map(|member| started[member].as_str().unwrap()));
    dev.stop();
}

#[test]
fn the_committed_dashboard_is_what_its_sources_make() {
    let built = tempfile::tempdir().unwrap();
    let root = Path::new(ROOT).join("dashboard");
    node(&root.join("build.mjs"), "target/dashboard", [built.path().to_str().unwrap()]);
    let names = |dir: &Path| {
        let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let committed = root.join("dist");
    assert_eq!(names(&committed), names(built.path()));
    for name in names(&committed) {
        let same = fs::read(committed.join(&name)).unwrap() == fs::read(built.path().join(&name)).unwrap();
        assert!(same, "dashboard/dist/{} is not what `node dashboard/build.mjs` makes", name.display());
    }
}

/// Each file of the dashboard has one task.
#[test]
fn no_source_of_the_dashboard_is_longer_than_300_lines() {
    let sources = ["dashboard/src", "dashboard/src/views", "tests/browser"].map(|dir| Path::new(ROOT).join(dir));
    for source in sources.iter().flat_map(|dir| fs::read_dir(dir).unwrap()) {
        let path = source.unwrap().path();
        if path.extension().is_some_and(|extension| extension != "json") {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines <= 300, "{} has {lines} lines", path.display());
        }
    }
}
