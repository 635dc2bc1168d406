//! The binary, started as the Functions host starts it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::store::{PartitionSet, Slot, WakeUp};
use serde_json::{Value, json};

use crate::support::client::http;
use crate::support::invocations::{self, text_of};
use crate::support::ports::fixed_port;
use crate::support::process_api::Api;
use crate::support::recording_receiver::Receiver;
use crate::support::service::{BINARY, CLIENT, CONFIGURED, KEY, Place, Service};

/// Starts the service on the port that the host chose.
fn start(place: &Place, port: u16, settings: &[(&str, &str)]) -> Service {
    let port = port.to_string();
    // The service must ignore these: the platform sets PORT for the host itself.
    let mut all = vec![("FUNCTIONS_CUSTOMHANDLER_PORT", &*port), ("HOST", "::1"), ("PORT", "no port")];
    all.extend(settings);
    place.start(&all)
}

/// Calls a function as the host does.
async fn invoke(service: &Service, function: &str, body: &Value) -> (u16, Value) {
    let request = http().post(format!("{}/{function}", service.url())).body(body.to_string());
    let request = request.header("content-type", "application/json; charset=utf-8");
    let request = request.header("user-agent", "Azure-Functions-Host/4.1037.0.0");
    let response = request.header("x-azure-functions-invocationid", "the-invocation").send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
}

/// What the host posts for the wake-up of a second.
fn envelope(due: &str) -> Value {
    let slot = Slot::of(Timestamp::parse(due).unwrap());
    invocations::envelope(&text_of(&WakeUp::of_slot(slot, PartitionSet::ALL)))
}

