//! A table and a queue in memory with injected faults. Only tests and benches use this module.

mod queue;
mod rows;
mod simulated;

pub use queue::SimulatedQueue;
pub use rows::{ENCRYPTION_KEY, as_version_1, conversation_in, sealer, sealer_with_keys};
pub use simulated::{Fault, Faults, SimulatedTable};
