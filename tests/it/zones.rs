//! Wall times are read as two independent implementations read them: Python's zoneinfo, and the Temporal polyfill on
//! Node. Both look at every time zone, around each change of its clocks from 1990 to 2036.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use chrono::{DateTime, NaiveDateTime};
use mcp_scheduler::domain::{Reading, Timestamp, Zone};

use crate::support::installed::{ROOT, installed};

/// Releases of the IANA database in which no instant since 1990 differs from that of ours.
const SAME_DATABASES: [&str; 2] = ["2025b", "2025c"];
/// The zones that later releases have changed since 1990, up to 2026f. A Node with such a release is compared without
/// them.
const CHANGED_LATER: [&str; 16] = [
    "Africa/Casablanca",
    "Africa/El_Aaiun",
    "America/Bogota",
    "America/Edmonton",
    "America/Havana",
    "America/Inuvik",
    "America/Rainy_River",
    "America/Vancouver",
    "America/Winnipeg",
    "America/Yellowknife",
    "Canada/Central",
    "Canada/Mountain",
    "Canada/Pacific",
    "Cuba",
    "Europe/Chisinau",
    "Europe/Tiraspol",
];

/// The readings by zone: a wall time as seconds since 1970, the instant, and "once", "gap" or "fold".
type Readings = BTreeMap<String, Vec<(i64, i64, String)>>;

fn run(command: &mut Command, input: &str) -> String {
    let mut process =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("it is installed");
    process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// The release of the database, and the readings. A zone that the other does not know is left out.
fn parse(output: &str) -> (&str, Readings) {
    let (database, lines) = output.split_once('\n').unwrap();
    let (mut readings, mut name) = (Readings::new(), "");
    for line in lines.lines() {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            [zone] => {
                name = zone;
                readings.insert(name.to_owned(), Vec::new());
            }
            [_, "unknown"] => {}
            [wall, instant, kind] => {
                let reading = (wall.parse().unwrap(), instant.parse().unwrap(), (*kind).to_owned());
                readings.get_mut(name).unwrap().push(reading);
            }
            _ => panic!("{line}"),
        }
    }
    (database, readings)
}

fn python() -> String {
    let python = installed("target/venv/bin/python");
    run(Command::new(python).arg("-B").arg(Path::new(ROOT).join("tests/zones/zones.py")), "")
}

fn wall(seconds: i64) -> NaiveDateTime {
    DateTime::from_timestamp(seconds, 0).unwrap().naive_utc()
}

/// Reads a wall time with our code.
fn ours(zone: Zone, seconds: i64) -> (i64, i64, String) {
    let (instant, kind) = match zone.read(wall(seconds)).unwrap() {
        Reading::Once(at) => (at, "once"),
        Reading::Gap(at) => (at, "gap"),
        Reading::Fold { first, .. } => (first, "fold"),
    };
    assert_eq!(instant.as_millis() % 1000, 0);
    (seconds, instant.as_secs(), kind.to_owned())
}

fn assert_same(theirs: &Readings) {
    let mut wrong = Vec::new();
    for (name, readings) in theirs {
        let zone: Zone = name.parse().unwrap();
        let differs = |theirs: &&(i64, i64, String)| ours(zone, theirs.0) != **theirs;
        wrong.extend(
            readings
                .iter()
                .find(differs)
                .map(|theirs| format!("{name} {}: {theirs:?}, ours is {:?}", wall(theirs.0), ours(zone, theirs.0))),
        );
    }
    assert!(wrong.is_empty(), "{} zones differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// The number of changes of a zone's offset, as our code knows them.
fn changes(zone: Zone) -> usize {
    let start = DateTime::parse_from_rfc3339("1990-01-01T00:00:00Z").unwrap().timestamp();
    let end = DateTime::parse_from_rfc3339("2037-01-01T00:00:00Z").unwrap().timestamp();
    let days = start..end + 4 * 86400;
    let offsets = days.step_by(4 * 86400).map(|at| zone.at(Timestamp::from_millis(at * 1000)).offset());
    offsets.collect::<Vec<_>>().windows(2).filter(|pair| pair[0] != pair[1]).count()
}

#[test]
fn every_wall_time_is_read_as_by_python() {
    let output = python();
    let (database, theirs) = parse(&output);
    assert_eq!(database, Zone::DATABASE, "tests/requirements.txt pins the release of the database that chrono-tz has");
    // Python also has names that are not in the lists of the database's makefile, and that Zone does not need.
    let known: BTreeSet<_> = Zone::all().map(|zone| zone.name().to_owned()).collect();
    let names: BTreeSet<_> = theirs.keys().cloned().collect();
    let missing: Vec<_> = names.difference(&known).collect();
    assert_eq!(missing, ["Factory"], "{:?}", known.difference(&names));
    let theirs: Readings = theirs.into_iter().filter(|(name, _)| known.contains(name)).collect();
    assert_same(&theirs);
    for (name, readings) in &theirs {
        assert_eq!(readings.len(), 7 * changes(name.parse().unwrap()), "{name} changes as often");
    }
    let of_kind = |kind: &str| theirs.values().flatten().filter(|(.., theirs)| theirs == kind).count();
    assert!(theirs.len() > 590 && of_kind("gap") > 30_000 && of_kind("fold") > 30_000 && of_kind("once") > 80_000);
}

#[test]
fn every_wall_time_is_read_as_by_temporal() {
    let output = python();
    let (_, mut cases) = parse(&output);
    cases.remove("Factory");
    // Links are asked for one wall time of each change; the names that they link to for all seven.
    let mut asked = BTreeSet::new();
    let mut lines = Vec::new();
    for (name, readings) in &cases {
        lines.push(name.clone());
        let (skipped, step) = if asked.insert(readings) { (0, 1) } else { (3, 7) };
        lines.extend(readings.iter().skip(skipped).step_by(step).map(|(wall, ..)| wall.to_string()));
    }
    // Node looks for packages beside the file, so each run writes its own copy there.
    let packages = installed("target/zones/node_modules");
    let script = tempfile::Builder::new().suffix(".mjs").tempfile_in(packages.parent().unwrap()).unwrap();
    fs::copy(Path::new(ROOT).join("tests/zones/zones.mjs"), script.path()).unwrap();
    let output = run(Command::new("node").arg(script.path()), &lines.join("\n"));
    let (database, mut theirs) = parse(&output);
    assert!(theirs.len() > 580, "Node knows {} zones", theirs.len());
    if !SAME_DATABASES.contains(&database) {
        theirs.retain(|name, _| !CHANGED_LATER.contains(&name.as_str()));
    }
    assert_same(&theirs);
}
