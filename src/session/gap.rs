//! What did not come, as far as it can be told.

use std::time::SystemTime;

use crate::venue::MendedBy;

/// Messages that are missing, or may be: a hole in a count, a step back, or the time between two connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// How it was found.
    pub found: Found,
    /// The venue's name for what was counted; None where nothing counts, and only times are known.
    pub counted_by: Option<&'static str>,
    /// The number that was to come.
    pub expected: Option<u64>,
    /// The one that came; less than `expected` where the count stepped back. None while nothing has come.
    pub got: Option<u64>,
    /// How many numbers are missing; None where nothing counts.
    pub missed: Option<u64>,
    /// Of which channels they may be.
    pub channels: Vec<&'static str>,
    /// Of which products they may be.
    pub products: Vec<String>,
    /// When the last message before came...
    pub from: Option<SystemTime>,
    /// ...and the first after.
    pub until: Option<SystemTime>,
    /// Whether it can be made good.
    pub mended_by: MendedBy,
}

/// How a gap was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Numbers are missing.
    Hole,
    /// A number came that is less than the one before.
    Back,
    /// One connection ended, and on another it went on.
    Reconnect,
    /// One connection ended, and it has not gone on since: nothing more is recorded.
    Stopped,
}

impl Found {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Hole, Self::Back, Self::Reconnect, Self::Stopped];

    /// As records spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hole => "hole",
            Self::Back => "back",
            Self::Reconnect => "reconnect",
            Self::Stopped => "stopped",
        }
    }
}
