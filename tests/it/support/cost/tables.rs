//! The tables of docs/cost.md.

use super::batch;
use super::counts::{Counts, Kind};
use super::idle::Idle;
use super::load::{A_DAY, Load, Measured, Spread};
use super::money::{self, Bill, MILLION, MONTH};

/// The dollars that other services ask for a million, by the research of November 2026.
const OTHERS: &[(&str, &str)] = &[
    ("Google Cloud Tasks: create and push", "0.80"),
    ("Amazon EventBridge Scheduler, with what it needs to reach an HTTP endpoint", "1.40 to 2.50"),
    ("QStash, pay as you go", "10.00"),
    ("QStash, a fixed plan that is used up: 1 million or 10 million", "6.00 or 1.40"),
];

/// A table in Markdown. All columns but the first few are numbers.
fn table(head: &[&str], words: usize, rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<_> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let rule: Vec<_> = (0..head.len()).map(|at| if at < words { "---" } else { "--:" }.to_owned()).collect();
    let rows: String = rows.into_iter().map(|row| line(&row)).collect();
    line(&head) + &line(&rule) + &rows
}

fn dollars(amount: f64) -> String {
    format!("{amount:.3}")
}

fn cents(amount: f64) -> String {
    format!("{amount:.2}")
}

/// A number with a comma before each three digits.
fn grouped(number: u64) -> String {
    if number < 1000 { number.to_string() } else { format!("{},{:03}", grouped(number / 1000), number % 1000) }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // the numbers are small and not negative
fn rounded(number: f64) -> String {
    grouped(number.round() as u64)
}

fn per_thousand(measured: &Measured, kinds: &[Kind]) -> String {
    rounded(1000.0 * measured.per_conversation(kinds))
}

/// How many are due per second, and how long ahead they were scheduled.
fn name(load: &Load) -> [String; 2] {
    let rate = grouped(load.per_second);
    let rate = if load.spread == Spread::Regular { format!("{rate}, in a second of its own") } else { rate };
    [rate, if load.ahead == A_DAY { "a day" } else { "a minute" }.to_owned()]
}

fn row(measured: &Measured, cells: impl IntoIterator<Item = String>) -> Vec<String> {
    name(&measured.load).into_iter().chain(cells).collect()
}

pub fn prices() -> String {
    let rows = [
        ("operations on a queue", money::QUEUE_OPERATION),
        ("transactions on a table", money::TABLE_TRANSACTION),
        ("executions of a function, Flex Consumption", money::EXECUTION),
        ("seconds of an instance with 512 MB, Flex Consumption", money::GB_SECOND * money::INSTANCE),
    ];
    let rows = rows.map(|(what, price)| vec![what.to_owned(), dollars(price * MILLION)]);
    table(&["", "$ for a million"], 1, rows)
}

pub fn counts(loads: &[Measured]) -> String {
    let head = ["due per second", "ahead", "puts", "gets", "deletes", "rows read", "scans", "commits", "invocations"];
    let rows = loads.iter().map(|measured| {
        let kinds: [&[Kind]; 7] = [
            &[Kind::Put],
            &[Kind::Get],
            &[Kind::Delete],
            &[Kind::Read],
            &[Kind::Scan],
            Kind::COMMITS,
            &[Kind::Invocation],
        ];
        row(measured, kinds.map(|kinds| per_thousand(measured, kinds)))
    });
    table(&head, 2, rows)
}

pub fn bills(loads: &[Measured], commits_of_batch: f64) -> String {
    let head =
        ["due per second", "ahead", "calls", "invocations", "queue", "tables", "two instances", "all in", "in batches"];
    let rows = loads.iter().map(|measured| {
        let bill = Bill::one_by_one(measured);
        let parts = [bill.calls, bill.invocations, bill.queue, bill.tables, bill.instances, bill.all_in()];
        row(measured, parts.into_iter().chain([Bill::in_batches(measured, commits_of_batch).all_in()]).map(dollars))
    });
    table(&head, 2, rows)
}

/// The transactions that schedule a batch.
pub fn batch(commits: f64) -> String {
    let rows = [vec![batch::SIZE.to_string(), format!("{commits:.1}")]];
    table(&["conversations in a batch", "transactions that schedule them"], 0, rows)
}

pub fn instances(loads: &[Measured]) -> String {
    let head = [
        "due per second",
        "ahead",
        "queue instances",
        "invocations",
        "transactions",
        "seconds of instances",
        "all in",
        "empty polls",
    ];
    let rows = loads.iter().map(|measured| {
        // Milliseconds for each conversation are seconds for a thousand.
        let milliseconds = [Kind::HttpMillisecond, Kind::QueueMillisecond];
        let cells = [
            measured.load.queues.to_string(),
            per_thousand(measured, &[Kind::Invocation]),
            per_thousand(measured, Kind::TABLES),
            format!("{:.1}", measured.per_conversation(&milliseconds)),
            dollars(Bill::with_its_instances(measured).all_in()),
            dollars(money::polls(measured)),
        ];
        row(measured, cells)
    });
    table(&head, 2, rows)
}

/// The delivery alone: all of them were scheduled a day ahead.
pub fn at_once(loads: &[Measured]) -> String {
    let head =
        ["queue instances", "queue operations", "transactions", "of them commits", "invocations", "the last after"];
    let rows = loads.iter().map(|measured| {
        let sum = |kinds: &[Kind]| grouped(measured.counts.sum(kinds));
        vec![
            measured.load.queues.to_string(),
            sum(Kind::QUEUE),
            sum(&[Kind::Read, Kind::Scan, Kind::Commit]),
            sum(&[Kind::Commit]),
            sum(&[Kind::Invocation]),
            format!("{:.1} s", measured.delivered.lateness.as_secs_f64()),
        ]
    });
    table(&head, 0, rows)
}

/// Dollars for each million conversations beside those of the first release.
pub fn first_release(loads: &[Measured]) -> String {
    let rows = loads.iter().map(|measured| {
        let bills = [Bill::of_first_release(measured.load.per_second), Bill::one_by_one(measured)];
        row(measured, bills.map(|bill| dollars(bill.without_instances())))
    });
    table(&["due per second", "ahead", "first release", "now"], 2, rows)
}

#[allow(clippy::cast_precision_loss)] // the counts are small
pub fn month(idle: &Idle) -> String {
    let hours = MONTH / 3600.0;
    let count = |counts: &Counts, kinds: &[Kind]| hours * counts.sum(kinds) as f64;
    let line = |what: &str, counts: &Counts| {
        let tables = count(counts, Kind::TABLES);
        let queue = count(counts, Kind::QUEUE) + count(counts, &[Kind::Length]);
        let invocations = count(counts, &[Kind::Sweep, Kind::Switch]);
        let seconds = count(counts, &[Kind::TimerMillisecond, Kind::QueueMillisecond]) / 1000.0;
        let dollars = tables * money::TABLE_TRANSACTION
            + queue * money::QUEUE_OPERATION
            + invocations * money::EXECUTION
            + seconds * money::INSTANCE * money::GB_SECOND;
        let numbers = [tables, queue, invocations, seconds].map(rounded);
        [what.to_owned()].into_iter().chain(numbers).chain([cents(dollars)]).collect()
    };
    let (polls, seconds) = (hours * idle.polls as f64, 2.0 * MONTH);
    let line_of_one = |what: &str, column: usize, number: f64, price: f64| {
        let cell = |at: usize| if at == column { rounded(number) } else { "0".to_owned() };
        [what.to_owned()].into_iter().chain((0..4).map(cell)).chain([cents(number * price)]).collect()
    };
    let rows = [
        line("the sweep of each minute", &idle.sweeps),
        line("the dead man's switch", &idle.switches),
        line_of_one("empty polls of an instance that is always up", 1, polls, money::QUEUE_OPERATION),
        line_of_one("two instances that are always busy", 3, seconds, money::INSTANCE * money::GB_SECOND),
    ];
    table(&["", "transactions", "queue operations", "invocations", "seconds of an instance", "$"], 1, rows)
}

pub fn comparison(loads: &[Measured], commits_of_batch: f64) -> String {
    let ours = loads.iter().filter(|measured| measured.load.per_second >= 10).map(|measured| {
        let [rate, ahead] = name(&measured.load);
        let (one, batch) = (Bill::one_by_one(measured), Bill::in_batches(measured, commits_of_batch));
        let what = format!("this service, {rate} per second, {ahead} ahead: one by one, or in batches");
        vec![what, format!("{} or {}", cents(one.all_in()), cents(batch.all_in()))]
    });
    let others = OTHERS.iter().map(|(what, price)| vec![(*what).to_owned(), (*price).to_owned()]);
    table(&["", "$ for a million"], 1, ours.chain(others))
}
