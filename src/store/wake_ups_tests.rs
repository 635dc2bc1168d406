//! Which wake-ups a commit leads to.

use super::*;
use crate::time::VirtualClock;

/// A queue that keeps what was enqueued, and the time that each call takes.
#[derive(Default)]
struct Kept(Mutex<Vec<(String, u64)>>, Mutex<Duration>);

#[async_trait]
impl WakeUpQueue for Kept {
    async fn enqueue(&self, wake_up: &WakeUp, delay: Duration) -> Result<(), StoreError> {
        let text = match wake_up {
            WakeUp::Slot(SlotWakeUp { slot, partitions, .. }) => format!("{slot} {partitions}"),
            other => format!("{other:?}"),
        };
        let takes = *lock(&self.1);
        tokio::time::sleep(takes).await;
        lock(&self.0).push((text, delay.as_secs()));
        Ok(())
    }
}

const NOON: Timestamp = Timestamp::from_millis(1_893_499_200_000);

fn wake_ups() -> (Arc<Kept>, WakeUps) {
    let queue = Arc::new(Kept::default());
    let wake_ups = WakeUps::new(Arc::clone(&queue) as _, Arc::new(VirtualClock::starting_at(NOON)));
    (queue, wake_ups)
}

fn partition(index: usize) -> Partition {
    super::super::rows::partitions().nth(index).unwrap()
}

fn taken(queue: &Kept) -> Vec<(String, u64)> {
    std::mem::take(&mut *lock(&queue.0))
}

#[tokio::test(start_paused = true)]
async fn a_time_within_four_minutes_has_a_wake_up_a_second_before_it() {
    let (queue, wake_ups) = wake_ups();
    wake_ups.wake_at(partition(3), NOON + Duration::from_millis(20_700)).await;
    assert_eq!(taken(&queue), [("2030-01-01T12:00:20Z 3".to_owned(), 19)]);
    wake_ups.wake_at(partition(3), NOON + WakeUps::NEAR).await;
    assert!(taken(&queue).is_empty(), "a sweep sees it");
    wake_ups.wake_at(partition(3), NOON - Duration::from_secs(5)).await;
    assert_eq!(taken(&queue), [("2030-01-01T11:59:55Z 3".to_owned(), 0)]);
}

#[tokio::test(start_paused = true)]
async fn a_crowded_second_costs_two_wake_ups() {
    let (queue, wake_ups) = wake_ups();
    let at = NOON + Duration::from_secs(30);
    for _ in 0..3 {
        for index in [7, 2, 9, 2, 15] {
            wake_ups.wake_at(partition(index), at).await;
        }
    }
    let second = "2030-01-01T12:00:30Z";
    assert_eq!(taken(&queue), [(format!("{second} 7"), 29), (format!("{second} 012345689abcdef"), 29)]);
    wake_ups.wake_at(partition(2), at + Duration::from_secs(1)).await;
    assert_eq!(taken(&queue).len(), 1, "each second has its own");
}

/// Another process may have read the rows of a second that begins soon.
#[tokio::test(start_paused = true)]
async fn a_second_that_may_have_been_read_has_a_wake_up_each_time() {
    let (queue, wake_ups) = wake_ups();
    let at = NOON + Duration::from_secs(10);
    wake_ups.wake_at(partition(1), at).await;
    tokio::time::advance(Duration::from_secs(5)).await;
    wake_ups.wake_at(partition(1), at).await;
    assert_eq!(taken(&queue).len(), 1, "five seconds ahead nobody has read it");
    tokio::time::advance(Duration::from_millis(1)).await;
    wake_ups.wake_at(partition(1), at).await;
    assert_eq!(taken(&queue).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn seconds_that_have_passed_need_no_memory() {
    let (_, wake_ups) = wake_ups();
    for second in 0..1000 {
        wake_ups.wake_at(partition(0), NOON + Duration::from_secs(second + 100)).await;
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert!(lock(&wake_ups.enqueued).len() <= 101);
}

/// The queue counts the delay from when it gets the message. How long that took, nobody knows.
#[tokio::test(start_paused = true)]
async fn a_wake_up_that_may_be_late_because_its_enqueue_took_long_does_not_count() {
    for (takes, again) in [(1000, 0), (1001, 1), (20_000, 1)] {
        let (queue, wake_ups) = wake_ups();
        let at = NOON + Duration::from_mins(1);
        *lock(&queue.1) = Duration::from_millis(takes);
        wake_ups.wake_at(partition(1), at).await;
        *lock(&queue.1) = Duration::ZERO;
        taken(&queue);
        wake_ups.wake_at(partition(1), at).await;
        assert_eq!(taken(&queue).len(), again, "{takes} ms");
    }
}
