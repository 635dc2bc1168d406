//! Maintenance of a store that several processes share: the sweep finds what is due, and the dead man's switch sees to it
//! that sweeps go on.

mod age;
mod sweep;
mod switch;

pub use age::SweepAge;
pub use sweep::{OverdueRunner, SweepReason, SweepReport, Sweeper};
