//! `mcp-scheduler demo`: the service, a client and a receiver in one process.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::output::print;
use crate::app::App;
use crate::config::Config;
use crate::domain::Timestamp;
use crate::secrets::Credentials;
use crate::time::{Clock as _, SystemClock, SystemEntropy, random};

/// The time from the schedule request to the delivery.
const DELAY: Duration = Duration::from_secs(3);
/// The time after which the demo fails.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Starts a service on a free port with a temporary store, schedules a conversation through its API, and shows the
/// delivery.
///
/// # Errors
/// A sentence for the operator.
pub async fn run() -> Result<(), String> {
    let dir = temporary_dir().map_err(text)?;
    let result = perform(&dir).await;
    let _ = std::fs::remove_dir_all(&dir);
    result
}

/// Creates a directory whose name no other user could guess, so that nobody can have prepared it.
fn temporary_dir() -> io::Result<PathBuf> {
    let name = u128::from_be_bytes(random(&SystemEntropy::new()));
    let dir = std::env::temp_dir().join(format!("mcp-scheduler-demo-{name:032x}"));
    DirBuilder::new().mode(0o700).create(&dir)?;
    Ok(dir)
}

/// Returns only after the service has stopped, so that the caller can remove its directory.
async fn perform(dir: &Path) -> Result<(), String> {
    let config = Config::from_vars(|name| match name {
        "SCHEDULER_DATA_DIR" => dir.to_str().map(str::to_owned),
        "PORT" => Some("0".to_owned()),
        _ => None,
    })
    .map_err(text)?;
    let app = App::start(config).await.map_err(text)?;
    let url = format!("http://{}", app.address());
    let credentials = app.credentials().cloned().ok_or("no credentials were generated")?;
    print(format_args!("service    listening on {url}, store in {}", dir.display()))?;
    let stop = CancellationToken::new();
    let running = tokio::spawn(app.run(stop.clone()));
    let shown = tokio::select! {
        shown = tokio::time::timeout(TIMEOUT, show(url, &credentials)) => {
            shown.unwrap_or_else(|_| Err("the demo took too long".to_owned()))
        }
        _ = tokio::signal::ctrl_c() => Err("interrupted".to_owned()),
    };
    stop.cancel();
    running.await.map_err(text)?.map_err(text)?;
    shown
}

async fn show(url: String, credentials: &Credentials) -> Result<(), String> {
    let receiver = TcpListener::bind(("127.0.0.1", 0)).await.map_err(text)?;
    let endpoint = format!("http://{}/inbox", receiver.local_addr().map_err(text)?);
    print(format_args!("receiver   waiting at {endpoint}"))?;

    let client = Client::new(url)?;
    let login = json!({ "clientId": credentials.client.as_str(), "apiKey": credentials.api_key.secret().expose() });
    let token = client.post("/api/auth/token", None, &login).await?;
    let token = field(&token, "token")?;
    print(format_args!("token      POST /api/auth/token → {} characters of JWT", token.len()))?;

    let due = SystemClock.now() + DELAY;
    let request = json!({ "conversationText": "Hello from three seconds ago!", "scheduledTime": due.to_string(), "endpoint": endpoint });
    let accepted = client.post("/api/scheduler/schedule", Some(&token), &request).await?;
    let id = field(&accepted, "conversationId")?;
    print(format_args!("scheduled  {id} for {due}"))?;

    let (arrived, body) = receive(&receiver).await.map_err(text)?;
    print(format_args!("arrived    {arrived}, {} ms after its time: {body}", due.until(arrived).as_millis()))?;

    let status = client.completed(&id, &token).await?;
    print(format_args!(
        "status     {} after {} attempt",
        field(&status, "status")?,
        status.get("attempts").and_then(Value::as_array).map_or(0, Vec::len)
    ))?;
    Ok(())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn field(body: &Value, name: &str) -> Result<String, String> {
    body.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| format!("the response has no {name}"))
}

/// Answers one request, and returns its time of arrival and its body.
async fn receive(listener: &TcpListener) -> io::Result<(Timestamp, String)> {
    let (mut stream, _) = listener.accept().await?;
    let mut request = Vec::new();
    loop {
        stream.read_buf(&mut request).await?;
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        if body.len() >= length.unwrap_or(0) {
            let arrived = SystemClock.now();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
            return Ok((arrived, body.to_owned()));
        }
    }
}

/// A client of the API.
struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    #[allow(clippy::disallowed_methods)] // the demo acts as a client, which is not part of the service
    fn new(url: String) -> Result<Self, String> {
        let http = reqwest::Client::builder().no_proxy().build().map_err(text)?;
        Ok(Self { http, url })
    }

    async fn post(&self, path: &str, token: Option<&str>, body: &Value) -> Result<Value, String> {
        let mut request = self.http.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        read(request.body(body.to_string())).await
    }

    /// The status of the conversation after its delivery. The service records the result a moment after the receiver
    /// has answered.
    async fn completed(&self, id: &str, token: &str) -> Result<Value, String> {
        loop {
            let status =
                read(self.http.get(format!("{}/api/scheduler/status/{id}", self.url)).bearer_auth(token)).await?;
            if field(&status, "status")? != "InProgress" {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn read(request: reqwest::RequestBuilder) -> Result<Value, String> {
    let response = request.send().await.map_err(text)?;
    let status = response.status();
    let body: Value = serde_json::from_slice(&response.bytes().await.map_err(text)?).map_err(text)?;
    if status.is_success() { Ok(body) } else { Err(format!("the service answered {status}: {body}")) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_directory_has_a_random_name_and_is_private() {
        let [one, other] = [(); 2].map(|()| {
            let dir = temporary_dir().unwrap();
            let mode = std::fs::metadata(&dir).unwrap().permissions().mode();
            std::fs::remove_dir(&dir).unwrap();
            assert_eq!(mode & 0o777, 0o700);
            dir.file_name().unwrap().to_str().unwrap().strip_prefix("mcp-scheduler-demo-").unwrap().to_owned()
        });
        assert_eq!((one.len(), other.len()), (32, 32));
        // Neither half is that of the process or of a counter.
        assert!(one[..16] != other[..16] && one[16..] != other[16..], "{one} {other}");
    }
}
