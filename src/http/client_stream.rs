//! The stream of a connection, with a limit on writes without progress and a close that lets the last response arrive.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// The most bytes that one read returns. hyper doubles its buffer after each read that fills it, from 8 KiB on. A
/// shorter read keeps the buffer small, so that many connections with a long queue of requests take little memory.
const MAX_READ: usize = 8 * 1024 - 1;

/// The stream of a connection.
pub(super) struct ClientStream {
    stream: TcpStream,
    /// The longest time without progress of a write.
    write_timeout: Duration,
    stop: CancellationToken,
    /// Ends the connection if a write makes no progress until then.
    write_deadline: Option<Pin<Box<Sleep>>>,
    linger: Option<Linger>,
}

impl ClientStream {
    pub(super) const fn new(stream: TcpStream, write_timeout: Duration, stop: CancellationToken) -> Self {
        Self { stream, write_timeout, stop, write_deadline: None, linger: None }
    }

    /// Passes the result of a write on, or an error if there has been no progress for too long.
    fn limit(&mut self, written: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.write_deadline = None;
            return written;
        }
        let timeout = self.write_timeout;
        let deadline = self.write_deadline.get_or_insert_with(|| Box::pin(sleep(timeout)));
        deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // An idle connection must not touch the memory of its buffer.
        ready!(self.stream.poll_read_ready(cx))?;
        let length = buf.remaining().min(MAX_READ);
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(length));
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        buf.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.limit(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.limit(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Shuts down the sending side, and then discards what the peer still sends.
    ///
    /// If a socket is closed while the peer is sending, the system sends a reset, and the peer discards the response that
    /// it has not read. During a stop there is no time for that.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        if this.stop.is_cancelled() {
            return Poll::Ready(Ok(()));
        }
        this.linger.get_or_insert_with(Linger::new).poll(&mut this.stream, cx).map(Ok)
    }
}

/// Reads until the peer closes, within limits.
struct Linger {
    bytes_left: usize,
    end: Instant,
    silence: Pin<Box<Sleep>>,
}

impl Linger {
    /// More than the Functions host accepts as a body (100 MiB).
    const MAX_BYTES: usize = 128 * 1024 * 1024;
    const MAX_TIME: Duration = Duration::from_secs(30);
    const MAX_SILENCE: Duration = Duration::from_secs(5);

    fn new() -> Self {
        let now = Instant::now();
        let silence = Box::pin(sleep_until(now + Self::MAX_SILENCE));
        Self { bytes_left: Self::MAX_BYTES, end: now + Self::MAX_TIME, silence }
    }

    fn poll(&mut self, stream: &mut TcpStream, cx: &mut Context<'_>) -> Poll<()> {
        let mut discarded = [0; 8 * 1024];
        while self.bytes_left > 0 {
            let mut buf = ReadBuf::new(&mut discarded);
            match Pin::new(&mut *stream).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    self.bytes_left = self.bytes_left.saturating_sub(buf.filled().len());
                    self.silence.as_mut().reset(self.end.min(Instant::now() + Self::MAX_SILENCE));
                }
                // The peer has closed or reset the connection.
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.silence.as_mut().poll(cx),
            }
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

    /// A connection: the stream of the server, the stream of the client, and the stop of the server.
    async fn connection() -> (ClientStream, TcpStream, CancellationToken) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, stop) = (listener.accept().await.unwrap().0, CancellationToken::new());
        (ClientStream::new(stream, WRITE_TIMEOUT, stop.clone()), client, stop)
    }

    /// The time that a close takes.
    async fn close(mut server: ClientStream) -> Duration {
        let began = Instant::now();
        let _ = server.shutdown().await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_without_progress_ends_in_time() {
        let (mut server, _client, _) = connection().await;
        let began = Instant::now();
        let error = server.write_all(&vec![0; 64 * 1024 * 1024]).await.unwrap_err();
        assert_eq!((error.kind(), began.elapsed().as_secs()), (io::ErrorKind::TimedOut, 30));
    }

    #[tokio::test(start_paused = true)]
    async fn a_close_waits_for_the_peer_but_not_for_long() {
        let (server, _client, _) = connection().await;
        assert_eq!(close(server).await.as_secs(), Linger::MAX_SILENCE.as_secs());
        let (server, client, _) = connection().await;
        drop(client);
        assert_eq!(close(server).await.as_secs(), 0, "the peer has closed");
        let (server, _client, stop) = connection().await;
        stop.cancel();
        assert_eq!(close(server).await.as_secs(), 0, "the server stops");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_sends_now_and_then_is_left_in_the_end() {
        let (server, mut client, _) = connection().await;
        let drip = tokio::spawn(async move {
            while client.write_all(b"x").await.is_ok() {
                sleep(Linger::MAX_SILENCE / 2).await;
            }
        });
        assert_eq!(close(server).await.as_secs(), Linger::MAX_TIME.as_secs());
        drip.await.unwrap();
    }

    #[tokio::test]
    async fn what_was_written_before_the_close_arrives_although_the_peer_still_sends() {
        let (mut server, client, _) = connection().await;
        let (mut reader, mut writer) = client.into_split();
        let closed = tokio::spawn(async move {
            server.write_all(b"response").await.unwrap();
            close(server).await
        });
        writer.write_all(&vec![0; 8 * 1024 * 1024]).await.unwrap();
        drop(writer);
        let mut read = String::new();
        reader.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "response");
        closed.await.unwrap();
    }
}
