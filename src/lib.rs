//! A scheduler that AI agents and apps trust to say something later.
//!
//! A client schedules a *conversation* (a text, a time, an HTTP endpoint); at that time the text is
//! delivered: at least once, never early, every attempt on record, or it ends visibly Failed.
//!
//! A tour, from the outside in. Imports point down this list and never up:
//!
//! - [`app`] puts everything together; [`config`] reads the environment; [`credentials`] and
//!   [`demo`] make the first run a pleasant one
//! - [`http`] turns requests into calls, [`mcp`] does so for language models; `answers` is what callers are told: conversations and problems
//! - [`scheduler`] is what a client can do; [`delivery`] is what happens at the due time; [`auth`]
//!   knows who is calling
//! - [`store`] keeps conversations: two small ports, the protocol above them, the backends below
//! - [`domain`] is the conversation itself and its rules, without I/O
//!
//! `docs/architecture.md` has the state chart and walks one schedule and one delivery through it.

mod answers;
pub mod app;
pub mod auth;
pub mod clock;
pub mod config;
pub mod credentials;
pub mod delivery;
pub mod demo;
pub mod domain;
pub mod http;
pub mod mcp;
pub mod scheduler;
pub mod store;
