//! A table and a queue in memory with injected faults. Only tests and benches use this module.

mod simulated;

pub use simulated::{Fault, Faults, SimulatedQueue, SimulatedTable};
