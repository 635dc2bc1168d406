//! A name server that never answers. It delays the deliveries to the names that it is asked for, and no others.
//!
//! The test runs once more in a network and with files of its own, because a resolver asks port 53 of the server in
//! `/etc/resolv.conf`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use mcp_scheduler::time::{Clock as _, SystemClock};
use serde_json::json;
use tokio::net::UdpSocket;

use crate::support::process_api::Api;
use crate::support::recording_receiver::Receiver;
use crate::support::service::{CLIENT, CONFIGURED, KEY, Place, text};

const SECOND: Duration = Duration::from_secs(1);
/// The names that never resolve.
const SILENT_NAMES: usize = 1000;
/// The time for scheduling, before the first conversation is due.
const AHEAD: Duration = Duration::from_secs(12);
/// The conversations of the other client. They are due every half second, after the silent names.
const OTHERS: u32 = 20;
/// A look-up of a silent name takes five seconds.
const MAX_LATENESS: Duration = Duration::from_secs(3);
/// The file with the name server. The inner run can replace it.
const RESOLV_CONF: &str = "SILENT_DNS_RESOLV_CONF";

#[test]
fn names_that_never_resolve_delay_no_other_client() {
    let dir = tempfile::tempdir().unwrap();
    let (resolv_conf, hosts) = (dir.path().join("resolv.conf"), dir.path().join("hosts"));
    fs::write(&resolv_conf, "nameserver 127.0.0.2\n").unwrap();
    fs::write(&hosts, "127.0.0.1 localhost listed.internal\n").unwrap();
    let script = "ip link set lo up && mount --bind \"$1\" /etc/resolv.conf && mount --bind \"$2\" /etc/hosts \
                  && exec \"$3\" --ignored --exact --nocapture process::silent_dns::in_a_network_of_its_own";
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "--net", "sh", "-c", script, "sh"])
        .args([&resolv_conf, &hosts, &std::env::current_exe().unwrap()])
        .env(RESOLV_CONF, &resolv_conf)
        .output()
        .expect("unshare is missing; install util-linux");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    let hint = "this test needs user namespaces (kernel.apparmor_restrict_unprivileged_userns=0) and iproute2";
    assert!(output.status.success() && out.contains("1 passed"), "{hint}\n{out}\n{err}");
}

#[allow(clippy::disallowed_methods)] // the other test tells it about the file, which no setting of the service does
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "names_that_never_resolve_delay_no_other_client runs it"]
async fn in_a_network_of_its_own() {
    let resolv_conf = PathBuf::from(std::env::var(RESOLV_CONF).expect("run the other test"));
    let silent = silent_server().await;
    let (place, receiver) = (Place::new(), Receiver::start(Duration::ZERO).await);
    let added = text(&place.run(&["client", "add", "other"], &[]).stdout);
    let key = added.lines().find_map(|line| line.strip_prefix("api key")).unwrap().trim();
    // The second network makes names in /etc/hosts acceptable as endpoints.
    let networks = [("DELIVERY_ALLOWED_NETWORKS", "127.0.0.0/8,10.99.0.0/16")];
    let service = place.start(&[&CONFIGURED[..], &networks].concat());
    let (greedy, other) = (Api::login(service.url(), CLIENT, KEY).await, Api::login(service.url(), "other", key).await);

    let due = SystemClock.now() + AHEAD;
    let of_silent_name = |number: &usize| {
        let endpoint = format!("https://silent-{number}.example.com/");
        let due = due.to_string();
        json!({ "conversationText": "hello", "scheduledTime": due, "endpoint": endpoint, "timeoutSeconds": 5 })
    };
    let numbers: Vec<_> = (0..SILENT_NAMES).collect();
    let batches =
        numbers.chunks(100).map(|numbers| greedy.schedule_batch(numbers.iter().map(of_silent_name).collect()));
    let silent_ids = join_all(batches).await.concat();
    for number in 0..OTHERS {
        let host = if number % 2 == 0 { "listed.internal" } else { "127.0.0.1" };
        let endpoint = receiver.endpoint.replace("127.0.0.1", host);
        other.try_schedule(due + SECOND / 2 * number, &endpoint).await.unwrap();
    }
    assert!(SystemClock.now() < due, "everything is scheduled in time");

    let arrived = receiver.wait(AHEAD + SECOND * OTHERS, |arrivals| arrivals.len() == OTHERS as usize).await;
    let lateness = |arrival: &crate::support::recording_receiver::Arrival| arrival.scheduled.until(arrival.at);
    let slowest = receiver.arrivals().iter().map(lateness).max();
    assert!(arrived && slowest < Some(MAX_LATENESS), "{slowest:?}");
    println!("{} queries were not answered; the slowest delivery was {slowest:?} late", silent.load(Ordering::Relaxed));
    assert!(silent.load(Ordering::Relaxed) >= 64, "the name server was asked");
    let mut waiting = 0;
    for id in silent_ids.iter().step_by(SILENT_NAMES / 50) {
        waiting += usize::from(greedy.status(id).await["status"] == "Scheduled");
    }
    assert!(waiting > 25, "most names still wait to be looked up: {waiting} of 50");

    // A name server that answers is used without a restart.
    answering_server().await;
    fs::write(&resolv_conf, "nameserver 127.0.0.3\n").unwrap();
    let endpoint = receiver.endpoint.replace("127.0.0.1", "answered.internal");
    let id = other.schedule(6 * SECOND, &endpoint).await;
    other.completed(&id, 15 * SECOND).await;
}

/// A name server that receives queries and does not answer. Returns their number.
async fn silent_server() -> Arc<AtomicUsize> {
    let (socket, received) = (UdpSocket::bind("127.0.0.2:53").await.unwrap(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&received);
    tokio::spawn(async move {
        while socket.recv_from(&mut [0; 1500]).await.is_ok() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    received
}

/// A name server for which every name has the address 127.0.0.1.
async fn answering_server() {
    let socket = UdpSocket::bind("127.0.0.3:53").await.unwrap();
    tokio::spawn(async move {
        let mut query = [0; 1500];
        while let Ok((_, peer)) = socket.recv_from(&mut query).await {
            let name_end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 1;
            let answers = u8::from(query[name_end..name_end + 2] == [0, 1]);
            let mut response = vec![query[0], query[1], 0x81, 0x80, 0, 1, 0, answers, 0, 0, 0, 0];
            response.extend(&query[12..name_end + 4]);
            if answers == 1 {
                response.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
            }
            socket.send_to(&response, peer).await.unwrap();
        }
    });
}