#[tokio::test(flavor = "multi_thread")]
async fn it_listens_where_the_host_calls_and_answers_the_ping() {
    let (place, port) = (Place::new(), fixed_port());
    let service = start(&place, port, &CONFIGURED);
    assert_eq!(service.url(), format!("http://127.0.0.1:{port}"));
    let ping = http().get(service.url()).send().await.unwrap();
    // The answer is short until the service has its routes, and the dashboard from then on.
    assert_eq!(ping.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_delivers_when_the_host_invokes_it_and_not_by_itself() {
    let (place, receiver) = (Place::new(), Receiver::start(Duration::ZERO).await);
    let settings = [&CONFIGURED[..], &[("DELIVERY_ALLOWED_NETWORKS", "127.0.0.0/8")]].concat();
    let service = start(&place, fixed_port(), &settings);
    let api = Api::login(service.url(), CLIENT, KEY).await;
    let id = api.schedule(Duration::ZERO, &receiver.endpoint).await;
    assert!(!receiver.wait(Duration::from_secs(1), |arrivals| !arrivals.is_empty()).await, "there is no worker");
    let record = api.status(&id).await;
    assert_eq!(record["status"], "Scheduled");

    let envelope = envelope(record["scheduledTime"].as_str().unwrap());
    let answers = join_all((0..50).map(|_| invoke(&service, "deliverDueConversations", &envelope))).await;
    assert!(answers.iter().all(|(status, _)| *status == 200));
    let figures = answers.iter().map(|(_, body)| serde_json::from_str(body["Logs"][0].as_str().unwrap()).unwrap());
    let (none, some): (Vec<Value>, Vec<Value>) = figures.partition(|run: &Value| run["attempts"] == 0);
    assert!(none.len() == 49 && some.len() == 1 && some[0]["attempts"] == 1, "{answers:?}");
    assert!(answers.iter().all(|(_, body)| body["ReturnValue"].is_null() && body["Outputs"] == json!({})));
    assert_eq!(receiver.arrivals().len(), 1);
    assert_eq!(api.status(&id).await["status"], "Completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_host_the_service_has_no_invocations() {
    let place = Place::new();
    let service = place.start(&CONFIGURED);
    for function in ["deliverDueConversations", "sweepDueConversations"] {
        assert_eq!(invoke(&service, function, &json!({})).await.0, 404, "/{function}");
    }
    service.stop();
}

#[test]
fn after_sigterm_it_exits_with_200_so_that_the_host_restarts_it() {
    // The host restarts a process that exits with 200. After 0 it does not, and every later call fails.
    for signal in ["TERM", "INT"] {
        let place = Place::new();
        let mut service = start(&place, fixed_port(), &CONFIGURED);
        service.signal(signal);
        assert_eq!(service.wait().code(), Some(200), "{}", service.stderr());
    }
}

#[test]
fn a_start_that_fails_exits_with_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (value, named) in [(&*port, &*port), ("x", "FUNCTIONS_CUSTOMHANDLER_PORT")] {
        let output = Place::new().run(&[], &[("FUNCTIONS_CUSTOMHANDLER_PORT", value)]);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(named), "{errors}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_errors_go_to_stderr() {
    let place = Place::new();
    // No credentials are configured: new ones are stored, and not printed into the log of the host.
    let service = start(&place, fixed_port(), &[("RUST_LOG", "debug")]);
    assert_eq!(service.stderr(), "");
    assert!(service.stdout().contains("WARN"), "{}", service.stdout());
    assert_eq!(invoke(&service, "deliverDueConversations", &json!({ "Data": { "msg": "no wake-up" } })).await.0, 500);
    assert_eq!(service.stderr(), "");
    assert_eq!(invoke(&service, "deliverDueConversations", &json!({ "Data": { "message": "{}" } })).await.0, 400);
    let errors = until(|| service.stderr(), |text| text.ends_with('\n'));
    assert!(errors.lines().count() == 1 && errors.contains("ERROR"), "{errors}");
    for line in [errors, service.stdout().lines().find(|l| l.contains("not a wake-up")).unwrap().to_owned()] {
        assert!(line.contains("the-invocation") && !line.contains('\x1b'), "{line}");
    }
    let kept = fs::read_to_string(place.data().join("credentials.json")).unwrap();
    let kept: Value = serde_json::from_str(&kept).unwrap();
    assert!(!service.stdout().contains(kept["apiKey"].as_str().unwrap()));
}

/// The host's end: killed, with the pipes that it read. The program goes on until nobody has called for three minutes.
#[test]
#[ignore = "hold: takes four minutes"]
fn hold_without_its_host_it_serves_who_still_calls_and_then_ends() {
    let (place, port) = (Place::new(), fixed_port().to_string());
    let mut host = Command::new("sh");
    host.args(["-c", "\"$0\" & echo $!; wait", BINARY]).current_dir(place.cwd()).env_clear().envs(CONFIGURED);
    host.env("FUNCTIONS_CUSTOMHANDLER_PORT", &port).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut host = host.spawn().unwrap();
    let mut lines = BufReader::new(host.stdout.take().unwrap()).lines().map(Result::unwrap);
    let process = format!("/proc/{}/stat", lines.next().unwrap());
    assert!(lines.any(|line| line.contains(" is listening on ")));
    drop((lines, host.stderr.take()));
    host.kill().unwrap();
    host.wait().unwrap();
    let call = || {
        let url = format!("http://127.0.0.1:{port}/deliverDueConversations");
        let curl = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "-A", "Azure-Functions-Host/4.1", "-d", "{}", &url];
        String::from_utf8(Command::new("curl").args(curl).output().unwrap().stdout).unwrap()
    };
    // Each of them is an error that is logged, and nobody reads the log.
    let minute = Duration::from_mins(1);
    for _ in 0..4 {
        assert_eq!(call(), "400");
        std::thread::sleep(minute / 2);
    }
    let last = Instant::now();
    // An ended process that nobody waits for is a zombie.
    while fs::read_to_string(&process).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(last.elapsed() < 4 * minute, "it still runs");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(last.elapsed() > 2 * minute, "{:?}", last.elapsed());
}

fn until(mut read: impl FnMut() -> String, enough: impl Fn(&str) -> bool) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let text = read();
        if enough(&text) || Instant::now() > deadline {
            return text;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
