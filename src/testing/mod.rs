//! A table and a queue in memory with injected faults. Only tests and benches use this module.

mod rows;
mod simulated;

pub use rows::conversation_in;
pub use simulated::{Fault, Faults, SimulatedQueue, SimulatedTable};
