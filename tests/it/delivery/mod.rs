//! Deliveries in virtual time: from a due row to a stored result.

mod attempts;
mod backlog;
mod callbacks;
mod cancelling;
mod clocks;
mod due_rows;
mod encryption;
mod events;
mod expiring;
mod failures;
mod fairness;
mod follower;
mod hosts;
mod inbox;
mod lateness;
mod payloads;
mod read_before;
mod receiving;
mod recurring;
mod redelivering;
mod request;
mod success_check;
