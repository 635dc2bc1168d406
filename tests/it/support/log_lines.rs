//! The lines of a JSON log, and the table that documents their fields.

use std::collections::BTreeSet;

use mcp_scheduler::json::members;
use serde_json::{Map, Value};

/// The lines of a log. Each must be one JSON object that has no name twice.
pub fn parse(log: &str) -> Vec<Map<String, Value>> {
    log.lines().map(parse_line).collect()
}

fn parse_line(line: &str) -> Map<String, Value> {
    let (members, read) = members::read(line.as_bytes());
    assert!(read.is_ok(), "{read:?}: {line}");
    let mut object = Map::new();
    for member in members {
        let value = serde_json::from_str(member.value.unwrap().get()).unwrap();
        assert!(object.insert(member.name, value).is_none(), "a name twice: {line}");
    }
    object
}

/// The lines with this message.
pub fn with_message<'a>(lines: &'a [Map<String, Value>], message: &str) -> Vec<&'a Map<String, Value>> {
    lines.iter().filter(|line| line["message"] == message).collect()
}

/// The fields in the first column of the tables in docs/logs.md.
pub fn documented() -> BTreeSet<String> {
    let (_, page) = include_str!("../../../docs/logs.md").split_once("## The fields of each line").unwrap();
    let cells = page.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    cells.flat_map(|cell| cell.split(", ")).map(|name| name.trim_matches('`').to_owned()).collect()
}
