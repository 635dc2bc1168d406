//! Clients whose hosts hang, and what that means for other clients and other hosts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mcp_scheduler::delivery::{Deliverer, DeliveryOutcome};
use mcp_scheduler::domain::{ClientId, ErrorClass, Status};
use mcp_scheduler::outbound::{Addresses, RouteError};
use mcp_scheduler::store::{DueKey, SlotWakeUp, WakeUp};
use tokio::time::Instant;

use crate::support::delivery_harness::{Call, DeliveryHarness, led_to};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

fn bob() -> ClientId {
    "bob".parse().unwrap()
}

/// Schedules a conversation that may take a minute.
async fn schedule(harness: &DeliveryHarness, client: &ClientId, host: &str, ahead: Duration) -> DueKey {
    let long = |request: &mut mcp_scheduler::api::ScheduleRequest| {
        request.endpoint = Some(format!("https://{host}/hook"));
        request.timeout_seconds = Some(60);
    };
    harness.schedule_for(client, ahead, long).await
}

fn calls_to(harness: &DeliveryHarness, host: &str) -> Vec<Call> {
    harness.endpoint.calls().into_iter().filter(|call| call.url.contains(host)).collect()
}

fn lateness(calls: &[Call]) -> Duration {
    calls.iter().map(|call| call.record.due().until(call.at)).max().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_hosts_hang_delays_no_other_client() {
    for make in [DeliveryHarness::new, DeliveryHarness::in_one_process] {
        let harness = make();
        for number in 0..1500 {
            let host = format!("hangs-{}.example", number % 100);
            harness.endpoint.set_latency(&host, MINUTE);
            schedule(&harness, &harness.client, &host, SECOND).await;
        }
        for number in 0..60 {
            schedule(&harness, &bob(), "good.example", SECOND + 5 * SECOND * number).await;
        }
        harness.start();
        tokio::time::sleep(6 * MINUTE).await;
        let good = calls_to(&harness, "good.example");
        assert_eq!(good.len(), 60);
        assert!(lateness(&good) < SECOND / 10, "{:?}", lateness(&good));
        assert_eq!(harness.endpoint.peak("hangs-7.example"), 8);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_with_more_hanging_hosts_than_there_are_permits_delays_no_other_client() {
    let harness = DeliveryHarness::in_one_process();
    // The limit per host stops none of them: only the share of the client does.
    for number in 0..2500 {
        let host = format!("hangs-{number}.example");
        harness.endpoint.set_latency(&host, MINUTE);
        schedule(&harness, &harness.client, &host, SECOND).await;
    }
    for number in 0..20 {
        schedule(&harness, &bob(), "good.example", SECOND + 3 * SECOND * number).await;
    }
    harness.start_follower();
    tokio::time::sleep(MINUTE).await;
    let (hanging, good) = (calls_to(&harness, "hangs-").len(), calls_to(&harness, "good.example"));
    assert_eq!(hanging, 1024, "half of the permits");
    assert_eq!(good.len(), 20);
    assert!(lateness(&good) < SECOND / 10, "{:?}", lateness(&good));
}

#[tokio::test(start_paused = true)]
async fn each_row_without_a_permit_is_left_to_one_wake_up() {
    let harness = DeliveryHarness::new();
    // The first sweep comes before the conversations: it would enqueue their second again.
    harness.start_worker();
    tokio::time::sleep(SECOND).await;
    for number in 0..2500 {
        let host = format!("hangs-{number}.example");
        harness.endpoint.set_latency(&host, MINUTE);
        schedule(&harness, &harness.client, &host, SECOND).await;
    }
    tokio::time::sleep(50 * SECOND).await;
    let enqueued = harness.queue.enqueued().into_iter();
    let postponed: Vec<_> = enqueued
        .filter_map(|enqueued| match enqueued.wake_up {
            WakeUp::Slot(SlotWakeUp { partitions, part: Some(part), .. }) if part.postponed == 1 => {
                Some((partitions, part.after, part.until.unwrap()))
            }
            _ => None,
        })
        .collect();
    assert!(postponed.len() > 16, "{}", postponed.len());
    for (index, (partitions, after, until)) in postponed.iter().enumerate() {
        for (others, other_after, other_until) in &postponed[index + 1..] {
            let overlap = after.is_before(other_until) && other_after.is_before(until);
            assert!(!overlap || partitions.iter().all(|partition| !others.contains(partition)), "{after} to {until}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn hanging_hosts_hardly_delay_the_other_hosts_of_their_client() {
    let harness = DeliveryHarness::in_one_process();
    for number in 0..1000 {
        harness.endpoint.set_latency(&format!("hangs-{number}.example"), MINUTE);
        for kind in ["hangs", "good"] {
            schedule(&harness, &harness.client, &format!("{kind}-{number}.example"), SECOND).await;
        }
    }
    harness.start_follower();
    tokio::time::sleep(MINUTE).await;
    let good = calls_to(&harness, "good-");
    assert_eq!(good.len(), 1000);
    assert!(lateness(&good) < 3 * SECOND, "{:?}", lateness(&good));
}

#[tokio::test(start_paused = true)]
async fn a_host_is_an_address_of_one_client() {
    let harness = DeliveryHarness::in_one_process();
    let shared = Addresses::new(&[SocketAddr::from(([203, 0, 113, 7], 443))]);
    for number in 0..20 {
        // Many names do not make many hosts.
        let host = format!("hangs-{number}.example");
        harness.endpoint.set_addresses(&host, shared.clone());
        harness.endpoint.set_latency(&host, MINUTE);
        schedule(&harness, &harness.client, &host, SECOND).await;
    }
    harness.endpoint.set_addresses("good.example", shared);
    for _ in 0..20 {
        schedule(&harness, &bob(), "good.example", 2 * SECOND).await;
    }
    harness.start_follower();
    tokio::time::sleep(30 * SECOND).await;
    assert_eq!(calls_to(&harness, "hangs-").len(), 8);
    let good = calls_to(&harness, "good.example");
    assert_eq!(good.len(), 20);
    assert!(lateness(&good) < SECOND / 10, "{:?}", lateness(&good));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_claimed_beyond_the_share_of_its_client() {
    let harness = DeliveryHarness::new();
    let deliverer = Arc::new(Arc::into_inner(harness.deliverer()).unwrap().with_max_in_flight(4));
    let mut hanging = Vec::new();
    for host in ["a.example", "b.example", "c.example"] {
        harness.endpoint.set_latency(host, MINUTE);
        hanging.push(schedule(&harness, &harness.client, host, Duration::ZERO).await);
    }
    let others = schedule(&harness, &bob(), "good.example", Duration::ZERO).await;
    let deadline = Some(Instant::now() + 45 * SECOND);
    let outcomes = join_all(hanging.iter().map(|due| deliverer.deliver(due, deadline)));
    let meanwhile = async {
        tokio::time::sleep(SECOND).await;
        assert_eq!(harness.endpoint.calls().len(), 2);
        let refused = harness.read(hanging[2].id).await;
        assert_eq!((refused.status(), refused.attempts_begun()), (Status::Scheduled, 0));
        assert_eq!(led_to(&deliverer.deliver(&others, None).await.unwrap()), Some(Status::Completed));
    };
    let (outcomes, ()) = tokio::join!(outcomes, meanwhile);
    let refused: Vec<_> = outcomes.into_iter().map(|outcome| outcome.unwrap() == DeliveryOutcome::NoPermit).collect();
    assert_eq!(refused, [false, false, true]);
    assert_eq!(led_to(&deliverer.deliver(&hanging[2], None).await.unwrap()), Some(Status::Completed));
}

#[tokio::test(start_paused = true)]
async fn the_share_is_also_a_share_of_memory() {
    let harness = DeliveryHarness::new();
    let deliverer = Arc::into_inner(harness.deliverer()).unwrap().with_max_in_flight(32);
    harness.endpoint.set_latency("hangs.example", MINUTE);
    let mut large = Vec::new();
    for number in 0..8 {
        let host = format!("hangs-{number}.example");
        harness.endpoint.set_latency(&host, MINUTE);
        let text = |request: &mut mcp_scheduler::api::ScheduleRequest| {
            request.endpoint = Some(format!("https://{host}/hook"));
            request.conversation_text = Some("x".repeat(190 * 1024));
        };
        large.push(harness.schedule(Duration::ZERO, text).await);
    }
    join_all(large.iter().map(|due| deliverer.deliver(due, None))).await;
    let calls = harness.endpoint.calls();
    let at_once = calls.iter().filter(|call| call.at == calls[0].at).count();
    assert_eq!((at_once, calls.len()), (5, 8), "each takes three of the sixteen permits");
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_was_not_tried_is_no_attempt_and_one_that_failed_is() {
    let harness = DeliveryHarness::new();
    harness.endpoint.set_addresses("good.example", Err(RouteError::NotTried));
    let due = schedule(&harness, &harness.client, "good.example", Duration::ZERO).await;
    let deliverer: Arc<Deliverer> = harness.deliverer();
    let (began, soon) = (Instant::now(), Instant::now() + SECOND);
    assert_eq!(deliverer.deliver(&due, Some(soon)).await.unwrap(), DeliveryOutcome::NoPermit);
    assert_eq!(began.elapsed(), Duration::ZERO, "the next look-up would be after the deadline");
    let untouched = harness.read(due.id).await;
    assert_eq!((untouched.status(), untouched.attempts_begun()), (Status::Scheduled, 0));

    let delivery = tokio::spawn({
        let due = due.clone();
        async move { deliverer.deliver(&due, None).await.unwrap() }
    });
    tokio::time::sleep(SECOND).await;
    harness.endpoint.set_addresses("good.example", Err(RouteError::Failed(ErrorClass::DnsError)));
    assert_eq!(led_to(&delivery.await.unwrap()), Some(Status::InProgress));
    assert_eq!(began.elapsed(), 5 * SECOND);
    let failed = harness.read(due.id).await;
    assert_eq!(failed.attempts()[0].result.error, Some(ErrorClass::DnsError));
    assert!(harness.endpoint.calls().is_empty(), "nothing was sent");
}
