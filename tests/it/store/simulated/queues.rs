//! The queues in memory, over times that only a paused clock waits for.

use std::time::Duration;

use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::store::WakeUp;
use mcp_scheduler::store::{MemoryQueue, StoreError, WakeUpQueue, WakeUpReceiver};
use mcp_scheduler::testing::{Fault, SimulatedQueue};
use tokio::time::{Instant, timeout};

use super::faults::Script;

const BORN: Timestamp = Timestamp::from_millis(1_900_000_000_000);

fn wake_up() -> WakeUp {
    let id = "0189c0de-0000-7000-8000-000000000001".parse().unwrap();
    WakeUp { client: "client".parse().unwrap(), id, generation: 1 }
}

/// How many wake-ups are shown within an hour.
async fn shown(queue: &dyn WakeUpReceiver) -> usize {
    let end = Instant::now() + Duration::from_hours(1);
    let mut count = 0;
    while let Ok(received) = tokio::time::timeout_at(end, queue.receive(8)).await {
        count += received.unwrap().len();
    }
    count
}

#[test]
fn a_queue_in_memory_remembers_since_it_was_made_and_a_simulated_one_forgets_nothing() {
    assert_eq!(MemoryQueue::new(BORN).retained_since(), BORN);
    assert_eq!(SimulatedQueue::new(()).retained_since(), Timestamp::MIN);
}

#[tokio::test(start_paused = true)]
async fn a_wake_up_at_the_horizon_becomes_visible_to_the_millisecond() {
    async fn check(queue: impl WakeUpQueue + WakeUpReceiver) {
        let put = Instant::now();
        queue.enqueue(&wake_up(), queue.horizon()).await.unwrap();
        queue.receive(1).await.unwrap();
        let early = queue.horizon().saturating_sub(put.elapsed());
        assert!(early <= Duration::from_millis(15), "{early:?} early");
        assert!(put.elapsed() <= queue.horizon() + Duration::from_millis(1));
    }
    check(MemoryQueue::new(BORN)).await;
    check(SimulatedQueue::new(())).await;
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_comes_late_gets_all_that_became_visible() {
    let queue = MemoryQueue::new(BORN);
    for seconds in [5, 1, 4, 2, 3, 100] {
        queue.enqueue(&wake_up(), Duration::from_secs(seconds)).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(queue.receive(32).await.unwrap().len(), 5);
    assert!(timeout(Duration::from_secs(80), queue.receive(32)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn asking_for_nothing_gives_nothing_and_does_not_wait() {
    let queue = MemoryQueue::new(BORN);
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
        let queue = SimulatedQueue::new(Script::of([fault]));
        let result = queue.enqueue(&wake_up(), Duration::from_secs(1)).await;
        assert!(expected(&result), "{fault:?} gave {result:?}");
        assert_eq!(shown(&queue).await, times, "{fault:?}");
    }
}
