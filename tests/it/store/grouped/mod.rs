//! The suite through the layer that groups commits, and random commits whose outcome is compared with a serial order.

use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::store::GroupedTable;
use mcp_scheduler::testing::{Faults, SimulatedTable};

use super::suite::{self, TestTable};

mod journal;
mod serial_order;

suite::table_suite!(crate::store::grouped::test_table());

/// A table that is slow enough for concurrent commits to meet.
struct Slow;

impl Faults for Slow {
    fn latency(&self) -> Duration {
        Duration::from_millis(1)
    }
}

fn test_table() -> TestTable {
    let table = GroupedTable::new(Arc::new(SimulatedTable::new(Slow)));
    TestTable { table: Arc::new(table), keep: Box::new(()) }
}
