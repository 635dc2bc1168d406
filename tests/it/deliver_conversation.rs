//! What happens between a hint and a result on record, in virtual time.

mod attempts;
mod backlog;
mod cancelling;
mod failures;
mod hints;
mod hosts;
mod redelivering;
mod request;
pub mod stage;
