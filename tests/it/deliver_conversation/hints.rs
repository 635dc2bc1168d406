//! A hint is only a reason to look: whatever it says, nothing is sent early, twice, or to nobody.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mcp_scheduler::delivery::Delivered;
use mcp_scheduler::domain::{Hint, Status};

use super::stage::{NOON, Stage, led_to};

const HOUR: Duration = Duration::from_hours(1);
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn an_early_hint_of_up_to_two_seconds_is_held_until_the_time() {
    for early in [1, 10, 11, 1000, 2000].map(Duration::from_millis) {
        let stage = Stage::new();
        let hint = stage.schedule(HOUR, |_| ()).await;
        stage.wait_until(NOON + HOUR - early).await;
        assert_eq!(led_to(stage.deliverer().deliver(&hint).await.unwrap()), Some(Status::Completed));
        let calls = stage.endpoint.calls();
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].at, NOON + HOUR, "{early:?} early");
    }
}

#[tokio::test(start_paused = true)]
async fn an_earlier_hint_is_put_again_for_the_rest_of_the_wait() {
    for early in [Duration::from_millis(2011), 3 * SECOND, 600 * SECOND] {
        let stage = Stage::new();
        let hint = stage.schedule(HOUR, |_| ()).await;
        stage.wait_until(NOON + HOUR - early).await;
        assert_eq!(stage.deliverer().deliver(&hint).await.unwrap(), Delivered::Postponed);
        let put = stage.queue.puts().pop().unwrap();
        assert_eq!((put.hint, put.delay), (hint, early));
        assert!(stage.endpoint.calls().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_gets_hints_far_too_early_still_delivers_on_time() {
    let stage = Stage::new();
    let hint = stage.schedule(HOUR, |_| ()).await;
    stage.start_worker();
    stage.store_many_hints(&hint, 5).await;
    tokio::time::sleep(2 * HOUR).await;
    let calls = stage.endpoint.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].at, NOON + HOUR);
}

#[tokio::test(start_paused = true)]
async fn what_is_due_now_is_not_hinted_before_it_stands() {
    let stage = Stage::new();
    stage.start_worker();
    tokio::time::sleep(SECOND).await;
    // A worker that got the hint during this commit would find nothing and drop it.
    stage.table.next_call_takes(4 * SECOND);
    stage.schedule(Duration::ZERO, |_| ()).await;
    tokio::time::sleep(SECOND / 2).await;
    assert_eq!(stage.endpoint.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_delays_the_delivery_and_one_that_is_set_forward_does_not_hurry_it() {
    for jump in [-10, -3600, 1] {
        let stage = Stage::new();
        let hint = stage.schedule(HOUR, |_| ()).await;
        stage.wait_until(NOON + HOUR - 2 * SECOND).await;
        let deliverer = stage.deliverer();
        let delivery = tokio::spawn(async move { deliverer.deliver(&hint).await });
        tokio::time::sleep(SECOND / 2).await;
        stage.clock.jump(jump);
        assert_eq!(led_to(delivery.await.unwrap().unwrap()), Some(Status::Completed));
        assert!(stage.endpoint.calls()[0].at >= NOON + HOUR, "the clock jumped by {jump} s");
    }
}

#[tokio::test(start_paused = true)]
async fn fifty_hints_at_once_lead_to_one_delivery() {
    let stage = Stage::new();
    let hint = stage.schedule(HOUR, |_| ()).await;
    stage.wait_until(NOON + HOUR - SECOND).await;
    let workers = [stage.deliverer(), stage.deliverer(), stage.deliverer()];
    let deliveries = (0..50).map(|i| {
        let (worker, hint) = (Arc::clone(&workers[i % 3]), hint.clone());
        tokio::spawn(async move { worker.deliver(&hint).await.unwrap() })
    });
    let delivered: Vec<_> = join_all(deliveries).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(delivered.iter().filter(|d| led_to(**d) == Some(Status::Completed)).count(), 1);
    assert_eq!(delivered.iter().filter(|d| **d == Delivered::Dropped).count(), 49);
    assert_eq!(stage.endpoint.calls().len(), 1);
    assert_eq!(stage.read(hint.id).await.attempts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hint_for_nobody_or_for_somebody_elses_conversation_is_dropped() {
    let stage = Stage::new();
    let hint = stage.schedule(Duration::ZERO, |_| ()).await;
    let foreign = Hint { client: "bob".parse().unwrap(), ..hint.clone() };
    let unknown = Hint { id: "01890000-0000-7000-8000-000000000000".parse().unwrap(), ..hint };
    for hint in [foreign, unknown] {
        assert_eq!(stage.deliverer().deliver(&hint).await.unwrap(), Delivered::Dropped);
    }
    assert!(stage.endpoint.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stale_hint_neither_hurries_nor_multiplies_the_wait() {
    let stage = Stage::new();
    let hint = stage.schedule(HOUR, |_| ()).await;
    let puts = stage.queue.puts().len();
    let stale = Hint { generation: hint.generation - 1, ..hint };
    assert_eq!(stage.deliverer().deliver(&stale).await.unwrap(), Delivered::Dropped);
    assert_eq!(stage.queue.puts().len(), puts, "whoever moved the conversation saw to its hint");
    assert!(stage.endpoint.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_hint_ahead_of_its_conversation_is_dropped_and_the_conversations_own_hint_is_not() {
    let stage = Stage::new();
    let hint = stage.schedule(Duration::ZERO, |_| ()).await;
    let ahead = Hint { generation: hint.generation + 1, ..hint.clone() };
    assert_eq!(stage.deliverer().deliver(&ahead).await.unwrap(), Delivered::Dropped);
    assert!(stage.endpoint.calls().is_empty());
    assert_eq!(led_to(stage.deliverer().deliver(&hint).await.unwrap()), Some(Status::Completed));
}

#[tokio::test(start_paused = true)]
async fn a_hint_after_the_end_is_dropped() {
    let stage = Stage::new();
    let hint = stage.schedule(Duration::ZERO, |_| ()).await;
    let deliverer = stage.deliverer();
    deliverer.deliver(&hint).await.unwrap();
    for _ in 0..3 {
        assert_eq!(deliverer.deliver(&hint).await.unwrap(), Delivered::Dropped);
    }
    assert_eq!(stage.endpoint.calls().len(), 1);
}

impl Stage {
    /// Shows the same hint many times, at once.
    async fn store_many_hints(&self, hint: &Hint, times: usize) {
        use mcp_scheduler::store::HintQueue;
        for _ in 0..times {
            self.queue.put(hint, Duration::ZERO).await.unwrap();
        }
    }
}
