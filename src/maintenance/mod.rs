//! Maintenance: the sweep finds due conversations that have no wake-up; `leases` ends leases whose worker is gone.

mod leases;
mod sweep;

pub use sweep::{SweepReport, Sweeper};
