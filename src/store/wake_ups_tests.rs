//! Which wake-ups a commit leads to.

use futures_util::future::join_all;

use super::*;
use crate::time::VirtualClock;

/// A queue that keeps what was enqueued, the time that each call takes, and the number of calls that fail first.
#[derive(Default)]
struct Kept(Mutex<Vec<(String, u64)>>, Mutex<Duration>, Mutex<u32>);

#[async_trait]
impl WakeUpQueue for Kept {
    async fn enqueue(&self, wake_up: &WakeUp, delay: Duration) -> Result<(), StoreError> {
        let text = match wake_up {
            WakeUp::Slot(SlotWakeUp { slot, partitions, .. }) => format!("{slot} {partitions}"),
            other => format!("{other:?}"),
        };
        let takes = *lock(&self.1);
        tokio::time::sleep(takes).await;
        let mut failures = lock(&self.2);
        if *failures > 0 {
            *failures -= 1;
            return Err(StoreError::Unavailable("scripted".into()));
        }
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

/// Sets the time of forty conversations of all partitions at once. Returns how long the last call took.
async fn wake_forty(wake_ups: &WakeUps, at: Timestamp) -> Duration {
    let began = tokio::time::Instant::now();
    join_all((0..40).map(|number| wake_ups.wake_at(partition(number % 16), at))).await;
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn many_that_are_scheduled_at_once_cost_two_wake_ups() {
    let (queue, wake_ups) = wake_ups();
    *lock(&queue.1) = Duration::from_millis(5);
    let took = wake_forty(&wake_ups, NOON + Duration::from_secs(30)).await;
    let second = "2030-01-01T12:00:30Z";
    assert_eq!(taken(&queue), [(format!("{second} 0"), 29), (format!("{second} 123456789abcdef"), 28)]);
    assert_eq!(took, Duration::from_millis(10));
}

/// The rows of this second may have been read, so each call needs a wake-up that is begun after its commit.
#[tokio::test(start_paused = true)]
async fn calls_for_a_second_that_may_have_been_read_share_the_next_wake_up() {
    for (at, second) in [(4000, "12:00:04Z"), (0, "12:00:00Z"), (-2000, "11:59:58Z")] {
        let (queue, wake_ups) = wake_ups();
        *lock(&queue.1) = Duration::from_millis(5);
        let at = Timestamp::from_millis(NOON.as_millis() + at);
        let took = wake_forty(&wake_ups, at).await;
        let names: Vec<_> = taken(&queue).into_iter().map(|(wake_up, _)| wake_up).collect();
        let second = format!("2030-01-01T{second}");
        assert_eq!(names, [format!("{second} 0"), format!("{second} 0123456789abcdef")]);
        assert_eq!(took, Duration::from_millis(10));
        // The first one named this partition, and does not count for a later commit.
        join_all((0..3).map(|_| wake_ups.wake_at(partition(0), at))).await;
        let names: Vec<_> = taken(&queue).into_iter().map(|(wake_up, _)| wake_up).collect();
        assert_eq!(names, [format!("{second} 0"), format!("{second} 0")]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_has_waited_too_long_enqueues_a_wake_up_for_all_that_wait() {
    let (queue, wake_ups) = wake_ups();
    *lock(&queue.1) = Duration::from_millis(5);
    let later_call = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        // The second wake-up takes long. It names the partitions 1 and 2.
        *lock(&queue.1) = Duration::from_secs(10);
        tokio::time::sleep(Duration::from_millis(10)).await;
        *lock(&queue.1) = Duration::ZERO;
        wake_ups.wake_at(partition(9), NOON).await;
    };
    let calls = join_all((0..3).map(|index| wake_ups.wake_at(partition(index), NOON)));
    tokio::join!(calls, later_call);
    let names: Vec<_> = taken(&queue).into_iter().map(|(wake_up, _)| wake_up).collect();
    // After a second the call of partition 2 enqueues its own, which also serves the later call.
    assert_eq!(names, ["0", "29", "12"].map(|partitions| format!("2030-01-01T12:00:00Z {partitions}")));
}

#[tokio::test(start_paused = true)]
async fn if_a_shared_wake_up_fails_each_call_enqueues_its_own() {
    let (queue, wake_ups) = wake_ups();
    (*lock(&queue.1), *lock(&queue.2)) = (Duration::from_millis(5), 2);
    let took = wake_forty(&wake_ups, NOON).await;
    // The first one and the shared one have failed.
    assert_eq!(taken(&queue).len(), 38);
    assert_eq!(took, Duration::from_millis(15));
}

#[tokio::test(start_paused = true)]
async fn if_the_awaited_wake_up_fails_others_are_enqueued() {
    let (queue, wake_ups) = wake_ups();
    (*lock(&queue.1), *lock(&queue.2)) = (Duration::from_millis(5), 1);
    let took = wake_forty(&wake_ups, NOON + Duration::from_secs(30)).await;
    let enqueued = taken(&queue);
    assert_eq!(enqueued, [("2030-01-01T12:00:30Z 0123456789abcdef".to_owned(), 28)]);
    assert_eq!(took, Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn a_slow_queue_delays_a_call_by_a_second_at_most() {
    let (queue, wake_ups) = wake_ups();
    *lock(&queue.1) = Duration::from_secs(15);
    let took = wake_forty(&wake_ups, NOON + Duration::from_mins(1)).await;
    assert_eq!((taken(&queue).len(), took), (40, Duration::from_secs(16)));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_goes_away_holds_nobody() {
    let (queue, wake_ups) = wake_ups();
    *lock(&queue.1) = Duration::from_millis(5);
    let at = NOON + Duration::from_secs(30);
    let gone = timeout(Duration::from_millis(2), wake_ups.wake_at(partition(0), at)).await;
    assert!(gone.is_err());
    wake_ups.wake_at(partition(1), at).await;
    assert_eq!(taken(&queue), [("2030-01-01T12:00:30Z 1".to_owned(), 28)]);
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
    assert!(lock(&wake_ups.enqueued).len() <= 101 + 5);
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
