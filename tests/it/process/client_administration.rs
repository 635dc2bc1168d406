//! `mcp-scheduler client` while a service runs: it calls the service. What it does while nothing runs is in `command_line`.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Output;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::azurite::Azurite;
use crate::support::client::random_part;
use crate::support::ports::fixed_port;
use crate::support::process_api::Api;
use crate::support::receiver::{Receiver, Reply};
use crate::support::service::{CLIENT, CONFIGURED, KEY, Place, Service, names, text};

/// What an operator sets on a machine of its own.
const OPERATOR: [(&str, &str); 3] = [CONFIGURED[0], CONFIGURED[1], ("RUST_LOG", "trace")];

/// Runs `client` with these arguments and `--json`, and returns what it prints.
#[track_caller]
fn run(place: &Place, arguments: &str, settings: &[(&str, &str)]) -> Value {
    let arguments: Vec<_> = ["client"].into_iter().chain(arguments.split(' ')).chain(["--json"]).collect();
    let output = place.run(&arguments, settings);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn refused(output: &Output, reason: &str) {
    let errors = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(1), ""), "{errors}");
    assert!(errors.contains(reason), "{errors}");
}

async fn logs_in(service: &Service, id: &str, key: &Value) -> bool {
    Api::try_login(service.url(), id, key["apiKey"].as_str().unwrap()).await.is_ok()
}

