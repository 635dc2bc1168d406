//! The endpoint that the service delivers to: it keeps what came and when.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mcp_scheduler::clock::{Clock as _, SystemClock};
use mcp_scheduler::domain::Timestamp;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// One request that came.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub id: String,
    pub at: Timestamp,
    /// The time that the delivery itself says it was scheduled for.
    pub scheduled: Timestamp,
}

pub struct Receiver {
    pub endpoint: String,
    arrivals: Arc<watch::Sender<Vec<Arrival>>>,
}

impl Receiver {
    /// Answers 200 after a while.
    pub async fn start(answers_after: Duration) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}/inbox", listener.local_addr().unwrap());
        let arrivals = Arc::new(watch::Sender::new(Vec::new()));
        let kept = Arc::clone(&arrivals);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                let service = service_fn(move |request| receive(request, Arc::clone(&kept), answers_after));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { endpoint, arrivals }
    }

    pub fn arrivals(&self) -> Vec<Arrival> {
        self.arrivals.borrow().clone()
    }

    /// Waits until what came satisfies a condition; `false` if it does not in time.
    pub async fn wait(&self, patience: Duration, condition: impl Fn(&[Arrival]) -> bool) -> bool {
        let mut arrivals = self.arrivals.subscribe();
        tokio::time::timeout(patience, arrivals.wait_for(|arrivals| condition(arrivals))).await.is_ok()
    }
}

async fn receive(
    request: Request<Incoming>,
    kept: Arc<watch::Sender<Vec<Arrival>>>,
    answers_after: Duration,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let at = SystemClock.now();
    // A sender that is killed in the middle has delivered nothing.
    if let Ok(body) = request.into_body().collect().await {
        let body: Value = serde_json::from_slice(&body.to_bytes()).unwrap();
        let id = body["conversationId"].as_str().unwrap().to_owned();
        let scheduled = Timestamp::parse(body["scheduledTime"].as_str().unwrap()).unwrap();
        kept.send_modify(|arrivals| arrivals.push(Arrival { id, at, scheduled }));
        tokio::time::sleep(answers_after).await;
    }
    Ok(Response::new(Empty::new()))
}
