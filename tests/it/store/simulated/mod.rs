//! The suite on the simulated table and the simulated queue, and tests of their faults.

use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::testing::{SimulatedQueue, SimulatedTable};

use super::suite::{self, TestQueue, TestTable};

mod faults;
mod keys_under_faults;
mod names_under_faults;
mod queue;

suite::table_suite!(crate::store::simulated::test_table());

fn test_table() -> TestTable {
    TestTable { table: Arc::new(SimulatedTable::new(())), keep: Box::new(()) }
}

mod simulated_queue {
    crate::store::suite::queue_suite!(
        tokio::test(start_paused = true),
        crate::store::simulated::simulated_test_queue()
    );
}

fn simulated_test_queue() -> TestQueue {
    let queue = Arc::new(SimulatedQueue::new(()));
    TestQueue {
        receiver: Arc::clone(&queue) as _,
        queue,
        early: Duration::ZERO,
        // tokio's timer has steps of a millisecond.
        late: Duration::from_millis(1),
        keep: Box::new(()),
    }
}
