//! What happens between a hint and a result on record, in virtual time.

mod attempts;
mod cancelling;
mod failures;
mod hints;
mod hosts;
mod redelivering;
mod request;
pub mod stage;
