//! Deliveries in virtual time: from a wake-up to a stored result.

mod attempts;
mod backlog;
mod cancelling;
mod clocks;
mod failures;
mod fairness;
mod hosts;
mod lateness;
mod payloads;
mod redelivering;
mod request;
mod wake_ups;
