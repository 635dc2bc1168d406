//! The queues in memory, over times that need a paused clock.

use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::store::{MemoryQueue, StoreError, WakeUp, WakeUpQueue, WakeUpReceiver};
use mcp_scheduler::testing::{Fault, SimulatedQueue};
use mcp_scheduler::time::VirtualClock;
use tokio::time::{Instant, timeout};

use super::faults::FaultScript;

const START: Timestamp = Timestamp::from_millis(1_900_000_000_000);

fn queue_in_memory() -> MemoryQueue {
    MemoryQueue::new(Arc::new(VirtualClock::starting_at(START)))
}

fn wake_up() -> WakeUp {
    let id = "0189c0de-0000-7000-8000-000000000001".parse().unwrap();
    WakeUp { client: "client".parse().unwrap(), id, generation: 1 }
}

/// The number of wake-ups that are received within an hour.
async fn count_received(queue: &dyn WakeUpReceiver) -> usize {
    let end = Instant::now() + Duration::from_hours(1);
    let mut count = 0;
    while let Ok(received) = tokio::time::timeout_at(end, queue.receive(8)).await {
        count += received.unwrap().len();
    }
    count
}

#[tokio::test(start_paused = true)]
async fn a_queue_in_memory_retains_since_its_start_and_a_simulated_one_always() {
    assert_eq!(queue_in_memory().retained_since(), START);
    assert_eq!(SimulatedQueue::new(()).retained_since(), Timestamp::MIN);
}

#[tokio::test(start_paused = true)]
async fn a_wake_up_at_the_horizon_becomes_visible_to_the_millisecond() {
    async fn check(queue: impl WakeUpQueue + WakeUpReceiver) {
        let start = Instant::now();
        queue.enqueue(&wake_up(), queue.horizon()).await.unwrap();
        queue.receive(1).await.unwrap();
        let early = queue.horizon().saturating_sub(start.elapsed());
        assert!(early <= Duration::from_millis(15), "{early:?} early");
        assert!(start.elapsed() <= queue.horizon() + Duration::from_millis(1));
    }
    check(queue_in_memory()).await;
    check(SimulatedQueue::new(())).await;
}

#[tokio::test(start_paused = true)]
async fn a_late_receiver_gets_all_visible_wake_ups() {
    let queue = queue_in_memory();
    for seconds in [5, 1, 4, 2, 3, 100] {
        queue.enqueue(&wake_up(), Duration::from_secs(seconds)).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(queue.receive(32).await.unwrap().len(), 5);
    assert!(timeout(Duration::from_secs(80), queue.receive(32)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn receiving_at_most_zero_returns_nothing_at_once() {
    let queue = queue_in_memory();
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
        assert_eq!(count_received(&queue).await, times, "{fault:?}");
    }
}
