//! `mcp-scheduler show`

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use crate::cli::api::{Api, in_path};
use crate::cli::arguments::ServiceArguments;
use crate::cli::failure::Failure;
use crate::cli::members::{list, number, text};
use crate::cli::page::{Page, escaped, line};
use crate::config::Config;
use crate::domain::Scopes;

/// Show a conversation with its attempts and its occurrences
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mcp-scheduler show 01a21c94-4a53-7f40-a16c-cd32f6f23a9e")]
pub(in crate::cli) struct ShowArguments {
    /// The id of the conversation
    id: String,
    #[command(flatten)]
    service: ServiceArguments,
}

/// Prints a conversation.
pub(in crate::cli) async fn show(
    config: &Config,
    ShowArguments { id, service }: ShowArguments,
) -> Result<ExitCode, Failure> {
    // Only a token that may write is shown the whole endpoint. A client without that scope gets a token without it.
    let mut api = Api::open(config, &service, Scopes::on_conversations()).await?;
    let conversation = api.get(&path(&id)).await?;
    api.print(&conversation, |page| shown(page, &conversation))
}

/// The path of a conversation.
pub(super) fn path(id: &str) -> String {
    format!("/api/scheduler/status/{}", in_path(id))
}

/// All about a conversation.
pub(super) fn shown(page: &Page, conversation: &Value) -> String {
    let tables = [attempts(page, conversation), occurrences(page, conversation)];
    [fields(page, conversation)].into_iter().chain(tables.into_iter().flatten()).collect::<Vec<_>>().join("\n\n")
}

fn fields(page: &Page, conversation: &Value) -> String {
    let member = |name| text(conversation, name);
    let time = |name| Some(member(name)).filter(|time| !time.is_empty()).map(|time| page.time(time));
    let lines = [
        ("id", Some(member("conversationId").to_owned())),
        ("name", Some(member("name").to_owned())),
        ("status", Some(page.status(member("status")))),
        ("text", Some(escaped(member("conversationText")))),
        ("deliver", Some(escaped(member("deliver")))),
        ("endpoint", Some(escaped(format!("{} {}", member("method"), member("endpoint")).trim()))),
        ("due", time("scheduledTime")),
        ("next", time("nextAttemptTime").filter(|_| member("nextAttemptTime") != member("scheduledTime"))),
        ("recurs", recurrence(conversation)),
        ("labels", labels(conversation)),
        ("error", Some(escaped(member("lastError")))),
        ("created", time("createdTime")),
    ];
    let given = lines.into_iter().filter_map(|(label, text)| Some((label, text.filter(|text| !text.is_empty())?)));
    given.map(|(label, text)| line(label, &text)).collect::<Vec<_>>().join("\n")
}

fn recurrence(conversation: &Value) -> Option<String> {
    let recurrence = conversation.get("recurrence")?;
    let occurrence = number(conversation, "occurrence");
    let is_paused = conversation.get("paused").and_then(Value::as_bool).unwrap_or_default();
    let paused = if is_paused { ", paused" } else { "" };
    let (cron, zone) = (text(recurrence, "cron"), text(recurrence, "timeZone"));
    let every = |name, unit| recurrence.get(name).map_or_else(String::new, |length| format!(", every {length} {unit}"));
    let period = every("everyWeeks", "weeks") + &every("everyDays", "days");
    Some(format!("{cron} in {zone}{period}, occurrence {occurrence}{paused}"))
}

fn labels(conversation: &Value) -> Option<String> {
    let labels = conversation.get("labels")?.as_object()?;
    let shown = labels.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    Some(escaped(&shown.collect::<Vec<_>>().join(" ")))
}

fn attempts(page: &Page, conversation: &Value) -> Option<String> {
    let attempts = list(conversation, "attempts");
    let last = ["DURATION", "OUTCOME", "STATUS", "RESPONSE"].map(str::to_owned);
    let heads: Vec<_> = ["ATTEMPT".to_owned()].into_iter().chain(page.time_heads("STARTED")).chain(last).collect();
    let row = |attempt: &Value| {
        let duration = attempt.get("durationMs").map(|millis| format!("{millis} ms"));
        let status = attempt.get("httpStatus").map(ToString::to_string);
        let response = text(attempt, "responseExcerpt").to_owned();
        [number(attempt, "number").to_string()]
            .into_iter()
            .chain(page.time_cells(text(attempt, "startedTime")))
            .chain([
                duration.unwrap_or_default(),
                text(attempt, "outcome").to_owned(),
                status.unwrap_or_default(),
                response,
            ])
            .collect()
    };
    (!attempts.is_empty()).then(|| page.table(&heads, &attempts.iter().map(row).collect::<Vec<_>>()))
}

fn occurrences(page: &Page, conversation: &Value) -> Option<String> {
    let occurrences = list(conversation, "occurrences");
    let last = ["STATUS", "ATTEMPTS", "ERROR"].map(str::to_owned);
    let heads: Vec<_> = ["OCCURRENCE".to_owned()].into_iter().chain(page.time_heads("DUE")).chain(last).collect();
    let row = |occurrence: &Value| {
        let attempts = number(occurrence, "attempts").to_string();
        let [status, error] = ["status", "lastError"].map(|name| text(occurrence, name).to_owned());
        [number(occurrence, "number").to_string()]
            .into_iter()
            .chain(page.time_cells(text(occurrence, "scheduledTime")))
            .chain([status, attempts, error])
            .collect()
    };
    (!occurrences.is_empty()).then(|| page.table(&heads, &occurrences.iter().map(row).collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_conversation_that_recurs_has_its_attempts_and_its_occurrences() {
        let conversation = json!({
            "conversationId": "a", "status": "InProgress", "conversationText": "one\ntwo\u{1b}", "method": "POST",
            "endpoint": "https://example.com/", "scheduledTime": "2030-01-01T09:00:00.000Z",
            "nextAttemptTime": "2030-01-01T09:00:30.000Z", "lastError": "the endpoint answered 503", "paused": true,
            "recurrence": { "cron": "0 9 * * *", "timeZone": "UTC", "everyWeeks": 2 }, "occurrence": 2, "labels": { "b": "c" },
            "attempts": [{ "number": 1, "startedTime": "2030-01-01T09:00:00.000Z", "durationMs": 5, "outcome": "failure",
                           "httpStatus": 503, "responseExcerpt": "try\nlater" }],
            "occurrences": [{ "number": 1, "scheduledTime": "2029-12-31T09:00:00.000Z", "status": "Failed", "attempts": 8,
                              "lastError": "timeout" }],
            "createdTime": "2029-12-30T09:00:00.000Z",
        });
        let expected = "\
id         a
status     InProgress
text       one
           two\\u{1b}
endpoint   POST https://example.com/
due        2030-01-01 09:00:00 UTC (10 s ago)
next       2030-01-01 09:00:30 UTC (in 20 s)
recurs     0 9 * * * in UTC, every 2 weeks, occurrence 2, paused
labels     b=c
error      the endpoint answered 503
created    2029-12-30 09:00:00 UTC (2 days ago)

ATTEMPT  STARTED   UTC                  DURATION  OUTCOME  STATUS  RESPONSE
1        10 s ago  2030-01-01 09:00:00  5 ms      failure  503     try later

OCCURRENCE  DUE       UTC                  STATUS  ATTEMPTS  ERROR
1           24 h ago  2029-12-31 09:00:00  Failed  8         timeout";
        assert_eq!(shown(&Page::sample("2030-01-01T09:00:10.000Z", "UTC"), &conversation), expected);
    }
}
