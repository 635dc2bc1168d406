//! `deliverConversation` and `sweepDueConversations` as the Functions host calls them.
//!
//! The routes are called without sockets on paused time; `process/under_host.rs` has the real thing.

mod corpus;
mod envelopes;
pub mod host;
mod sweeping;
