//! `mcp-scheduler listen`: a receiver on loopback for a developer, who sees each delivery and whether its signature verifies.
//!
//! `arguments` reads the options. `keys` verifies and says what to change. `receiver` is the HTTP server. `forward` passes
//! requests on. `report` has the lines that are printed.

mod arguments;
mod forward;
mod keys;
mod receiver;
mod report;

use std::io;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::api::address;
use super::members::text;
use super::output::print;
use super::page::line;
use super::service::Service;
use crate::config::Config;
use crate::domain::Scope;
pub(super) use arguments::ListenArguments;
use forward::Forward;
use keys::Keys;
use receiver::{Answers, Outcome, Receiver};

/// The port if the developer names none.
pub(super) const PORT: u16 = 8787;
/// The time from now to the delivery if the developer names none.
const DELAY: &str = "3s";
/// With `--once`, the longest wait for a delivery of which nobody knows when it is due.
const PATIENCE: Duration = Duration::from_mins(5);
/// With `--once`, the longest wait after the conversation is due.
const LATENESS: Duration = Duration::from_mins(1);

/// Receives deliveries. With `--once` the exit code says whether the first one has arrived and verified.
pub(super) async fn run(config: &Config, arguments: ListenArguments) -> Result<ExitCode, String> {
    let keys = Keys::of(config, &arguments).await?;
    let answers = match (&arguments.forward, arguments.answer.clone()) {
        (Some(url), _) => Answers::Forward(Forward::to(url)?),
        (None, Some(answers)) => Answers::Script { answers, given: AtomicUsize::new(0) },
        (None, None) => Answers::ByVerification,
    };
    let listener = bind(arguments.port).await?;
    let endpoint = format!("http://{}/", listener.local_addr().map_err(|error| error.to_string())?);
    print(line("listening", &format!("on {endpoint}, verifying with {}", keys.name)))?;
    let (outcomes, arriving) = mpsc::unbounded_channel();
    let receiver = Arc::new(Receiver { keys, answers, outcomes });
    receiver.serve(listener, watch(config, &arguments, &endpoint, arriving)).await
}

/// The named port, or the usual one, or any free one if another program has the usual one.
async fn bind(port: Option<u16>) -> Result<TcpListener, String> {
    let named = port.unwrap_or(PORT);
    let bound = match TcpListener::bind((Ipv4Addr::LOCALHOST, named)).await {
        Err(error) if port.is_none() && error.kind() == io::ErrorKind::AddrInUse => {
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await
        }
        bound => bound,
    };
    bound.map_err(|error| format!("cannot listen on 127.0.0.1:{named}: {error}"))
}

/// Schedules the conversation, if there is one, and says when to end.
async fn watch(
    config: &Config,
    arguments: &ListenArguments,
    endpoint: &str,
    mut arriving: mpsc::UnboundedReceiver<Outcome>,
) -> Result<ExitCode, String> {
    let (mut expected, mut limit) = (None, PATIENCE);
    if let Some(text) = &arguments.schedule {
        let (id, due_in) = schedule(config, arguments, text, endpoint).await?;
        (expected, limit) = (Some(id), due_in + LATENESS);
    }
    if arguments.once {
        return first(arriving, expected.as_deref(), limit).await;
    }
    while let Some(outcome) = arriving.recv().await {
        outcome?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Waits for a delivery, of the expected conversation if there is one, and says whether it has verified.
async fn first(
    mut arriving: mpsc::UnboundedReceiver<Outcome>,
    expected: Option<&str>,
    limit: Duration,
) -> Result<ExitCode, String> {
    let awaited = async {
        while let Some(outcome) = arriving.recv().await {
            let received = outcome?;
            if expected.is_none() || expected == received.id.as_deref() {
                return Ok(if received.is_verified { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
        }
        Ok(ExitCode::FAILURE)
    };
    match tokio::time::timeout(limit, awaited).await {
        Ok(ended) => ended,
        Err(_) => Err(format!("no delivery has arrived in {} s", limit.as_secs())),
    }
}

/// Schedules a conversation on the running service. Returns its id and the time until it is due.
async fn schedule(
    config: &Config,
    arguments: &ListenArguments,
    conversation: &str,
    endpoint: &str,
) -> Result<(String, Duration), String> {
    let url = address(config, arguments.url.as_ref()).await?;
    let mut service = Service::login(config, &url, Scope::Write).await?;
    let delay = arguments.delay.as_deref().unwrap_or(DELAY);
    let body = json!({ "conversationText": conversation, "delay": delay, "endpoint": endpoint });
    let accepted = service.call_with(Method::POST, "/api/scheduler/schedule", Some(body.to_string())).await?;
    let (id, due) = (text(&accepted, "conversationId"), text(&accepted, "scheduledTime"));
    let due_in = accepted.get("dueInSeconds").and_then(Value::as_f64).unwrap_or_default();
    print(format_args!("{}\n", line("scheduled", &format!("{id} for {due}"))))?;
    Ok((id.to_owned(), Duration::try_from_secs_f64(due_in).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::receiver::Received;
    use super::*;

    fn received(id: &str, is_verified: bool) -> Received {
        Received { id: Some(id.to_owned()), is_verified }
    }

    async fn ended(outcomes: Vec<Outcome>, expected: Option<&str>) -> Result<bool, String> {
        let (sender, arriving) = mpsc::unbounded_channel();
        for outcome in outcomes {
            sender.send(outcome).unwrap();
        }
        let code = first(arriving, expected, PATIENCE).await?;
        drop(sender);
        Ok(code == ExitCode::SUCCESS)
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_delivery_decides_or_that_of_the_scheduled_conversation() {
        let both = || vec![Ok(received("a", false)), Ok(received("b", true))];
        assert_eq!(ended(both(), None).await, Ok(false));
        assert_eq!(ended(both(), Some("b")).await, Ok(true));
        assert_eq!(ended(vec![Err("full".to_owned())], Some("b")).await, Err("full".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_delivery_it_ends_with_an_error() {
        for outcomes in [vec![], vec![Ok(received("a", true))]] {
            let error = ended(outcomes, Some("b")).await.unwrap_err();
            assert_eq!(error, "no delivery has arrived in 300 s");
        }
    }
}
