//! What can not be done is said once, and again when it can be.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::Instant;

/// A segment that is not what it should be is looked at again after so long: each look reads all of it.
const ASIDE_FOR: Duration = Duration::from_secs(24 * 3600);

/// What is wrong at the moment.
#[derive(Default)]
pub(super) struct Complaints {
    /// Of which file, and whether it was so at this look.
    standing: BTreeMap<(PathBuf, Trouble), bool>,
    /// Segments that are left alone until then.
    aside: BTreeMap<PathBuf, Instant>,
}

/// What can not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    Look,
    Recover,
    Compress,
    Remove,
    /// There is less room than there should be.
    Room,
}

impl Complaints {
    /// Has something said of a tape, where it was not so at the last look. Whether it was.
    pub fn complain(&mut self, of: &Path, trouble: Trouble, error: impl fmt::Display) -> bool {
        let is_new = self.standing.insert((of.to_owned(), trouble), true).is_none();
        if is_new {
            tracing::error!("{}: {trouble}: {error}", of.display());
        }
        is_new
    }

    /// All has been looked at: what was wrong before and was not now is over.
    pub fn end_of_look(&mut self) {
        self.standing.retain(|(of, trouble), now| {
            if !*now {
                tracing::info!("{}: it is over that {trouble}", of.display());
            }
            std::mem::take(now)
        });
        let now = Instant::now();
        self.aside.retain(|_, until| *until > now);
    }

    /// Has a segment left alone for a day, and says why.
    pub fn leave_alone(&mut self, segment: PathBuf, why: &str) {
        tracing::error!("{} is left alone: {why}", segment.display());
        self.aside.insert(segment, Instant::now() + ASIDE_FOR);
    }

    pub fn is_left_alone(&self, segment: &Path) -> bool {
        self.aside.contains_key(segment)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Look => "its folder can not be read",
            Self::Recover => "what a killed predecessor left can not be made a segment, and is tried again each minute",
            Self::Compress => "a sealed segment can not be compressed, stays as it is, and is tried again each minute",
            Self::Remove => "output.keep can not remove a sealed segment, and tries again each minute",
            Self::Room => "there is less room than output.keep.free asks for",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_is_said_once_and_what_comes_back_again() {
        let (mut complaints, tape) = (Complaints::default(), Path::new("tape.ndjson"));
        for _ in 0..3 {
            complaints.complain(tape, Trouble::Compress, "x");
            assert!(!complaints.complain(tape, Trouble::Compress, "y"));
            assert_eq!(complaints.standing.len(), 1);
            complaints.end_of_look();
        }
        complaints.end_of_look();
        assert!(complaints.complain(tape, Trouble::Compress, "z"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_segment_is_left_alone_for_a_day() {
        let (mut complaints, segment) = (Complaints::default(), Path::new("tape-20261124T170000Z.ndjson"));
        complaints.leave_alone(segment.to_owned(), "it is not what its seal says");
        tokio::time::advance(ASIDE_FOR / 2).await;
        complaints.end_of_look();
        assert!(complaints.is_left_alone(segment));
        tokio::time::advance(ASIDE_FOR).await;
        complaints.end_of_look();
        assert!(!complaints.is_left_alone(segment));
    }
}
