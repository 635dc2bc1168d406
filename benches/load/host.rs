//! The endpoints: hosts that reply in their ways and record how late a delivery is.

use std::sync::{Arc, Mutex};

use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::time::{Clock as _, SystemClock};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The response of a host.
#[derive(Clone, Copy)]
pub enum Reply {
    Empty,
    Never,
    Endless,
    TenGibibytes,
    /// As a subscriber of events: with the body of the request, which confirms its subscription.
    Echo,
}

/// A host that records the lateness of each delivery in milliseconds.
pub struct Host {
    pub url: String,
}

impl Host {
    pub async fn start(reply: Reply, arrivals: Arc<Mutex<Vec<u64>>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, reply, Arc::clone(&arrivals)));
            }
        });
        Self { url }
    }
}

async fn serve(mut stream: TcpStream, reply: Reply, arrivals: Arc<Mutex<Vec<u64>>>) {
    let mut read = Vec::new();
    while stream.read_buf(&mut read).await.is_ok_and(|n| n > 0) {
        let text = String::from_utf8_lossy(&read).into_owned();
        if !text.ends_with('}') {
            continue;
        }
        read.clear();
        // A request that confirms a subscription has no time.
        if let Some(due) = due(&text) {
            let lateness = Timestamp::parse(due).unwrap().until(SystemClock.now());
            arrivals.lock().unwrap().push(u64::try_from(lateness.as_millis()).unwrap());
        }
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        let echo = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let head = match reply {
            Reply::Echo => &echo,
            Reply::Empty => "HTTP/1.1 204 No Content\r\n\r\n",
            Reply::Never => continue,
            Reply::Endless => "HTTP/1.1 200 OK\r\n\r\n",
            Reply::TenGibibytes => "HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n",
        };
        if stream.write_all(head.as_bytes()).await.is_err() {
            return;
        }
        if matches!(reply, Reply::Endless | Reply::TenGibibytes) {
            let chunk = vec![b'x'; 64 * 1024];
            while stream.write_all(&chunk).await.is_ok() {}
            return;
        }
    }
}

/// The time at which the delivery of a webhook or of an event was due.
fn due(request: &str) -> Option<&str> {
    let of_webhook = request.lines().find_map(|line| line.strip_prefix("scheduler-scheduled-time: "));
    of_webhook.or_else(|| request.split_once("\"scheduledTime\":\"")?.1.split('"').next())
}
