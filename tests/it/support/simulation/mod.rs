//! The simulation: a world that follows from a seed, and the processes in it.

pub mod callbacks;
pub mod client;
pub mod extra_row;
pub mod fault_plan;
pub mod fleet;
pub mod host;
pub mod index_rows;
pub mod invariant_checker;
pub mod machine;
pub mod occurrences;
pub mod own_conflicts;
pub mod process;
pub mod punctuality;
pub mod receiver;
pub mod recurring_client;
pub mod seeded_rng;
pub mod service;
pub mod tally;
pub mod verdict;
pub mod world;
