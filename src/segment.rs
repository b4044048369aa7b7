//! What lies on the disk in the end: segments, whole and closed, by their names, and the seal that says what is in each. Pure.
//!
//! `tape.ndjson` grows. What is sealed of it is `tape-20261124T170000Z.ndjson`, read-only, with its seal in
//! `.tickerd/tape-20261124T170000Z.ndjson.seal`; compressed, the segment has `.zst` or `.gz` behind its name, and the same seal.

mod name;
mod seal;

pub use name::{Packing, Tape, aside};
pub use seal::{Connection, Seal, State};

/// The folder beside the tape for all that is no data: seals, torn tails, the lock, what is not finished.
pub const ASIDE: &str = ".tickerd";
