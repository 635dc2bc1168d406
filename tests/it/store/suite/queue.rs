//! The wake-up queue: a wake-up becomes visible at its time, to one receiver, until it is deleted.
//!
//! Delays are a few seconds long, because some queues need real time.

use std::collections::HashSet;
use std::time::Duration;

use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::store::{Part, PartitionSet, ReceivedWakeUp, Slot, SlotWakeUp, WakeUp};
use tokio::time::{Instant, timeout};

use super::TestQueue;

const AT_ONCE: Duration = Duration::ZERO;
const SOON: Duration = Duration::from_secs(3);
const LATER: Duration = Duration::from_secs(6);
/// Longer than any wait in a case that passes.
const PATIENCE: Duration = Duration::from_mins(1);

fn slot(number: u16) -> Slot {
    Slot::of(Timestamp::from_millis(1_900_000_000_000) + Duration::from_secs(number.into()))
}

fn wake_up(number: u16) -> WakeUp {
    WakeUp::of_slot(slot(number), PartitionSet::ALL)
}

/// The numbers of these wake-ups.
fn numbers(wake_ups: impl IntoIterator<Item = WakeUp>) -> impl Iterator<Item = u64> {
    wake_ups.into_iter().map(|wake_up| match wake_up {
        WakeUp::Slot(SlotWakeUp { slot: second, .. }) => slot(0).start().until(second.start()).as_secs(),
        other => panic!("{other:?} has no number"),
    })
}

impl TestQueue {
    async fn enqueue(&self, wake_up: &WakeUp, delay: Duration) {
        self.queue.enqueue(wake_up, delay).await.expect("the queue accepts it");
    }

    /// Receives once, and deletes what was received.
    async fn receive(&self, max: usize) -> Vec<WakeUp> {
        let received = timeout(PATIENCE, self.receiver.receive(max)).await.expect("a wake-up is visible");
        let received = received.expect("the queue answers");
        self.delete_all(received).await
    }

    async fn delete_all(&self, received: Vec<ReceivedWakeUp>) -> Vec<WakeUp> {
        for received in &received {
            self.receiver.delete(received).await.expect("the message is deleted");
        }
        received.into_iter().map(|received| received.wake_up).collect()
    }

    async fn receive_one(&self) -> WakeUp {
        let wake_ups = self.receive(1).await;
        assert_eq!(wake_ups.len(), 1);
        wake_ups.into_iter().next().expect("there is one")
    }

    /// Receives for this time.
    async fn receive_for(&self, time: Duration) -> Vec<WakeUp> {
        let end = Instant::now() + time;
        let mut wake_ups = Vec::new();
        while let Ok(received) = tokio::time::timeout_at(end, self.receiver.receive(8)).await {
            wake_ups.extend(self.delete_all(received.expect("the queue answers")).await);
        }
        wake_ups
    }
}

pub async fn a_wake_up_is_received_as_it_was_enqueued(queue: &TestQueue) {
    let id = "0189c0de-0000-7000-8000-000000000001";
    let part = |after: String, until: String, postponed| {
        WakeUp::Slot(SlotWakeUp {
            slot: slot(7),
            partitions: "05af".parse().unwrap(),
            part: Some(Part {
                after: after.parse().unwrap(),
                until: (!until.is_empty()).then(|| until.parse().unwrap()),
                postponed,
            }),
        })
    };
    for wake_up in [
        wake_up(7),
        WakeUp::Switch(slot(7)),
        part("d~01900000000000".to_owned(), String::new(), 0),
        part(format!("d~01900000000000~a-Client.with_09~{id}"), format!("d~01900000000001~client~{id}"), u32::MAX),
    ] {
        queue.enqueue(&wake_up, AT_ONCE).await;
        assert_eq!(queue.receive_one().await, wake_up);
    }
}

pub async fn a_wake_up_without_a_delay_is_visible_at_once(queue: &TestQueue) {
    let start = Instant::now();
    queue.enqueue(&wake_up(1), AT_ONCE).await;
    queue.receive_one().await;
    assert!(start.elapsed() <= queue.late, "visible after {:?}", start.elapsed());
}

pub async fn a_wake_up_is_not_visible_before_its_time(queue: &TestQueue) {
    let start = Instant::now();
    queue.enqueue(&wake_up(1), SOON).await;
    queue.receive_one().await;
    assert!(start.elapsed() + queue.early >= SOON, "visible after {:?}", start.elapsed());
}

pub async fn a_wake_up_is_visible_at_its_time(queue: &TestQueue) {
    let start = Instant::now();
    queue.enqueue(&wake_up(1), SOON).await;
    queue.receive_one().await;
    assert!(start.elapsed() <= SOON + queue.late, "visible after {:?}", start.elapsed());
}

