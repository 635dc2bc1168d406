//! `mcp-scheduler redeliver`

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::api::{Api, in_path};
use crate::cli::arguments::ServiceArguments;
use crate::cli::failure::Failure;
use crate::cli::members::{number, text};
use crate::cli::page::counted;
use crate::config::Config;
use crate::domain::{Delay, Scope};
use crate::time::{Clock as _, SystemClock};

/// Start new attempts for a failed conversation, or for all
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mcp-scheduler redeliver 01a21c94-4a53-7f40-a16c-cd32f6f23a9e\n  \
                  mcp-scheduler redeliver --failed --since 1h")]
pub(in crate::cli) struct RedeliverArguments {
    /// The id of the conversation
    #[arg(required_unless_present = "failed", conflicts_with = "failed")]
    id: Option<String>,
    /// All conversations that have failed
    #[arg(long)]
    failed: bool,
    /// Only those that have failed in this time until now, such as 1h
    #[arg(long, value_name = "TIME", requires = "failed")]
    since: Option<Delay>,
    #[command(flatten)]
    service: ServiceArguments,
}

/// Redelivers one conversation or all that have failed.
pub(in crate::cli) async fn redeliver(config: &Config, arguments: RedeliverArguments) -> Result<ExitCode, Failure> {
    let mut api = Api::open(config, &arguments.service, Scope::Write).await?;
    if let Some(id) = arguments.id {
        let answer =
            api.call(reqwest::Method::POST, &format!("/api/scheduler/{}/redeliver", in_path(&id)), None).await?;
        return api.print(&answer, |_| format!("{} is delivered again.", text(&answer, "conversationId")));
    }
    let answer = all(&mut api, arguments.since).await?;
    api.print(&answer, |_| {
        let redelivered = counted(number(&answer, "redelivered"), "conversation is", "conversations are");
        match number(&answer, "skipped") {
            0 => format!("{redelivered} delivered again."),
            skipped => format!("{redelivered} delivered again. {skipped} could not be."),
        }
    })
}

/// Redelivers page by page, and returns the sums.
async fn all(api: &mut Api<'_>, since: Option<Delay>) -> Result<Value, Failure> {
    let from = since.map(|since| (SystemClock.now() - since.duration()).to_string());
    let mut filter = json!({ "status": "Failed" });
    if let (Some(from), Some(filter)) = (from, filter.as_object_mut()) {
        filter.insert("from".to_owned(), from.into());
    }
    let (mut redelivered, mut skipped, mut cursor) = (0, 0, Value::Null);
    loop {
        let mut request = json!({ "filter": filter });
        if let (Some(request), false) = (request.as_object_mut(), cursor.is_null()) {
            request.insert("cursor".to_owned(), cursor);
        }
        let page = api.post("/api/scheduler/redeliver", &request).await?;
        redelivered += number(&page, "redelivered");
        skipped += number(&page, "skipped");
        cursor = page.get("cursor").cloned().unwrap_or_default();
        if cursor.is_null() {
            return Ok(json!({ "redelivered": redelivered, "skipped": skipped }));
        }
    }
}
