//! From a wake-up to a result on record, in virtual time.

mod attempts;
mod backlog;
mod cancelling;
mod failures;
mod hosts;
mod lateness;
mod redelivering;
mod request;
mod wake_ups;
