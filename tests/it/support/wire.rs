//! HTTP/1.1 as bytes on a socket, for requests that no client library sends.

use std::net::SocketAddr;
use std::time::Duration;

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};

use super::client::Answer;

/// The time without a byte from the service after which a test fails.
const PATIENCE: Duration = Duration::from_secs(40);

/// A connection to the service.
pub struct Wire {
    writer: OwnedWriteHalf,
    reader: Reader,
}

impl Wire {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::of(stream)
    }

    /// A connection that takes only a few KiB before it is read.
    pub async fn connect_with_small_buffer(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        Self::of(socket.connect(address).await.unwrap())
    }

    fn of(stream: TcpStream) -> Self {
        let (half, writer) = stream.into_split();
        Self { writer, reader: Reader { half, buffer: Vec::new() } }
    }

    /// Sends bytes. Returns whether the service still accepted them.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.writer.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Sends what the system takes at once, and drops the rest.
    pub fn send_without_waiting(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.writer.try_write(bytes.as_ref());
    }

    /// Closes the sending side.
    pub async fn finish(&mut self) {
        let _ = self.writer.shutdown().await;
    }

    /// Sends bytes until the service answers, and returns the answer.
    pub async fn exchange(&mut self, bytes: impl AsRef<[u8]>) -> Option<Answer> {
        let Self { writer, reader } = self;
        let write = async {
            let _ = writer.write_all(bytes.as_ref()).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = write => unreachable!("the service answers, or closes the connection"),
            answer = reader.answer(false) => answer,
        }
    }

    /// The next answer; `None` if the service closes the connection instead.
    pub async fn answer(&mut self) -> Option<Answer> {
        self.reader.answer(false).await
    }

    /// The next answer to a HEAD request, which has no body.
    pub async fn answer_to_head(&mut self) -> Option<Answer> {
        self.reader.answer(true).await
    }

    /// All answers until the service closes the connection.
    pub async fn answers(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        while let Some(answer) = self.answer().await {
            answers.push(answer);
        }
        answers
    }

    /// Whether the service closes the connection within this time, without another byte.
    pub async fn closes_within(&mut self, time: Duration) -> bool {
        assert!(self.reader.buffer.is_empty(), "{:?}", String::from_utf8_lossy(&self.reader.buffer));
        matches!(tokio::time::timeout(time, self.reader.more()).await, Ok(false))
    }

    /// The next interim or final status line and headers, as text.
    pub async fn head(&mut self) -> Option<String> {
        self.reader.head().await
    }
}

struct Reader {
    half: OwnedReadHalf,
    buffer: Vec<u8>,
}

impl Reader {
    async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                return Some(String::from_utf8(self.buffer.drain(..end + 4).collect()).unwrap());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    async fn answer(&mut self, bodiless: bool) -> Option<Answer> {
        let head = self.head().await?;
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: HeaderMap = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.trim().parse::<HeaderValue>().unwrap()))
            .collect();
        let length = headers.get(CONTENT_LENGTH).map_or(0, |v| v.to_str().unwrap().parse().unwrap());
        let length = if bodiless { 0 } else { length };
        while self.buffer.len() < length {
            assert!(self.more().await, "the answer is cut off: {head}");
        }
        let text = String::from_utf8(self.buffer.drain(..length).collect()).unwrap();
        Some(Answer { status, headers, text })
    }

    /// Reads more bytes; `false` at the end or after a reset of the connection.
    async fn more(&mut self) -> bool {
        let read = self.half.read_buf(&mut self.buffer);
        tokio::time::timeout(PATIENCE, read).await.expect("the service says something in time").unwrap_or(0) > 0
    }
}

/// A request head as bytes, ready for a body.
pub fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let headers: Vec<_> = headers.iter().map(|(name, value)| [name, ": ", value, "\r\n"].concat()).collect();
    format!("{method} {path} HTTP/1.1\r\nHost: h\r\n{}\r\n", headers.concat())
}
