//! A segment's seals, held against what is in it: the line at its end, and the one beside it.

use std::collections::HashMap;

use super::{
    finding::{Findings, Kind, Place, Weight},
    ledger::{Counts, Ledger, Sealed},
};
use crate::segment::{Packing, Seal, State};

/// What was read of one file.
#[derive(Debug, Default)]
pub struct Read {
    /// Which it is, from 0.
    pub index: usize,
    /// Its name.
    pub file: String,
    /// Its bytes, uncompressed.
    pub bytes: u64,
    /// Its SHA-256; None with `--quick`.
    pub sha256: Option<String>,
    /// Lines of each sort.
    pub counts: Counts,
    /// Its last `sealed` line: what that says, how many bytes stand before it, and their hash.
    pub sealed: Option<(Sealed, u64, Option<String>)>,
    /// The `sealed` line is the last one.
    pub sealed_last: bool,
    /// Each `sealed` line says what stands before it.
    pub line_right: bool,
}

/// How the seals of a tape stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Segments whose bytes are those that were sealed.
    pub right: u64,
    /// Segments whose bytes are not.
    pub wrong: u64,
    /// Segments without a seal.
    pub none: u64,
    /// Segments that have one, which was not held against their bytes (`--quick`).
    pub unchecked: u64,
}

impl Read {
    pub(super) fn place(&self) -> Place {
        Place { file: self.file.clone(), line: 0, byte: 0 }
    }

    /// Whether it is the file of this segment, by its name.
    fn is_named(&self, segment: &str) -> bool {
        let name = Packing::split(&self.file).0;
        name.strip_suffix(segment).is_some_and(|before| before.is_empty() || before.ends_with('/'))
    }

    /// Messages, by either way of counting: of a recovered segment what REST brought is not told apart.
    fn is_messages(&self, told: u64, state: Option<State>) -> bool {
        let messages = self.counts.enveloped + self.counts.raw + self.counts.unknown;
        told == messages || state != Some(State::Sealed) && told == messages + self.counts.recovered + self.counts.bad
    }

    /// The `sealed` line, held against what stands before it.
    pub fn check_line(&self, findings: &mut Findings) -> bool {
        let Some((sealed, bytes, sha256)) = &self.sealed else { return true };
        if !self.is_named(&sealed.segment) && sealed.bytes < *bytes {
            // Segments were put one behind the other here, and one of a run that was killed has no such line at its end.
            let text = "a segment without a `sealed` line stands before one with it: neither is held to its hash";
            findings.tell(Weight::Note, Kind::Unsealed, Some(self.place()), 1, text);
            return true;
        }
        let mut wrong = Vec::new();
        if sealed.bytes != *bytes {
            wrong.push(format!("{} bytes, and {bytes} stand before it", sealed.bytes));
        } else if sha256.as_ref().is_some_and(|sha256| *sha256 != sealed.sha256) {
            wrong.push("another SHA-256".to_owned());
        }
        if !self.is_messages(sealed.messages, sealed.state) {
            wrong.push(format!(
                "{} messages, and {} are there",
                sealed.messages,
                self.counts.enveloped + self.counts.raw
            ));
        }
        self.say("its `sealed` line", &wrong, findings)
    }

    /// The seal beside it, held against all of it but that line.
    pub fn check(&self, seal: &Seal, ledger: &Ledger, findings: &mut Findings) -> bool {
        // Of a run that was killed between that line and the segment's name the next start sealed all, that line with the rest.
        let own = self.sealed.as_ref().filter(|_| self.sealed_last && seal.bytes != self.bytes);
        let (bytes, sha256, lines) = match own {
            Some((_, bytes, sha256)) => (*bytes, sha256.as_ref(), self.counts.lines - 1),
            None => (self.bytes, self.sha256.as_ref(), self.counts.lines),
        };
        let mut wrong = Vec::new();
        if seal.bytes != bytes {
            wrong.push(format!("{} bytes, and it has {bytes}", seal.bytes));
        } else if sha256.is_some_and(|sha256| *sha256 != seal.sha256) {
            wrong.push("another SHA-256".to_owned());
        }
        if let Some((line, ..)) = own
            && (&line.segment, line.bytes, line.messages, &line.sha256)
                != (&seal.segment, seal.bytes, seal.messages, &seal.sha256)
        {
            wrong.push("otherwise than its last line".to_owned());
        }
        if seal.lines != lines {
            wrong.push(format!("{} lines, and it has {lines}", seal.lines));
        }
        if !self.is_messages(seal.messages, Some(seal.state)) {
            wrong.push(format!("{} messages, and it has {}", seal.messages, self.counts.enveloped + self.counts.raw));
        }
        // Raw records do not say over which connection they came.
        if self.counts.raw == 0 && seal.unlisted == 0 {
            let there: HashMap<_, _> = ledger
                .connections
                .iter()
                .filter_map(|connection| {
                    Some((connection.name(), connection.part.filter(|part| part.0 == self.index)?))
                })
                .collect();
            for told in seal.connections.iter().filter(|told| told.messages > 0) {
                let is = there.get(&told.conn).map(|(_, from, to, count)| (*from, *to, *count));
                if is != Some((told.from, told.to, told.messages)) {
                    wrong.push(format!(
                        "messages {} to {} of {}, and they are not those",
                        told.from, told.to, told.conn
                    ));
                }
            }
        }
        if seal.v > Seal::V {
            wrong.push(format!("that it is of form {}, which a later tickerd writes: audit with that", seal.v));
        }
        self.say("its seal", &wrong, findings)
    }

    fn say(&self, which: &str, wrong: &[String], findings: &mut Findings) -> bool {
        /// The rest says the same in other words.
        const SAID: usize = 4;
        if wrong.is_empty() {
            return true;
        }
        let said: Vec<_> = wrong.iter().take(SAID).map(String::as_str).collect();
        let text = format!("{which} says {}: it is not what was sealed", said.join("; "));
        findings.tell(Weight::Fault, Kind::Seal, Some(self.place()), 1, text);
        false
    }

    /// What the way in which it was closed says.
    pub fn state(&self, state: State, findings: &mut Findings) {
        if state == State::Uncertain {
            let text = "a sync failed while it was written: what of it reached the disk is not known";
            findings.tell(Weight::Fault, Kind::Uncertain, Some(self.place()), 1, text);
        }
    }
}

/// Between two raw segments that follow each other, the seals say whether a connection goes on where it stopped.
pub fn follow(before: &Seal, after: &Seal, findings: &mut Findings) {
    for told in &after.connections {
        let known = before.connections.iter().find(|known| known.conn == told.conn && known.messages > 0);
        let Some(known) = known.filter(|known| told.messages > 0 && known.to.saturating_add(1) < told.from) else {
            continue;
        };
        let missing = told.from - known.to - 1;
        let text = format!(
            "{} ends in {} with message {} and goes on in {} with {}: {missing} are missing between the two",
            told.conn, before.segment, known.to, after.segment, told.from
        );
        let place = Place { file: after.segment.clone(), line: 0, byte: 0 };
        findings.tell(Weight::Fault, Kind::Hole, Some(place), missing, text);
    }
}
