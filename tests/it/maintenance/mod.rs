//! The sweep, in virtual time.

mod sweep;
