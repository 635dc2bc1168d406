//! The page on which a user lets a program in.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde_json::json;

use super::NOW;
use crate::support::app::{BareApi, CLIENT, KEY, TestApp};
use crate::support::client::Answer;
use crate::support::login::{BOTH, MovableClock, Program, REDIRECT, allowing, returned, text};

#[tokio::test]
async fn the_page_says_who_asks_for_what_and_where_the_browser_goes() {
    let app = TestApp::start().await;
    let program = Program::registered(app.address).await;
    let page = program.open(&[]).await;
    for shown in ["An agent", "<b>127.0.0.1:35333</b>", "runs on this computer", "conversations:write"] {
        assert!(page.answer.text.contains(shown), "{shown} in {}", page.answer.text);
    }
    assert!(!page.answer.text.contains("webhooks:read"), "nobody asked for it");
    let policy = page.answer.header("content-security-policy");
    for rule in ["default-src 'none'", "frame-ancestors 'none'", "form-action 'self' http://127.0.0.1:35333;"] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!page.answer.text.contains("<script"));
    assert_eq!(page.answer.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.answer.header("cache-control"), "no-store");
    assert_eq!(page.answer.header("referrer-policy"), "same-origin");
}

#[tokio::test]
async fn a_name_can_neither_write_html_nor_hide_a_part_of_itself() {
    let app = TestApp::start().await;
    let program = Program::with_id(app.address, "");
    let name = "<b onclick=\"x\">Cl\u{202e}aude\u{200b}";
    let metadata = json!({ "redirect_uris": ["https://evil.example/cb"], "client_name": name });
    let id = text(&program.register(&metadata).await.json(), "client_id").to_owned();
    let page = Program { id, ..program }.open(&[("redirect_uri", "https://evil.example/cb")]).await.answer;
    let shown = r"Let &lt;b onclick=&quot;x&quot;&gt;Cl\u{202e}aude\u{200b} in?";
    assert!(page.text.contains(shown) && page.text.contains("<b>evil.example</b>"), "{}", page.text);
    assert!(page.text.contains("know this address"), "{}", page.text);
}

#[tokio::test]
async fn nobody_is_sent_to_an_address_that_the_program_has_not_registered() {
    let app = TestApp::start().await;
    let program = Program::registered(app.address).await;
    for change in [
        ("redirect_uri", "https://evil.example/"),
        ("redirect_uri", "http://127.0.0.1:35333/other"),
        ("client_id", "dcr_nobody"),
        ("client_id", "nobody"),
        ("client_id", CLIENT),
        ("client_id", ""),
    ] {
        let page = program.open(&[change]).await.answer;
        assert_eq!((page.status, page.header("location")), (400, ""), "{change:?}");
        assert!(page.text.contains("The login does not go on"), "{}", page.text);
        assert!(page.header("content-security-policy").contains("form-action 'none'"));
    }
    let other_port = program.open(&[("redirect_uri", "http://127.0.0.1:1/callback")]).await.answer;
    assert_eq!(other_port.status, 200, "a program chooses its port when it starts");
    let returned = returned(&program.open(&[("code_challenge_method", "plain")]).await.answer);
    assert_eq!((&*returned["error"], &*returned["state"]), ("invalid_request", "the state"));
}

