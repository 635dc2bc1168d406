//! The login of a program through the Functions host: a page, a form, a redirection, and tokens.

use http::Method;

use crate::support::client::Answer;
use crate::support::host_harness::HostHarness;
use crate::support::login::{BOTH, Program, allowing, returned, text};
use crate::support::service::{CLIENT, KEY};

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_let_in_through_the_host() {
    let harness = HostHarness::new();
    let host = harness.host_that_knows_its_address().await;
    host.ready().await;
    let program = Program::registered(host.address()).await;
    let page = program.open(&[]).await;
    assert_eq!(page.answer.header("content-type"), "text/html; charset=utf-8", "{}", page.answer.text);
    assert!(page.answer.header("content-security-policy").contains("form-action 'self'"), "{:?}", page.answer);
    let answer = returned(&program.submit(&page, &allowing(CLIENT, KEY, BOTH)).await);
    assert_eq!(answer["iss"], program.base);
    let tokens = program.exchange(&answer["code"], &[]).await.json();
    assert_eq!(program.call(text(&tokens, "access_token")).await.status, 200);
    let next = program.refresh(text(&tokens, "refresh_token"), &[]).await.json();
    let form = [("token", text(&next, "refresh_token"))];
    let revoked = Answer::unchecked(program.request(Method::POST, "/oauth/revoke").form(&form)).await;
    assert_eq!(revoked.status, 200, "{}", revoked.text);
    assert_eq!(program.refresh(form[0].1, &[]).await.status, 400);
    let refused = Answer::unchecked(program.request(Method::GET, "/mcp")).await;
    assert_eq!(refused.status, 401, "the host passes a method on that no function has");
}
