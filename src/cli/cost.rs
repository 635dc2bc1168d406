//! `mcp-scheduler cost`: an estimate of what conversations cost on Azure.

use std::process::ExitCode;

use serde_json::json;

use super::output;
use crate::cost::{Load, Usage};

/// The arguments behind `cost`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct CostArguments {
    load: Load,
    json: bool,
}

impl CostArguments {
    /// The seconds that an endpoint takes to respond, if nobody says it.
    const RESPONSE_SECONDS: f64 = 0.1;
    /// The greatest `timeoutSeconds` of a conversation. A later response does not count.
    const MAX_RESPONSE_SECONDS: f64 = 60.0;

    /// Reads the arguments. `None` if they are not understood.
    pub(super) fn parse(arguments: &[&str]) -> Option<Self> {
        let (mut per_month, mut response_seconds, mut json) = (None, None, false);
        let mut options = arguments.iter();
        while let Some(option) = options.next() {
            let is_repeated = match *option {
                "--per-month" => per_month.replace(options.next()?.replace(['_', ','], "").parse().ok()?).is_some(),
                "--avg-seconds" => response_seconds.replace(seconds(options.next()?)?).is_some(),
                "--json" => std::mem::replace(&mut json, true),
                _ => return None,
            };
            if is_repeated {
                return None;
            }
        }
        let response_seconds = response_seconds.unwrap_or(Self::RESPONSE_SECONDS);
        Some(Self { load: Load { per_month: per_month?, response_seconds }, json })
    }
}

fn seconds(text: &str) -> Option<f64> {
    text.parse().ok().filter(|seconds| (0.0..=CostArguments::MAX_RESPONSE_SECONDS).contains(seconds))
}

/// Prints the estimate.
pub(super) fn print(arguments: CostArguments) -> Result<ExitCode, String> {
    let CostArguments { load, json } = arguments;
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

    fn parse(arguments: &str) -> Option<CostArguments> {
        CostArguments::parse(&arguments.split_whitespace().collect::<Vec<_>>())
    }

    #[test]
    fn the_number_is_needed_and_the_seconds_have_a_default() {
        let load = |per_month, response_seconds| Load { per_month, response_seconds };
        for (arguments, expected, json) in [
            ("--per-month 1000", load(1000, 0.1), false),
            ("--per-month 1_000,000 --avg-seconds 2.5", load(1_000_000, 2.5), false),
            ("--json --avg-seconds 0 --per-month 0", load(0, 0.0), true),
        ] {
            assert_eq!(parse(arguments), Some(CostArguments { load: expected, json }), "{arguments}");
        }
    }

    #[test]
    fn other_arguments_are_unknown() {
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
            assert_eq!(parse(arguments), None, "{arguments}");
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
