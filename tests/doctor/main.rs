//! The doctor's rules, against evidence of every mistake in the table and against what is healthy.

mod asked;
mod exchange;
mod healthy;
mod mistakes;
mod pasted;
mod stage;
