//! One HTTP/1.1 connection to an endpoint: sends a request and receives the head of its response.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::Addresses;
use super::connector::Stream;
use super::tracked_stream::{Phase, Progress, TrackedStream};
use crate::domain::ErrorClass;

/// A connection that can carry one request at a time. Dropping it closes it.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    progress: Progress,
    /// The addresses of the host that is its peer.
    pub addresses: Addresses,
    /// The time at which it was opened.
    pub since: Instant,
}

impl Connection {
    /// The longest head of a response in bytes, with the status line. The HTTP library accepts at most 100 headers.
    const MAX_HEAD: usize = 32 * 1024;
    /// The most interim responses (1xx) before the response. A peer could send them for ever.
    const MAX_INTERIM: u32 = 16;
    /// The longest time from the last byte of the request to the first byte of the response.
    const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(15);
    /// The longest time from the end of a response until the connection can carry another request.
    const READY_TIMEOUT: Duration = Duration::from_millis(100);

    /// Starts HTTP on a stream that was opened to one of these addresses.
    ///
    /// # Errors
    /// [`ErrorClass::ConnectionReset`] if the stream is closed already.
    pub async fn start(stream: Stream, addresses: Addresses) -> Result<Self, ErrorClass> {
        let progress = Progress::default();
        let tracked = TrackedStream::new(stream, progress.clone());
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(Self::MAX_HEAD)
            .max_header_size(Self::MAX_HEAD)
            // Old servers fold long headers. A client must read them (RFC 9112 §5.2).
            .allow_obsolete_multiline_headers_in_responses(true)
            .handshake(TokioIo::new(tracked))
            .await
            .map_err(|_| ErrorClass::ConnectionReset)?;
        // The task ends when the sender is dropped. Its errors also reach the request under way.
        tokio::spawn(connection);
        Ok(Self { sender, progress, addresses, since: Instant::now() })
    }

    /// Sends a request and waits for the head of its response.
    ///
    /// # Errors
    /// [`ErrorClass`] if there is no response.
    pub async fn send(&mut self, mut request: Request<Full<Bytes>>) -> Result<Response<Incoming>, ErrorClass> {
        self.progress.set(Phase::Idle);
        let interim = Arc::new(Semaphore::new(0));
        let received = Arc::clone(&interim);
        hyper::ext::on_informational(&mut request, move |_| received.add_permits(1));
        tokio::select! {
            // Too many interim responses and the response can arrive together.
            biased;
            _ = interim.acquire_many(Self::MAX_INTERIM + 1) => Err(ErrorClass::ProtocolError),
            response = self.sender.send_request(request) => response.map_err(|error| exchange_error_class(&error)),
            () = self.progress.silent_for(Self::FIRST_BYTE_TIMEOUT) => Err(ErrorClass::FirstByteTimeout),
        }
    }

    /// Whether a byte of the response to the last request has been read.
    pub fn has_response(&self) -> bool {
        self.progress.has_response()
    }

    /// Whether it can carry another request.
    pub fn is_open(&self) -> bool {
        self.sender.is_ready()
    }

    /// Waits until it can carry another request. Returns `false` if it cannot.
    pub async fn is_ready_again(&mut self) -> bool {
        matches!(tokio::time::timeout(Self::READY_TIMEOUT, self.sender.ready()).await, Ok(Ok(())))
    }
}

/// The class of an error between the request and the head of its response.
fn exchange_error_class(error: &hyper::Error) -> ErrorClass {
    let mut cause = std::error::Error::source(error);
    let mut of_io = false;
    while let Some(error) = cause {
        if error.is::<rustls::Error>() {
            return ErrorClass::TlsError;
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            of_io = true;
            if error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>) {
                return ErrorClass::TlsError;
            }
        }
        cause = error.source();
    }
    if of_io || error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        ErrorClass::ConnectionReset
    } else {
        ErrorClass::ProtocolError
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::{sleep, timeout};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A connection and its peer, with a buffer of this many unread bytes between them.
    async fn connection(buffer: usize) -> (Connection, DuplexStream) {
        let (near, far) = duplex(buffer);
        let addresses = Addresses::new(&[([127, 0, 0, 1], 80).into()]).unwrap();
        (Connection::start(Box::new(near), addresses).await.unwrap(), far)
    }

    fn request(bytes: usize) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(vec![b'x'; bytes].into()));
        *request.method_mut() = http::Method::POST;
        request
    }

    fn failed(result: Result<Response<Incoming>, ErrorClass>) -> ErrorClass {
        result.unwrap_err()
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_does_not_respond_is_given_up_after_fifteen_seconds() {
        let (mut connection, _far) = connection(1 << 20).await;
        let began = Instant::now();
        assert_eq!(failed(connection.send(request(1000)).await), ErrorClass::FirstByteTimeout);
        assert_eq!(began.elapsed(), 15 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn the_fifteen_seconds_start_with_the_last_byte_of_the_request() {
        let (mut connection, mut far) = connection(1000).await;
        let began = Instant::now();
        let slow_reader = async {
            sleep(20 * SECOND).await;
            let mut read = vec![0; 2000];
            while timeout(SECOND, far.read(&mut read)).await.is_ok() {}
            std::future::pending::<()>().await;
        };
        let class = tokio::select! {
            result = connection.send(request(10_000)) => failed(result),
            () = slow_reader => unreachable!(),
        };
        assert_eq!((class, began.elapsed()), (ErrorClass::FirstByteTimeout, 35 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_reads_slowly_or_has_begun_to_respond_has_until_the_attempts_own_timeout() {
        let (mut unread, _far) = connection(1000).await;
        assert!(timeout(60 * SECOND, unread.send(request(10_000))).await.is_err());
        let (mut begun, mut far) = connection(1 << 20).await;
        let begins = async {
            sleep(14 * SECOND).await;
            far.write_all(b"H").await.unwrap();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            over = timeout(60 * SECOND, begun.send(request(10))) => assert!(over.is_err()),
            () = begins => unreachable!(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_request_on_a_connection_has_its_own_fifteen_seconds() {
        let (mut connection, mut far) = connection(1 << 20).await;
        let answers_once = async {
            far.read_buf(&mut Vec::new()).await.unwrap();
            far.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        };
        let (first, ()) = tokio::join!(connection.send(request(0)), answers_once);
        assert_eq!(first.ok().unwrap().status(), 204);
        assert!(connection.is_ready_again().await);
        sleep(60 * SECOND).await;
        let began = Instant::now();
        assert_eq!(failed(connection.send(request(0)).await), ErrorClass::FirstByteTimeout);
        assert_eq!(began.elapsed(), 15 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_closed_is_reset_and_knows_whether_a_response_had_begun() {
        let (mut connection, far) = connection(1 << 20).await;
        drop(far);
        assert_eq!(failed(connection.send(request(7)).await), ErrorClass::ConnectionReset);
        assert!(!connection.has_response());
        for (said, begun) in [(&b""[..], false), (&b"H"[..], true), (&b"HTTP/1.1 200 OK\r\nx-a: b\r\n"[..], true)] {
            let (mut connection, mut far) = self::connection(1 << 20).await;
            let reads_and_leaves = async move {
                far.read_buf(&mut Vec::new()).await.unwrap();
                far.write_all(said).await.unwrap();
            };
            let (result, ()) = tokio::join!(connection.send(request(7)), reads_and_leaves);
            assert_eq!((failed(result), connection.has_response()), (ErrorClass::ConnectionReset, begun));
        }
    }
}
