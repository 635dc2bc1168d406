//! `mcp-scheduler cost`: an estimate of what conversations cost on Azure.

use std::num::ParseIntError;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::output;
use crate::cost::{Load, Usage};

/// Estimate what so many conversations cost on Azure
#[derive(Clone, Copy, Debug, Args)]
#[command(after_help = "Example:\n  mcp-scheduler cost --per-month 1_000_000 --avg-seconds 2")]
pub(super) struct CostArguments {
    /// The conversations of a month
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    per_month: u32,
    /// The seconds that their endpoints take to respond on average
    #[arg(long, value_name = "SECONDS", default_value = "0.1", value_parser = seconds)]
    avg_seconds: f64,
    /// Print the estimate as JSON
    #[arg(long)]
    json: bool,
}

/// The greatest `timeoutSeconds` of a conversation. A later response does not count.
const MAX_RESPONSE_SECONDS: f64 = 60.0;

fn number(text: &str) -> Result<u32, ParseIntError> {
    text.replace(['_', ','], "").parse()
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..=MAX_RESPONSE_SECONDS).contains(seconds));
    seconds.ok_or_else(|| format!("must be a number from 0 to {MAX_RESPONSE_SECONDS}"))
}

/// Prints the estimate.
pub(super) fn print(arguments: CostArguments) -> Result<ExitCode, String> {
    let CostArguments { per_month, avg_seconds, json } = arguments;
    let load = Load { per_month, response_seconds: avg_seconds };
    output::print(if json { as_json(&load) } else { as_text(&load) })?;
    Ok(ExitCode::SUCCESS)
}

fn as_json(load: &Load) -> String {
    let usage = load.usage();
    let [executions, queue, tables, instances] = usage.dollars();
    let rounded = |dollars: f64| (dollars * 100.0).round() / 100.0;
    json!({
        "perMonth": load.per_month,
        "averageResponseSeconds": load.response_seconds,
        "dollars": {
            "executions": rounded(executions),
            "queue": rounded(queue),
            "tables": rounded(tables),
            "instances": rounded(instances),
            "total": rounded(executions + queue + tables + instances),
        },
    })
    .to_string()
}

fn as_text(load: &Load) -> String {
    let usage = load.usage();
    let Usage { executions, queue_operations, transactions, instance_seconds } = usage;
    let numbers = [executions, queue_operations, transactions, instance_seconds];
    let names = ["executions of functions", "operations on queues", "transactions on tables", "seconds of instances"];
    let dollars = usage.dollars();
    let total: f64 = dollars.iter().sum();
    let head = format!(
        "A month of {} conversations on Azure ({} per second), with endpoints that respond in {} s:\n",
        grouped(f64::from(load.per_month)),
        rate(load.per_second()),
        load.response_seconds
    );
    let line = |name: &str, number: &str, dollars: f64| format!("  {name:<24}{number:>16}{:>12}", money(dollars));
    let billed = names.into_iter().zip(numbers).zip(dollars);
    let billed = billed.map(|((name, number), dollars)| line(name, &grouped(number), dollars));
    let of_a_million = (load.per_month > 0).then(|| total / f64::from(load.per_month) * 1_000_000.0);
    let of_a_million = of_a_million.map(|dollars| format!("That is {} for a million.", money(dollars)));
    let note = "This is an estimate, at list prices and without free grants, for conversations that are scheduled one by one.\n\
                docs/cost.md says what was counted and what was not.";
    let lines = [head].into_iter().chain(billed).chain([line("all in", "", total) + "\n"]).chain(of_a_million);
    lines.chain([note.to_owned()]).collect::<Vec<_>>().join("\n")
}

fn rate(per_second: f64) -> String {
    if per_second >= 10.0 { format!("{per_second:.0}") } else { format!("{per_second:.2}") }
}

fn money(dollars: f64) -> String {
    format!("${dollars:.2}")
}

/// A number without its fraction, and with a comma before each three digits.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (position, digit) in digits.char_indices() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::arguments::Command;
    use crate::cli::arguments::tests::{parse, refused};

    #[test]
    fn the_number_is_needed_and_the_seconds_have_a_default() {
        for (arguments, expected) in [
            ("--per-month 1000", (1000, 0.1, false)),
            ("--per-month 1_000,000 --avg-seconds 2.5", (1_000_000, 2.5, false)),
            ("--json --avg-seconds 0 --per-month 0", (0, 0.0, true)),
        ] {
            let Command::Cost(CostArguments { per_month, avg_seconds, json }) = parse(&format!("cost {arguments}"))
            else {
                panic!("{arguments}")
            };
            assert_eq!((per_month, avg_seconds, json), expected, "{arguments}");
        }
    }

    #[test]
    fn other_arguments_are_refused() {
        for arguments in [
            "",
            "--avg-seconds 2",
            "--per-month",
            "--per-month -1",
            "--per-month 1.5",
            "--per-month 1 --per-month 2",
            "--per-month 1 --avg-seconds -1",
            "--per-month 1 --avg-seconds NaN",
            "--per-month 1 --avg-seconds 61",
            "--per-month 1 --json --json",
            "--per-month 1 2",
        ] {
            refused(&format!("cost {arguments}"));
        }
    }

    #[test]
    fn the_text_has_a_line_for_each_thing_that_is_billed() {
        let text = as_text(&Load { per_month: 1_000_000, response_seconds: 2.0 });
        let expected = "\
A month of 1,000,000 conversations on Azure (0.39 per second), with endpoints that respond in 2 s:
";
        assert!(text.starts_with(expected), "{text}");
        for name in ["executions of functions", "operations on queues", "transactions on tables", "all in"] {
            assert!(text.contains(&format!("\n  {name}")), "{name} in {text}");
        }
    }

    #[test]
    fn a_month_without_conversations_has_no_price_for_a_million() {
        assert!(!as_text(&Load { per_month: 0, response_seconds: 0.1 }).contains("million"));
    }

    #[test]
    fn a_program_gets_dollars_with_two_digits() {
        let value: serde_json::Value =
            serde_json::from_str(&as_json(&Load { per_month: 0, response_seconds: 0.1 })).unwrap();
        assert_eq!(
            value["dollars"],
            json!({ "executions": 0.02, "queue": 0.02, "tables": 0.1, "instances": 0.6, "total": 0.74 })
        );
    }

    #[test]
    fn numbers_have_a_comma_before_each_three_digits() {
        for (number, text) in [(0.0, "0"), (999.4, "999"), (1000.0, "1,000"), (1_234_567.0, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
