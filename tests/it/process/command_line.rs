//! The arguments of the command line, `client` while no service runs, and `sweep --once`.

use std::fs::File;
use std::time::Duration;

use mcp_scheduler::time::{Clock as _, SystemClock};

use crate::support::azurite::{azurite, connection_string};
use crate::support::ports::fixed_port;
use crate::support::process_api::Api;
use crate::support::recording_receiver::Receiver;
use crate::support::service::{CLIENT, CONFIGURED, KEY, Place, names, text};

#[test]
fn version_and_help_are_printed() {
    let place = Place::new();
    let version = place.run(&["--version"], &[]);
    assert!(version.status.success());
    assert_eq!(text(&version.stdout), format!("mcp-scheduler {}\n", env!("CARGO_PKG_VERSION")));
    for flag in ["--help", "-h", "help"] {
        let help = place.run(&[flag], &[]);
        assert!(help.status.success());
        for command in ["serve", "demo", "client", "repair", "sweep", "doctor", "cost", "--version"] {
            assert!(text(&help.stdout).contains(&format!("  {command}")), "{flag} does not tell of {command}");
        }
    }
    assert!(names(&place.cwd()).is_empty(), "asking makes nothing");
}

#[test]
fn wrong_arguments_are_refused_with_the_usage() {
    let place = Place::new();
    for arguments in [
        &["nonsense"][..],
        &["--port", "1"],
        &["client"],
        &["client", "add"],
        &["client", "add", "--read-only"],
        &["client", "list", "anna"],
        &["demo", "x"],
        &["sweep"],
        &["doctor", "store"],
        &["cost"],
        &[""],
    ] {
        let refused = place.run(arguments, &[]);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(refused.stdout.is_empty());
        let errors = text(&refused.stderr);
        assert!(errors.contains("Usage: mcp-scheduler"), "{errors}");
    }
    assert!(names(&place.cwd()).is_empty(), "nothing was started");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_was_added_can_log_in() {
    let place = Place::new();
    let key = added(&place, "second.client");
    let service = place.start(&[]);
    Api::login(service.url(), "second.client", &key).await;
    assert_eq!(Api::try_login(service.url(), "third", &key).await.err(), Some(401));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_client_can_look_and_schedules_nothing() {
    let place = Place::new();
    let output = place.run(&["client", "add", "watcher", "--read-only"], &[]);
    let printed = text(&output.stdout);
    assert!(printed.lines().any(|line| line == "scopes     conversations:read"), "{printed}");
    let key = printed.lines().find_map(|line| line.strip_prefix("api key")).expect("no key").trim();
    let service = place.start(&[]);
    let api = Api::login(service.url(), "watcher", key).await;
    let due = SystemClock.now() + Duration::from_mins(5);
    assert_eq!(api.try_schedule(due, "http://127.0.0.1:9/").await, None);
    assert_eq!(api.try_status("01890000-0000-7000-8000-00000000000f").await.err(), Some(404));
}

#[test]
fn a_client_is_added_once() {
    let place = Place::new();
    added(&place, "twin");
    assert_refused(&place, "twin", &[], "a client twin exists already");
}

#[test]
fn the_name_of_the_first_client_is_refused() {
    let place = Place::new();
    assert_refused(&place, "local", &[], "local");
    assert_refused(&place, CLIENT, &CONFIGURED, "SCHEDULER_CLIENT_ID");
}

#[test]
fn a_name_that_no_client_can_have_is_refused() {
    let place = Place::new();
    for name in ["", "a b", "a~b", "ü", &"x".repeat(65)] {
        assert_refused(&place, name, &[], "must be 1 to 64 characters");
    }
    assert!(names(&place.cwd()).is_empty(), "nothing was made");
}

#[test]
fn a_sweep_of_the_embedded_store_is_refused() {
    let place = Place::new();
    let refused = place.run(&["sweep", "--once"], &CONFIGURED);
    let errors = text(&refused.stderr);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0), "{errors}");
    assert!(errors.contains("the embedded store needs no sweep"), "{errors}");
    assert!(names(&place.cwd()).is_empty(), "nothing was made");
}

