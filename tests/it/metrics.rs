//! The table of metrics in docs/metrics.md has every metric of the program, and no other.

use mcp_scheduler::metrics::{DEFINITIONS, Definition};

#[test]
fn the_table_of_metrics_is_that_of_the_program() {
    let page = include_str!("../../docs/metrics.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")).filter(|row| row.contains("` | `"));
    let documented: Vec<_> = rows.map(|row| row.split(" | ").take(4).collect::<Vec<_>>().join(" | ")).collect();
    let defined = DEFINITIONS.map(|Definition { name, unit, description }| {
        let mut prometheus = name.replace('.', "_");
        match (unit, description) {
            ("s", _) => prometheus.push_str("_seconds"),
            ("{message}", _) => {}
            _ => prometheus.push_str("_total"),
        }
        format!("{name}` | `{prometheus}` | `{unit}` | {description}")
    });
    assert_eq!(documented, defined);
}
