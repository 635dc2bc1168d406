//! The real binary as a process: its output, its exit codes, its files, and its recovery after a kill.

mod azure;
mod backup;
mod client_administration;
mod client_keys;
mod clocks;
mod command_line;
mod configuration;
mod conversations;
mod dev;
mod doctor;
mod encryption;
mod first_run;
mod integration;
mod key_vault;
mod killing;
mod listen;
mod lists;
mod logs;
mod metrics;
mod oauth_client;
mod otlp;
mod secrets;
mod silent_dns;
mod stopping;
mod store_trouble;
mod under_host;
