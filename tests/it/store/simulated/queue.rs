//! The simulated queue, over times that need a paused clock.

use std::time::Duration;

use mcp_scheduler::store::{PartitionSet, StoreError, WakeUp, WakeUpQueue, WakeUpReceiver};
use mcp_scheduler::testing::{Fault, SimulatedQueue};
use tokio::time::{Instant, timeout};

use super::faults::FaultScript;

fn wake_up() -> WakeUp {
    WakeUp::of_slot("2030-01-31T08:30:00Z".parse().unwrap(), PartitionSet::ALL)
}

/// The number of wake-ups that are received within an hour, by a receiver that may delete them.
async fn count_received(queue: &dyn WakeUpReceiver, deletes: bool) -> usize {
    let end = Instant::now() + Duration::from_hours(1);
    let mut count = 0;
    while let Ok(received) = tokio::time::timeout_at(end, queue.receive(8)).await {
        let received = received.unwrap();
        count += received.len();
        if deletes {
            for wake_up in &received {
                queue.delete(wake_up).await.unwrap();
            }
        }
    }
    count
}

#[tokio::test(start_paused = true)]
async fn a_wake_up_becomes_visible_to_the_millisecond() {
    let (queue, start, delay) = (SimulatedQueue::new(()), Instant::now(), Duration::from_mins(15));
    queue.enqueue(&wake_up(), delay).await.unwrap();
    queue.receive(1).await.unwrap();
    assert!(start.elapsed() >= delay && start.elapsed() <= delay + Duration::from_millis(1), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_wake_up_that_is_not_deleted_comes_again_five_times_and_is_poison_then() {
    let queue = SimulatedQueue::new(());
    queue.enqueue(&wake_up(), Duration::ZERO).await.unwrap();
    assert_eq!(count_received(&queue, false).await, 5);
    assert_eq!((queue.length(), queue.poison_queue_length().await.unwrap()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_late_receiver_gets_all_visible_wake_ups() {
    let queue = SimulatedQueue::new(());
    for seconds in [5, 1, 4, 2, 3, 100] {
        queue.enqueue(&wake_up(), Duration::from_secs(seconds)).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(queue.receive(32).await.unwrap().len(), 5);
    assert!(timeout(Duration::from_secs(80), queue.receive(32)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn receiving_at_most_zero_returns_nothing_at_once() {
    let queue = SimulatedQueue::new(());
    queue.enqueue(&wake_up(), Duration::ZERO).await.unwrap();
    assert_eq!(queue.receive(0).await.unwrap(), []);
    assert_eq!(queue.receive(1).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_fault_does_to_a_wake_up_what_its_documentation_says() {
    type Expected = fn(&Result<(), StoreError>) -> bool;
    let faults: [(Fault, Expected, usize); 5] = [
        (Fault::None, Result::is_ok, 1),
        (Fault::Refused, |r| matches!(r, Err(StoreError::Unavailable(_))), 0),
        (Fault::RequestLost, Result::is_ok, 0),
        (Fault::AnswerLost, |r| matches!(r, Err(StoreError::Unknown(_))), 1),
        (Fault::Doubled, Result::is_ok, 2),
    ];
    for (fault, expected, times) in faults {
        let queue = SimulatedQueue::new(FaultScript::of([fault]));
        let result = queue.enqueue(&wake_up(), Duration::from_secs(1)).await;
        assert!(expected(&result), "{fault:?} gave {result:?}");
        assert_eq!(count_received(&queue, true).await, times, "{fault:?}");
    }
}
