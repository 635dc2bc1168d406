//! The limit on the requests that are under way to a service of the storage.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::error::ErrorKind;
use azure_core::{Context, Policy, PolicyResult, Request};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{AzureStore, pass_on};

/// Lets some requests through at one time. The others wait for their turn.
///
/// When thousands of conversations are due at once, their reads would otherwise all be sent at once. A storage that needs
/// longer for all of them than the time limit of a call answers none in time, and does the work of all.
#[derive(Debug)]
pub(super) struct LimitRequests(Semaphore);

/// A request did not have its turn within [`LimitRequests::MAX_WAIT`], and was not sent.
#[derive(Debug, thiserror::Error)]
#[error("too many requests wait for the storage")]
pub(super) struct NoTurn;

impl LimitRequests {
    /// As many as idle connections are kept, so that a request seldom has to open one. An instance on Azure has 128 ports for connections to one
    /// address ([Microsoft](https://learn.microsoft.com/azure/app-service/troubleshoot-intermittent-outbound-connection-errors)).
    const AT_ONCE: usize = AzureStore::IDLE_PER_HOST;
    /// The longest time that a request waits for its turn. A storage that does not answer must not collect calls.
    const MAX_WAIT: Duration = AzureStore::TIMEOUT;

    pub(super) fn new() -> Self {
        Self(Semaphore::new(Self::AT_ONCE))
    }
}

#[async_trait]
impl Policy for LimitRequests {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let no_turn = || azure_core::Error::new(ErrorKind::Other, NoTurn);
        let turn = timeout(Self::MAX_WAIT, self.0.acquire()).await.map_err(|_| no_turn())?;
        let _turn = turn.map_err(|_| no_turn())?;
        pass_on(context, request, next).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use azure_core::headers::Headers;
    use azure_core::{Method, Response, StatusCode};
    use futures_util::future::join_all;
    use tokio::time::{Instant, sleep};

    use super::super::failure::Failure;
    use super::*;

    /// A storage that answers each request after this time.
    #[derive(Debug)]
    struct Storage {
        answers_after: Duration,
        under_way: AtomicUsize,
        most: AtomicUsize,
    }

    #[async_trait]
    impl Policy for Storage {
        async fn send(&self, _: &Context, _: &mut Request, _: &[Arc<dyn Policy>]) -> PolicyResult {
            let under_way = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(under_way, Ordering::Relaxed);
            sleep(self.answers_after).await;
            self.under_way.fetch_sub(1, Ordering::Relaxed);
            let nothing = Box::pin(futures_util::stream::empty());
            Ok(Response::new(StatusCode::Ok, Headers::new(), nothing))
        }
    }

    async fn send_at_once(storage: &Arc<Storage>, requests: usize) -> Vec<Result<(), Failure>> {
        let limit = LimitRequests::new();
        let next = [Arc::clone(storage) as Arc<dyn Policy>];
        let sent = (0..requests).map(|_| async {
            let mut request = Request::new("http://127.0.0.1/".parse().unwrap(), Method::Get);
            limit.send(&Context::new(), &mut request, &next).await.map(drop).map_err(Failure::from)
        });
        join_all(sent).await
    }

    fn storage(answers_after: Duration) -> Arc<Storage> {
        Arc::new(Storage { answers_after, under_way: AtomicUsize::new(0), most: AtomicUsize::new(0) })
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_requests_go_64_at_a_time() {
        let (began, storage) = (Instant::now(), storage(Duration::from_secs(1)));
        let sent = send_at_once(&storage, 640).await;
        assert!(sent.iter().all(Result::is_ok));
        assert_eq!(storage.most.load(Ordering::Relaxed), 64);
        assert_eq!(began.elapsed(), Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_without_a_turn_for_15_seconds_was_not_sent() {
        let (began, storage) = (Instant::now(), storage(Duration::from_mins(1)));
        let sent = send_at_once(&storage, 65).await;
        let refused: Vec<_> = sent.into_iter().filter_map(Result::err).collect();
        assert!(matches!(refused[..], [Failure::NotSent(_)]), "{refused:?}");
        assert_eq!(began.elapsed(), Duration::from_mins(1));
        assert_eq!(storage.most.load(Ordering::Relaxed), 64);
    }
}
