//! The handlers: one function for each operation of the table.

pub(super) mod backup;
pub(super) mod batches;
pub(super) mod clients;
pub(super) mod conversations;
pub(super) mod dashboard;
pub(super) mod dev;
pub(super) mod health;
pub(super) mod inbox;
pub(super) mod mcp;
pub(super) mod metadata;
pub(super) mod metrics;
pub(super) mod named;
pub(super) mod oauth;
pub(super) mod openapi;
mod static_file;
pub(super) mod time;
pub(super) mod token;
pub(super) mod webhook_keys;
