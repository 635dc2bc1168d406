//! `mcp-scheduler export`: all clients and conversations, as lines on standard output.

use std::process::ExitCode;

use super::file::Mark;
use super::{ExportArguments, Target, counted};
use crate::cli::output;
use crate::config::Config;
use crate::time::{Clock as _, SystemClock};

/// Writes an export to standard output. What a person should know goes to standard error.
pub(in crate::cli) async fn export(config: &Config, arguments: ExportArguments) -> Result<ExitCode, String> {
    let ExportArguments { reveal, url } = arguments;
    let mut target = Target::open(config, url, false).await?;
    if reveal {
        output::print_error(
            "the export has endpoints, header values, bodies and callbacks in plain text: whoever reads it can call the \
             endpoints of all clients",
        );
    }
    let written = write(&mut target, reveal).await;
    target.close();
    let (lines, unreadable) = written?;
    output::print_error(format_args!("{} exported", counted(lines, "line", "lines")));
    if unreadable == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let rows = counted(unreadable, "row is", "rows are");
    Err(format!("{rows} not in the export; the lines above say why. Everything else is in it"))
}

/// Writes all pages. Returns the number of lines between the first and the last, and of the rows that are missing.
async fn write(target: &mut Target, reveal: bool) -> Result<(usize, usize), String> {
    let (mut lines, mut unreadable, mut cursor) = (0, 0, None);
    // Before anything is written: a file with one line would look like the beginning of an export.
    let mut page = target.export(None, reveal).await?;
    output::print(Mark::first(SystemClock.now()).to_line()?)?;
    loop {
        if !page.lines.is_empty() {
            let text: Vec<_> = page.lines.iter().map(|line| line.get()).collect();
            output::print(text.join("\n"))?;
        }
        page.unreadable.iter().for_each(output::print_error);
        lines += page.lines.len();
        unreadable += page.unreadable.len();
        let Some(next) = page.next_cursor else { break };
        if cursor.as_ref() == Some(&next) {
            return Err("the service returns the same page again".to_owned());
        }
        page = target.export(Some(&next), reveal).await?;
        cursor = Some(next);
    }
    output::print(Mark::End { lines }.to_line()?)?;
    Ok((lines, unreadable))
}
