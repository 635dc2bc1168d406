//! `mcp-scheduler schedule`

use std::fs;
use std::process::ExitCode;

use clap::{ArgGroup, Args};
use reqwest::Method;
use serde_json::{Map, Value};

use super::when::WhenArguments;
use crate::cli::api::{Api, in_path};
use crate::cli::arguments::ServiceArguments;
use crate::cli::failure::Failure;
use crate::cli::members::{list, text};
use crate::cli::page::{Page, escaped, line};
use crate::config::Config;
use crate::domain::Scope;

/// Schedule a text
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("when").args(["delay", "at", "cron"]).required(true).multiple(true),
    group = ArgGroup::new("receiver").args(["to", "inbox"]).required(true),
    after_help = "Examples:\n  mcp-scheduler schedule \"Remind Anna\" --in 5m --to https://example.com/hook\n  \
                  mcp-scheduler schedule \"Report\" --cron \"0 9 * * 1-5\" --zone Europe/Berlin --to https://example.com/hook\n  \
                  mcp-scheduler schedule \"Look at the deployment\" --in 1h --inbox"
)]
pub(in crate::cli) struct ScheduleArguments {
    /// The text
    text: String,
    #[command(flatten)]
    when: WhenArguments,
    /// The endpoint to which it is delivered
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Keep it in the inbox, from which a receiver without an endpoint gets it
    #[arg(long)]
    inbox: bool,
    /// A label; give the option again for another one
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// A name; if it is given again, the conversation with this name is changed
    #[arg(long)]
    name: Option<String>,
    /// The JSON that is sent, in the place of the usual body; @FILE reads it from a file
    #[arg(long, value_name = "JSON|@FILE", value_parser = json_or_file)]
    body: Option<Value>,
    #[command(flatten)]
    service: ServiceArguments,
}

impl ScheduleArguments {
    fn request(&self) -> Value {
        let mut request = self.when.members();
        request.insert("conversationText".to_owned(), self.text.as_str().into());
        let receiver = match &self.to {
            Some(endpoint) => ("endpoint", endpoint.as_str()),
            None => ("deliver", "inbox"),
        };
        request.insert(receiver.0.to_owned(), receiver.1.into());
        if !self.labels.is_empty() {
            let labels = self.labels.iter().map(|(key, value)| (key.clone(), value.as_str().into()));
            request.insert("labels".to_owned(), Value::Object(labels.collect::<Map<_, _>>()));
        }
        request.extend(self.body.clone().map(|body| ("body".to_owned(), body)));
        Value::Object(request)
    }
}

/// Schedules a text, and prints its id and its times.
pub(in crate::cli) async fn schedule(config: &Config, arguments: ScheduleArguments) -> Result<ExitCode, Failure> {
    let mut api = Api::open(config, &arguments.service, Scope::Write).await?;
    let request = arguments.request();
    let answer = match &arguments.name {
        Some(name) => api.call(Method::PUT, &format!("/api/scheduler/named/{}", in_path(name)), Some(&request)).await?,
        None => api.post("/api/scheduler/schedule", &request).await?,
    };
    api.print(&answer, |page| shown(page, api.url(), &answer))
}

fn shown(page: &Page, url: &str, answer: &Value) -> String {
    let outcome = Some(text(answer, "outcome")).filter(|outcome| !outcome.is_empty()).unwrap_or("scheduled");
    let mut lines = vec![
        line(outcome, &format!("{} on {url}", text(answer, "conversationId"))),
        line("due", &page.time(text(answer, "scheduledTime"))),
    ];
    let later = list(answer, "nextTimes").iter().filter_map(Value::as_str);
    lines.extend(later.map(|time| line("then", &page.time(time))));
    let notes = list(answer, "notes").iter().filter_map(Value::as_str);
    lines.extend(notes.map(|note| line("note", &escaped(note))));
    lines.join("\n")
}

/// A label `KEY=VALUE`.
pub(super) fn label(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("must be a key and a value, such as team=ops")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn json_or_file(text: &str) -> Result<Value, String> {
    let read = text.strip_prefix('@').map(|file| fs::read_to_string(file).map_err(|error| format!("{file}: {error}")));
    let json = read.transpose()?;
    serde_json::from_str(json.as_deref().unwrap_or(text)).map_err(|error| format!("it is not JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::cli::arguments::Command;
    use crate::cli::arguments::tests::{parse, refused};

    #[test]
    fn the_options_are_the_members_of_the_request() {
        let line = "schedule \"Hello you\" --cron \"0 9 * * 1-5\" --at 2030-01-01T00:00 --zone Europe/Berlin --to https://a.example \
                    --label a=b --label c=d=e --body [1] --every-weeks 2";
        let Command::Schedule(arguments) = parse(line) else { panic!() };
        let expected = json!({
            "conversationText": "Hello you", "scheduledTime": "2030-01-01T00:00", "timeZone": "Europe/Berlin",
            "recurrence": { "cron": "0 9 * * 1-5", "everyWeeks": 2 }, "endpoint": "https://a.example", "labels": { "a": "b", "c": "d=e" },
            "body": [1],
        });
        assert_eq!(arguments.request(), expected);
        let line = "schedule hello --cron @daily --every-days 3 --inbox";
        let Command::Schedule(arguments) = parse(line) else { panic!() };
        assert_eq!(arguments.request()["recurrence"], json!({ "cron": "@daily", "everyDays": 3 }));
    }

    #[test]
    fn without_an_endpoint_it_is_for_the_inbox() {
        let Command::Schedule(arguments) = parse("schedule hello --in 5m --inbox") else { panic!() };
        assert_eq!(arguments.request(), json!({ "conversationText": "hello", "delay": "5m", "deliver": "inbox" }));
    }

    #[test]
    fn a_time_and_one_receiver_are_needed() {
        for wrong in [
            "hello --in 5m",
            "hello --in 5m --to https://a.example --inbox",
            "hello --to https://a.example",
            "hello --zone UTC --to https://a.example",
            "hello --in 5m --at 2030-01-01T00:00Z --to https://a.example",
            "--in 5m --to https://a.example",
            "hello --in 5m --inbox --every-weeks 2",
            "hello --cron @daily --inbox --every-weeks 2 --every-days 3",
            "hello --in 5m --to https://a.example --label team",
            "hello --in 5m --to https://a.example --body {",
            "hello --in 5m --to https://a.example --body @/nowhere",
        ] {
            refused(&format!("schedule {wrong}"));
        }
    }
}
