//! `deliverDueConversations` and `sweepDueConversations` as the Functions host calls them, without sockets on paused time.

mod corpus;
mod envelopes;
mod lateness;
mod sweeping;