/// The whole life of a client, from a machine that has nothing but the address and the key of an operator.
async fn administrate(service: &Service) {
    let machine = Place::new();
    let run = |arguments: &str| run(&machine, &format!("{arguments} --url {}", service.url()), &OPERATOR);
    let first = run("add anna");
    assert_eq!(first.as_object().unwrap().keys().collect::<Vec<_>>(), ["apiKey", "clientId"]);
    let anna = Api::login(service.url(), "anna", first["apiKey"].as_str().unwrap()).await;
    anna.schedule(Duration::from_mins(5), "https://example.com/").await;
    let second = run("rotate anna");
    assert_eq!(second.as_object().unwrap().keys().collect::<Vec<_>>(), ["apiKey", "clientId"]);
    assert!(logs_in(service, "anna", &first).await && logs_in(service, "anna", &second).await);
    assert_eq!(run("show anna")["keys"], 2);
    assert_eq!(run("retire anna")["keys"], 1);
    assert!(!logs_in(service, "anna", &first).await && logs_in(service, "anna", &second).await);
    assert_eq!(run("disable anna")["disabled"], true);
    assert!(!logs_in(service, "anna", &second).await);
    assert_eq!(anna.try_status("01890000-0000-7000-8000-00000000000f").await.err(), Some(401));
    assert_eq!(run("enable anna")["disabled"], false);
    assert!(logs_in(service, "anna", &second).await);
    let listed = run("list");
    let ids: Vec<_> = listed["clients"].as_array().unwrap().iter().map(|client| &client["clientId"]).collect();
    assert_eq!(ids, ["anna", CLIENT]);
    assert!(names(&machine.cwd()).is_empty(), "nothing was made on the operator's machine");
    let log = service.stderr();
    for key in [&first, &second] {
        assert!(!log.contains(random_part(key["apiKey"].as_str().unwrap())), "a key is in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_can_do_without_v1a() {
    let (place, receiver) = (Place::new(), Receiver::start([Reply::status(200)]).await);
    let port = fixed_port().to_string();
    let settings = [CONFIGURED.as_slice(), &[("PORT", port.as_str())]].concat();
    let service = place.start(&settings);
    let key = run(&place, "add anna", &settings);
    let anna = Api::login(service.url(), "anna", key["apiKey"].as_str().unwrap()).await;
    for (names, kinds) in [("v1,v1a", &["v1", "v1a"][..]), ("v1", &["v1"]), ("v1,v1a", &["v1", "v1a"])] {
        let changed = run(&place, &format!("signatures anna {names}"), &settings);
        assert_eq!(changed["signatures"], json!(kinds));
        let before = receiver.received().len();
        anna.schedule(Duration::ZERO, &receiver.url("/")).await;
        assert!(receiver.wait_until(Duration::from_secs(30), |requests| requests.len() > before).await);
        let signature = receiver.received()[before].headers["webhook-signature"].to_str().unwrap().to_owned();
        let signed: Vec<_> = signature.split(' ').map(|part| part.split_once(',').unwrap().0).collect();
        assert_eq!(signed, kinds);
    }
    service.stop();
    let shown = run(&place, "signatures anna v1", &settings);
    assert_eq!(shown["signatures"], json!(["v1"]), "the store is changed while nothing runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_administrated_while_a_service_with_its_own_store_runs() {
    let place = Place::new();
    let service = place.start(&[&CONFIGURED[..], &[("RUST_LOG", "trace")]].concat());
    administrate(&service).await;
    service.stop();
    // The same store without a service has what the service has stored.
    let shown = run(&place, "show anna", &CONFIGURED);
    assert_eq!((&shown["keys"], &shown["disabled"]), (&json!(1), &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_administrated_while_a_service_on_a_storage_account_runs() {
    let (place, azurite) = (Place::new(), Azurite::start());
    let connection = azurite.connection_string();
    let on_azure =
        [("USE_AZURE_SERVICES", "true"), ("RATE_LIMIT_PER_SECOND", "0"), ("AzureWebJobsStorage", &*connection)];
    let service = place.start(&[&CONFIGURED[..], &on_azure, &[("RUST_LOG", "trace")]].concat());
    administrate(&service).await;
    // Where nothing listens at HOST and PORT, the account is opened. The service reads the change.
    let key = run(&place, "add other", &[&CONFIGURED[..], &on_azure].concat());
    assert!(logs_in(&service, "other", &key).await);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_laptop_the_command_finds_the_service_and_the_key_by_itself() {
    let (place, port) = (Place::new(), fixed_port().to_string());
    let settings = [("PORT", &*port)];
    let service = place.start(&settings);
    let key = run(&place, "add anna", &settings);
    assert!(logs_in(&service, "anna", &key).await);
    let listed = place.run(&["client", "list"], &settings);
    assert_eq!(
        text(&listed.stdout),
        "anna   enabled   1 key   conversations:read conversations:write webhooks:read\n\
         local  first     1 key   conversations:read conversations:write webhooks:read metrics:read operator\n"
    );
    refused(&place.run(&["client", "add", "anna"], &settings), "A client anna exists already. ");
    refused(&place.run(&["client", "rotate", "local"], &settings), "local is the first client");
    refused(&place.run(&["client", "show", "nobody"], &settings), "There is no client with this id.");
    service.stop();
    refused(&place.run(&["client", "show", "nobody"], &settings), "there is no client nobody");
}

#[test]
fn a_store_that_a_service_at_another_address_uses_is_left_alone() {
    let place = Place::new();
    let service = place.start(&CONFIGURED);
    refused(&place.run(&["client", "add", "late"], &CONFIGURED), "name its address with --url");
    let key = run(&place, &format!("add late --url {}", service.url()), &CONFIGURED);
    assert!(key["apiKey"].as_str().unwrap().starts_with("msk_late_"));
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_the_service_refuses_is_explained() {
    let place = Place::new();
    let service = place.start(&CONFIGURED);
    let (machine, url) = (Place::new(), service.url());
    let show = |settings: &[(&str, &str)]| machine.run(&["client", "list", "--url", url], settings);
    refused(&show(&[]), "set SCHEDULER_CLIENT_ID and SCHEDULER_API_KEY");
    let wrong = [("SCHEDULER_CLIENT_ID", CLIENT), ("SCHEDULER_API_KEY", "another-key-for-the-tests")];
    refused(&show(&wrong), "refuses the client tester or its key, which are those of SCHEDULER_CLIENT_ID");
    let key = run(&machine, &format!("add anna --url {url}"), &CONFIGURED);
    let anna = [("SCHEDULER_CLIENT_ID", "anna"), ("SCHEDULER_API_KEY", key["apiKey"].as_str().unwrap())];
    refused(&show(&anna), "the client anna does not have the scope operator");
    // A client with the scope is an operator like the first one.
    let key = run(&machine, &format!("add second --scopes operator --url {url}"), &CONFIGURED);
    let second = [("SCHEDULER_CLIENT_ID", "second"), ("SCHEDULER_API_KEY", key["apiKey"].as_str().unwrap())];
    assert!(show(&second).status.success());
    assert!(names(&machine.cwd()).is_empty());
}

#[test]
fn an_address_at_which_no_service_answers_is_explained() {
    let machine = Place::new();
    let list = |url: &str| machine.run(&["client", "list", "--url", url], &CONFIGURED);
    let nobody = fixed_port();
    refused(&list(&format!("http://127.0.0.1:{nobody}")), "cannot reach the service at http://127.0.0.1:");
    refused(&list("scheduler.example.com"), "--url must be the address of the service");
    // A redirect is not followed: it would send the key to somebody else.
    let elsewhere = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let head = format!("307 Temporary Redirect\r\nLocation: http://{}/", elsewhere.local_addr().unwrap());
    refused(&list(&answering(head)), "is not mcp-scheduler: its status is 307");
    assert!(elsewhere.accept().is_err(), "nobody has connected");
    refused(&list(&answering("200 OK".to_owned())), "is not mcp-scheduler: its status is 200");
    let without_tls = answering("200 OK".to_owned()).replace("http:", "https:");
    refused(&list(&without_tls), "cannot reach the service at https://127.0.0.1:");
    assert!(names(&machine.cwd()).is_empty(), "with --url, no store is opened");
}

/// A server that answers one request so, and its address.
fn answering(head: String) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(format!("HTTP/1.1 {head}\r\nContent-Length: 2\r\n\r\nno").as_bytes());
    });
    url
}

#[test]
fn the_key_is_printed_once_and_never_logged() {
    let (place, settings) = (Place::new(), [&CONFIGURED[..], &[("RUST_LOG", "trace")]].concat());
    let service = place.start(&settings);
    for url in [&[][..], &["--url", service.url()]] {
        // Without an address the store is in use, so that run has a place of its own.
        let (own, id) = (Place::new(), format!("anna{}", url.len()));
        let output = own.run(&[&["client", "add", &id][..], url].concat(), &settings);
        let printed = text(&output.stdout);
        let key = printed.lines().find_map(|line| line.strip_prefix("api key")).unwrap().trim();
        assert_eq!(printed.matches(key).count(), 1);
        for secret in [key, KEY] {
            assert!(!text(&output.stderr).contains(secret) && !service.stderr().contains(secret));
        }
    }
    service.stop();
}
