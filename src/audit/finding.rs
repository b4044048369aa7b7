//! What the audit has to say of a recording: what is wrong with it, what of it is lost and said to be, and what is good to know.

use std::collections::BTreeMap;

use serde::Serialize;

/// How much it weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// Nothing in the recording owns up to it.
    Fault,
    /// Something is missing, and the recording says so itself.
    Loss,
    /// Nothing is missing by it.
    Note,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A last line that does not end.
    Torn,
    /// Bytes of zero: a block that a power cut took.
    Zeros,
    /// A line that is no JSON.
    NotJson,
    /// A line that is no UTF-8.
    NotUtf8,
    /// A line that is longer than any record.
    Overlong,
    /// A compressed file that ends too early, or is spoilt.
    Packed,
    /// Numbers are missing, and nothing owns up to them.
    Hole,
    /// The same message or event again.
    Duplicate,
    /// A message that stands behind one which came after it.
    Misplaced,
    /// What `disconnected` counted is not what is there.
    Account,
    /// A connection whose lines stop, and nothing says why.
    Vanished,
    /// A seal that says otherwise than its segment.
    Seal,
    /// A segment of which only the seal is left.
    Missing,
    /// A segment of which it is not known what of it reached the disk.
    Uncertain,
    /// Several connections in one raw file, which nothing tells apart.
    Mixed,
    /// More than the audit can hold in mind.
    Beyond,
    /// Messages that did not come, as a `gap` says.
    Gap,
    /// Messages that were received and not written, as `dropped` or `disconnected` says.
    Dropped,
    /// A connection that ended with its recorder.
    Killed,
    /// Between two runs, or two connections, nothing was recorded.
    Outage,
    /// Messages that the venue sent otherwise than its own count says, as a `gap` says too.
    Back,
    /// What was missed and asked for by REST.
    Refilled,
    /// A recording that begins in the middle of a connection.
    Beginning,
    /// A segment without a seal.
    Unsealed,
    /// A seal without its segment, older than all that is there.
    Removed,
    /// No heartbeat for longer than they take.
    Silence,
    /// The time of receiving steps back.
    Clock,
    /// Lines without anything in them.
    Empty,
    /// Lines that end as on Windows.
    Returns,
    /// Lines of JSON that are of nobody known.
    Unknown,
    /// What the venue sent and was no JSON, kept as tickerd keeps it.
    Kept,
    /// Numbers that were not judged.
    Unjudged,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// How much it weighs.
    pub weight: Weight,
    /// Where, if it is in one place.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// How many messages, lines, seconds or files it is of.
    pub count: u64,
    /// In words.
    pub text: String,
}

/// A line of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// Where it begins, in bytes, uncompressed.
    pub byte: u64,
}

/// All that was found: each is counted, and so many of each kind are kept.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    kept: BTreeMap<(Weight, Kind), Vec<Finding>>,
    totals: BTreeMap<(Weight, Kind), Total>,
}

/// How much of a kind was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Total {
    /// How often.
    pub times: u64,
    /// Of how many messages, lines, seconds or files together.
    pub count: u64,
}

impl Findings {
    /// As many of a kind as anybody reads; there are some thirty kinds, so it is a megabyte at most.
    const KEPT: usize = 200;

    /// Takes one in.
    pub fn tell(&mut self, weight: Weight, kind: Kind, place: Option<Place>, count: u64, text: impl Into<String>) {
        let total = self.totals.entry((weight, kind)).or_default();
        total.times += 1;
        total.count += count;
        let kept = self.kept.entry((weight, kind)).or_default();
        if kept.len() < Self::KEPT {
            // No file moves the cursor of whoever reads this.
            let text = text.into().replace(char::is_control, " ");
            kept.push(Finding { kind, weight, place, count, text });
        }
    }

    /// What is kept, the weightiest first.
    pub fn kept(&self) -> impl Iterator<Item = &Finding> {
        self.kept.values().flatten()
    }

    /// By weight and kind, how much there was.
    pub fn totals(&self) -> impl Iterator<Item = (Weight, Kind, Total)> {
        self.totals.iter().map(|((weight, kind), total)| (*weight, *kind, *total))
    }

    /// How much of a kind there was.
    #[must_use]
    pub fn total(&self, weight: Weight, kind: Kind) -> Total {
        self.totals.get(&(weight, kind)).copied().unwrap_or_default()
    }

    /// Whether anything weighs so much.
    #[must_use]
    pub fn any(&self, weight: Weight) -> bool {
        self.totals.keys().any(|(other, _)| *other == weight)
    }
}

impl Kind {
    /// As reports call it.
    #[must_use]
    pub fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(name)) => name,
            _ => String::new(),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file.replace(char::is_control, " "), self.line)
    }
}
