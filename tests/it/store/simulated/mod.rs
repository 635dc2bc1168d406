//! The suite on the simulated table and the queues in memory, and tests of their faults.

use std::sync::Arc;
use std::time::Duration;

use mcp_scheduler::domain::Timestamp;
use mcp_scheduler::store::{MemoryQueue, WakeUpQueue, WakeUpReceiver};
use mcp_scheduler::testing::{SimulatedQueue, SimulatedTable};
use mcp_scheduler::time::VirtualClock;

use super::suite::{self, TestQueue, TestTable};

mod faults;
mod queues;

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

mod memory_queue {
    crate::store::suite::queue_suite!(tokio::test(start_paused = true), crate::store::simulated::memory_test_queue());
}

fn simulated_test_queue() -> TestQueue {
    queue_in_memory(SimulatedQueue::new(()))
}

fn memory_test_queue() -> TestQueue {
    queue_in_memory(MemoryQueue::new(Arc::new(VirtualClock::starting_at(Timestamp::from_millis(1_900_000_000_000)))))
}

fn queue_in_memory(queue: impl WakeUpQueue + WakeUpReceiver) -> TestQueue {
    let queue = Arc::new(queue);
    TestQueue {
        receiver: Arc::clone(&queue) as _,
        queue,
        early: Duration::from_millis(15),
        // tokio's timer has steps of a millisecond.
        late: Duration::from_millis(1),
        keep: Box::new(()),
    }
}
