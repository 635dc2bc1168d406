//! `health`