#[tokio::test]
async fn a_user_can_deny_or_untick_scopes() {
    let app = TestApp::start().await;
    let program = Program::registered(app.address).await;
    let page = program.open(&[]).await;
    let denied = returned(&program.submit(&page, &[("decision", "deny")]).await);
    assert_eq!((&*denied["error"], &*denied["state"], &denied["iss"]), ("access_denied", "the state", &program.base));
    let read = program.submit(&page, &allowing(CLIENT, KEY, "conversations:read")).await;
    assert_eq!(read.header("referrer-policy"), "no-referrer");
    let tokens = program.exchange(&returned(&read)["code"], &[]).await.json();
    assert_eq!(tokens["scope"], "conversations:read");
    // What the page did not offer is not given, whatever the form says.
    for scopes in ["operator", "webhooks:read", "none"] {
        let again = program.submit(&page, &allowing(CLIENT, KEY, scopes)).await;
        assert!(again.status == 200 && again.text.contains("Tick something"), "{scopes}: {}", again.text);
    }
    let reader = app.reader();
    let page = program.open(&[]).await;
    let of_reader = returned(&program.submit(&page, &allowing("carol", reader.key(), BOTH)).await);
    let tokens = program.exchange(&of_reader["code"], &[]).await.json();
    assert_eq!(tokens["scope"], "conversations:read", "the client itself may not write");
}

#[tokio::test]
async fn a_wrong_key_is_asked_for_again_and_counted_as_one_of_a_login() {
    let app = TestApp::start().await;
    let program = Program::registered(app.address).await;
    let page = program.open(&[]).await;
    for _ in 0..10 {
        let again = program.submit(&page, &allowing("bob", "a wrong key", BOTH)).await;
        assert!(again.status == 200 && again.text.contains("is wrong"), "{}", again.text);
        assert!(again.text.contains("name=\"request\"") && !again.text.contains("a wrong key"), "{}", again.text);
    }
    let bob = app.other_client();
    let waiting = program.submit(&page, &allowing("bob", bob.key(), BOTH)).await;
    assert!(waiting.status == 429 && !waiting.header("retry-after").is_empty(), "{waiting:?}");
    assert_eq!(bob.login("bob", bob.key()).await.status, 429, "all logins are counted together");
    assert!(returned(&program.submit(&page, &allowing(CLIENT, KEY, BOTH)).await).contains_key("code"));
}

#[tokio::test]
async fn a_form_counts_only_from_the_page_of_this_service_and_for_ten_minutes() {
    let clock = Arc::new(MovableClock::starting_at(NOW));
    let api = BareApi { clock: Arc::clone(&clock) as _, ..BareApi::new() }.start().await;
    let program = Program::registered(api.address).await;
    let page = program.open(&[]).await;
    let mut form = allowing(CLIENT, KEY, BOTH);
    form.push(("request", &page.request));
    let port = api.address.port();
    for (origin, status) in [
        (None, 403),
        (Some("null".to_owned()), 403),
        (Some("https://evil.example".to_owned()), 403),
        (Some(format!("http://127.0.0.1:{port}.evil.example")), 403),
        (Some(format!("http://localhost:{port}")), 303),
    ] {
        let request = program.request(Method::POST, "/oauth/authorize").form(&form);
        let request = origin.iter().fold(request, |request, origin| request.header("origin", origin));
        assert_eq!(Answer::unchecked(request).await.status, status, "{origin:?}");
    }
    clock.advance(Duration::from_secs(599));
    assert_eq!(program.submit(&page, &form).await.status, 303);
    clock.advance(Duration::from_secs(1));
    let late = program.submit(&page, &form).await;
    assert!(late.status == 400 && late.text.contains("ten minutes"), "{}", late.text);
    for sealed in ["", "x", &program.id] {
        let forged = page_with(sealed);
        assert_eq!(program.submit(&forged, &allowing(CLIENT, KEY, BOTH)).await.status, 400, "{sealed}");
    }
}

/// A page whose form has this request.
fn page_with(request: &str) -> crate::support::login::Page {
    let answer = Answer { status: 200, headers: http::HeaderMap::new(), text: String::new() };
    crate::support::login::Page { answer, request: request.to_owned() }
}

#[tokio::test]
async fn a_program_with_one_address_may_leave_it_out() {
    let app = TestApp::start().await;
    let program = Program::registered(app.address).await;
    let answer = program.approve(&[("redirect_uri", ""), ("state", "")], (CLIENT, KEY)).await;
    assert!(answer.contains_key("code") && !answer.contains_key("state"), "{answer:?} to {REDIRECT}");
}
