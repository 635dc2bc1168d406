//! The hint queue: shown at its time, to one receiver, until it is dealt with.
//!
//! Delays are seconds, so that a queue that does not live in tokio's time can be waited for.

use std::collections::HashSet;
use std::time::Duration;

use mcp_scheduler::domain::{ConversationId, Hint, Timestamp};
use mcp_scheduler::store::ReceivedHint;
use tokio::time::{Instant, timeout};

use super::LentQueue;

const AT_ONCE: Duration = Duration::ZERO;
const SOON: Duration = Duration::from_secs(3);
const LATER: Duration = Duration::from_secs(6);
/// Longer than anything here takes; a case that comes to it has failed.
const PATIENCE: Duration = Duration::from_mins(1);

fn hint(number: u16) -> Hint {
    let [high, low] = number.to_be_bytes();
    let random = [0, 0, 0, 0, 0, 0, 0, 0, high, low];
    let id = ConversationId::new(Timestamp::from_millis(1_900_000_000_000), &random);
    Hint { client: "client".parse().unwrap(), id, generation: 1 }
}

impl LentQueue {
    async fn put(&self, hint: &Hint, delay: Duration) {
        self.queue.put(hint, delay).await.expect("the queue takes it");
    }

    /// Receives once and deals with what comes.
    async fn receive(&self, max: usize) -> Vec<Hint> {
        let received = timeout(PATIENCE, self.receiver.receive(max)).await.expect("a hint is shown");
        let received = received.expect("the queue answers");
        self.deal_with(received).await
    }

    async fn deal_with(&self, received: Vec<ReceivedHint>) -> Vec<Hint> {
        for received in &received {
            self.receiver.delete(received).await.expect("the queue forgets it");
        }
        received.into_iter().map(|received| received.hint).collect()
    }

    async fn receive_one(&self) -> Hint {
        let hints = self.receive(1).await;
        assert_eq!(hints.len(), 1);
        hints.into_iter().next().expect("there is one")
    }

    /// Whatever comes within a while.
    async fn receive_for(&self, while_: Duration) -> Vec<Hint> {
        let end = Instant::now() + while_;
        let mut hints = Vec::new();
        while let Ok(received) = tokio::time::timeout_at(end, self.receiver.receive(8)).await {
            hints.extend(self.deal_with(received.expect("the queue answers")).await);
        }
        hints
    }
}

pub async fn a_hint_comes_back_as_it_was_put(lent: &LentQueue) {
    let put = Hint { client: "a-Client.with_09".parse().unwrap(), generation: u32::MAX, ..hint(7) };
    lent.put(&put, AT_ONCE).await;
    assert_eq!(lent.receive_one().await, put);
}

pub async fn a_hint_without_delay_is_shown_at_once(lent: &LentQueue) {
    let put = Instant::now();
    lent.put(&hint(1), AT_ONCE).await;
    lent.receive_one().await;
    assert!(put.elapsed() <= lent.late, "shown after {:?}", put.elapsed());
}

pub async fn a_hint_is_not_shown_before_its_time(lent: &LentQueue) {
    let put = Instant::now();
    lent.put(&hint(1), SOON).await;
    lent.receive_one().await;
    assert!(put.elapsed() + lent.early >= SOON, "shown after {:?}", put.elapsed());
}

pub async fn a_hint_is_shown_at_its_time(lent: &LentQueue) {
    let put = Instant::now();
    lent.put(&hint(1), SOON).await;
    lent.receive_one().await;
    assert!(put.elapsed() <= SOON + lent.late, "shown after {:?}", put.elapsed());
}

pub async fn hints_come_in_the_order_of_their_times(lent: &LentQueue) {
    for number in [4, 1, 3, 2] {
        lent.put(&hint(number), Duration::from_secs(2 * u64::from(number))).await;
    }
    for number in 1..=4 {
        assert_eq!(lent.receive_one().await, hint(number));
    }
}

pub async fn a_put_wakes_a_receiver_that_waits_for_nothing(lent: &LentQueue) {
    let (received, ()) = tokio::join!(lent.receive_one(), async {
        tokio::time::sleep(SOON).await;
        lent.put(&hint(1), AT_ONCE).await;
    });
    assert_eq!(received, hint(1));
}

