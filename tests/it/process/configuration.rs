//! Configurations that stop a start, and the error that each prints.

use std::net::TcpListener;
use std::process::Output;
use std::time::Duration;

use crate::support::process_api::Api;
use crate::support::service::{CLIENT, CONFIGURED, KEY, Place, names, text};

#[test]
fn all_wrong_settings_are_reported_together_by_name_and_no_secret_with_them() {
    let place = Place::new();
    let wrong = [
        ("USE_AZURE_SERVICES", "perhaps"),
        ("HOST", "nowhere.example"),
        ("PORT", "eighty"),
        ("SCHEDULER_CLIENT_ID", "a client"),
        ("SCHEDULER_API_KEY", "canary"),
        ("JWT_SIGNING_KEYS", "k1:canary,k2:canary"),
        ("JWT_TTL_SECONDS", "0"),
        ("WEBHOOK_SIGNING_SECRETS", "whsec_canary canary"),
        ("DATA_ENCRYPTION_KEYS", "d1:canary"),
        ("DELIVERY_ALLOWED_NETWORKS", "loopback"),
        ("RUST_LOG", "mcp_scheduler=loud"),
    ];
    let output = place.run(&[], &wrong);
    let errors = refused(&output);
    assert!(errors.contains("11 problems"), "{errors}");
    for (name, _) in wrong {
        assert!(errors.lines().any(|line| line.trim().starts_with(&format!("{name}: "))), "{name} in {errors}");
    }
    assert!(!errors.contains("canary"), "{errors}");
    assert!(names(&place.cwd()).is_empty(), "nothing was started");
}

#[test]
fn a_setting_that_is_not_unicode_is_wrong_and_not_ignored() {
    use std::os::unix::ffi::OsStrExt as _;
    let place = Place::new();
    let mut command = place.command(&[], &CONFIGURED);
    command.env("PORT", std::ffi::OsStr::from_bytes(b"80\xff"));
    let mut service = place.spawn_command(command);
    assert_eq!(service.wait().code(), Some(1));
    assert!(service.stderr().contains("PORT: "), "{}", service.stderr());
}

#[test]
fn a_used_port_is_reported_with_its_setting() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let errors = refused(&place.run(&[], &[("PORT", &address.port().to_string())]));
    assert!(errors.contains(&address.to_string()) && errors.contains("PORT"), "{errors}");
}

#[test]
fn an_address_of_another_machine_is_reported_with_its_setting() {
    let errors = refused(&Place::new().run(&[], &[("HOST", "192.0.2.1")]));
    assert!(errors.contains("192.0.2.1") && errors.contains("HOST"), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_data_is_refused_and_the_first_goes_on() {
    let place = Place::new();
    let first = place.start(&CONFIGURED);
    let errors = refused(&place.run(&[], &CONFIGURED));
    assert!(errors.contains("in use by another process") && errors.contains("SCHEDULER_DATA_DIR"), "{errors}");
    let api = Api::login(first.url(), CLIENT, KEY).await;
    let id = api.schedule(Duration::ZERO, &format!("{}/health", first.url())).await;
    api.status(&id).await;
    first.stop();
}

#[test]
fn a_data_directory_that_cannot_be_written_is_reported() {
    let place = Place::new();
    // Tests may run as root, who may write everywhere; but not even root can use a file as a directory.
    std::fs::write(place.data(), "a file").unwrap();
    let errors = refused(&place.run(&[], &CONFIGURED));
    assert!(errors.contains(".scheduler"), "{errors}");
}

#[test]
fn damaged_credentials_are_reported_and_not_changed() {
    let place = Place::new();
    place.start(&[]).stop();
    let path = place.data().join("credentials.json");
    std::fs::write(&path, "{\"apiKey\": \"canary").unwrap();
    let errors = refused(&place.run(&[], &[]));
    assert!(errors.contains("credentials.json") && !errors.contains("canary"), "{errors}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"apiKey\": \"canary");
}

/// Asserts that the process exited with 1 and printed the reason on stderr, without Rust's debug format.
fn refused(output: &Output) -> String {
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(output.stdout.is_empty());
    assert!(errors.starts_with("mcp-scheduler: ") && !errors.contains("panicked"), "{errors}");
    errors
}
