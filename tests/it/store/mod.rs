//! The storage ports: one suite of cases for every backend, and tests of what only one backend does.

mod azurite;
mod backup;
mod budgets;
mod byte_quota;
mod due;
mod embedded;
mod encryption;
mod grouped;
mod index;
mod lists;
mod payloads;
mod projection;
mod quota;
mod retention;
mod simulated;
mod suite;
mod upgrade;
