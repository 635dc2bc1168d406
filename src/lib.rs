//! A scheduler that delivers texts for AI agents and apps at a later time.
//!
//! A client schedules a *conversation* (a text, a time, an HTTP endpoint). At that time the text is
//! delivered: at least once, never early, and with every attempt recorded. A conversation that cannot be delivered
//! ends Failed.
//!
//! The modules, from the outside in. Imports point down this list and never up:
//!
//! - [`cli`] reads the command line; [`app`] builds the service from its parts
//! - [`http`] serves the operations, [`mcp`] offers them as tools to language models, [`api`] has their
//!   requests, responses and problems
//! - [`dev`] turns the clock of a service for tests, and keeps what arrives there
//! - [`scheduler`] has the use cases of a client, [`delivery`] delivers due conversations, [`maintenance`] finds
//!   due conversations that have no wake-up, [`auth`] authenticates clients, [`login`] lets programs in for a
//!   user, [`backup`] exports and imports the store
//! - [`secrets`] and [`config`] read the settings of the operator
//! - [`outbound`] sends one bounded HTTP request to an endpoint
//! - [`store`] keeps conversations: two small ports, the storage protocol above them, the backends below
//! - [`domain`] is the conversation itself and its rules, without I/O
//! - [`template`] replaces the placeholders of a body
//! - [`time`] has the injected clock and randomness, [`json`] reads JSON strictly, [`sync`] locks, `text` knows invisible
//!   characters and escapes HTML, [`key_list`] reads keys with ids, [`metrics`] counts and measures, [`descriptors`] divides the file descriptors, `private_files` makes files for their owner alone
//!
//! `docs/architecture.md` has the state chart and walks one schedule and one delivery through the files.

#![deny(clippy::print_stdout, clippy::print_stderr)] // they panic when the output cannot be written

pub mod api;
pub mod app;
pub mod auth;
pub mod azure;
pub mod backup;
pub mod cli;
pub mod config;
pub mod cost;
pub mod current;
pub mod delivery;
pub mod descriptors;
pub mod dev;
pub mod domain;
pub mod http;
pub mod json;
pub mod key_list;
pub mod login;
pub mod maintenance;
pub mod mcp;
pub mod metrics;
pub mod outbound;
mod private_files;
pub mod public_url;
pub mod scheduler;
pub mod secrets;
pub mod store;
pub mod sync;
pub mod telemetry;
pub mod template;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
pub mod time;
