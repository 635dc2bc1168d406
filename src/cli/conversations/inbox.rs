//! `mcp-scheduler receive` and `mcp-scheduler acknowledge`

use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value};

use crate::cli::api::{Api, in_path};
use crate::cli::arguments::ServiceArguments;
use crate::cli::failure::Failure;
use crate::cli::members::{list, number, text};
use crate::cli::page::{Page, escaped, line};
use crate::config::Config;
use crate::domain::{Scope, Scopes};

/// Receive what is due in the inbox; acknowledge it when it is done
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mcp-scheduler receive --wait 20 --lease 60")]
pub(in crate::cli) struct ReceiveArguments {
    /// How many seconds to wait if nothing is due
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u32>,
    /// In how many seconds it will be acknowledged; after that it is received again
    #[arg(long, value_name = "SECONDS")]
    lease: Option<u32>,
    /// The most conversations to receive
    #[arg(long, value_name = "NUMBER")]
    max: Option<u32>,
    #[command(flatten)]
    service: ServiceArguments,
}

/// Say that a conversation of the inbox is done
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mcp-scheduler acknowledge 01a21c94-4a53-7f40-a16c-cd32f6f23a9e 0-1-7a1c0e5b9d2f4a68"
)]
pub(in crate::cli) struct AcknowledgeArguments {
    /// The id of the conversation
    id: String,
    /// The receipt with which it was received
    receipt: String,
    /// Say that it has failed; it is received again after a pause
    #[arg(long)]
    failed: bool,
    #[command(flatten)]
    service: ServiceArguments,
}

impl ReceiveArguments {
    fn request(&self) -> Value {
        let members = [("waitSeconds", self.wait), ("leaseSeconds", self.lease), ("max", self.max)];
        let given = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
        Value::Object(given.collect::<Map<_, _>>())
    }
}

/// Receives conversations, and prints them with their receipts.
pub(in crate::cli) async fn receive(config: &Config, arguments: ReceiveArguments) -> Result<ExitCode, Failure> {
    let mut api = Api::open(config, &arguments.service, Scopes::on_conversations()).await?;
    let answer = api.post("/api/inbox/receive", &arguments.request()).await?;
    api.print(&answer, |page| shown(page, &answer))
}

/// Acknowledges a conversation.
pub(in crate::cli) async fn acknowledge(config: &Config, arguments: AcknowledgeArguments) -> Result<ExitCode, Failure> {
    let AcknowledgeArguments { id, receipt, failed, service } = arguments;
    let mut api = Api::open(config, &service, Scope::Write).await?;
    let outcome = if failed { "failed" } else { "done" };
    let request = serde_json::json!({ "receipt": receipt, "outcome": outcome });
    let answer = api.post(&format!("/api/inbox/{}/ack", in_path(&id)), &request).await?;
    api.print(&answer, |_| format!("{} is acknowledged.", text(&answer, "conversationId")))
}

fn shown(page: &Page, answer: &Value) -> String {
    let received = list(answer, "conversations");
    if received.is_empty() {
        return "Nothing is due.".to_owned();
    }
    let one = |it: &Value| {
        let lines = [
            line("id", text(it, "conversationId")),
            line("receipt", text(it, "receipt")),
            line("attempt", &number(it, "attempt").to_string()),
            line("due", &page.time(text(it, "scheduledTime"))),
            line("lease", &page.time(text(it, "leaseUntil"))),
            line("text", &escaped(text(it, "conversationText"))),
        ];
        lines.join("\n")
    };
    received.iter().map(one).collect::<Vec<_>>().join("\n\n")
}
