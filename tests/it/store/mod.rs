//! The storage port's backends.
