//! What the store cannot do for a while: it goes on by itself afterwards, with everything that was acknowledged.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use mcp_scheduler::time::{Clock as _, SystemClock};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::process_api::Api;
use crate::support::recording_receiver::Receiver;
use crate::support::service::{BINARY, CLIENT, CONFIGURED, KEY, Place, Service, text};

const FAR: Duration = Duration::from_hours(1);
const NOWHERE: &str = "http://127.0.0.1:9/";
const PATIENCE: Duration = Duration::from_mins(1);

/// Starts the service with a limit of its descriptors that it cannot raise.
async fn start_with_descriptors(place: &Place, limit: usize) -> Service {
    let plain = place.command(&[], &CONFIGURED);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n {limit}; exec {BINARY}")]).current_dir(place.cwd()).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut service = place.spawn_command(command);
    tokio::task::spawn_blocking(move || {
        service.wait_until_listening();
        service
    })
    .await
    .unwrap()
}

/// Limits the size of files that the service writes: with 0, nothing can be written, as on a full disk.
fn limit_files(service: &Service, bytes: &str) {
    let (process, limit) = (service.id().to_string(), format!("--fsize={bytes}:"));
    let limited = Command::new("prlimit").args(["--pid", &process, &limit]).status().unwrap();
    assert!(limited.success());
}

/// Starts the service so that a write beyond a limit is an error and no signal.
fn start_limitable(place: &Place) -> Service {
    let plain = place.command(&[], &CONFIGURED);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("trap '' XFSZ; exec {BINARY}")]).current_dir(place.cwd()).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut service = place.spawn_command(command);
    service.wait_until_listening();
    service
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_passes_and_nothing_acknowledged_is_lost() {
    let (place, receiver) = (Place::new(), Receiver::start(Duration::ZERO).await);
    let service = start_limitable(&place);
    let api = Api::login(service.url(), CLIENT, KEY).await;
    let mut acknowledged = vec![api.schedule(FAR, NOWHERE).await];
    let long = json!({
        "conversationText": "x".repeat(50_000), "scheduledTime": (SystemClock.now() + FAR).to_string(),
        "endpoint": NOWHERE,
    });
    acknowledged.push(api.try_schedule_this(&long).await.unwrap());
    let due_meanwhile = api.schedule(Duration::from_secs(1), &receiver.endpoint).await;

    limit_files(&service, "40000");
    for _ in 0..3 {
        assert_eq!(api.try_schedule(SystemClock.now() + FAR, NOWHERE).await, None, "nothing can be stored");
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(api.status(&acknowledged[0]).await["status"], "Scheduled", "reads go on");
    assert!(receiver.arrivals().is_empty(), "no attempt without its record");

    limit_files(&service, "unlimited");
    until("the store writes again", async || match api.try_schedule(SystemClock.now() + FAR, NOWHERE).await {
        Some(id) => {
            acknowledged.push(id);
            true
        }
        None => false,
    })
    .await;
    api.completed(&due_meanwhile, PATIENCE).await;
    assert_eq!(receiver.arrivals().len(), 1);
    for id in &acknowledged {
        assert_eq!(api.status(id).await["status"], "Scheduled");
    }
    let log = service.stderr();
    assert!(log.contains("the store cannot write: requests get 503") && log.contains("was reopened"), "{log}");
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_that_is_gone_acknowledges_nothing_and_may_come_back() {
    let place = Place::new();
    let service = place.start(&CONFIGURED);
    let api = Api::login(service.url(), CLIENT, KEY).await;
    let kept = api.schedule(FAR, NOWHERE).await;
    let away = place.cwd().join("away");
    fs::rename(place.data(), &away).unwrap();
    for _ in 0..3 {
        assert_eq!(api.try_schedule(SystemClock.now() + FAR, NOWHERE).await, None);
    }
    service.stderr_with("was moved, replaced or deleted");
    assert!(!place.data().exists(), "no empty store takes its place");
    fs::rename(&away, place.data()).unwrap();
    let mut last = None;
    until("it goes on", async || {
        last = api.try_schedule(SystemClock.now() + FAR, NOWHERE).await;
        last.is_some()
    })
    .await;
    service.stop();
    let service = place.start(&CONFIGURED);
    let api = api.at(service.url());
    for id in [kept, last.unwrap()] {
        assert_eq!(api.status(&id).await["status"], "Scheduled");
    }
}

/// More connections than descriptors, and then more writing than fits into memory: the store has to open files.
#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_do_not_take_the_descriptors_of_the_store() {
    let place = Place::new();
    let service = start_with_descriptors(&place, 256).await;
    let api = Api::login(service.url(), CLIENT, KEY).await;
    let first = api.schedule(FAR, NOWHERE).await;
    let address = service.url().strip_prefix("http://").unwrap().to_owned();
    let mut idle = tokio::task::JoinSet::new();
    for _ in 0..300 {
        let address = address.clone();
        idle.spawn(async move {
            let _open = TcpStream::connect(address).await.unwrap();
            std::future::pending::<()>().await;
        });
    }
    // Those beyond the limit of the service wait in the kernel. The others are accepted by now.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let long = "x".repeat(180_000);
    for i in 0..80 {
        let due = (SystemClock.now() + FAR).to_string();
        let conversation = json!({ "conversationText": long, "scheduledTime": due, "endpoint": NOWHERE });
        assert!(api.try_schedule_this(&conversation).await.is_some(), "schedule {i}: {}", service.stderr());
    }
    assert_eq!(api.status(&first).await["status"], "Scheduled");
    let log = service.stderr();
    assert!(log.contains("the limit of open files is low") && !log.contains("the store cannot write"), "{log}");
    drop(idle);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_hosts_at_once_need_no_more_descriptors_than_there_are() {
    const HOSTS: usize = 600;
    let place = Place::new();
    let service = start_with_descriptors(&place, 256).await;
    let api = Api::login(service.url(), CLIENT, KEY).await;
    let listener = TcpListener::bind(("0.0.0.0", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(answer_all(listener));
    let start = SystemClock.now() + Duration::from_secs(2);
    let mut ids = Vec::new();
    for i in 0..HOSTS {
        let endpoint = format!("http://127.0.{}.{}:{port}/", 1 + i / 250, 1 + i % 250);
        let due = start + Duration::from_millis((i * 2000 / HOSTS) as u64);
        ids.push(api.try_schedule(due, &endpoint).await.expect("not accepted"));
    }
    for id in &ids {
        let record = api.completed(id, PATIENCE).await;
        assert_eq!(record["attempts"].as_array().unwrap().len(), 1, "{record}");
    }
    assert!(api.try_schedule(SystemClock.now() + FAR, NOWHERE).await.is_some());
    let log = service.stderr();
    assert!(!log.contains("the store cannot write"), "{log}");
    service.stop();
}

/// Answers 200 and keeps the connection, as most hosts do.
async fn answer_all(listener: TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut request = vec![0; 4096];
            while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            }
        });
    }
}

