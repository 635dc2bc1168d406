//! The real binary as a process: what a user sees, and what survives its death.

pub mod api;
mod azure;
mod command_line;
mod configuration;
mod first_run;
mod integration;
mod killing;
mod oauth_client;
mod python;
pub mod receiver;
mod secrets;
pub mod service;
mod stopping;
mod under_host;
