//! A stream that tracks the progress of the exchange on it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf, Take};
use tokio::time::{Instant, sleep_until};

use super::connector::Stream;
use crate::sync::lock;

/// The phase of an exchange, by the bytes on its connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Phase {
    /// No byte of the request has been written.
    #[default]
    Idle,
    /// A part of the request has been written.
    Sending,
    /// The whole request has been written, at that time.
    Waiting(Instant),
    /// The first byte of the response has been read.
    ResponseStarted,
}

/// The phase, shared between a stream and its connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Arc<Mutex<Phase>>);

impl Progress {
    fn get(&self) -> Phase {
        *lock(&self.0)
    }

    pub(super) fn set(&self, phase: Phase) {
        *lock(&self.0) = phase;
    }

    /// Whether the response has begun.
    pub(super) fn has_response(&self) -> bool {
        matches!(self.get(), Phase::ResponseStarted)
    }

    /// Returns when the whole request was written this long ago and no byte of the response has been read.
    pub(super) async fn silent_for(&self, limit: Duration) {
        let mut check = Instant::now() + limit;
        loop {
            sleep_until(check).await;
            check = match self.get() {
                Phase::Waiting(since) if since + limit <= check => return,
                Phase::Waiting(since) => since + limit,
                // The request is not completely written yet, so the time starts later.
                Phase::Idle | Phase::Sending => check + limit,
                Phase::ResponseStarted => std::future::pending().await,
            };
        }
    }
}

/// A stream that updates the phase of the exchange on it.
pub(super) struct TrackedStream {
    stream: Take<Stream>,
    progress: Progress,
}

impl TrackedStream {
    /// The most bytes of one read, fewer than the first buffer of the HTTP library holds. The library doubles a buffer
    /// that one read fills, up to `Connection::MAX_HEAD`. Without this limit every endpoint with an endless body would
    /// cost that much memory.
    const MAX_READ: u64 = 4 * 1024;

    pub(super) fn new(stream: Stream, progress: Progress) -> Self {
        Self { stream: stream.take(Self::MAX_READ), progress }
    }
}

impl AsyncRead for TrackedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        self.stream.set_limit(Self::MAX_READ);
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.progress.set(Phase::ResponseStarted);
        }
        Poll::Ready(Ok(()))
    }
}

impl TrackedStream {
    fn wrote(&self, written: io::Result<usize>) -> Poll<io::Result<usize>> {
        if matches!((&written, self.progress.get()), (Ok(1..), Phase::Idle | Phase::Waiting(_))) {
            self.progress.set(Phase::Sending);
        }
        Poll::Ready(written)
    }
}

impl AsyncWrite for TrackedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(self.stream.get_mut()).poll_write(cx, bytes));
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(self.stream.get_mut()).poll_write_vectored(cx, slices));
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.get_ref().is_write_vectored()
    }

    /// The HTTP library flushes when it has written the whole request.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(self.stream.get_mut()).poll_flush(cx))?;
        if matches!(self.progress.get(), Phase::Sending) {
            self.progress.set(Phase::Waiting(Instant::now()));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_shutdown(cx)
    }
}
