//! `process`
