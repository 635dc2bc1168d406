//! A login in which the user signs in at another issuer.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use mcp_scheduler::app::GuardedFetcher;
use mcp_scheduler::auth::SignIn;
use mcp_scheduler::domain::EndpointPolicy;
use mcp_scheduler::outbound::HttpSender;
use mcp_scheduler::time::{Clock as _, SystemClock};
use serde_json::{Value, json};
use tracing::Level;

use super::NOW;
use crate::support::app::{BareApi, CLIENT, KEY, TestApp};
use crate::support::captured_log::CapturedLog;
use crate::support::client::Answer;
use crate::support::issuer::{APPLICATION, APPLICATION_SECRET, FIRST, Issuer, SECOND};
use crate::support::login::{BOTH, MovableClock, Page, Program, REDIRECT, claims, returned, text};

/// A service at which users of an issuer sign in, and a program.
async fn start(issuer: &Issuer) -> (TestApp, Program) {
    let setting = issuer.sign_in_setting(&json!({ "anna": CLIENT, "carl": "carol", "gone": "nobody" }));
    let app = TestApp::start_with(&[("SIGN_IN_ISSUER", &setting)]).await;
    let program = Program::registered(app.address).await;
    (app, program)
}

/// Presses the button with these scopes ticked.
async fn press(program: &Program, page: &Page, scopes: &str) -> Answer {
    let scopes = scopes.split(' ').map(|scope| ("scope", scope));
    program.submit(page, &[("decision", "sign_in")].into_iter().chain(scopes).collect::<Vec<_>>()).await
}

/// A browser that comes back from the issuer.
struct Returning {
    /// The path and the query.
    address: String,
    cookie: String,
}

/// Begins a login, and signs in at the issuer.
async fn sign_in(program: &Program, scopes: &str) -> Returning {
    let page = program.open(&[]).await;
    let begun = press(program, &page, scopes).await;
    assert_eq!(begun.status, 200, "{}", begun.text);
    let cookie = begun.header("set-cookie").split_once(';').unwrap();
    assert_eq!(cookie.1, " Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Lax");
    let there = begun.header("refresh").strip_prefix("0;url=").unwrap();
    assert!(begun.text.contains(&format!("href=\"{}\"", there.replace('&', "&amp;"))), "{}", begun.text);
    let signed_in = Answer::unchecked(program.http.get(there)).await;
    let address = signed_in.header("location").strip_prefix(&program.base).unwrap().to_owned();
    Returning { address, cookie: cookie.0.to_owned() }
}

/// Returns to the service, with these cookies.
async fn come_back(program: &Program, address: &str, cookies: &str) -> Answer {
    Answer::unchecked(program.request(Method::GET, address).header("cookie", cookies)).await
}

async fn come_back_with(program: &Program, Returning { address, cookie }: &Returning) -> Answer {
    come_back(program, address, cookie).await
}

/// The login does not go on: the browser stays here, and the program gets nothing.
#[track_caller]
fn assert_stopped(answer: &Answer, why: &str) {
    assert_eq!((answer.status, answer.header("location")), (400, ""), "{}", answer.text);
    assert!(answer.text.contains("The login does not go on") && answer.text.contains(why), "{why}: {}", answer.text);
}

const NOT_BEGUN: &str = "This browser has not begun this login";
const NOT_SIGNED_IN: &str = "has not confirmed who you are";
const NO_CLIENT: &str = "Your account may not use this service";
const UNAVAILABLE: &str = "cannot be reached now";

