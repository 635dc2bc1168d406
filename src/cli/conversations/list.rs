//! `mcp-scheduler list`

use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::Value;

use super::schedule::label;
use crate::cli::api::{Api, query};
use crate::cli::arguments::ServiceArguments;
use crate::cli::failure::Failure;
use crate::cli::members::{list as array, number, text};
use crate::cli::page::Page;
use crate::config::Config;
use crate::domain::{Scope, Status};

/// List conversations, the newest first
///
/// With a status or a time they are in the order of their times (docs/lists.md).
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mcp-scheduler list --status Failed --limit 10\n  \
                  mcp-scheduler list --label team=ops --json")]
pub(in crate::cli) struct ListArguments {
    /// Only those with this status
    #[arg(long, value_parser = PossibleValuesParser::new(Status::ALL.map(Status::as_str)))]
    status: Option<String>,
    /// Only those with this label
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Option<(String, String)>,
    /// Only those from this time on, in RFC 3339: the due time, or the end of those that have ended
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only those before this time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// The most conversations that are listed
    #[arg(long, value_name = "NUMBER")]
    limit: Option<String>,
    /// Continue a list behind its last line
    #[arg(long)]
    cursor: Option<String>,
    #[command(flatten)]
    service: ServiceArguments,
}

impl ListArguments {
    fn path(&self) -> String {
        // A list by time needs an order.
        let is_by_time = self.from.is_some() || self.to.is_some();
        let order = (is_by_time && self.status.is_none()).then_some("due");
        let label = self.label.as_ref().map(|(key, value)| format!("{key}:{value}"));
        query(
            "/api/scheduler",
            &[
                ("status", self.status.as_deref()),
                ("order", order),
                ("label", label.as_deref()),
                ("from", self.from.as_deref()),
                ("to", self.to.as_deref()),
                ("limit", self.limit.as_deref()),
                ("cursor", self.cursor.as_deref()),
            ],
        )
    }
}

/// Prints a line for each conversation.
pub(in crate::cli) async fn list(config: &Config, arguments: ListArguments) -> Result<ExitCode, Failure> {
    let mut api = Api::open(config, &arguments.service, Scope::Read).await?;
    let answer = api.get(&arguments.path()).await?;
    api.print(&answer, |page| shown(page, &answer))
}

fn shown(page: &Page, answer: &Value) -> String {
    let conversations = array(answer, "conversations");
    let table = if conversations.is_empty() {
        "There is no such conversation.".to_owned()
    } else {
        page.table(
            &heads(page),
            &conversations.iter().map(|conversation| cells(page, conversation)).collect::<Vec<_>>(),
        )
    };
    match text(answer, "nextCursor") {
        "" => table,
        cursor => format!("{table}\n\nMore may follow: add --cursor {cursor}"),
    }
}

fn heads(page: &Page) -> Vec<String> {
    let [id, status, attempts, endpoint, text] = ["ID", "STATUS", "ATTEMPTS", "ENDPOINT", "TEXT"].map(str::to_owned);
    [id, status].into_iter().chain(page.time_heads("DUE")).chain([attempts, endpoint, text]).collect()
}

fn cells(page: &Page, conversation: &Value) -> Vec<String> {
    let names = ["conversationId", "status", "scheduledTime", "endpoint", "deliver", "textExcerpt"];
    let [id, status, due, endpoint, deliver, excerpt] = names.map(|name| text(conversation, name).to_owned());
    let endpoint = if endpoint.is_empty() { deliver } else { endpoint };
    let attempts = number(conversation, "attempts").to_string();
    let of_time = page.time_cells(&due);
    [id, status].into_iter().chain(of_time).chain([attempts, endpoint, excerpt]).collect()
}

#[cfg(test)]
mod tests {
    use crate::cli::arguments::Command;
    use crate::cli::arguments::tests::{parse, refused};

    #[test]
    fn the_options_are_the_parameters_of_the_list() {
        for (arguments, path) in [
            ("", ""),
            (
                "--status Failed --from 2030-01-01T00:00:00+01:00",
                "?status=Failed&from=2030-01-01T00%3A00%3A00%2B01%3A00",
            ),
            ("--to 2030-01-01T00:00Z", "?order=due&to=2030-01-01T00%3A00Z"),
            ("--label team=ops --limit 5 --cursor c", "?label=team%3Aops&limit=5&cursor=c"),
        ] {
            let Command::List(parsed) = parse(&format!("list {arguments}")) else { panic!("{arguments}") };
            assert_eq!(parsed.path(), format!("/api/scheduler{path}"));
        }
        refused("list --status Lost");
        refused("list --label team");
    }
}
