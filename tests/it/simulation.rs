//! `simulation`
