//! Refresh tokens: each is valid once, and a theft ends the login.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde_json::json;

use super::{NOW, assert_error};
use crate::support::app::{BareApi, OTHER, Running, TestApp};
use crate::support::client::Answer;
use crate::support::login::{MovableClock, Program, allowing, returned, text};

const DAY: Duration = Duration::from_hours(24);

/// A service with a clock that the test moves, and a program.
async fn start() -> (Running, Program, Arc<MovableClock>) {
    let clock = Arc::new(MovableClock::starting_at(NOW));
    let api = BareApi { clock: Arc::clone(&clock) as _, ..BareApi::new() }.start().await;
    let program = Program::registered(api.address).await;
    (api, program, clock)
}

async fn next(program: &Program, token: &str) -> String {
    let answer = program.refresh(token, &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    text(&answer.json(), "refresh_token").to_owned()
}

#[tokio::test]
async fn a_refresh_token_is_exchanged_once_and_again_only_if_the_answer_may_have_been_lost() {
    let (_api, program, clock) = start().await;
    let first = text(&program.log_in().await, "refresh_token").to_owned();
    let second = next(&program, &first).await;
    clock.advance(Duration::from_secs(29));
    let again = next(&program, &first).await;
    let third = next(&program, &again).await;
    // The answer that was lost and its repetition are the same token to the service.
    assert_eq!(program.refresh(&second, &[]).await.status, 200);
    clock.advance(Duration::from_secs(30));
    assert_error(&program.refresh(&second, &[]).await, "invalid_grant");
    assert_error(&program.refresh(&third, &[]).await, "invalid_grant");
}

#[tokio::test]
async fn a_token_that_was_exchanged_before_the_last_one_ends_the_login_at_once() {
    let (_api, program, _) = start().await;
    let first = text(&program.log_in().await, "refresh_token").to_owned();
    let second = next(&program, &first).await;
    let third = next(&program, &second).await;
    assert_error(&program.refresh(&first, &[]).await, "invalid_grant");
    assert_error(&program.refresh(&third, &[]).await, "invalid_grant");
}

#[tokio::test]
async fn exchanges_at_one_time_all_get_a_token_that_works() {
    let (_api, program, _) = start().await;
    let first = text(&program.log_in().await, "refresh_token").to_owned();
    let answers = futures_util::future::join_all((0..4).map(|_| program.refresh(&first, &[]))).await;
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    assert_eq!(program.refresh(text(&answers[3].json(), "refresh_token"), &[]).await.status, 200);
}

#[tokio::test]
async fn a_login_ends_after_30_idle_days_and_after_90_days() {
    let (_api, program, clock) = start().await;
    let idle = text(&program.log_in().await, "refresh_token").to_owned();
    let mut used = text(&program.log_in().await, "refresh_token").to_owned();
    for _ in 0..3 {
        clock.advance(DAY * 29);
        used = next(&program, &used).await;
    }
    assert_error(&program.refresh(&idle, &[]).await, "invalid_grant");
    clock.advance((DAY * 3).saturating_sub(Duration::from_millis(1)));
    used = next(&program, &used).await;
    clock.advance(Duration::from_millis(1));
    assert_error(&program.refresh(&used, &[]).await, "invalid_grant");
}

#[tokio::test]
async fn a_refresh_can_ask_for_less_and_never_for_more() {
    let (api, program, _) = start().await;
    let token = text(&program.log_in().await, "refresh_token").to_owned();
    let less = program.refresh(&token, &[("scope", "conversations:read")]).await.json();
    assert_eq!(less["scope"], "conversations:read");
    let token = text(&less, "refresh_token").to_owned();
    for (name, value, error) in [
        ("scope", "webhooks:read", "invalid_scope"),
        ("scope", "conversations:read operator", "invalid_scope"),
        ("scope", "unknown", "invalid_scope"),
        ("resource", &*program.base, "invalid_target"),
        ("client_id", "dcr_x", "invalid_request"),
    ] {
        assert_error(&program.refresh(&token, &[(name, value)]).await, error);
    }
    let all = program.refresh(&token, &[]).await.json();
    assert_eq!(all["scope"], "conversations:read conversations:write", "the user has allowed both");
    let other = Program::registered(api.address).await;
    assert_error(&other.refresh(text(&all, "refresh_token"), &[]).await, "invalid_grant");
}

#[tokio::test]
async fn a_disabled_client_gets_no_token_also_after_it_is_enabled_again() {
    let app = TestApp::start().await;
    let (program, operator, bob) = (Program::registered(app.address).await, app.operator().await, app.other_client());
    let page = program.open(&[]).await;
    let form = allowing(OTHER, bob.key(), "conversations:read");
    let code = returned(&program.submit(&page, &form).await)["code"].clone();
    let tokens = program.exchange(&code, &[]).await.json();
    let unused = returned(&program.submit(&page, &form).await)["code"].clone();
    assert_eq!(operator.post("/api/clients/bob/disable").await.status, 200);
    assert_error(&program.refresh(text(&tokens, "refresh_token"), &[]).await, "invalid_grant");
    assert_error(&program.exchange(&unused, &[]).await, "invalid_grant");
    assert_eq!(operator.post("/api/clients/bob/enable").await.status, 200);
    assert_error(&program.refresh(text(&tokens, "refresh_token"), &[]).await, "invalid_grant");
    let again = returned(&program.submit(&page, &form).await)["code"].clone();
    assert_eq!(program.exchange(&again, &[]).await.status, 200);
}

#[tokio::test]
async fn a_program_can_give_its_login_back() {
    let app = TestApp::start().await;
    let program = Program::registered(app.address).await;
    let revoke = async |form: &[(&str, &str)]| {
        Answer::unchecked(program.request(Method::POST, "/oauth/revoke").form(form)).await
    };
    let tokens = program.log_in().await;
    let (access, refresh) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
    assert_error(&revoke(&[]).await, "invalid_request");
    assert_error(&revoke(&[("token", access)]).await, "unsupported_token_type");
    assert_error(&revoke(&[("token", refresh), ("client_id", "dcr_other")]).await, "invalid_grant");
    assert_eq!(revoke(&[("token", "nobody's")]).await.status, 200);
    let rotated = program.refresh(refresh, &[]).await.json();
    let form = [("token", text(&rotated, "refresh_token")), ("client_id", &*program.id), ("token_type_hint", "x")];
    for _ in 0..2 {
        let revoked = revoke(&form).await;
        assert_eq!((revoked.status, &*revoked.text), (200, "{}"));
    }
    assert_error(&program.refresh(form[0].1, &[]).await, "invalid_grant");
}

#[tokio::test]
async fn a_login_survives_the_rotation_of_the_signing_key_while_the_old_one_is_there() {
    let keys = |kid: &str, digits: &str| format!("{kid}:{}", digits.repeat(32));
    let (old, new) = (keys("k1", "ab"), keys("k2", "cd"));
    let api = BareApi { signing_keys: old.parse().unwrap(), ..BareApi::new() };
    let table = api.table.clone();
    let api = api.start().await;
    let program = Program::registered(api.address).await;
    let token = text(&program.log_in().await, "refresh_token").to_owned();
    for (keys, status) in [(format!("{new},{old}"), 200), (new, 400)] {
        let api = BareApi { signing_keys: keys.parse().unwrap(), table: table.clone(), ..BareApi::new() };
        let api = api.start().await;
        let moved = Program::with_id(api.address, &program.id);
        let answer = moved.refresh(&token, &[]).await;
        assert_eq!(answer.status, status, "{}: {}", json!(keys), answer.text);
    }
}
