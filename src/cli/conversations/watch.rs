//! `mcp-scheduler watch`

use std::collections::{HashMap, HashSet};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::show::path;
use crate::cli::api::{Api, query};
use crate::cli::arguments::ServiceArguments;
use crate::cli::failure::Failure;
use crate::cli::members::{list, number, text};
use crate::cli::page::{Page, counted, escaped};
use crate::config::Config;
use crate::domain::{Scope, Timestamp};

/// The time between two looks. A look at one conversation is one request, and a look at all is five.
const INTERVAL: Duration = Duration::from_secs(2);
/// How far a look goes back behind the one before it: the processes of a service can have clocks that differ.
const OVERLAP: Duration = Duration::from_secs(30);

/// Print what changes, until Ctrl-C
///
/// With an id it ends when the conversation has ended.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mcp-scheduler watch\n  mcp-scheduler watch 01a21c94-4a53-7f40-a16c-cd32f6f23a9e")]
pub(in crate::cli) struct WatchArguments {
    /// The id of the conversation; without it all conversations are watched
    id: Option<String>,
    #[command(flatten)]
    service: ServiceArguments,
}

/// Prints a line for each change.
pub(in crate::cli) async fn watch(config: &Config, arguments: WatchArguments) -> Result<ExitCode, Failure> {
    let WatchArguments { id, service } = arguments;
    let mut api = Api::open(config, &service, Scope::Read).await?;
    let watched = async {
        match &id {
            Some(id) => one(&mut api, id).await,
            None => all(&mut api).await,
        }
    };
    tokio::select! {
        ended = watched => ended,
        _ = tokio::signal::ctrl_c() => Ok(ExitCode::SUCCESS),
    }
}

async fn one(api: &mut Api<'_>, id: &str) -> Result<ExitCode, Failure> {
    let mut seen = Seen::default();
    loop {
        let conversation = api.get(&path(id)).await?;
        if seen.is_news(&conversation) {
            api.print(&conversation, |page| shown(page, &conversation))?;
        }
        if matches!(text(&conversation, "status"), "Completed" | "Failed" | "Cancelled") {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn all(api: &mut Api<'_>) -> Result<ExitCode, Failure> {
    let mut seen = Seen::default();
    let (began, conversations) = look(api, None).await?;
    for conversation in &conversations {
        seen.is_news(conversation);
    }
    let mut last = began;
    loop {
        tokio::time::sleep(INTERVAL).await;
        let (at, conversations) = look(api, Some(began.max(last - OVERLAP))).await?;
        for conversation in &conversations {
            if seen.is_news(conversation) {
                api.print(conversation, |page| shown(page, conversation))?;
            }
        }
        seen.forget_others(&conversations);
        last = at;
    }
}

/// The newest conversations, those that are in progress, and those that have ended since a time. Also the time of the service
/// before it was asked.
async fn look(api: &mut Api<'_>, since: Option<Timestamp>) -> Result<(Timestamp, Vec<Value>), Failure> {
    let since = since.map(|since| since.to_string());
    let ended = ["Completed", "Failed", "Cancelled"].map(|status| (Some(status), since.as_deref()));
    let lists =
        [(None, None), (Some("InProgress"), None)].into_iter().chain(ended.into_iter().filter(|_| since.is_some()));
    let (mut at, mut found) = (None, Vec::new());
    for (status, from) in lists {
        let page =
            api.get(&query("/api/scheduler", &[("status", status), ("from", from), ("limit", Some("100"))])).await?;
        at = at.or_else(|| Timestamp::parse(text(&page, "serverTime")).ok());
        found.extend_from_slice(list(&page, "conversations"));
    }
    Ok((at.unwrap_or_default(), found))
}

/// The states that were seen last, by the ids of the conversations.
#[derive(Default)]
struct Seen(HashMap<String, String>);

impl Seen {
    /// Whether a conversation has another state than before. The state is seen then.
    fn is_news(&mut self, conversation: &Value) -> bool {
        let [id, status, due, next] =
            ["conversationId", "status", "scheduledTime", "nextAttemptTime"].map(|name| text(conversation, name));
        let state = format!("{status} {due} {next} {}", attempts(conversation));
        let before = self.0.insert(id.to_owned(), state.clone());
        before != Some(state)
    }

    /// So that the memory does not grow with what was seen long ago.
    fn forget_others(&mut self, conversations: &[Value]) {
        let ids: HashSet<_> = conversations.iter().map(|conversation| text(conversation, "conversationId")).collect();
        self.0.retain(|id, _| ids.contains(id.as_str()));
    }
}

/// The number of attempts, which a list has in the place of the attempts.
fn attempts(conversation: &Value) -> u64 {
    number(conversation, "attempts").max(list(conversation, "attempts").len() as u64)
}

fn shown(page: &Page, conversation: &Value) -> String {
    let status = text(conversation, "status");
    let (attempts, next) = (attempts(conversation), page.relative(text(conversation, "nextAttemptTime")));
    let made = counted(attempts, "attempt", "attempts");
    let detail = match status {
        "Scheduled" => format!("due {}", page.relative(text(conversation, "scheduledTime"))),
        "InProgress" if next.is_empty() => format!("attempt {attempts}"),
        "InProgress" => format!("after {made}, next {next}"),
        "Failed" => format!("after {made}: {}", escaped(text(conversation, "lastError"))),
        _ => format!("after {made}"),
    };
    let padding = " ".repeat("InProgress".len().saturating_sub(status.len()));
    let (now, id, status) = (page.now(), text(conversation, "conversationId"), page.status(status));
    format!("{now}  {id}  {status}{padding}  {}", detail.trim_end_matches(": "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_state_is_news_once_and_what_is_no_longer_seen_is_forgotten() {
        let state =
            |id: &str, attempts: Value| json!({ "conversationId": id, "status": "InProgress", "attempts": attempts });
        let mut seen = Seen::default();
        assert!(seen.is_news(&state("a", json!(1))) && !seen.is_news(&state("a", json!([{}]))));
        assert!(seen.is_news(&state("a", json!(2))) && seen.is_news(&state("b", json!(2))));
        seen.forget_others(&[state("b", json!(2))]);
        assert!(!seen.is_news(&state("b", json!(2))) && seen.is_news(&state("a", json!(2))));
    }
}