pub async fn a_put_wakes_a_receiver_that_waits_for_a_later_hint(lent: &LentQueue) {
    lent.put(&hint(1), 2 * LATER).await;
    let start = Instant::now();
    let ((received, after), ()) = tokio::join!(async { (lent.receive_one().await, start.elapsed()) }, async {
        tokio::time::sleep(SOON).await;
        lent.put(&hint(2), AT_ONCE).await;
    });
    assert_eq!(received, hint(2));
    assert!(after <= SOON + lent.late, "shown after {after:?}");
    assert_eq!(lent.receive_one().await, hint(1));
}

pub async fn a_receiver_waits_while_no_hint_is_visible(lent: &LentQueue) {
    lent.put(&hint(1), LATER).await;
    let waited = timeout(SOON, lent.receiver.receive(1)).await;
    assert!(waited.is_err(), "nothing was visible, and yet it got {waited:?}");
}

pub async fn a_receiver_that_gave_up_has_taken_nothing(lent: &LentQueue) {
    lent.put(&hint(1), LATER).await;
    for _ in 0..5 {
        assert!(timeout(SOON / 5, lent.receiver.receive(1)).await.is_err());
    }
    assert_eq!(lent.receive_one().await, hint(1));
}

pub async fn no_more_than_asked_for_are_received_and_the_rest_is_kept(lent: &LentQueue) {
    for number in 0..10 {
        lent.put(&hint(number), AT_ONCE).await;
    }
    tokio::time::sleep(lent.late).await;
    let mut numbers = HashSet::new();
    for max in [1, 2, 3, 4] {
        let received = lent.receive(max).await;
        assert!((1..=max).contains(&received.len()), "{} for {max}", received.len());
        numbers.extend(received.into_iter().map(|hint| hint.id));
    }
    while numbers.len() < 10 {
        numbers.insert(lent.receive_one().await.id);
    }
    assert_eq!(lent.receive_for(SOON).await, []);
}

pub async fn hints_that_are_visible_together_are_received_together(lent: &LentQueue) {
    for number in 0..5 {
        lent.put(&hint(number), AT_ONCE).await;
    }
    tokio::time::sleep(lent.late).await;
    let received: HashSet<_> = lent.receive(32).await.into_iter().map(|hint| hint.id).collect();
    assert_eq!(received, (0..5).map(|number| hint(number).id).collect());
}

pub async fn many_hints_of_one_instant_all_come_once(lent: &LentQueue) {
    const MANY: u16 = 500;
    for number in 0..MANY {
        lent.put(&hint(number), SOON).await;
    }
    let mut seen = HashSet::new();
    while seen.len() < usize::from(MANY) {
        for hint in lent.receive(32).await {
            assert!(seen.insert(hint.id), "{hint:?} came twice");
        }
    }
    assert_eq!(lent.receive_for(SOON).await, []);
}

pub async fn receivers_share_the_hints_between_them(lent: &LentQueue) {
    for number in 0..60 {
        lent.put(&hint(number), Duration::from_millis(50) * u32::from(number)).await;
    }
    let three = futures_util::future::join_all((0..3).map(|_| lent.receive_for(LATER))).await;
    let received: Vec<_> = three.into_iter().flatten().map(|hint| hint.id).collect();
    let different: HashSet<_> = received.iter().collect();
    assert_eq!((received.len(), different.len()), (60, 60));
}

pub async fn a_hint_that_was_dealt_with_is_not_shown_again(lent: &LentQueue) {
    lent.put(&hint(1), AT_ONCE).await;
    lent.receive_one().await;
    assert_eq!(lent.receive_for(LATER).await, []);
}

pub async fn hints_that_differ_only_in_generation_are_two(lent: &LentQueue) {
    for generation in [1, 2] {
        lent.put(&Hint { generation, ..hint(1) }, AT_ONCE).await;
    }
    let generations: HashSet<_> =
        [lent.receive_one().await, lent.receive_one().await].map(|hint| hint.generation).into();
    assert_eq!(generations, HashSet::from([1, 2]));
}

pub async fn a_hint_is_kept_for_as_long_as_the_sweep_looks_ahead(lent: &LentQueue) {
    // The sweep looks 5 minutes ahead and comes every minute. A queue that took less would leave a
    // gap between what is hinted when it is scheduled and what the sweep finds.
    assert!(lent.queue.horizon() >= Duration::from_mins(6));
    lent.put(&hint(1), lent.queue.horizon()).await;
    assert!(timeout(SOON, lent.receiver.receive(1)).await.is_err());
}
