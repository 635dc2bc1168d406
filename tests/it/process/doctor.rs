//! `mcp-scheduler doctor`, while a service runs and while none does.

use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::azurite::azurite;
use crate::support::ports::fixed_port;
use crate::support::receiver::{Receiver, Reply};
use crate::support::service::{CONFIGURED, Place, names, text};

/// The longest time that an examination takes if nothing hangs.
const PROMISED: Duration = Duration::from_secs(2);

/// Asserts that nothing has failed, that the checks are these, each as `name status`, and that it took no longer than promised.
/// On a busy machine a part may take longer than the doctor waits for it, so it examines again.
#[track_caller]
fn assert_examined(place: &Place, arguments: &[&str], settings: &[(&str, &str)], expected: &[&str]) {
    let deadline = Instant::now() + Duration::from_mins(1);
    let expected = (Some(0), expected.iter().map(ToString::to_string).collect());
    loop {
        let began = Instant::now();
        let examined = examine(place, arguments, settings);
        let took = began.elapsed();
        if examined == expected && took < PROMISED {
            return;
        }
        assert!(Instant::now() < deadline, "{examined:?} after {took:?}, not {expected:?}");
    }
}

/// Examines, and returns the exit code and `name status` of each check.
#[track_caller]
fn examine(place: &Place, arguments: &[&str], settings: &[(&str, &str)]) -> (Option<i32>, Vec<String>) {
    let arguments: Vec<_> = ["doctor", "--json"].iter().chain(arguments).copied().collect();
    let began = Instant::now();
    let output = place.run(&arguments, settings);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let shown = |check: &Value| format!("{} {}", check["name"].as_str().unwrap(), check["status"].as_str().unwrap());
    (output.status.code(), answer["checks"].as_array().unwrap().iter().map(shown).collect())
}

#[test]
fn a_running_service_is_asked() {
    let place = Place::new();
    let port = fixed_port().to_string();
    let settings = [CONFIGURED.as_slice(), &[("PORT", port.as_str())]].concat();
    let _service = place.start(&settings);
    let of_service = ["service ok", "store ok", "clock ok", "overdue ok"];
    let expected = [of_service.as_slice(), &["secrets ok"]].concat();
    assert_examined(&place, &[], &settings, &expected);
    // Another machine has nothing but the address.
    let (machine, url) = (Place::new(), format!("http://127.0.0.1:{port}"));
    assert_examined(&machine, &["--url", &url], &[], &of_service);
    assert!(names(&machine.cwd()).is_empty());
}

#[test]
fn the_store_is_examined_while_nothing_runs() {
    let place = Place::new();
    let port = fixed_port().to_string();
    let settings = [CONFIGURED.as_slice(), &[("PORT", port.as_str())]].concat();
    assert_examined(&place, &[], &settings, &["service warning", "store warning", "secrets ok"]);
    assert!(names(&place.cwd()).is_empty(), "it makes nothing");
    drop(place.start(&settings));
    let expected = ["service warning", "store ok", "clock ok", "overdue ok", "secrets ok"];
    assert_examined(&place, &[], &settings, &expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_account_has_sweeps_and_a_queue() {
    let connection = azurite().fresh_account();
    let settings =
        [CONFIGURED.as_slice(), &[("USE_AZURE_SERVICES", "true"), ("AzureWebJobsStorage", &connection)]].concat();
    let (place, other) = (Place::new(), Place::new());
    let _service = place.start(&settings);
    let expected = ["service warning", "store ok", "clock ok", "overdue ok", "sweep ok", "queue ok", "secrets ok"];
    assert_examined(&other, &[], &settings, &expected);
}

#[test]
fn what_does_not_work_ends_with_1_and_advice() {
    let place = Place::new();
    let port = fixed_port().to_string();
    let url = format!("http://127.0.0.1:{port}");
    let output: Output = place.run(&["doctor", "--url", &url], &[]);
    assert_eq!(output.status.code(), Some(1));
    let printed = text(&output.stdout);
    assert!(printed.starts_with("service   failed   cannot reach the service"), "{printed}");
    assert!(printed.contains("→ Check the address"), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_to_an_endpoint_is_tried_and_nothing_is_sent() {
    let receiver = Receiver::start([Reply::status(200)]).await;
    let place = Place::new();
    let url = receiver.url("/");
    let examined = |endpoint: &str| {
        let (code, checks) = examine(&place, &["--endpoint", endpoint], &CONFIGURED);
        (code, checks.last().unwrap().clone())
    };
    assert_eq!(examined(&url), (Some(0), "endpoint ok".to_owned()));
    assert!(receiver.received().is_empty(), "nothing was sent");
    let nobody = format!("http://127.0.0.1:{}/", fixed_port());
    // It speaks no TLS, nobody listens, and the network is not allowed.
    for (endpoint, class) in [
        (url.replace("http:", "https:"), "tls_error"),
        (nobody, "connect_refused"),
        ("https://192.168.1.1/".to_owned(), "blocked"),
    ] {
        assert_eq!(examined(&endpoint), (Some(1), "endpoint failed".to_owned()), "{endpoint}");
        let printed = text(&place.run(&["doctor", "--endpoint", &endpoint], &CONFIGURED).stdout);
        assert!(printed.contains(class) && printed.contains('→'), "{printed}");
    }
}
