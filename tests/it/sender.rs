//! `sender`
