//! A custom handler in this process: it writes down what the Functions host sends, byte by byte.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::functions_host::{HostOptions, Patience};
use super::ports::fixed_port;

/// What the handler does with a request.
#[derive(Clone, Copy, Debug)]
pub enum Conduct {
    Answer,
    AnswerAfter(Duration),
    /// The connection breaks.
    Break,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// The request line and the headers, names in lower case.
    pub head: String,
    pub body: String,
}

impl Request {
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    /// All values of a header.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let pairs = self.head.lines().filter_map(|line| line.split_once(": "));
        pairs.filter(|(other, _)| *other == name).map(|(_, value)| value).collect()
    }
}

pub struct RecordingHandler {
    app: TempDir,
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

impl RecordingHandler {
    /// Listens, and stages an app with this function beside `health`. The program that the host starts only lives.
    pub async fn start(conduct: Conduct, function: &Value) -> Self {
        let (app, port, requests) = (staged(function), fixed_port(), Arc::<Mutex<Vec<Request>>>::default());
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let recorded = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, conduct, Arc::clone(&recorded)));
            }
        });
        Self { app, port, requests, task }
    }

    pub fn options(&self, settings: &[(&str, &str)]) -> HostOptions {
        let settings = settings.iter().chain(&[("PATH", "/usr/bin:/bin")]);
        HostOptions {
            app: self.app.path().to_owned(),
            settings: settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            port: 0,
            handler_port: self.port,
            timer_period: Some(Duration::from_hours(1)),
            knows_proxying: true,
            patience: Patience::default(),
        }
    }

    /// All requests but pings.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// `Host` in requests of the host.
    pub fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for RecordingHandler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn staged(function: &Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let host = json!({
        "version": "2.0", "functionTimeout": "00:00:01",
        "customHandler": {
            "description": { "defaultExecutablePath": "handler" },
            "enableProxyingHttpRequest": true, "enableForwardingHttpRequest": true,
        },
        "extensions": { "http": { "routePrefix": "" }, "queues": { "maxPollingInterval": "00:00:01" } },
    });
    write("host.json", &host.to_string());
    let http = json!([
        { "type": "httpTrigger", "direction": "in", "name": "request", "authLevel": "anonymous", "route": "open/{*rest}" },
        { "type": "http", "direction": "out", "name": "response" },
    ]);
    write("health/function.json", &json!({ "bindings": http }).to_string());
    write("other/function.json", &json!({ "bindings": [function] }).to_string());
    write("handler", "#!/bin/sh\nexec /bin/sleep 3600\n");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path().join("handler"), executable).unwrap();
    folder
}

async fn serve(mut stream: TcpStream, conduct: Conduct, requests: Arc<Mutex<Vec<Request>>>) {
    while let Some(request) = read(&mut stream).await {
        let is_ping = request.line() == "GET / HTTP/1.1";
        if !is_ping {
            requests.lock().unwrap().push(request);
            match conduct {
                Conduct::Answer => {}
                Conduct::AnswerAfter(delay) => sleep(delay).await,
                Conduct::Break => return,
            }
        }
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let request = Request { head: head.to_lowercase(), body: body.to_owned() };
            let length = request.header("content-length").first().map_or(0, |length| length.parse().unwrap());
            let is_chunked = !request.header("transfer-encoding").is_empty();
            if if is_chunked { body.ends_with("0\r\n\r\n") } else { body.len() >= length } {
                let line = head.lines().next().unwrap();
                return Some(Request { head: format!("{line}\r\n{}", &request.head[line.len() + 2..]), ..request });
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}
