//! The suite on the stores in memory, and what goes wrong when they are told to.

use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::store::{MemoryQueue, WakeUpQueue, WakeUpReceiver};
use mcp_scheduler::testing::{SimulatedQueue, SimulatedTable};

use super::suite::{self, TestQueue, TestTable};

mod faults;
mod queues;

suite::table_suite!(crate::store::simulated::lend());

fn lend() -> TestTable {
    TestTable { table: Arc::new(SimulatedTable::new(())), keep: Box::new(()) }
}

mod simulated_queue {
    crate::store::suite::queue_suite!(
        tokio::test(start_paused = true),
        crate::store::simulated::lend_simulated_queue()
    );
}

mod memory_queue {
    crate::store::suite::queue_suite!(tokio::test(start_paused = true), crate::store::simulated::lend_memory_queue());
}

fn lend_simulated_queue() -> TestQueue {
    lend_queue(SimulatedQueue::new(()))
}

fn lend_memory_queue() -> TestQueue {
    lend_queue(MemoryQueue::new(Timestamp::from_millis(1_900_000_000_000)))
}

fn lend_queue(queue: impl WakeUpQueue + WakeUpReceiver) -> TestQueue {
    let queue = Arc::new(queue);
    TestQueue {
        receiver: Arc::clone(&queue) as _,
        queue,
        early: Duration::from_millis(15),
        // The step of tokio's timer.
        late: Duration::from_millis(1),
        keep: Box::new(()),
    }
}
