//! Random cron expressions give the same times as in four other implementations.

mod cases;
mod classes;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::iter;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use cases::{Case, cases};
use classes::{CLASSES, class, is_same};
use mcp_scheduler::domain::{Cron, InvalidCron, Timestamp};

use crate::support::installed::{ROOT, installed};

const COUNT: usize = 5;
const CASES: usize = 5000;
const SEED: u64 = 1;

/// The next five times as seconds since 1970, or why the expression is refused, which only our code says.
type Times = Result<Vec<i64>, Option<InvalidCron>>;

fn ours(case: &Case) -> Times {
    let cron: Cron = case.expression.parse().map_err(Some)?;
    let next = |at: &Timestamp| cron.next_after(*at, case.zone);
    Ok(iter::successors(next(&case.start), next).take(COUNT).map(Timestamp::as_secs).collect())
}

fn run(mut command: Command, cases: &[Case]) -> Vec<Times> {
    let line = |case: &Case| format!("{}\t{}\t{}\n", case.expression, case.zone.name(), case.start.as_secs());
    let input: String = cases.iter().map(line).collect();
    let mut process =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("it is installed");
    let mut stdin = process.stdin.take().unwrap();
    let writer = thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap());
    let output = process.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{}", output.status);
    let output = String::from_utf8(output.stdout).unwrap();
    let read = |line: &str| match line {
        "refused" => Err(None),
        _ => Ok(line.split_whitespace().map(|time| time.parse().unwrap()).collect()),
    };
    let times: Vec<_> = output.lines().skip(1).map(read).collect();
    assert_eq!(times.len(), cases.len());
    times
}

fn node(package: &str, cases: &[Case]) -> Vec<Times> {
    // Node looks for packages beside the file, so each run writes its own copy there.
    let packages = installed("target/cron/node_modules");
    let script = tempfile::Builder::new().suffix(".mjs").tempfile_in(packages.parent().unwrap()).unwrap();
    fs::copy(Path::new(ROOT).join("tests/cron/cron.mjs"), script.path()).unwrap();
    let mut command = Command::new("node");
    command.arg(script.path()).arg(package);
    run(command, cases)
}

fn python(package: &str, cases: &[Case]) -> Vec<Times> {
    let mut command = Command::new(installed("target/cron-venv/bin/python"));
    command.arg("-B").arg(Path::new(ROOT).join("tests/cron/cron.py")).arg(package);
    run(command, cases)
}

/// Asks the four packages, two at a time.
fn theirs(cases: &[Case]) -> Vec<(&'static str, Vec<Times>)> {
    thread::scope(|scope| {
        let node = scope.spawn(|| ["croner", "cron-parser"].map(|package| (package, node(package, cases))));
        let python = ["croniter", "cronsim"].map(|package| (package, python(package, cases)));
        node.join().unwrap().into_iter().chain(python).collect()
    })
}

#[test]
fn random_expressions_fire_as_in_four_other_implementations() {
    let cases = cases(SEED, CASES);
    let ours: Vec<_> = cases.iter().map(ours).collect();
    let mut found: BTreeMap<(&str, String), usize> = BTreeMap::new();
    let (mut unexplained, mut same) = (Vec::new(), BTreeMap::new());
    for (package, theirs) in theirs(&cases) {
        for ((case, ours), theirs) in cases.iter().zip(&ours).zip(&theirs) {
            if is_same(ours, theirs) {
                *same.entry(package).or_insert(0) += 1;
                continue;
            }
            let class = class(case, ours, theirs);
            let is_listed = CLASSES.iter().any(|(listed, name)| *listed == package && *name == class);
            if !is_listed {
                let Case { expression, zone, start } = case;
                let which = format!("{package}: {class}: {expression:?} in {} after {start}", zone.name());
                unexplained.push(format!("{which}\n    ours {ours:?}\n    theirs {theirs:?}"));
            }
            *found.entry((package, class)).or_insert(0) += 1;
        }
    }
    println!("the same: {same:?}\nof these classes: {found:#?}");
    assert!(unexplained.is_empty(), "{} are not explained:\n{}", unexplained.len(), unexplained.join("\n"));
    for &(package, class) in CLASSES {
        assert!(found.contains_key(&(package, class.to_owned())), "{package}: {class} is no longer found");
    }
    assert!(same["croner"] > CASES * 9 / 10 && same.values().all(|same| *same > CASES / 2), "{same:?}");
}
