//! `mcp-scheduler import`: the lines of an export, from a file or from standard input.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::process::ExitCode;

use serde::de::IgnoredAny;

use super::file::{FORMAT, Mark};
use super::{ImportArguments, Refused, Target, counted};
use crate::app::ImportResponse;
use crate::cli::output;
use crate::config::Config;

/// The longest line, in bytes. A conversation with the largest request is shorter.
const MAX_LINE: usize = 3 * 1024 * 1024;
/// The bytes and the lines of one call. One more line may follow the bytes.
const CALL_BYTES: usize = 512 * 1024;
const CALL_LINES: usize = 100;

/// Imports all lines. What exists already stays as it is, so the same import can be run again.
pub(in crate::cli) async fn import(config: &Config, arguments: ImportArguments) -> Result<ExitCode, String> {
    let ImportArguments { file, url } = arguments;
    let input: Box<dyn BufRead> = match &file {
        Some(path) => {
            let opened = File::open(path).map_err(|error| format!("cannot open {}: {error}", path.display()))?;
            Box::new(BufReader::new(opened))
        }
        None => Box::new(BufReader::new(std::io::stdin())),
    };
    let mut lines = Lines { input, number: 0 };
    lines.read_first()?;
    let mut import = Import { target: Target::open(config, url, true).await?, done: ImportResponse::default() };
    let result = import.all(&mut lines).await;
    import.target.close();
    let ImportResponse { clients, conversations, idempotency_keys, skipped } = import.done;
    let done = format!(
        "{}, {} and {} imported; {} skipped",
        counted(conversations, "conversation", "conversations"),
        counted(clients, "client", "clients"),
        counted(idempotency_keys, "idempotency key", "idempotency keys"),
        counted(skipped, "line", "lines"),
    );
    match result {
        Ok(()) => {
            output::print(done)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Err(format!("{error}\nUntil then: {done}. The same import can be run again")),
    }
}

/// The lines of the input.
struct Lines {
    input: Box<dyn BufRead>,
    /// The number of lines that were read.
    number: usize,
}

impl Lines {
    /// The next line, without its end. `None` behind the last one.
    fn next(&mut self) -> Result<Option<String>, String> {
        let mut line = Vec::new();
        let failed = |error| format!("cannot read line {}: {error}", self.number + 1);
        (&mut self.input).take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line).map_err(failed)?;
        if line.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() > MAX_LINE {
            return Err(format!("line {} is longer than {MAX_LINE} bytes", self.number));
        } else if serde_json::from_slice::<IgnoredAny>(&line).is_err() {
            return Err(format!("the input was cut: it ends within line {}", self.number));
        }
        String::from_utf8(line).map(Some).map_err(|_| format!("line {} is not UTF-8", self.number))
    }

    fn read_first(&mut self) -> Result<(), String> {
        match self.next()?.as_deref().and_then(Mark::read) {
            Some(Mark::Export { format, .. }) if format <= FORMAT => Ok(()),
            Some(Mark::Export { format, version, .. }) => Err(format!(
                "the export has the form {format}, and this program reads up to {FORMAT}; use release {version} or a newer one"
            )),
            _ => Err("the input is not an export: its first line is not that of `mcp-scheduler export`".to_owned()),
        }
    }
}

/// An import under way.
struct Import {
    target: Target,
    done: ImportResponse,
}

impl Import {
    async fn all(&mut self, lines: &mut Lines) -> Result<(), String> {
        // The lines that wait, their bytes, and the number of lines before them.
        let (mut waiting, mut bytes, mut before) = (Vec::<String>::new(), 0, lines.number);
        loop {
            let next = lines.next().and_then(|line| match line {
                Some(line) => match Mark::read(&line) {
                    Some(Mark::End { lines }) => Ok(Next::End(lines)),
                    Some(Mark::Export { .. }) => Err("another export begins before this one has ended".to_owned()),
                    None if serde_json::from_str::<IgnoredAny>(&line).is_err() => Err("it is not JSON".to_owned()),
                    None => Ok(Next::Line(line)),
                }
                .map_err(|reason| format!("line {}: {reason}", lines.number)),
                None => {
                    Err(format!("the input was cut: it ends behind line {} without the line \"end\"", lines.number))
                }
            });
            let is_full = |next: &String| waiting.len() == CALL_LINES || bytes + next.len() > CALL_BYTES;
            if !matches!(&next, Ok(Next::Line(line)) if waiting.is_empty() || !is_full(line)) {
                let sent = std::mem::take(&mut waiting);
                let count = sent.len();
                self.send(sent, before).await?;
                (bytes, before) = (0, before + count);
            }
            match next? {
                Next::Line(line) => {
                    bytes += line.len();
                    waiting.push(line);
                }
                // Without the first and the last line.
                Next::End(count) if count + 2 == lines.number => break,
                Next::End(count) => {
                    let found = lines.number - 2;
                    return Err(format!("lines are missing: the export had {count}, and the input has {found}"));
                }
            }
        }
        match lines.next()? {
            None => Ok(()),
            Some(_) => Err(format!("line {}: it is behind the end of the export", lines.number)),
        }
    }

    /// Imports lines, of which `before` precede in the input. If one is wrong, those before it are imported.
    async fn send(&mut self, mut lines: Vec<String>, before: usize) -> Result<(), String> {
        let mut wrong = Ok(());
        while !lines.is_empty() {
            match self.target.import(&lines).await {
                Ok(more) => {
                    let done = &mut self.done;
                    done.clients += more.clients;
                    done.conversations += more.conversations;
                    done.idempotency_keys += more.idempotency_keys;
                    done.skipped += more.skipped;
                    break;
                }
                Err(Refused::Line(at, reason)) if at < lines.len() => {
                    wrong = Err(format!("line {}: {reason}", before + at + 1));
                    lines.truncate(at);
                }
                Err(Refused::Line(_, reason) | Refused::Other(reason)) => return Err(reason),
            }
        }
        wrong
    }
}

/// The next line of an export.
enum Next {
    Line(String),
    /// The last line, with the number of lines that the export had.
    End(usize),
}
