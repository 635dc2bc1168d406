//! `mcp-scheduler cancel`

use std::process::ExitCode;

use clap::Args;
use reqwest::Method;

use crate::cli::api::{Api, in_path};
use crate::cli::arguments::ServiceArguments;
use crate::cli::failure::Failure;
use crate::cli::members::text;
use crate::config::Config;
use crate::domain::Scope;

/// Cancel a conversation
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mcp-scheduler cancel 01a21c94-4a53-7f40-a16c-cd32f6f23a9e")]
pub(in crate::cli) struct CancelArguments {
    /// The id of the conversation
    id: String,
    #[command(flatten)]
    service: ServiceArguments,
}

/// Cancels a conversation.
pub(in crate::cli) async fn cancel(config: &Config, arguments: CancelArguments) -> Result<ExitCode, Failure> {
    let CancelArguments { id, service } = arguments;
    let mut api = Api::open(config, &service, Scope::Write).await?;
    let answer = api.call(Method::DELETE, &format!("/api/scheduler/{}", in_path(&id)), None).await?;
    api.print(&answer, |_| format!("{} is cancelled.", text(&answer, "conversationId")))
}
