//! What callers are told, whichever way they came in: conversations and problems, as JSON.

mod conversation;
mod foreign;
mod problem;
pub(crate) mod strict;

pub(crate) use conversation::{Accepted, Cancellation, Page, Redelivering, View};
pub(crate) use foreign::{Foreign, Untrusted, Verbatim};
pub(crate) use problem::Problem;
