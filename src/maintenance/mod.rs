//! Maintenance of a store. Where several processes share it, the sweep finds what is due, and the dead man's switch sees to
//! it that sweeps go on. On every store, expired keys and old conversations are removed once a minute, and the indexer gives the
//! conversations of earlier releases their index and retention rows. The checkup says whether all of it works.

mod checkup;
mod expiry;
mod indexer;
mod sweep;
mod switch;

pub use checkup::{Check, CheckStatus, Checkup};
pub use expiry::{remove_expired, remove_expired_logins};
pub use indexer::Indexer;
pub use sweep::{OverdueRunner, SweepReason, SweepReport, Sweeper};
