//! `mcp-scheduler listen`: a developer sees deliveries, whether they verify, and what to change.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use http::StatusCode;
use mcp_scheduler::delivery::{ClientKeys, SigningSecrets};
use mcp_scheduler::domain::{Signatures, Timestamp};
use mcp_scheduler::time::{Clock as _, SystemClock};

use crate::support::client::http;
use crate::support::ports::fixed_port;
use crate::support::process_api::Api;
use crate::support::receiver::{Receiver, Reply};
use crate::support::service::{CLIENT, CONFIGURED, KEY, Place, SECRET, Service, names, text};

const BODY: &str = r#"{"conversationText":"hello"}"#;

/// A receiver that is started with these arguments. Its place is kept as long as it runs.
struct Listening {
    process: Service,
    url: String,
    _place: Place,
}

impl Listening {
    fn start(arguments: &[&str]) -> Self {
        let place = Place::new();
        let process = place.spawn_command(place.command(&[&["listen"], arguments].concat(), &CONFIGURED));
        let mut listening = Self { process, url: String::new(), _place: place };
        let line = listening.printed("verifying with");
        let said = line.split("on http://").nth(1).unwrap();
        listening.url = format!("http://{}", said.split(',').next().unwrap());
        listening
    }

    /// Waits until the output has this text, and returns the output.
    #[track_caller]
    fn printed(&self, text: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let printed = self.process.stdout();
            if printed.contains(text) {
                return printed;
            }
            assert!(Instant::now() < deadline, "{text} is not in:\n{printed}{}", self.process.stderr());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a body with headers, and returns the status; `None` if nothing is answered.
    async fn post(&self, headers: &[(&str, String)], body: &str) -> Option<u16> {
        let request =
            headers.iter().fold(http().post(&self.url), |request, (name, value)| request.header(*name, value));
        let sent = request.body(body.to_owned()).timeout(Duration::from_secs(2)).send().await;
        sent.ok().map(|answer| answer.status().as_u16())
    }
}

fn keys() -> ClientKeys {
    SECRET.parse::<SigningSecrets>().unwrap().derive(&CLIENT.parse().unwrap())
}

/// The headers of a delivery of the client that was signed at this time.
fn signed(at: Timestamp) -> [(&'static str, String); 3] {
    let signature = keys().sign(Signatures::default(), "msg_1", at, BODY.as_bytes());
    [
        ("webhook-id", "msg_1".to_owned()),
        ("webhook-timestamp", at.as_secs().to_string()),
        ("webhook-signature", signature),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_text_arrives_and_verifies_and_ends_with_0() {
    let place = Place::new();
    let service = place.start(&CONFIGURED);
    let arguments = ["listen", "--schedule", "hello", "--in", "1s", "--once"];
    // As with the other commands, the setting names the service.
    let there = [&CONFIGURED[..], &[("SCHEDULER_URL", service.url())]].concat();
    let output = Place::new().run(&arguments, &there);
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{printed}{}", text(&output.stderr));
    for line in ["text       hello", "signature  verifies (v1 and v1a)", "answer     200", "attempt    1, "] {
        assert!(printed.contains(line), "{line} is not in:\n{printed}");
    }
    let scheduled = printed.lines().find_map(|line| line.strip_prefix("scheduled  ")).unwrap();
    let id = scheduled.split(' ').next().unwrap();
    Api::login(service.url(), CLIENT, KEY).await.completed(id, Duration::from_secs(30)).await;

    // With another secret it arrives, and does not verify. The argument has precedence over the setting.
    let wrong = [&arguments[..], &["--secret", SECRET, "--url", service.url()]].concat();
    let nowhere = [&CONFIGURED[..], &[("SCHEDULER_URL", "http://127.0.0.1:1")]].concat();
    let output = Place::new().run(&wrong, &nowhere);
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{printed}{}", text(&output.stderr));
    assert!(printed.contains("text       hello") && printed.contains("DOES NOT VERIFY"), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_does_not_verify_is_refused_with_the_reason_and_what_to_change() {
    let listening = Listening::start(&["--port", &fixed_port().to_string()]);
    let now = SystemClock.now();
    assert_eq!(listening.post(&signed(now), BODY).await, Some(200));
    listening.printed("verifies (v1 and v1a)");

    assert_eq!(listening.post(&signed(now), "{\"conversationText\": \"hello\"}").await, Some(401));
    listening.printed("no signature fits the keys and the request");
    listening.printed("→ Either the keys are those of another client");

    let old = Timestamp::from_millis(now.as_millis() - 400_000);
    assert_eq!(listening.post(&signed(old), BODY).await, Some(401));
    listening.printed("s in the past, and at most 300 s are allowed");
    listening.printed("→ Let both machines follow a time server");

    assert_eq!(listening.post(&signed(now)[..2], BODY).await, Some(401));
    listening.printed("the header webhook-signature is missing");
    listening.printed("→ Let what is between");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_told_apart_from_a_changed_body_and_no_secret_is_printed() {
    let own = keys().secrets()[0].expose().clone();
    let right = Listening::start(&["--secret", &own]);
    assert_eq!(right.post(&signed(SystemClock.now()), BODY).await, Some(200));
    right.printed("verifies (v1)");
    // The master secret of the settings is none of the client.
    let wrong = Listening::start(&["--secret", SECRET]);
    assert_eq!(wrong.post(&signed(SystemClock.now()), BODY).await, Some(401));
    wrong.printed("the secret is wrong: it is not one of the client tester");
    assert_eq!(wrong.post(&signed(SystemClock.now()), "changed").await, Some(401));
    wrong.printed("→ Either the keys");
    for (listening, secret) in [(right, &*own), (wrong, SECRET)] {
        assert!(!listening.process.stdout().contains(secret) && !listening.process.stderr().contains(secret));
    }
    let refused = Place::new().run(&["listen", "--secret", SECRET, "--twice"], &CONFIGURED);
    assert_eq!(refused.status.code(), Some(2));
    assert!(!text(&refused.stderr).contains(SECRET), "{}", text(&refused.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answers_come_in_their_order_and_the_last_one_stays() {
    let listening = Listening::start(&["--answer", "500,timeout,201"]);
    let headers = signed(SystemClock.now());
    for expected in [Some(500), None, Some(201), Some(201)] {
        assert_eq!(listening.post(&headers, BODY).await, expected);
    }
    // They do not depend on the signature.
    assert_eq!(listening.post(&[], BODY).await, Some(201));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_tries_again_after_an_answer_of_500() {
    let place = Place::new();
    let service = place.start(&CONFIGURED);
    let listening = Listening::start(&["--answer", "500,200"]);
    let api = Api::login(service.url(), CLIENT, KEY).await;
    let id = api.schedule(Duration::ZERO, &listening.url).await;
    let record = api.completed(&id, Duration::from_secs(30)).await;
    assert_eq!(record["attempts"].as_array().unwrap().len(), 2, "{record}");
    let printed = listening.printed("attempt    2, ");
    assert_eq!(printed.matches(&format!("id         {id}")).count(), 2, "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_passed_on_unchanged_and_gets_the_answer_of_the_server() {
    let server = Receiver::start([Reply::status(202).body("done").header("x-mine", "1")]).await;
    let listening = Listening::start(&["--forward", &server.url("/hook?a=b")]);
    let headers = signed(SystemClock.now());
    let request =
        headers.iter().fold(http().put(&listening.url), |request, (name, value)| request.header(*name, value));
    let answer = request.header("x-own", "2").body(BODY).send().await.unwrap();
    assert_eq!((answer.status(), &answer.headers()["x-mine"]), (StatusCode::ACCEPTED, &"1".parse().unwrap()));
    assert_eq!(answer.bytes().await.unwrap(), "done");
    let [passed] = &server.wait_for(1).await[..] else { panic!("one request") };
    assert_eq!((passed.method.as_str(), &*passed.path, &*passed.body), ("PUT", "/hook?a=b", BODY.as_bytes()));
    assert_eq!(passed.headers["x-own"], "2");
    for (name, value) in headers {
        assert_eq!(passed.headers[name], value, "{name}");
    }
    listening.printed("answer     202 by http://");
    drop(server);

    let nobody = Listening::start(&["--forward", &format!("http://127.0.0.1:{}/", fixed_port())]);
    assert_eq!(nobody.post(&[], BODY).await, Some(502));
    nobody.printed("does not answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn once_ends_after_the_first_delivery_with_what_it_has_shown() {
    for (body, code) in [(BODY, 0), ("changed", 1)] {
        let mut listening = Listening::start(&["--once", "--answer", "204"]);
        assert_eq!(
            listening.post(&signed(SystemClock.now()), body).await,
            Some(204),
            "the answer arrives before the end"
        );
        assert_eq!(listening.process.wait().code(), Some(code), "{body}");
    }
}

#[test]
fn what_it_cannot_do_ends_with_1_and_a_reason() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let nobody = fixed_port().to_string();
    let stopped = [&CONFIGURED[..], &[("PORT", &*nobody)]].concat();
    for (arguments, settings, why) in [
        (&["--port", &*port][..], &CONFIGURED[..], "cannot listen on 127.0.0.1:"),
        (&["--schedule", "hello"], &stopped, "start the service first"),
        (&[], &[], "there is no client whose keys could verify"),
        (&["--client", "a b"], &CONFIGURED, "the client id must be"),
        (&["--secret", "whsec_short"], &CONFIGURED, "--secret: secret 1"),
        (&["--forward", "somewhere"], &CONFIGURED, "--forward must be"),
    ] {
        let place = Place::new();
        let output = place.run(&[&["listen"], arguments].concat(), settings);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(why), "{errors}");
        assert!(names(&place.cwd()).is_empty(), "it makes nothing");
    }
}

#[test]
fn if_the_usual_port_is_taken_it_takes_a_free_one() {
    // The first one has the usual port, unless another test has it.
    let (first, second) = (Listening::start(&[]), Listening::start(&[]));
    assert_ne!(first.url, second.url);
}
