//! The checkup: what works, what somebody should look at, and what has failed.

use std::sync::Arc;

use async_trait::async_trait;
use mcp_scheduler::maintenance::{Check, CheckStatus, Checkup};
use mcp_scheduler::store::{WakeUpQueue, WakeUps};
use mcp_scheduler::testing::{Faults, SimulatedTable, sealer};
use tokio::time::Instant;

use super::*;

/// A queue with so many messages in its poison queue; `None` if it does not answer.
struct Poisoned(Option<usize>);

#[async_trait]
impl WakeUpQueue for Poisoned {
    async fn enqueue(&self, _: &WakeUp, _: Duration) -> Result<(), StoreError> {
        Ok(())
    }

    async fn poison_queue_length(&self) -> Result<usize, StoreError> {
        self.0.ok_or_else(|| StoreError::Unavailable("scripted".into()))
    }
}

fn checkup_with(harness: &DeliveryHarness, poison: Option<usize>) -> Checkup {
    let wake_ups = WakeUps::new(Arc::new(Poisoned(poison)), Arc::clone(&harness.clock) as _);
    Checkup::new(harness.store.clone(), Some(Arc::new(wake_ups)), Arc::clone(&harness.clock) as _)
}

async fn check(checkup: &Checkup, name: &str) -> Check {
    checkup.run().await.into_iter().find(|check| check.name == name).unwrap()
}

#[tokio::test(start_paused = true)]
async fn everything_that_deliveries_need_is_examined() {
    let harness = DeliveryHarness::new();
    sweep(&harness).await;
    let checks = checkup_with(&harness, Some(0)).run().await;
    let names: Vec<_> = checks.iter().map(|check| check.name).collect();
    assert_eq!(names, ["store", "clock", "overdue", "sweep", "queue"]);
    assert!(checks.iter().all(|check| check.status == CheckStatus::Ok), "{checks:?}");
}

#[tokio::test(start_paused = true)]
async fn a_store_of_one_process_has_neither_sweeps_nor_a_queue() {
    let harness = DeliveryHarness::in_one_process();
    let checks = Checkup::new(harness.store.clone(), None, Arc::clone(&harness.clock) as _).run().await;
    let names: Vec<_> = checks.iter().map(|check| check.name).collect();
    assert_eq!(names, ["store", "clock", "overdue"]);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_is_more_than_ten_seconds_late_is_a_warning() {
    let harness = DeliveryHarness::new();
    add(&harness, 9, LATER, 1).await;
    add(&harness, 4, LATER + SECOND, 1).await;
    let checkup = checkup_with(&harness, Some(0));
    harness.wait_until(LATER + 10 * SECOND).await;
    assert_eq!(check(&checkup, "overdue").await, Check::ok("overdue"));
    harness.wait_until(LATER + 75 * SECOND).await;
    let late = Check::new("overdue", CheckStatus::Warning, "a conversation has been due for 75 s");
    assert_eq!(check(&checkup, "overdue").await, late);
}

#[tokio::test(start_paused = true)]
async fn messages_that_nobody_can_handle_are_a_warning() {
    let harness = DeliveryHarness::new();
    let poisoned = Check::new("queue", CheckStatus::Warning, "3 messages are in the poison queue");
    assert_eq!(check(&checkup_with(&harness, Some(3)), "queue").await, poisoned);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_does_not_answer_is_a_failure() {
    let harness = DeliveryHarness::new();
    assert_eq!(check(&checkup_with(&harness, None), "queue").await.status, CheckStatus::Failed);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_answer_in_time_has_failed() {
    struct Hanging;
    impl Faults for Hanging {
        fn latency(&self) -> Duration {
            HOUR
        }
    }
    let harness = DeliveryHarness::new();
    let store = ConversationStore::new(Arc::new(SimulatedTable::new(Hanging)), sealer());
    let checkup = Checkup::new(store, None, Arc::clone(&harness.clock) as _);
    let began = Instant::now();
    let failed = Check::new("store", CheckStatus::Failed, "there was no answer in time");
    assert_eq!(check(&checkup, "store").await, failed);
    assert_eq!(began.elapsed(), Checkup::LIMIT);
}

#[tokio::test(start_paused = true)]
async fn the_results_are_used_again_for_a_second() {
    let harness = DeliveryHarness::new();
    let checkup = checkup_with(&harness, Some(0));
    assert_eq!(check(&checkup, "store").await.status, CheckStatus::Ok);
    harness.table.set_down(true);
    tokio::time::sleep(Duration::from_millis(999)).await;
    assert_eq!(check(&checkup, "store").await.status, CheckStatus::Ok);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(check(&checkup, "store").await.status, CheckStatus::Failed);
}
