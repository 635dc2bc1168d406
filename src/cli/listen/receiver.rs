//! The receiver: an HTTP server on loopback.

use std::convert::Infallible;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::arguments::Answer;
use super::forward::Forward;
use super::keys::Keys;
use super::report::lines;
use crate::cli::output::print;
use crate::cli::page::line;
use crate::time::{Clock as _, SystemClock};

/// The longest body in bytes.
const MAX_BODY: usize = 32 << 20;
/// The longest time that a last answer may take to leave.
const GRACE: Duration = Duration::from_secs(1);

/// What became of one request. The error says that it could not be printed.
pub(super) type Outcome = Result<Received, String>;

/// A request that was answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) id: Option<String>,
    pub(super) is_verified: bool,
}

/// Verifies, prints and answers requests.
pub(super) struct Receiver {
    pub(super) keys: Keys,
    pub(super) answers: Answers,
    pub(super) outcomes: mpsc::UnboundedSender<Outcome>,
}

/// Where the answers are from.
pub(super) enum Answers {
    /// 200 if the request verifies, and 401 if not.
    ByVerification,
    /// These in their order; the last one stays.
    Script { answers: Vec<Answer>, given: AtomicUsize },
    /// Another server.
    Forward(Forward),
}

impl Receiver {
    /// Receives until `end` is ready, lets the last answer leave, and returns what `end` says.
    pub(super) async fn serve<T>(
        self: Arc<Self>,
        listener: TcpListener,
        end: impl Future<Output = Result<T, String>>,
    ) -> Result<T, String> {
        let open = GracefulShutdown::new();
        let mut end = pin!(end);
        let ended = loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (stream, _) = accepted.map_err(|error| format!("cannot accept connections: {error}"))?;
                    let receiver = Arc::clone(&self);
                    let service = service_fn(move |request| Arc::clone(&receiver).receive(request));
                    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                    tokio::spawn(open.watch(connection));
                }
                ended = &mut end => break ended,
            }
        };
        let _ = tokio::time::timeout(GRACE, open.shutdown()).await;
        ended
    }

    async fn receive(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
            return Ok(empty(StatusCode::PAYLOAD_TOO_LARGE));
        };
        let body = body.to_bytes();
        let arrived = SystemClock.now();
        let verified = self.keys.verify(&head.headers, &body, arrived);
        let report = lines(&head, &body, arrived, &verified);
        let id = head.headers.get("webhook-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        let received = Received { id, is_verified: verified.is_ok() };
        let (printed, answer) = match &self.answers {
            Answers::ByVerification => {
                let status = if received.is_verified { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
                answered(&report, Some(status))
            }
            Answers::Script { answers, given } => {
                let number = given.fetch_add(1, Ordering::Relaxed).min(answers.len().saturating_sub(1));
                answered(&report, answers.get(number).and_then(|answer| answer.status()))
            }
            Answers::Forward(forward) => forwarded(&report, forward, &head, body).await,
        };
        let _ = self.outcomes.send(printed.map(|()| received));
        match answer {
            Some(answer) => Ok(answer),
            None => pending().await,
        }
    }
}

/// Whether a delivery was printed, and its answer; none for a timeout.
type Answered = (Result<(), String>, Option<Response<Full<Bytes>>>);

/// One print for all lines, so that those of other deliveries do not come between them.
fn answered(report: &str, status: Option<StatusCode>) -> Answered {
    let named =
        status.map_or_else(|| "none, until the sender gives up".to_owned(), |status| status.as_u16().to_string());
    (print(format_args!("{report}\n{}\n", line("answer", &named))), status.map(empty))
}

/// The server can take long, so the delivery is printed first.
async fn forwarded(report: &str, forward: &Forward, head: &Parts, body: Bytes) -> Answered {
    if let Err(error) = print(report) {
        return (Err(error), Some(empty(StatusCode::BAD_GATEWAY)));
    }
    let url = forward.url();
    let (named, answer) = match forward.pass_on(head, body).await {
        Ok(answer) => (format!("{} by {url}", answer.status().as_u16()), answer),
        Err(error) => (format!("502: {url} does not answer: {error}"), empty(StatusCode::BAD_GATEWAY)),
    };
    (print(format_args!("{}\n", line("answer", &named))), Some(answer))
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    response
}
