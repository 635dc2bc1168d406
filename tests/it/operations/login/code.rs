//! The exchange of an authorization code.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcp_scheduler::testing::{Fault, Faults};

use super::{NOW, assert_error};
use crate::support::app::{BareApi, TestApp};
use crate::support::login::{MovableClock, Program, text};

#[tokio::test]
async fn a_code_is_for_its_program_and_for_what_the_user_was_asked() {
    let app = TestApp::start().await;
    let program = Program::registered(app.address).await;
    let other = Program::registered(app.address).await;
    let code = program.code().await;
    let whole = program.base.clone();
    for (change, error) in [
        (("code_verifier", "another-verifier-of-pkce-that-has-enough-characters"), "invalid_grant"),
        (("code_verifier", ""), "invalid_request"),
        (("redirect_uri", "http://127.0.0.1:35333/other"), "invalid_grant"),
        (("client_id", &*other.id), "invalid_grant"),
        (("client_id", ""), "invalid_client"),
        (("resource", &*whole), "invalid_target"),
        (("resource", "https://b.example/mcp"), "invalid_target"),
        (("code", "x"), "invalid_grant"),
        (("code", &*program.id), "invalid_grant"),
        (("code", ""), "invalid_request"),
    ] {
        assert_error(&program.exchange(&code, &[change]).await, error);
    }
    // None of these has used the code up.
    assert_eq!(program.exchange(&code, &[("redirect_uri", "")]).await.status, 200);
}

#[tokio::test]
async fn a_code_that_is_used_twice_ends_its_login() {
    let app = TestApp::start().await;
    let program = Program::registered(app.address).await;
    let code = program.code().await;
    let tokens = program.exchange(&code, &[]).await.json();
    assert_error(&program.exchange(&code, &[]).await, "invalid_grant");
    assert_error(&program.refresh(text(&tokens, "refresh_token"), &[]).await, "invalid_grant");
    assert_error(&program.exchange(&code, &[]).await, "invalid_grant");
    let again = program.log_in().await;
    assert_eq!(program.refresh(text(&again, "refresh_token"), &[]).await.status, 200, "other logins go on");
}

#[tokio::test]
async fn of_exchanges_at_one_time_at_most_one_gets_tokens() {
    let app = TestApp::start().await;
    let program = Program::registered(app.address).await;
    let code = program.code().await;
    let answers = futures_util::future::join_all((0..8).map(|_| program.exchange(&code, &[]))).await;
    let good = answers.iter().filter(|answer| answer.status == 200);
    assert_eq!(good.count(), 1);
}

#[tokio::test]
async fn a_code_is_valid_for_a_minute() {
    let clock = Arc::new(MovableClock::starting_at(NOW));
    let api = BareApi { clock: Arc::clone(&clock) as _, ..BareApi::new() }.start().await;
    let program = Program::registered(api.address).await;
    let (first, second) = (program.code().await, program.code().await);
    clock.advance(Duration::from_secs(59));
    assert_eq!(program.exchange(&first, &[]).await.status, 200);
    clock.advance(Duration::from_secs(1));
    assert_error(&program.exchange(&second, &[]).await, "invalid_grant");
}

/// The fault of one call of the store: the one with this number from now.
#[derive(Clone, Default)]
struct NextFault(Arc<Mutex<Option<(usize, Fault)>>>);

impl NextFault {
    fn set(&self, after: usize, fault: Fault) {
        *self.0.lock().unwrap() = Some((after, fault));
    }
}

impl Faults for NextFault {
    fn next(&self) -> Fault {
        let mut next = self.0.lock().unwrap();
        match next.take() {
            Some((0, fault)) => fault,
            Some((after, fault)) => {
                *next = Some((after - 1, fault));
                Fault::None
            }
            None => Fault::None,
        }
    }
}

#[tokio::test]
async fn a_result_of_the_store_that_got_lost_is_found_out() {
    let faults = NextFault::default();
    let api = BareApi::with_faults(faults.clone()).start().await;
    let program = Program::registered(api.address).await;
    // The only call is the commit: the first client is not in the store.
    let code = program.code().await;
    faults.set(0, Fault::AnswerLost);
    let tokens = program.exchange(&code, &[]).await;
    assert_eq!(tokens.status, 200, "the grant is there: {}", tokens.text);
    faults.set(0, Fault::AnswerLost);
    let next = program.refresh(text(&tokens.json(), "refresh_token"), &[]).await;
    assert_eq!(next.status, 200, "{}", next.text);
    faults.set(0, Fault::RequestLost);
    let next = program.refresh(text(&next.json(), "refresh_token"), &[]).await;
    assert_eq!(next.status, 200, "the exchange is tried again: {}", next.text);
    let code = program.code().await;
    for fault in [Fault::RequestLost, Fault::Refused] {
        faults.set(0, fault);
        let lost = program.exchange(&code, &[]).await;
        assert_eq!(lost.status, 503, "{}", lost.text);
    }
    assert_eq!(program.exchange(&code, &[]).await.status, 200, "the code was not used up");
}
