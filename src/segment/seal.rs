//! What is in a segment, written beside it as one line of JSON when it is closed.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::record::{optional_time, time};

/// What is in a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// The form of this line.
    pub v: u32,
    /// The segment's name, without `.zst` or `.gz`.
    pub segment: String,
    /// How it came to be closed.
    pub state: State,
    /// Messages in it; of one that was recovered, lines that are no events.
    pub messages: u64,
    /// Lines in it: messages, what was recovered by REST, and events, without the `sealed` line of this very seal.
    pub lines: u64,
    /// Its bytes, uncompressed. A `sealed` line of this very seal may stand behind them.
    pub bytes: u64,
    /// When the first line in it was received; None where no line says so.
    #[serde(with = "optional_time")]
    pub first: Option<SystemTime>,
    /// The same of the last.
    #[serde(with = "optional_time")]
    pub last: Option<SystemTime>,
    /// SHA-256 of those bytes, in hex.
    pub sha256: String,
    /// The connections that messages in it came over, in the order of their first here. What of them follows in another
    /// segment goes on counting where it ends in this one.
    pub connections: Vec<Connection>,
    /// Messages of connections that are not listed, since there were too many.
    pub unlisted: u64,
    /// When it was sealed.
    #[serde(with = "time")]
    pub sealed: SystemTime,
    /// The version that sealed it.
    pub tickerd: String,
}

/// What came over one connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Of which feed.
    pub feed: String,
    /// As records name it.
    pub conn: String,
    /// The number on the connection, `n`, of its first message here...
    pub from: u64,
    /// ...and of its last.
    pub to: u64,
    /// How many there are: fewer than the numbers say, where some were dropped.
    pub messages: u64,
}

/// How a segment came to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// In good order: all of it was synced.
    Sealed,
    /// By the next start: whoever wrote it was killed, or lost its power. What it held in memory is not in it.
    Recovered,
    /// After a sync that failed: what was written before it may or may not have reached the disk.
    Uncertain,
}

impl Seal {
    /// The form that is written here, and the only one that is read.
    pub const V: u32 = 1;

    /// More connections than this are not listed: at 100 bytes each they are 400 KiB in memory.
    pub const MOST_CONNECTIONS: usize = 4096;
}

impl State {
    /// As records and logs spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Recovered => "recovered",
            Self::Uncertain => "uncertain",
        }
    }
}
