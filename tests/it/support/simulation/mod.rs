//! The simulation: a world of processes that fail by a seed, and a checker that sees everything.

pub mod extra_row;
pub mod invariant_checker;
pub mod process;
pub mod seeded_rng;
pub mod world;