#[tokio::test]
async fn the_program_acts_for_the_client_of_the_account_with_which_the_user_signs_in() {
    let (log, _guard) = CapturedLog::start(Level::TRACE);
    let issuer = Issuer::start().await;
    let (_app, program) = start(&issuer).await;
    let page = program.open(&[]).await.answer.text;
    assert!(page.contains("formnovalidate>Let it in, signed in with Our &lt;Company&gt;</button>"), "{page}");
    let returning = sign_in(&program, BOTH).await;
    let answer = come_back(&program, &returning.address, &format!("a=b; {}; c=d", returning.cookie)).await;
    let removed = "__Host-login=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax";
    assert_eq!((answer.header("set-cookie"), answer.header("referrer-policy")), (removed, "no-referrer"));
    let parameters = returned(&answer);
    assert_eq!((&*parameters["state"], &parameters["iss"]), ("the state", &program.base));
    let tokens = program.exchange(&parameters["code"], &[]).await.json();
    let access = text(&tokens, "access_token");
    assert_eq!((&claims(access)["sub"], &tokens["scope"]), (&json!(CLIENT), &json!(BOTH)));
    assert_eq!(program.call(access).await.status, 200);

    let read = come_back_with(&program, &sign_in(&program, "conversations:read operator webhooks:read").await).await;
    let tokens = program.exchange(&returned(&read)["code"], &[]).await.json();
    assert_eq!(tokens["scope"], "conversations:read", "what was ticked, of what the page offered");
    assert!(program.approve(&[], (CLIENT, KEY)).await.contains_key("code"), "a key lets a program in as before");

    let log = log.text();
    assert!(log.contains("an account has signed in account=\"anna\" client=alice"), "{log}");
    for secret in [APPLICATION_SECRET, "canary-code", access, &returning.cookie] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[tokio::test]
async fn a_sign_in_ends_in_the_browser_in_which_it_began_and_nowhere_else() {
    let issuer = Issuer::start().await;
    let (_app, program) = start(&issuer).await;
    let (own, other) = (sign_in(&program, BOTH).await, sign_in(&program, BOTH).await);
    let request = program.open(&[]).await.request;
    let (without_state, _) = own.address.split_once("state=").unwrap();
    for (address, cookie) in [
        (&*own.address, String::new()),
        (&*own.address, other.cookie.clone()),
        (&*own.address, format!("__Host-login={request}")),
        (&*own.address, format!("x{}", own.cookie)),
        (&*own.address, own.cookie.replace("login=", "login=x")),
        (&*other.address, own.cookie.clone()),
        (without_state, own.cookie.clone()),
        (&*own.address.replace("state=", "state=x"), own.cookie.clone()),
        ("/oauth/signed-in?error=access_denied", own.cookie.clone()),
        ("/oauth/signed-in", String::new()),
    ] {
        assert_stopped(&come_back(&program, address, &cookie).await, NOT_BEGUN);
    }
    // None of these has used the code up.
    assert!(returned(&come_back_with(&program, &own).await).contains_key("code"));
    assert_stopped(&come_back_with(&program, &own).await, NOT_SIGNED_IN);
}

#[tokio::test]
async fn a_sign_in_takes_at_most_ten_minutes() {
    let issuer = Issuer::start().await;
    let endpoints =
        EndpointPolicy { allowed_networks: vec!["127.0.0.0/8".parse().unwrap()], ..EndpointPolicy::default() };
    let fetcher = Arc::new(GuardedFetcher(Arc::new(HttpSender::new(endpoints).unwrap())));
    let setting = issuer.sign_in_setting(&json!({ "anna": CLIENT })).parse().unwrap();
    let clock = Arc::new(MovableClock::starting_at(NOW));
    let sign_in_there = Some(SignIn::new(setting, fetcher));
    let api = BareApi { clock: Arc::clone(&clock) as _, sign_in: sign_in_there, ..BareApi::new() }.start().await;
    let program = Program::registered(api.address).await;
    let (first, second) = (sign_in(&program, BOTH).await, sign_in(&program, BOTH).await);
    *issuer.changes.lock().unwrap() = json!({ "iat": NOW.as_secs(), "exp": NOW.as_secs() + 900 });
    clock.advance(Duration::from_secs(599));
    assert!(returned(&come_back_with(&program, &first).await).contains_key("code"));
    clock.advance(Duration::from_secs(1));
    assert_stopped(&come_back_with(&program, &second).await, NOT_BEGUN);
}

#[tokio::test]
async fn only_a_valid_token_for_this_service_and_this_sign_in_counts() {
    let issuer = Issuer::start().await;
    let (_app, program) = start(&issuer).await;
    let try_with = async |changes: Value| {
        *issuer.changes.lock().unwrap() = changes;
        come_back_with(&program, &sign_in(&program, BOTH).await).await
    };
    let now = SystemClock.now().as_secs();
    for (changes, why) in [
        (json!({ "nonce": "x" }), NOT_SIGNED_IN),
        (json!({ "nonce": null }), NOT_SIGNED_IN),
        (json!({ "aud": "another-application" }), NOT_SIGNED_IN),
        (json!({ "aud": [APPLICATION, "another-application"] }), NOT_SIGNED_IN),
        (json!({ "iss": format!("{}/", issuer.url) }), NOT_SIGNED_IN),
        (json!({ "exp": now - 40 }), NOT_SIGNED_IN),
        (json!({ "iat": now + 40 }), NOT_SIGNED_IN),
        (json!({ "oid": "unknown" }), NO_CLIENT),
        (json!({ "oid": ["anna"] }), NO_CLIENT),
        (json!({ "oid": null }), NO_CLIENT),
        (json!({ "oid": "gone" }), NO_CLIENT),
    ] {
        assert_stopped(&try_with(changes).await, why);
    }
    *issuer.signs.lock().unwrap() = ("first", SECOND);
    assert_stopped(&try_with(json!({})).await, NOT_SIGNED_IN);
    *issuer.signs.lock().unwrap() = ("first", FIRST);
    assert!(returned(&try_with(json!({})).await).contains_key("code"));
}

#[tokio::test]
async fn the_client_of_the_account_must_be_enabled_and_have_a_scope_that_was_ticked() {
    let issuer = Issuer::start().await;
    let (app, program) = start(&issuer).await;
    *issuer.changes.lock().unwrap() = json!({ "oid": "carl" });
    let read = come_back_with(&program, &sign_in(&program, BOTH).await).await;
    let tokens = program.exchange(&returned(&read)["code"], &[]).await.json();
    assert_eq!(tokens["scope"], "conversations:read", "the client may not write");
    let again = come_back_with(&program, &sign_in(&program, "conversations:write").await).await;
    assert!(again.status == 200 && again.text.contains("Tick something"), "{}", again.text);
    let page = program.open(&[]).await;
    let nothing = press(&program, &page, "operator").await;
    assert!(nothing.status == 200 && nothing.text.contains("Tick something"), "{}", nothing.text);
    let returning = sign_in(&program, BOTH).await;
    assert_eq!(app.operator().await.post("/api/clients/carol/disable").await.status, 200);
    assert_stopped(&come_back_with(&program, &returning).await, NO_CLIENT);
}

#[tokio::test]
async fn a_user_who_does_not_sign_in_denies_and_other_errors_of_the_issuer_are_shown() {
    let issuer = Issuer::start().await;
    let (_app, program) = start(&issuer).await;
    let Returning { address, cookie } = sign_in(&program, BOTH).await;
    let state = address.split('&').find(|parameter| parameter.starts_with("state=")).unwrap();
    for answer in ["error=server_error", "code=", "code=x", "code=x&iss=https://b.example"] {
        let address = format!("/oauth/signed-in?{answer}&{state}");
        assert_stopped(&come_back(&program, &address, &cookie).await, NOT_SIGNED_IN);
    }
    let other_issuer = address.replace("&iss=", "&iss=x");
    assert_stopped(&come_back(&program, &other_issuer, &cookie).await, NOT_SIGNED_IN);
    let denied = format!("/oauth/signed-in?error=access_denied&{state}");
    let denied = returned(&come_back(&program, &denied, &cookie).await);
    assert_eq!((&*denied["error"], &*denied["state"]), ("access_denied", "the state"));
    assert!(returned(&come_back(&program, &address, &cookie).await).contains_key("code"), "the code was not used up");
}

#[tokio::test]
async fn without_its_issuer_a_user_is_told_so_and_can_use_a_key() {
    let issuer = Issuer::start().await;
    "another name".clone_into(&mut issuer.name.lock().unwrap());
    let (_app, program) = start(&issuer).await;
    let setting = issuer.sign_in_setting(&json!({})).replace(&issuer.url, "http://127.0.0.1:9/down");
    let down = TestApp::start_with(&[("SIGN_IN_ISSUER", &setting)]).await;
    for program in [program, Program::registered(down.address).await] {
        let page = program.open(&[]).await;
        assert_stopped(&press(&program, &page, BOTH).await, UNAVAILABLE);
        assert!(program.approve(&[], (CLIENT, KEY)).await.contains_key("code"));
    }
}

#[tokio::test]
async fn nobody_signs_in_without_the_setting_from_another_page_or_with_a_request_that_is_too_long() {
    let issuer = Issuer::start().await;
    let (_app, program) = start(&issuer).await;
    let long = json!({ "redirect_uris": [REDIRECT, format!("https://a.example/{}", "x".repeat(900))] });
    let id = text(&program.register(&long).await.json(), "client_id").to_owned();
    let page = program.open(&[("client_id", &id), ("state", &"x".repeat(2000))]).await;
    assert_stopped(&press(&program, &page, BOTH).await, "too long");
    let form = [("request", &*page.request), ("decision", "sign_in"), ("scope", "conversations:read")];
    let elsewhere =
        program.request(Method::POST, "/oauth/authorize").header("origin", "https://evil.example").form(&form);
    let elsewhere = Answer::unchecked(elsewhere).await;
    assert_eq!((elsewhere.status, elsewhere.header("set-cookie")), (403, ""));

    let returning = sign_in(&program, BOTH).await;
    let app = TestApp::start().await;
    let program = Program::registered(app.address).await;
    let page = program.open(&[]).await;
    assert!(!page.answer.text.contains("sign_in"), "{}", page.answer.text);
    assert_stopped(&press(&program, &page, BOTH).await, "Nobody can sign in here");
    // It has the same signing keys, and so can open what the other service has sealed.
    assert_stopped(&come_back_with(&program, &returning).await, NOT_BEGUN);
}
