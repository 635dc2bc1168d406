//! `mcp-scheduler preview`

use std::process::ExitCode;

use clap::{ArgGroup, Args};
use serde_json::Value;

use super::when::WhenArguments;
use crate::cli::api::Api;
use crate::cli::arguments::ServiceArguments;
use crate::cli::failure::Failure;
use crate::cli::members::list;
use crate::cli::page::{Page, escaped, line};
use crate::config::Config;
use crate::domain::{Scope, Zone};

/// Show the times that the options of `schedule` mean, and schedule nothing
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("when").args(["delay", "at", "cron"]).required(true).multiple(true),
    after_help = "Example:\n  mcp-scheduler preview --cron \"0 9 * * 1-5\" --zone Europe/Berlin --count 3"
)]
pub(in crate::cli) struct PreviewArguments {
    #[command(flatten)]
    when: WhenArguments,
    /// The most times that are shown
    #[arg(long, value_name = "NUMBER")]
    count: Option<u32>,
    #[command(flatten)]
    service: ServiceArguments,
}

/// Prints the times.
pub(in crate::cli) async fn preview(config: &Config, arguments: PreviewArguments) -> Result<ExitCode, Failure> {
    let PreviewArguments { when, count, service } = arguments;
    let mut api = Api::open(config, &service, Scope::Read).await?;
    let mut request = when.members();
    request.extend(count.map(|count| ("count".to_owned(), count.into())));
    let answer = api.post("/api/scheduler/preview", &Value::Object(request)).await?;
    let zone: Option<Zone> = when.time.zone.and_then(|name| name.parse().ok());
    api.print(&answer, |page| shown(&zone.map_or(*page, |zone| page.at(zone)), &answer))
}

fn shown(page: &Page, answer: &Value) -> String {
    let times = list(answer, "instants").iter().filter_map(Value::as_str);
    let table = page.table(&page.time_heads("DUE"), &times.map(|time| page.time_cells(time)).collect::<Vec<_>>());
    let notes = list(answer, "notes").iter().filter_map(Value::as_str);
    [table].into_iter().chain(notes.map(|note| line("note", &escaped(note)))).collect::<Vec<_>>().join("\n")
}
