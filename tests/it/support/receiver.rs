//! An endpoint for deliveries: a real listener on loopback that answers by script and records its requests.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::time::{Clock as _, SystemClock};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The reply to one request.
#[derive(Clone, Debug)]
pub struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    delay: Duration,
    close: bool,
    echo: bool,
}

impl Reply {
    /// An answer with a status and an empty body.
    pub fn status(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            delay: Duration::ZERO,
            close: false,
            echo: false,
        }
    }

    /// No answer: the connection is closed once the request has been read.
    pub fn close() -> Self {
        Self { close: true, ..Self::status(200) }
    }

    /// The body of the request, which is how a subscriber returns a challenge.
    pub fn echo() -> Self {
        Self { echo: true, ..Self::status(200) }
    }

    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, value.parse().unwrap());
        self
    }

    /// Waits before it answers.
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// When all of it had arrived.
    pub at: Timestamp,
    pub method: Method,
    /// Path and query.
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A listener that answers by a script. It ends when it is dropped.
pub struct Receiver {
    pub address: SocketAddr,
    received: watch::Receiver<Vec<Received>>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Answers 204 to everything.
    pub async fn accepting() -> Self {
        Self::start([]).await
    }

    /// Gives these replies, one for each request, and then the last one again.
    pub async fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        let script = Arc::new(Mutex::new(script.into_iter().collect::<VecDeque<_>>()));
        Self::serve(move |stream, record| {
            let script = Arc::clone(&script);
            async move {
                let service = service_fn(move |request| answer(request, Arc::clone(&script), record.clone()));
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            }
        })
        .await
    }

    /// Writes these bytes after each request head, and ends the connection in this way. The bytes need not be HTTP.
    /// Requests are recorded without headers and body.
    pub async fn raw(bytes: impl Into<Bytes>, ending: Ending) -> Self {
        let bytes: Bytes = bytes.into();
        Self::serve(move |stream, record| write_raw(stream, bytes.clone(), ending, record)).await
    }

    async fn serve<F>(connection: impl Fn(TcpStream, Record) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, received) = watch::channel(Vec::new());
        let record = Record(Arc::new(sender));
        let task = tokio::spawn(async move {
            // The set is dropped with the task, which ends the connections.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(connection(stream, record.clone()));
            }
        });
        Self { address, received, task }
    }

    /// The URL of a path of this receiver.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.borrow().clone()
    }

    /// Waits for at least that many requests, and returns them.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        let enough = self.wait_until(Duration::from_mins(1), |requests| requests.len() >= count).await;
        assert!(enough, "{count} requests, not {}", self.received().len());
        self.received()
    }

    /// Waits until the requests meet a condition; `false` if they do not in time.
    pub async fn wait_until(&self, patience: Duration, condition: impl Fn(&[Received]) -> bool) -> bool {
        let mut received = self.received.clone();
        tokio::time::timeout(patience, received.wait_for(|requests| condition(requests))).await.is_ok()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How a raw receiver ends a connection.
#[derive(Clone, Copy, Debug)]
pub enum Ending {
    /// A regular close.
    Close,
    /// A reset.
    Reset,
    /// The connection stays open.
    Never,
}

#[derive(Clone)]
struct Record(Arc<watch::Sender<Vec<Received>>>);

impl Record {
    fn add(&self, method: Method, path: String, headers: HeaderMap, body: Bytes) {
        let received = Received { at: SystemClock.now(), method, path, headers, body };
        self.0.send_modify(|requests| requests.push(received));
    }
}

/// The client closed the connection, or the script gives it no answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer")]
struct NoAnswer;

async fn answer(
    request: Request<Incoming>,
    script: Arc<Mutex<VecDeque<Reply>>>,
    record: Record,
) -> Result<Response<Full<Bytes>>, NoAnswer> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| NoAnswer)?.to_bytes();
    let reply = {
        let mut script = script.lock().unwrap();
        let next = if script.len() > 1 { script.pop_front() } else { script.front().cloned() };
        next.unwrap_or_else(|| Reply::status(204))
    };
    let reply_body = if reply.echo { body.clone() } else { reply.body };
    record.add(head.method, head.uri.to_string(), head.headers, body);
    tokio::time::sleep(reply.delay).await;
    if reply.close {
        return Err(NoAnswer);
    }
    let mut response = Response::new(Full::new(reply_body));
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    Ok(response)
}

async fn write_raw(mut stream: TcpStream, bytes: Bytes, ending: Ending, record: Record) {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut line = head.split(' ');
    let (method, path) = (line.next().unwrap_or_default(), line.next().unwrap_or_default());
    let method = method.parse().unwrap_or_default();
    record.add(method, path.to_owned(), HeaderMap::new(), Bytes::new());
    let _ = stream.write_all(&bytes).await;
    match ending {
        Ending::Close => {}
        Ending::Reset => stream.set_zero_linger().unwrap(),
        Ending::Never => std::future::pending().await,
    }
}

#[tokio::test]
async fn a_receiver_follows_its_script_and_remembers() {
    let replies = [Reply::status(503).header("retry-after", "1"), Reply::close(), Reply::status(200).body("thanks")];
    let receiver = Receiver::start(replies).await;
    let (client, url) = (super::client::http(), receiver.url("/hook?x=1"));
    let busy = client.post(&url).body("one").send().await.unwrap();
    assert_eq!(
        (busy.status(), busy.headers()["retry-after"].to_str().unwrap()),
        (StatusCode::SERVICE_UNAVAILABLE, "1")
    );
    assert!(client.post(&url).body("two").send().await.is_err());
    for _ in 0..2 {
        assert_eq!(client.get(&url).send().await.unwrap().text().await.unwrap(), "thanks");
    }
    let bodies: Vec<_> = receiver.wait_for(4).await.into_iter().map(|r| r.body).collect();
    assert_eq!(bodies, ["one", "two", "", ""]);
    assert_eq!(receiver.received()[0].path, "/hook?x=1");
    assert_eq!(receiver.received()[0].method, Method::POST);
}

#[tokio::test]
async fn a_raw_receiver_says_anything_and_leaves_in_any_way() {
    for ending in [Ending::Close, Ending::Reset] {
        let receiver = Receiver::raw("garbage\r\n\r\n", ending).await;
        assert!(super::client::http().get(receiver.url("/")).send().await.is_err());
        assert_eq!(receiver.received()[0].path, "/");
    }
}
