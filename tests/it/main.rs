//! The integration tests, in one binary. `operations` has a file for each operation, `store` has one suite for all stores,
//! and `support` has every harness.
//!
//! They use the real service on loopback, the real store in its own directory, and real receivers. Tests about time use
//! tokio's paused clock.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod architecture;
mod browser;
mod cost;
mod cron;
mod delivery;
mod dev;
mod documentation;
mod functions_host;
mod inbox_agents;
mod limits;
mod logs;
mod maintenance;
mod mcp;
mod metrics;
mod openapi_tools;
mod operations;
mod outbound;
mod package;
mod pipeline;
mod process;
mod receivers;
mod recipes;
mod secrets;
mod server;
mod simulation;
mod store;
mod support;
mod zones;
