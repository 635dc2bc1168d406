//! Time and randomness, injected so that tests control both.
//!
//! Code measures durations and sleeps with tokio's clock, which tests pause. [`Clock`] only reads the calendar.

mod clock;
mod randomness;

pub use clock::{Clock, SystemClock, VirtualClock};
pub use randomness::{Entropy, SystemEntropy, random};
