//! The integration tests: one binary, a module for each operation, one suite for all stores.
//!
//! They run against the real service on loopback, the real store in a directory of its own, and real
//! receivers. What concerns time runs on tokio's paused clock.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod architecture;
mod authorization;
mod cancel_conversation;
mod corpus;
mod deliver_conversation;
mod function_app;
mod get_conversation_status;
mod health;
mod host;
mod invocation;
mod issue_oauth_token;
mod issue_token;
mod list_conversations;
mod mcp;
mod oauth_metadata;
mod package;
mod pipeline;
mod process;
mod receivers;
mod redeliver_conversation;
mod schedule_conversation;
mod sender;
mod server;
mod simulation;
mod store;
mod support;
mod sweep;
mod under_host;
