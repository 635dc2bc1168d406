//! A scheduler that AI agents and apps trust to say something later.
//!
//! A client schedules a *conversation* (a text, a time, an HTTP endpoint). At that time the text is
//! delivered: at least once, never early, with every attempt on record, or the conversation ends Failed.
//!
//! The modules, from the outside in. Imports point down this list and never up:
//!
//! - [`cli`] reads the command line and greets; [`app`] puts everything together
//! - [`http`] serves the operations, [`mcp`] offers them as tools to language models, [`api`] has their
//!   requests, responses and problems
//! - [`scheduler`] has the use cases of a client, [`delivery`] delivers what is due, [`maintenance`] finds
//!   what no wake-up has announced, [`auth`] knows who is calling
//! - [`secrets`] and [`config`] read what an operator sets
//! - [`outbound`] sends one bounded HTTP request to an endpoint
//! - [`store`] keeps conversations: two small ports, the storage protocol above them, the backends below
//! - [`domain`] is the conversation itself and its rules, without I/O
//! - [`time`] has the injected clock and randomness, [`json`] reads JSON strictly, `text` knows the characters that do
//!   not show
//!
//! `docs/architecture.md` has the state chart and walks one schedule and one delivery through the files.

pub mod api;
pub mod app;
pub mod auth;
pub mod cli;
pub mod config;
pub mod delivery;
pub mod domain;
pub mod http;
pub mod json;
pub mod maintenance;
pub mod mcp;
pub mod outbound;
pub mod public_url;
pub mod scheduler;
pub mod secrets;
pub mod store;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
pub mod time;
