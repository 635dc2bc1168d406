//! The storage ports: one suite of cases, run on every backend, and what only one backend has.

mod azurite;
mod embedded;
mod projection;
mod simulated;
mod suite;
mod upgrade;
