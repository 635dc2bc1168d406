//! Every harness of the tests.
#![allow(dead_code)]

pub mod app;
pub mod app_folder;
pub mod azurite;
pub mod browser;
pub mod captured_log;
pub mod client;
pub mod contract;
pub mod cost;
pub mod counting_table;
pub mod delivery_harness;
pub mod discovery;
pub mod functions_host;
pub mod golden;
pub mod host_harness;
pub mod installed;
pub mod integration;
pub mod internet;
pub mod invocations;
pub mod json_schema;
pub mod key_vault;
pub mod listing;
pub mod log_lines;
pub mod login;
pub mod mcp_wire;
pub mod outbound;
pub mod ports;
pub mod process_api;
pub mod proxy;
pub mod python;
pub mod receiver;
pub mod recording_handler;
pub mod recording_receiver;
pub mod service;
pub mod simulation;
pub mod wire;
