//! The integration tests: one binary, a module for each operation, one suite for all stores.
//!
//! They run against the real service on loopback, the real store in a directory of its own, and real
//! receivers. What concerns time runs on tokio's paused clock.

mod store;
mod support;