#[test]
fn a_damaged_store_does_not_start_and_a_repair_says_what_is_lost() {
    let place = Place::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut service = place.start(&CONFIGURED);
    let ids = runtime.block_on(async {
        let api = Api::login(service.url(), CLIENT, KEY).await;
        let mut ids = Vec::new();
        for _ in 0..20 {
            ids.push(api.schedule(FAR, NOWHERE).await);
        }
        ids
    });
    service.kill();
    let journal = place.data().join("store/0.jnl");
    let mut bytes = fs::read(&journal).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    let middle = end / 2 / 512 * 512;
    bytes[middle..middle + 512].fill(0);
    fs::write(&journal, bytes).unwrap();

    let refused = place.run(&[], &CONFIGURED);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("run `mcp-scheduler repair`"), "{}", text(&refused.stderr));
    let examined = place.run(&["repair"], &CONFIGURED);
    let said = text(&examined.stdout);
    assert!(said.contains("Nothing was changed."), "{said}{}", text(&examined.stderr));
    let (lost, saved): (Vec<_>, Vec<_>) = ids.iter().partition(|id| said.contains(&format!("lost: conversation {id}")));
    assert!(lost.len() >= 5 && saved.len() >= 5, "{said}");

    let replaced = place.run(&["repair", "--replace"], &CONFIGURED);
    assert!(text(&replaced.stdout).contains("is kept in"), "{}", text(&replaced.stdout));
    let service = place.start(&CONFIGURED);
    runtime.block_on(async {
        let api = Api::login(service.url(), CLIENT, KEY).await;
        let mut unnamed = 0;
        for id in &saved {
            match api.try_status(id).await {
                Ok(record) => assert_eq!(record["status"], "Scheduled"),
                Err(_) => unnamed += 1,
            }
        }
        assert!(unnamed <= 1, "{unnamed} are lost and not named; only one name can stand where the zeros are");
        for id in &lost {
            assert_eq!(api.try_status(id).await.unwrap_err(), 404);
        }
        api.schedule(FAR, NOWHERE).await;
    });
    service.stop();
}

/// Takes a minute. Run by `make hold`.
#[test]
#[ignore = "takes more than a minute"]
fn hold_a_store_that_cannot_be_reopened_for_a_minute_ends_the_process() {
    let place = Place::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut service = start_limitable(&place);
    let api = runtime.block_on(Api::login(service.url(), CLIENT, KEY));
    let kept = runtime.block_on(api.schedule(FAR, NOWHERE));
    limit_files(&service, "100");
    let began = Instant::now();
    assert_eq!(runtime.block_on(api.try_schedule(SystemClock.now() + FAR, NOWHERE)), None);
    std::thread::sleep(Duration::from_secs(55));
    assert!(service.is_running(), "not before the minute is over");
    let status = service.wait();
    let took = began.elapsed();
    assert_eq!(status.code(), Some(1));
    assert!((60..75).contains(&took.as_secs()), "{took:?}");
    let service = place.start(&CONFIGURED);
    assert_eq!(runtime.block_on(api.at(service.url()).status(&kept))["status"], "Scheduled");
}
