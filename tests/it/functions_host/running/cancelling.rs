//! Cancelling a conversation, in time and too late.

use std::time::Duration;

use http::Method;

use crate::support::host_harness::{HostHarness, PATIENCE, caller, login, runs, until};
use crate::support::recording_receiver::Receiver;

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_conversation_never_arrives_and_its_wake_up_does_nothing() {
    let harness = HostHarness::new();
    let (host, receiver) = (harness.host().await, Receiver::start(Duration::ZERO).await);
    let api = login(&host).await;
    let id = api.schedule(Duration::from_secs(8), &receiver.endpoint).await;
    let caller = caller(&host);
    for _ in 0..2 {
        let answer = caller.cancel(&id).await;
        assert_eq!((answer.status, &answer.json()["cancelled"]), (200, &true.into()));
    }
    until(&host, || runs(&host, false) > 0).await;
    assert!(receiver.arrivals().is_empty());
    assert_eq!(api.status(&id).await["status"], "Cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_in_flight_cannot_be_cancelled() {
    let harness = HostHarness::new();
    let (host, receiver) = (harness.host().await, Receiver::start(Duration::from_secs(3)).await);
    let api = login(&host).await;
    let id = api.schedule(Duration::ZERO, &receiver.endpoint).await;
    assert!(receiver.wait(PATIENCE, |arrivals| !arrivals.is_empty()).await, "{}", host.log());
    let caller = caller(&host);
    let refused = caller.cancel(&id).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    assert_eq!(api.completed(&id, PATIENCE).await["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(caller.cancel(&id).await.status, 409);
    assert_eq!(receiver.arrivals().len(), 1);
    let another = caller.anonymous(Method::DELETE, &format!("/api/scheduler/{id}")).send().await.unwrap();
    assert_eq!(another.status(), 401, "the host lets everybody through, and the token decides");
}
