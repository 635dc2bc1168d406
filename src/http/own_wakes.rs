//! A connection that wakes itself is polled again at once.
//!
//! hyper wakes a connection's own task whenever a request has a body: the handler takes the piece, and the side that
//! put it there is woken, which is the same task. tokio would put the task in a queue and wake another thread to
//! look there: more work than many a request. Where there are other requests both are awake anyway, and polling
//! again only takes time from them: then it waits for its turn as usual.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// So often, before others have their turn.
const MAX_POLLS: usize = 8;

/// Runs a future; when it is woken while it is polled, and is `alone`, it is polled again without leaving the task.
pub(super) async fn polled_on_own_wakes<F: Future>(future: F, alone: impl Fn() -> bool) -> F::Output {
    let relay = Arc::new(Relay::default());
    let waker = Waker::from(Arc::clone(&relay));
    let mut future = pin!(future);
    poll_fn(move |task| {
        relay.task.register(task.waker());
        for _ in 0..MAX_POLLS {
            relay.polled.store(true, Ordering::SeqCst);
            relay.woken.store(false, Ordering::SeqCst);
            let poll = future.as_mut().poll(&mut Context::from_waker(&waker));
            relay.polled.store(false, Ordering::SeqCst);
            if poll.is_ready() || !relay.woken.load(Ordering::SeqCst) {
                return poll;
            }
            if !alone() {
                break;
            }
        }
        task.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

/// Wakes the task, unless the future is just being polled. Each side writes its own flag before it reads the
/// other's, so that no wake falls between them.
#[derive(Default)]
struct Relay {
    polled: AtomicBool,
    woken: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        if !self.polled.load(Ordering::SeqCst) {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::atomic::AtomicUsize;

    use futures_util::task::noop_waker;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A future that wakes itself so often before it is ready, and how often its task is woken in the first poll.
    fn poll_once(own_wakes: usize, alone: bool) -> (Poll<()>, usize) {
        let mut left = own_wakes;
        let wakes_itself = poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        });
        let mut future = pin!(polled_on_own_wakes(wakes_itself, || alone));
        let count = Arc::new(Count::default());
        let poll = future.as_mut().poll(&mut Context::from_waker(&Arc::clone(&count).into()));
        (poll, count.0.load(Ordering::SeqCst))
    }

    #[test]
    fn its_own_wakes_do_not_leave_the_task_until_others_must_have_their_turn() {
        assert_eq!(poll_once(0, true), (Poll::Ready(()), 0));
        assert_eq!(poll_once(MAX_POLLS - 1, true), (Poll::Ready(()), 0));
        assert_eq!(poll_once(MAX_POLLS, true), (Poll::Pending, 1));
    }

    #[test]
    fn where_it_is_not_alone_it_waits_for_its_turn() {
        assert_eq!(poll_once(0, false), (Poll::Ready(()), 0));
        assert_eq!(poll_once(1, false), (Poll::Pending, 1));
    }

    #[test]
    fn a_wake_between_two_polls_wakes_the_task_that_polled_last() {
        let inner = RefCell::new(None);
        let waits = poll_fn(|context| {
            inner.replace(Some(context.waker().clone()));
            Poll::<()>::Pending
        });
        let mut future = pin!(polled_on_own_wakes(waits, || true));
        let count = Arc::new(Count::default());
        assert!(future.as_mut().poll(&mut Context::from_waker(&noop_waker())).is_pending());
        assert!(future.as_mut().poll(&mut Context::from_waker(&Arc::clone(&count).into())).is_pending());
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        inner.take().unwrap().wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_wake_of_another_thread_is_lost() {
        for _ in 0..10_000 {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            let sent = tokio::spawn(async move { sender.send(()) });
            polled_on_own_wakes(receiver, || true).await.unwrap();
            sent.await.unwrap().unwrap();
        }
    }
}