pub async fn wake_ups_are_received_in_the_order_of_their_times(queue: &TestQueue) {
    for number in [4, 1, 3, 2] {
        queue.enqueue(&wake_up(number), Duration::from_secs(2 * u64::from(number))).await;
    }
    for number in 1..=4 {
        assert_eq!(queue.receive_one().await, wake_up(number));
    }
}

pub async fn enqueueing_wakes_a_receiver_of_an_empty_queue(queue: &TestQueue) {
    let (received, ()) = tokio::join!(queue.receive_one(), async {
        tokio::time::sleep(SOON).await;
        queue.enqueue(&wake_up(1), AT_ONCE).await;
    });
    assert_eq!(received, wake_up(1));
}

pub async fn enqueueing_wakes_a_receiver_that_waits_for_a_later_wake_up(queue: &TestQueue) {
    queue.enqueue(&wake_up(1), 2 * LATER).await;
    let start = Instant::now();
    let ((received, after), ()) = tokio::join!(async { (queue.receive_one().await, start.elapsed()) }, async {
        tokio::time::sleep(SOON).await;
        queue.enqueue(&wake_up(2), AT_ONCE).await;
    });
    assert_eq!(received, wake_up(2));
    assert!(after <= SOON + queue.late, "visible after {after:?}");
    assert_eq!(queue.receive_one().await, wake_up(1));
}

pub async fn a_receiver_waits_while_no_wake_up_is_visible(queue: &TestQueue) {
    queue.enqueue(&wake_up(1), LATER).await;
    let waited = timeout(SOON, queue.receiver.receive(1)).await;
    assert!(waited.is_err(), "received {waited:?}, which was not visible");
}

pub async fn a_receiver_that_is_cancelled_has_taken_nothing(queue: &TestQueue) {
    queue.enqueue(&wake_up(1), LATER).await;
    for _ in 0..5 {
        assert!(timeout(SOON / 5, queue.receiver.receive(1)).await.is_err());
    }
    assert_eq!(queue.receive_one().await, wake_up(1));
}

pub async fn at_most_max_wake_ups_are_received_and_the_rest_is_kept(queue: &TestQueue) {
    for number in 0..10 {
        queue.enqueue(&wake_up(number), AT_ONCE).await;
    }
    tokio::time::sleep(queue.late).await;
    let mut seen = HashSet::new();
    for max in [1, 2, 3, 4] {
        let received = queue.receive(max).await;
        assert!((1..=max).contains(&received.len()), "{} for {max}", received.len());
        seen.extend(numbers(received));
    }
    while seen.len() < 10 {
        seen.extend(numbers([queue.receive_one().await]));
    }
    assert_eq!(queue.receive_for(SOON).await, []);
}

pub async fn wake_ups_that_are_visible_together_are_received_together(queue: &TestQueue) {
    for number in 0..5 {
        queue.enqueue(&wake_up(number), AT_ONCE).await;
    }
    tokio::time::sleep(queue.late).await;
    let received: HashSet<_> = numbers(queue.receive(32).await).collect();
    assert_eq!(received, (0..5).collect());
}

pub async fn many_wake_ups_of_one_instant_are_each_received_once(queue: &TestQueue) {
    const MANY: u16 = 500;
    for number in 0..MANY {
        queue.enqueue(&wake_up(number), SOON).await;
    }
    let mut seen = HashSet::new();
    while seen.len() < usize::from(MANY) {
        for number in numbers(queue.receive(32).await) {
            assert!(seen.insert(number), "{number} was received twice");
        }
    }
    assert_eq!(queue.receive_for(SOON).await, []);
}

pub async fn each_wake_up_goes_to_one_of_the_receivers(queue: &TestQueue) {
    for number in 0..60 {
        queue.enqueue(&wake_up(number), Duration::from_millis(50) * u32::from(number)).await;
    }
    let three = futures_util::future::join_all((0..3).map(|_| queue.receive_for(LATER))).await;
    let received: Vec<_> = numbers(three.into_iter().flatten()).collect();
    let different: HashSet<_> = received.iter().collect();
    assert_eq!((received.len(), different.len()), (60, 60));
}

pub async fn a_wake_up_that_was_deleted_is_not_received_again(queue: &TestQueue) {
    queue.enqueue(&wake_up(1), AT_ONCE).await;
    queue.receive_one().await;
    assert_eq!(queue.receive_for(LATER).await, []);
}

pub async fn equal_wake_ups_are_two(queue: &TestQueue) {
    for _ in 0..2 {
        queue.enqueue(&wake_up(1), AT_ONCE).await;
    }
    assert_eq!([queue.receive_one().await, queue.receive_one().await], [wake_up(1), wake_up(1)]);
}

pub async fn a_wake_up_can_be_enqueued_as_far_ahead_as_the_dead_man_s_switch(queue: &TestQueue) {
    // The switch is 15 minutes ahead, and no other wake-up is further.
    queue.enqueue(&WakeUp::Switch(slot(1)), Duration::from_mins(16)).await;
    assert!(timeout(SOON, queue.receiver.receive(1)).await.is_err());
}
