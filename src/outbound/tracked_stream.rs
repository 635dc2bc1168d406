//! A stream that knows how far the exchange on it has come.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf, Take};
use tokio::time::{Instant, sleep_until};

use super::connector::Stream;

/// How far an exchange has come, as the bytes on the connection tell.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Phase {
    /// Nothing of it has been written.
    #[default]
    Idle,
    /// Some of the request has.
    Sending,
    /// All of it has, at that time.
    Waiting(Instant),
    /// The first byte of the answer is there.
    ResponseStarted,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Arc<Mutex<Phase>>);

impl Progress {
    fn get(&self) -> Phase {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, phase: Phase) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    /// Returns when the endpoint has had the whole request for that long and has not said a word.
    pub(super) async fn silent_for(&self, patience: Duration) {
        let mut check = Instant::now() + patience;
        loop {
            sleep_until(check).await;
            check = match self.get() {
                Phase::Waiting(since) if since + patience <= check => return,
                Phase::Waiting(since) => since + patience,
                // The request is not even sent, so the silence begins after now.
                Phase::Idle | Phase::Sending => check + patience,
                Phase::ResponseStarted => std::future::pending().await,
            };
        }
    }
}

/// A stream that keeps track of an exchange.
pub(super) struct TrackedStream {
    stream: Take<Stream>,
    progress: Progress,
}

impl TrackedStream {
    /// How much is read at a time. Less than the HTTP library makes room for at first: where that is filled it makes
    /// twice the room, again and again, up to [`Connection::MAX_HEAD`], for every endpoint that sends without end.
    const READ: u64 = 4 * 1024;

    pub(super) fn new(stream: Stream, progress: Progress) -> Self {
        Self { stream: stream.take(Self::READ), progress }
    }
}

impl AsyncRead for TrackedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        self.stream.set_limit(Self::READ);
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

    /// Called when everything has been handed to the stream.
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
