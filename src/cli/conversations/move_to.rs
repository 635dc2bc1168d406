//! `mcp-scheduler move`

use std::process::ExitCode;

use clap::{ArgGroup, Args};
use reqwest::Method;
use serde_json::Value;

use super::when::TimeArguments;
use crate::cli::api::{Api, in_path};
use crate::cli::arguments::ServiceArguments;
use crate::cli::failure::Failure;
use crate::cli::members::text;
use crate::cli::page::line;
use crate::config::Config;
use crate::domain::Scope;

/// Give a conversation another time
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("when").args(["delay", "at"]).required(true),
    after_help = "Example:\n  mcp-scheduler move 01a21c94-4a53-7f40-a16c-cd32f6f23a9e --in 2h"
)]
pub(in crate::cli) struct MoveArguments {
    /// The id of the conversation
    id: String,
    #[command(flatten)]
    time: TimeArguments,
    #[command(flatten)]
    service: ServiceArguments,
}

/// Changes the time of a conversation.
pub(in crate::cli) async fn move_to(config: &Config, arguments: MoveArguments) -> Result<ExitCode, Failure> {
    let MoveArguments { id, time, service } = arguments;
    let mut api = Api::open(config, &service, Scope::Write).await?;
    let patch = Value::Object(time.members());
    let answer = api.call(Method::PATCH, &format!("/api/scheduler/{}", in_path(&id)), Some(&patch)).await?;
    api.print(&answer, |page| {
        let (id, due) = (text(&answer, "conversationId"), page.time(text(&answer, "scheduledTime")));
        format!("{}\n{}", line("moved", id), line("due", &due))
    })
}