#[test]
fn a_sweep_without_the_secrets_of_the_service_is_refused() {
    let place = Place::new();
    let on_azure = [("USE_AZURE_SERVICES", "true"), ("AzureWebJobsStorage", "UseDevelopmentStorage=true")];
    let refused = place.run(&["sweep", "--once"], &on_azure);
    let errors = text(&refused.stderr);
    assert!(refused.status.code() == Some(1) && errors.contains("WEBHOOK_SIGNING_SECRETS: is missing"), "{errors}");
    assert!(names(&place.cwd()).is_empty(), "no secret was generated");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_from_outside_delivers_what_is_overdue() {
    let (place, connection) = (Place::new(), azurite().fresh_account());
    let receiver = Receiver::start(Duration::ZERO).await;
    let on_azure = [
        ("USE_AZURE_SERVICES", "true"),
        ("AzureWebJobsStorage", &*connection),
        ("DELIVERY_ALLOWED_NETWORKS", "127.0.0.0/8"),
    ];
    let settings = [&CONFIGURED[..], &on_azure].concat();
    let mut service = place.start(&settings);
    let api = Api::login(service.url(), CLIENT, KEY).await;
    api.schedule(Duration::from_secs(1), &receiver.endpoint).await;
    service.kill();
    // A sweep runs what is overdue by ten seconds. The dates of the storage have whole seconds, so each of the two times
    // that are compared, the due time and that of the sweep, may be a second off.
    let overdue_by = Duration::from_secs(13);
    tokio::time::sleep(Duration::from_secs(1) + overdue_by).await;
    assert!(receiver.arrivals().is_empty(), "the service was too fast for this test");
    let swept = place.run(&["sweep", "--once"], &settings);
    let printed = text(&swept.stdout);
    assert!(swept.status.success(), "{printed}{}", text(&swept.stderr));
    assert_eq!(receiver.arrivals().len(), 1);
    assert!(printed.starts_with("swept: 0 wake-ups enqueued, the oldest conversation was overdue by 1"), "{printed}");
    let again = place.run(&["sweep", "--once"], &settings);
    assert!(text(&again.stdout).contains(", no conversation was overdue, "), "{}", text(&again.stdout));
    assert_eq!(receiver.arrivals().len(), 1);
}

#[test]
fn a_sweep_without_storage_fails() {
    let place = Place::new();
    let nobody = ([127, 0, 0, 1], fixed_port()).into();
    let connection = connection_string(nobody, nobody);
    let on_azure = [("USE_AZURE_SERVICES", "true"), ("AzureWebJobsStorage", &*connection)];
    let failed = place.run(&["sweep", "--once"], &[&CONFIGURED[..], &on_azure].concat());
    let errors = text(&failed.stderr);
    assert!(failed.status.code() == Some(1) && errors.contains("the sweep is not complete"), "{errors}");
}

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

#[test]
fn output_that_cannot_be_written_is_an_error_and_no_crash() {
    let place = Place::new();
    for arguments in [&["--help"][..], &["--version"], &["client", "add", "anna"], &["demo"]] {
        let output = place.command(arguments, &[]).stdout(full()).output().unwrap();
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
        assert!(errors.contains("cannot write to stdout"), "{arguments:?}: {errors}");
    }
    let status = place.command(&["nonsense"], &[]).stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(2));
    let status = place.command(&[], &[("PORT", "none")]).stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

fn added(place: &Place, name: &str) -> String {
    let output = place.run(&["client", "add", name], &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    assert!(printed.contains(name));
    let key = printed.lines().find_map(|line| line.strip_prefix("api key")).expect("no key");
    key.trim().to_owned()
}

fn assert_refused(place: &Place, name: &str, settings: &[(&str, &str)], reason: &str) {
    let output = place.run(&["client", "add", name], settings);
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains(reason), "{name:?}: {errors}");
    assert!(output.stdout.is_empty());
}
