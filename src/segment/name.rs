//! How files are called: the tape that grows, its segments, and what belongs to them.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::ASIDE;

/// A tape by its name: the file that grows, from which the names of its segments follow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tape {
    /// "tape" of "tape.ndjson".
    stem: String,
    /// "ndjson", or nothing.
    extension: Option<String>,
}

/// How a sealed segment is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    /// Not at all.
    #[default]
    None,
    /// One zstd frame after another.
    Zstd,
    /// One gzip member after another.
    Gzip,
}

const STAMP: &str = "%Y%m%dT%H%M%SZ";

impl Tape {
    /// The tape that is written to this file.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let name = |part: &std::ffi::OsStr| part.to_string_lossy().into_owned();
        Self { stem: path.file_stem().map(name).unwrap_or_default(), extension: path.extension().map(name) }
    }

    /// The name of the file that grows.
    #[must_use]
    pub fn name(&self) -> String {
        self.with(&self.stem)
    }

    /// The name of the segment that begins at `start`: "tape-20261124T170000Z.ndjson". Where that is taken, the second one
    /// (`again` 2) is "tape-20261124T170000Z-2.ndjson".
    #[must_use]
    pub fn segment(&self, start: SystemTime, again: u32) -> String {
        let start = Timestamp::try_from(start).unwrap_or(Timestamp::UNIX_EPOCH).strftime(STAMP);
        match again {
            0 | 1 => self.with(&format!("{}-{start}", self.stem)),
            again => self.with(&format!("{}-{start}-{again}", self.stem)),
        }
    }

    /// What a file's name says where it is that of one of this tape's segments: when that begins, whether it is the first of
    /// that second (1), and how it is compressed.
    #[must_use]
    pub fn parse(&self, file: &str) -> Option<(SystemTime, u32, Packing)> {
        let (name, packing) = Packing::split(file);
        let name = match &self.extension {
            Some(extension) => name.strip_suffix(extension)?.strip_suffix('.')?,
            None => name,
        };
        let rest = name.strip_prefix(&self.stem)?.strip_prefix('-')?;
        let (stamp, again) = match rest.split_once('-') {
            None => (rest, 1),
            Some((stamp, again)) if !again.starts_with(['0', '+']) => (stamp, again.parse().ok().filter(|n| *n > 1)?),
            Some(_) => return None,
        };
        let start = TimeZone::UTC.to_timestamp(DateTime::strptime(STAMP, stamp).ok()?).ok()?;
        let start = SystemTime::try_from(start).ok()?;
        (self.segment(start, again) == Packing::split(file).0).then_some((start, again, packing))
    }

    fn with(&self, stem: &str) -> String {
        match &self.extension {
            Some(extension) => format!("{stem}.{extension}"),
            None => stem.to_owned(),
        }
    }
}

impl Packing {
    /// What stands behind the name of a segment that is compressed so.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Zstd => ".zst",
            Self::Gzip => ".gz",
        }
    }

    /// A file's name without that suffix, and which it is.
    #[must_use]
    pub fn split(file: &str) -> (&str, Self) {
        for packing in [Self::Zstd, Self::Gzip] {
            if let Some(name) = file.strip_suffix(packing.suffix()) {
                return (name, packing);
            }
        }
        (file, Self::None)
    }
}

/// Where what belongs to a file is kept: `aside("/data/tape.ndjson", "lock")` is "/data/.tickerd/tape.ndjson.lock".
#[must_use]
pub fn aside(file: &Path, what: &str) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    file.parent().unwrap_or_else(|| Path::new("")).join(ASIDE).join(format!("{name}.{what}"))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_segments_sort_by_time_and_are_found_again() {
        let tape = Tape::of(Path::new("/data/tape.ndjson"));
        let start = UNIX_EPOCH + Duration::from_secs(1_795_539_600);
        assert_eq!(tape.segment(start, 1), "tape-20261124T170000Z.ndjson");
        assert_eq!(tape.segment(start, 2), "tape-20261124T170000Z-2.ndjson");
        assert_eq!(tape.parse("tape-20261124T170000Z.ndjson"), Some((start, 1, Packing::None)));
        assert_eq!(tape.parse("tape-20261124T170000Z-2.ndjson.zst"), Some((start, 2, Packing::Zstd)));
        assert_eq!(Tape::of(Path::new("tape")).segment(start, 1), "tape-20261124T170000Z");
        assert_eq!(Tape::of(Path::new("a/t.x.ndjson")).segment(start, 1), "t.x-20261124T170000Z.ndjson");
    }

    #[test]
    fn nothing_else_is_taken_for_a_segment() {
        let tape = Tape::of(Path::new("tape.ndjson"));
        for name in [
            "tape.ndjson",
            "tape-1.ndjson",
            "tape-20261124.ndjson",
            "tape-20261124T170000.ndjson",
            "tape-20261124T170000Z-1.ndjson",
            "tape-20261124T170000Z-02.ndjson",
            "tape-20261124T170000Z-x.ndjson",
            "tape-20261124T170000Z.ndjson.bak",
            "tape-20261324T170000Z.ndjson",
            "tape2-20261124T170000Z.ndjson",
        ] {
            assert_eq!(tape.parse(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_segment_is_found_again(second in 0u64..4_000_000_000, again in 1u32..50) {
            let tape = Tape::of(Path::new("a.b.ndjson"));
            let start = UNIX_EPOCH + Duration::from_secs(second);
            prop_assert_eq!(tape.parse(&tape.segment(start, again)), Some((start, again, Packing::None)));
        }

        #[test]
        fn no_name_breaks_it(name in any::<String>()) {
            let _ = Tape::of(Path::new("tape.ndjson")).parse(&name);
        }
    }
}
