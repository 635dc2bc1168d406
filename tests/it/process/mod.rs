//! The real binary as a process: what a user sees, and what survives its death.

mod api;
mod killing;
mod receiver;
mod seed_document;
mod service;
mod stopping;
