//! Maintenance: the sweep finds conversations that no wake-up has announced, and ends leases whose worker is gone.

mod leases;
mod sweep;

pub use sweep::{SweepReport, Sweeper};
