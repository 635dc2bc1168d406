//! The real binary as a process: what a user sees, and what survives a kill.

mod azure;
mod command_line;
mod configuration;
mod first_run;
mod integration;
mod killing;
mod oauth_client;
mod secrets;
mod stopping;
mod under_host;
