//! The egress guard: which connections are made.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::domain::{EndpointPolicy, ErrorClass, Outcome};
use mcp_scheduler::outbound::{Exchange, HttpSender, RouteError, Sender as _, SystemNetwork};
use rustls::RootCertStore;
use tokio::net::TcpListener;

use super::{RoutedExchange as _, laptop};
use crate::support::outbound::endpoints::{Endpoint, answer};
use crate::support::outbound::network::ScriptedNetwork;
use crate::support::outbound::tls::Authority;

fn on_azure(network: &Arc<ScriptedNetwork>) -> HttpSender {
    HttpSender::over(Arc::clone(network), EndpointPolicy::default(), RootCertStore::empty()).unwrap()
}

async fn blocked(sender: &HttpSender, endpoint: &str) {
    let exchange = sender.post(endpoint).await;
    assert_eq!(exchange.result, Err(ErrorClass::Blocked), "{endpoint}");
    assert_eq!(mcp_scheduler::delivery::classify(exchange).outcome, Outcome::PermanentFailure);
}

/// Whether nothing has connected to the listener.
async fn untouched(listener: &TcpListener) -> bool {
    // A connection that was made would be accepted at once.
    tokio::time::timeout(Duration::from_millis(20), listener.accept()).await.is_err()
}

#[tokio::test]
async fn no_spelling_of_a_local_address_can_be_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let network = ScriptedNetwork::new()
        .name("evil.example", &[&["127.0.0.1"]])
        .name("mapped.example", &[&["::ffff:127.0.0.1"]])
        .name("mixed.example", &[&["93.184.215.14", "127.0.0.1"]])
        .name("mixed6.example", &[&["2606:4700:4700::1111", "127.0.0.1"]]);
    let network = Arc::new(network);
    let sender = on_azure(&network);
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "0.0.0.0",
        "localhost",
        "evil.example",
        "mapped.example",
        "mixed.example",
        "mixed6.example",
    ] {
        blocked(&sender, &format!("https://{host}:{port}/")).await;
        blocked(&sender, &format!("http://{host}:{port}/")).await;
    }
    assert_eq!(network.connects(), []);
    assert!(untouched(&listener).await);
}

#[tokio::test]
async fn no_local_name_of_the_real_resolver_can_be_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    // A policy with allowed networks accepts internal names, but their addresses are still checked.
    let elsewhere =
        EndpointPolicy { allowed_networks: vec!["10.9.9.0/24".parse().unwrap()], ..EndpointPolicy::default() };
    let sender = HttpSender::over(Arc::new(SystemNetwork::default()), elsewhere, RootCertStore::empty()).unwrap();
    blocked(&sender, &format!("http://localhost:{port}/")).await;
    assert!(untouched(&listener).await);
}

/// Loopback and a network whose names are accepted.
fn with_internal_names() -> EndpointPolicy {
    let mut policy = laptop();
    policy.allowed_networks.push("10.9.9.0/24".parse().unwrap());
    policy
}

#[tokio::test]
async fn an_allowed_network_can_be_reached_and_its_neighbours_cannot() {
    let endpoint = Endpoint::answering(answer(200, "")).await;
    let port = endpoint.address().port();
    let network = ScriptedNetwork::new()
        .name("inside.internal", &[&["127.0.0.1"]])
        .name("outside.internal", &[&["127.0.0.1", "93.184.215.14"]])
        .name("tunnel.internal", &[&["10.0.0.1"]]);
    let network = Arc::new(network);
    let sender = HttpSender::over(Arc::clone(&network), with_internal_names(), RootCertStore::empty()).unwrap();
    let exchange = sender.post(&format!("http://inside.internal:{port}/")).await;
    assert_eq!(exchange.result.unwrap().status, 200);
    // Neither plain HTTP to the internet nor a network that is not allowed.
    blocked(&sender, &format!("http://outside.internal:{port}/")).await;
    blocked(&sender, &format!("http://tunnel.internal:{port}/")).await;
    assert_eq!(network.connects(), [endpoint.address()]);
}

#[tokio::test]
async fn a_loopback_name_leads_to_loopback_whatever_a_name_server_says() {
    let endpoint = Endpoint::answering(answer(200, "")).await;
    let port = endpoint.address().port();
    let names = ["localhost", "localhost.", "inbox.localhost", "a.inbox.localhost."];
    let mut network = ScriptedNetwork::new();
    for name in names {
        network = network.name(name, &[&["93.184.215.14"]]);
    }
    let network = Arc::new(network);
    let sender = HttpSender::over(Arc::clone(&network), laptop(), RootCertStore::empty()).unwrap();
    for name in names {
        let exchange = sender.post(&format!("http://{name}:{port}/")).await;
        assert_eq!(exchange.result.unwrap().status, 200, "{name}");
    }
    assert_eq!(network.lookups(), [] as [&str; 0]);
    assert!(network.connects().iter().all(|address| address.ip().is_loopback()));
    // An accepted name without an exempt address does not exist.
    let closed = EndpointPolicy { allowed_networks: vec!["10.9.9.0/24".parse().unwrap()], ..EndpointPolicy::default() };
    let sender = HttpSender::over(Arc::clone(&network), closed, RootCertStore::empty()).unwrap();
    blocked(&sender, &format!("http://inbox.localhost:{port}/")).await;
}

