//! From a hint to an answer on record: claim → send → complete.
//!
//! `deliver` runs one delivery and `turns` says how many a host gets at a time; `request` writes what is sent,
//! `signature` signs it, `sender` sends it (over a `connection` that the `egress` guard has made on the `network`, or one
//! from the `pool`; `excerpt` is what it keeps), `outcome` says what the answer means, `retry` when the next attempt
//! follows, `sweep` finds what no hint has woken, and `worker` plays the part of the Functions host when there is none
//! (`removals` takes from the queue what was dealt with).

mod connection;
mod deliver;
mod egress;
mod excerpt;
mod network;
mod outcome;
mod pool;
mod removals;
mod request;
mod retry;
mod sender;
mod signature;
mod sweep;
mod turns;
mod worker;

pub use deliver::{Delivered, Deliverer};
pub use network::{Network, SystemNetwork};
pub use outcome::judge;
pub use request::DeliveryRequest;
pub use retry::retry_delay;
pub use sender::{Answer, Exchange, HttpSender, SendError, Sender};
pub use signature::{InvalidSigningSecrets, SigningSecrets};
pub use sweep::{Sweeper, Swept};
pub use worker::Worker;
