//! What callers are told, whichever way they came in: conversations and problems, as JSON.

mod conversation;
mod problem;

pub(crate) use conversation::{Accepted, Cancelled, Page, Redelivering, View};
pub(crate) use problem::Problem;