#[tokio::test]
async fn a_name_is_looked_up_once_for_each_connection_and_never_for_a_connection_that_is_open() {
    let authority = Authority::new();
    let listener = authority.listener(&["rebind.example"], &answer(200, "")).await;
    let network =
        ScriptedNetwork::leading_to(listener.address).name("rebind.example", &[&["93.184.215.14"], &["127.0.0.1"]]);
    let network = Arc::new(network);
    let sender = HttpSender::over(Arc::clone(&network), EndpointPolicy::default(), authority.roots()).unwrap();
    for _ in 0..3 {
        assert_eq!(sender.post("https://rebind.example/").await.result.unwrap().status, 200);
    }
    assert_eq!(network.lookups(), ["rebind.example."], "absolute, so that no search domain is tried");
    assert_eq!(network.connects(), [SocketAddr::from(([93, 184, 215, 14], 443))]);
    // Another origin needs its own connection.
    blocked(&sender, "https://rebind.example:8443/").await;
    assert_eq!((network.lookups().len(), network.connects().len()), (2, 1));
}

#[tokio::test]
async fn each_new_connection_is_checked() {
    let authority = Authority::new();
    let last = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let listener = authority.listener(&["rebind.example"], last).await;
    let network =
        ScriptedNetwork::leading_to(listener.address).name("rebind.example", &[&["93.184.215.14"], &["10.0.0.5"]]);
    let network = Arc::new(network);
    let sender = HttpSender::over(Arc::clone(&network), EndpointPolicy::default(), authority.roots()).unwrap();
    assert_eq!(sender.post("https://rebind.example/").await.result.unwrap().status, 200);
    blocked(&sender, "https://rebind.example/").await;
    assert_eq!((listener.seen().len(), network.connects().len()), (1, 1));
}

#[tokio::test]
async fn the_peer_of_a_connection_must_have_the_dialled_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let network = ScriptedNetwork::leading_to(listener.local_addr().unwrap())
        .pretending_to_be("10.0.0.1:443".parse().unwrap())
        .name("example.com", &[&["93.184.215.14"]]);
    let network = Arc::new(network);
    blocked(&on_azure(&network), "https://example.com/").await;
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut byte = [0];
    assert_eq!(tokio::io::AsyncReadExt::read(&mut stream, &mut byte).await.unwrap(), 0, "closed without a byte");
}

#[tokio::test]
async fn at_most_four_addresses_are_tried_once_each() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let many: Vec<_> = (1..=64).map(|n| format!("93.184.215.{n}")).collect();
    let many: Vec<_> = many.iter().chain(&many).map(String::as_str).collect();
    let network = ScriptedNetwork::leading_to(address)
        .name("many.example", &[&many])
        .name("same.example", &[&["93.184.215.1"; 64]]);
    let network = Arc::new(network);
    let sender = on_azure(&network);
    for (name, tried) in [("many", 4), ("same", 1)] {
        let before = network.connects().len();
        let exchange = sender.post(&format!("https://{name}.example/")).await;
        assert_eq!(exchange.result, Err(ErrorClass::ConnectRefused));
        assert_eq!(network.connects().len() - before, tried, "{name}");
    }
}

#[tokio::test]
async fn an_address_that_does_not_answer_leaves_time_for_the_next() {
    let endpoint = Endpoint::answering(answer(200, "")).await;
    let port = endpoint.address().port();
    // Nothing listens at the first address.
    let network = ScriptedNetwork::new().name("two.internal", &[&["127.0.0.2", "127.0.0.1"]]);
    let network = Arc::new(network);
    let sender = HttpSender::over(Arc::clone(&network), with_internal_names(), RootCertStore::empty()).unwrap();
    let Exchange { result, .. } = sender.post(&format!("http://two.internal:{port}/")).await;
    assert_eq!(result.unwrap().status, 200);
    assert_eq!(network.connects().len(), 2);
}

#[tokio::test]
async fn a_name_that_has_no_address_is_a_dns_error() {
    let network = Arc::new(ScriptedNetwork::new().name("empty.example", &[&[]]));
    for name in ["empty.example", "gone.example"] {
        let exchange = on_azure(&network).post(&format!("https://{name}/")).await;
        assert_eq!(exchange.result, Err(ErrorClass::DnsError));
    }
    assert_eq!(network.connects(), []);
}

#[tokio::test]
async fn a_look_up_for_which_this_machine_has_no_resources_was_not_tried() {
    let [too_many_open_files, too_many_in_the_system, no_memory, unreachable] = [24, 23, 12, 101];
    for (error, expected) in [
        (too_many_open_files, RouteError::NotTried),
        (too_many_in_the_system, RouteError::NotTried),
        (no_memory, RouteError::NotTried),
        (unreachable, RouteError::Failed(ErrorClass::DnsError)),
    ] {
        let network = Arc::new(ScriptedNetwork::failing_look_ups(error));
        assert_eq!(on_azure(&network).route("https://good.example/").await, Err(expected), "{error}");
    }
}
