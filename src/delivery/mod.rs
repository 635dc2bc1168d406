//! From a wake-up to a recorded result: claim, send, complete.
//!
//! `deliver` runs one delivery. `client_limiter` shares the deliveries that are under way between the clients,
//! `host_limiter` limits how many of them go to one host, and `retry_schedule` says when a delivery that one of them
//! refuses tries again. `request` builds the request and `signature` signs it, `classify` turns the response into a
//! result, and `retry` computes the pause before the next attempt. `worker` receives wake-ups when there is no
//! Functions host, and `processed` deletes their messages.

mod classify;
mod client_limiter;
mod deliver;
mod host_limiter;
mod processed;
mod request;
mod retry;
mod retry_schedule;
mod signature;
mod worker;

pub use classify::classify;
pub use deliver::{Deliverer, DeliveryOutcome};
pub use retry::retry_delay;
pub use signature::{InvalidSigningSecrets, SigningSecrets};
pub use worker::Worker;

// A wake-up is what a `Deliverer` delivers. The Functions host hands one to `http` as a message.
pub use crate::store::{InvalidWakeUp, WakeUp};
