//! Time and randomness, injected so that tests control both.
//!
//! Code measures durations and sleeps with tokio's clock, which tests pause. [`Clock`] reads the time that decides about
//! deliveries: the calendar of the machine, or, with several processes on one storage account, the time of the storage
//! ([`StorageClock`]). The clock of `mcp-scheduler dev` can be turned ([`TurnableClock`]). [`wait_until`] and [`Pacemaker`]
//! wait for such a time, because the clock may be set meanwhile and the machine may be suspended.

mod clock;
mod randomness;
mod server_time;
mod storage_clock;
mod turnable_clock;
mod wait;

pub use clock::{Clock, MachineClock, SystemClock, VirtualClock};
pub use randomness::{Entropy, SystemEntropy, random};
pub use storage_clock::{MachineOffset, StorageClock, machine_offset};
pub use turnable_clock::TurnableClock;
pub use wait::{Pacemaker, longest_sleep, wait_until};
