//! The body of a request, which the server reads on after the handler has left it.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::sync::lock;

/// The rest of a body that is read so that the connection can be used again.
const MAX_REST: usize = 256 * 1024;
/// The time for it. The response waits so long, so it is short.
const MAX_TIME: Duration = Duration::from_millis(100);

/// The body of a request.
#[derive(Clone)]
pub(super) struct SharedBody(Arc<Mutex<Incoming>>);

impl SharedBody {
    pub(super) fn new(body: Incoming) -> Self {
        Self(Arc::new(Mutex::new(body)))
    }

    /// Reads what the handler has not read, if it is short. Otherwise hyper adds `Connection: close` to the response and
    /// shuts the connection down after it.
    ///
    /// A client that awaits `100 Continue` would get it if the body was read.
    pub(super) async fn discard_rest(mut self, is_awaited: bool) {
        if self.is_end_stream() {
            return;
        }
        if !is_awaited {
            let _ = tokio::time::timeout(MAX_TIME, self.discard()).await;
        }
        drop(self);
        // hyper looks whether the body is still wanted before it asks for the response.
        tokio::task::yield_now().await;
    }

    async fn discard(&mut self) {
        let mut left = MAX_REST;
        while let Some(Ok(frame)) = self.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    }
}

impl Body for SharedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut *lock(&self.0)).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.0).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.0).size_hint()
    }
}
