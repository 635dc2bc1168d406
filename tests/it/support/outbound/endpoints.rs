//! Endpoints that behave well, badly or not at all.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A listener on loopback that records its requests. It ends when it is dropped.
pub struct Endpoint {
    address: SocketAddr,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<String>>,
    connections: AtomicUsize,
    sent: AtomicUsize,
    cut_off: tokio::sync::Notify,
}

/// How an endpoint behaves.
#[derive(Clone)]
pub enum Character {
    /// Gives this answer to every request, and keeps the connection.
    Answers(Vec<u8>),
    /// Gives this answer and closes the connection.
    AnswersAndCloses(Vec<u8>),
    /// Gives the first answer to the first request on a connection, and the second to the second before it closes.
    AnswersOnce(Vec<u8>, Vec<u8>),
    /// Answers the first request on a connection, and no other.
    AnswersFirst(Vec<u8>),
    /// Begins with these bytes and never ends its answer.
    Streams(Vec<u8>),
    /// Sends this answer again and again and never ends.
    Repeats(Vec<u8>),
    /// Sends this as soon as the connection is made, without reading.
    Says(Vec<u8>),
    /// Reads the request and does not answer.
    Silent,
    /// Accepts the connection and does not read from it.
    ReadsNothing,
    /// Sends a head without an end, one byte at a time.
    Drips,
    /// Reads the request and resets the connection.
    Resets,
    /// Resets the connection as soon as it is made.
    ResetsAtOnce,
    /// Does not listen.
    Closed,
}

/// A well-formed answer.
pub fn answer(status: u16, body: &str) -> String {
    // Responses with these statuses have no body.
    let length =
        if matches!(status, 204 | 304) { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    format!("HTTP/1.1 {status} Whatever\r\n{length}\r\n{body}")
}

impl Endpoint {
    /// Gives the same answer to every request, and keeps the connection.
    pub async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        Self::start(Character::Answers(answer.into())).await
    }

    pub async fn answering_and_closing(answer: &str) -> Self {
        Self::start(Character::AnswersAndCloses(answer.into())).await
    }

    /// Answers 200 with a body that has no end.
    pub async fn streaming_for_ever() -> Self {
        Self::start(Character::Streams(b"HTTP/1.1 200 OK\r\n\r\n".to_vec())).await
    }

    /// Reads the request and does not answer.
    pub async fn silent() -> Self {
        Self::start(Character::Silent).await
    }

    /// Sends a head without an end, one byte at a time.
    pub async fn dripping() -> Self {
        Self::start(Character::Drips).await
    }

    /// Reads the request and resets the connection.
    pub async fn resetting() -> Self {
        Self::start(Character::Resets).await
    }

    /// Resets the connection as soon as it is made.
    pub async fn resetting_at_once() -> Self {
        Self::start(Character::ResetsAtOnce).await
    }

    pub async fn start(character: Character) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Arc::new(Seen::default()));
        let witness = Arc::clone(&seen);
        if matches!(character, Character::Closed) {
            drop(listener);
            return Self { address, seen, task: tokio::spawn(async {}) };
        }
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                witness.connections.fetch_add(1, SeqCst);
                tokio::spawn(serve(stream, character.clone(), Arc::clone(&witness)));
            }
        });
        Self { address, seen, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests, head and body, in the order of their arrival.
    pub fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.seen.connections.load(SeqCst)
    }

    /// The number of bytes of the endless answer when the client closed the connection.
    pub async fn sent_when_cut_off(&self) -> usize {
        tokio::time::timeout(Duration::from_secs(30), self.seen.cut_off.notified()).await.unwrap();
        self.seen.sent.load(SeqCst)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves one connection. Errors are ignored: the client may close the connection at any time.
async fn serve(mut stream: TcpStream, character: Character, seen: Arc<Seen>) {
    match &character {
        Character::ResetsAtOnce => {
            stream.set_zero_linger().unwrap();
            return;
        }
        Character::ReadsNothing => std::future::pending().await,
        Character::Says(words) => {
            let _ = stream.write_all(words).await;
        }
        _ => {}
    }
    let mut served = 0;
    while let Some(request) = read_request(&mut stream).await {
        seen.requests.lock().unwrap().push(request);
        served += 1;
        match &character {
            Character::AnswersOnce(_, last) if served > 1 => {
                let _ = stream.write_all(last).await;
                return;
            }
            Character::AnswersFirst(_) if served > 1 => {}
            // A failed write means that the client has closed the connection.
            Character::Answers(answer) | Character::AnswersOnce(answer, _) | Character::AnswersFirst(answer) => {
                let _ = stream.write_all(answer).await;
            }
            Character::AnswersAndCloses(answer) => {
                let _ = stream.write_all(answer).await;
                return;
            }
            Character::Streams(head) => {
                let _ = stream.write_all(head).await;
                while let Ok(n) = stream.write(&[b'x'; 4096]).await {
                    seen.sent.fetch_add(n, SeqCst);
                }
                seen.cut_off.notify_one();
                return;
            }
            Character::Repeats(part) => {
                while stream.write_all(part).await.is_ok() {
                    seen.sent.fetch_add(part.len(), SeqCst);
                }
                seen.cut_off.notify_one();
                return;
            }
            Character::Drips => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx-slow: ").await;
                while stream.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                return;
            }
            Character::Resets => {
                stream.set_zero_linger().unwrap();
                return;
            }
            _ => {}
        }
    }
}

/// Reads a request with its body, or the first bytes if they are not HTTP; `None` at the end of the connection.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let n = stream.read(&mut buffer).await.ok().filter(|n| *n > 0)?;
        read.extend(&buffer[..n]);
        let is_tls = read.first() == Some(&0x16);
        let text = String::from_utf8_lossy(&read).into_owned();
        if is_tls || is_complete(&text) {
            return Some(text);
        }
    }
}

fn is_complete(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |n| n.parse().unwrap())
}
