//! The clock and the inbox of `mcp-scheduler dev`, and the page that shows both.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};
use warp::reply::Response;

use super::static_file::StaticFile;
use crate::api::{ErrorDetail, FromObject, ObjectReader, Problem, Synonyms};
use crate::delivery::Unverified;
use crate::dev::{Arrival, Dev, StoppedBy, TurnError, Turned};
use crate::domain::{ClientId, Delay, HORIZON_MS, InvalidDelay, Timestamp, millis};
use crate::http::{RequestContext, Services, json};
use crate::time::Clock as _;

/// `devPage`
pub(in crate::http) static PAGE: StaticFile = StaticFile::page(include_bytes!("page.html"));

/// `devScript`
pub(in crate::http) static SCRIPT: StaticFile = StaticFile::script(include_bytes!("page.js"));

/// `devStyle`
pub(in crate::http) static STYLE: StaticFile = StaticFile::style(include_bytes!("page.css"));

/// How far the clock is to be turned.
#[derive(Debug)]
struct TurnRequest {
    advance: Option<String>,
}

impl FromObject for TurnRequest {
    const SYNONYMS: Synonyms = &[("advance", &["by", "delay", "duration", "in", "time", "turn"])];

    fn from_object(object: &mut ObjectReader<'_>) -> Self {
        Self { advance: object.text("advance") }
    }
}

impl TurnRequest {
    fn by(&self) -> Result<Duration, Vec<ErrorDetail>> {
        let wrong = |detail: String| vec![ErrorDetail { pointer: "/advance".to_owned(), detail }];
        let Some(text) = &self.advance else {
            return Err(wrong("is required: how far to turn the clock, such as P4D, PT1H or 90s".to_owned()));
        };
        let by = text.parse::<Delay>().map_err(|error| match error {
            InvalidDelay::Calendar => wrong("has months or years, which differ in length; use days".to_owned()),
            InvalidDelay::Negative => wrong("must not be negative: the clock only goes forward".to_owned()),
            error => wrong(error.to_string()),
        })?;
        if i64::try_from(millis(by.duration())).map_or(true, |by| by > HORIZON_MS) {
            return Err(wrong(InvalidDelay::TooLong.to_string()));
        }
        Ok(by.duration())
    }
}

/// The clock, and what its turn came to.
#[derive(Serialize)]
struct ClockResponse {
    now: String,
    #[serde(flatten)]
    turn: Option<TurnResponse>,
}

#[derive(Serialize)]
struct TurnResponse {
    attempts: BTreeMap<&'static str, usize>,
    pending: usize,
    #[serde(flatten)]
    rest: Option<RestResponse>,
}

/// What is left of a turn that has ended early.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RestResponse {
    rest: String,
    stopped_by: &'static str,
}

/// What the inbox has.
#[derive(Serialize)]
struct InboxResponse {
    received: u64,
    arrivals: Vec<ArrivalResponse>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArrivalResponse {
    received_at: String,
    client_id: String,
    conversation_id: String,
    scheduled_time: String,
    lateness_ms: u64,
    attempt: u64,
    text: String,
    method: &'static str,
    path: String,
    headers: Map<String, Value>,
    body: String,
}

impl From<Arrival> for ArrivalResponse {
    fn from(arrival: Arrival) -> Self {
        let number = |name| arrival.header(name).parse().unwrap_or_default();
        let id = arrival.header("webhook-id");
        Self {
            received_at: arrival.at.to_string(),
            client_id: arrival.client.to_string(),
            // That of an occurrence has its number behind that of the conversation.
            conversation_id: id.split_once('_').map_or(id, |(id, _)| id).to_owned(),
            scheduled_time: arrival.header("scheduler-scheduled-time").to_owned(),
            lateness_ms: number("scheduler-lateness-ms"),
            attempt: number("scheduler-attempt"),
            text: arrival.text(),
            method: arrival.method,
            path: arrival.path,
            headers: arrival.headers,
            body: arrival.body,
        }
    }
}

/// `readClock`
pub(in crate::http) fn read_clock(context: &RequestContext) -> Result<Response, Problem> {
    json(&ClockResponse { now: dev(context)?.clock.now().to_string(), turn: None })
}

/// `turnClock`
pub(in crate::http) async fn turn_clock(mut context: RequestContext) -> Result<Response, Problem> {
    let request = context.json::<TurnRequest>().await?;
    let by = request.validate(|request| request.by())?;
    let Turned { now, rest, attempts, pending } =
        dev(&context)?.turner.turn(by).await.map_err(|error| match error {
            TurnError::Stopping => Problem::stopping(),
            TurnError::Store(error) => Problem::internal(&error),
        })?;
    let rest = rest.map(|(rest, by)| {
        let stopped_by = match by {
            StoppedBy::Time => "time",
            StoppedBy::Loop => "loop",
        };
        RestResponse { rest: Delay::from(rest).to_string(), stopped_by }
    });
    json(&ClockResponse { now: now.to_string(), turn: Some(TurnResponse { attempts, pending, rest }) })
}

/// `listArrivals`
pub(in crate::http) fn list_arrivals(context: &RequestContext) -> Result<Response, Problem> {
    let listed = dev(context)?.arrivals.list();
    let arrivals = listed.arrivals.into_iter().map(ArrivalResponse::from).collect();
    json(&InboxResponse { received: listed.received, arrivals })
}

/// `emptyInbox`
pub(in crate::http) fn empty_inbox(context: &RequestContext) -> Result<Response, Problem> {
    dev(context)?.arrivals.empty();
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// Receives a delivery.
pub(in crate::http) async fn receive(mut context: RequestContext, method: &'static str) -> Result<Response, Problem> {
    let body = context.bytes().await?;
    let (services, headers, below) =
        (context.services().clone(), context.headers().clone(), context.parameter().to_owned());
    let dev = dev(&context)?;
    // The body of a context cannot be shared between threads.
    drop(context);
    let client = signed_by(&services, &headers, &body, dev.calendar.now()).await?;
    let path = if below.is_empty() { "/dev/inbox".to_owned() } else { format!("/dev/inbox/{below}") };
    dev.arrivals.add(Arrival {
        at: dev.clock.now(),
        client,
        method,
        path,
        headers: Arrival::texts(&headers),
        body: String::from_utf8_lossy(&body).into_owned(),
    });
    Ok(Response::default())
}

/// The client whose keys have signed a delivery.
async fn signed_by(services: &Services, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<ClientId, Problem> {
    const PAGE: usize = 100;
    // Each delivery has a signature with the secret, which is much quicker to verify than one with the key pair.
    let verify = |client: &ClientId| services.signer.keys(client).secret_verifier().verify(headers, body, now);
    let first = services.first_client.get();
    let Err(unverified) = verify(&first) else { return Ok(first) };
    // Every other reason is one for all clients.
    if unverified != Unverified::WrongSignature {
        return Err(Problem::unverified(unverified));
    }
    let mut after = None;
    loop {
        let page = services.clients.list(after.as_ref(), PAGE).await?;
        if let Some(client) = page.clients.into_iter().find(|client| verify(&client.id).is_ok()) {
            return Ok(client.id);
        }
        let Some(next) = page.next else { return Err(Problem::unverified(unverified)) };
        after = Some(next);
    }
}

fn dev(context: &RequestContext) -> Result<Arc<Dev>, Problem> {
    context.services().dev.clone().ok_or_else(Problem::no_such_path)
}
