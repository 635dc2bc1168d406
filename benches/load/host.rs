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
        let due = text.lines().find_map(|line| line.strip_prefix("scheduler-scheduled-time: ")).unwrap();
        let lateness = Timestamp::parse(due).unwrap().until(SystemClock.now());
        arrivals.lock().unwrap().push(u64::try_from(lateness.as_millis()).unwrap());
        let head = match reply {
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
