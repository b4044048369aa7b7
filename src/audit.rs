//! Proves a recording whole, or shows where it is not: one pass over its lines, in memory that does not grow with it.
//!
//! `docs/AUDIT.md` says what is checked, and what makes a recording less than whole.

mod connection;
mod envelope;
mod feed;
mod finding;
mod hole;
mod input;
mod json;
mod ledger;
mod lines;
mod message;
mod raw;
mod repair;
mod report;
mod sealing;
mod source;
mod stamp;
mod timeline;

pub use envelope::{Columns, Shape, shape};
pub use feed::{Came, Channel, Feed, Product};
pub use finding::{Finding, Kind, Place, Total, Weight};
pub use input::{InputError, gather};
pub use ledger::{Counts, Ledger};
pub use repair::{LeftOut, Repair, RepairError};
pub use report::{Report, Verdict};
pub use sealing::Tally;
pub use stamp::{SECOND, Stamp, second, text};
pub use timeline::{Grid, Row};

use std::{fmt, io, path::PathBuf};

use self::{
    input::{Input, Part, Role},
    ledger::Fate,
    lines::{End, Line, Lines},
    sealing::Read,
};
use crate::segment::{Seal, State};

/// How to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Neither hashes nor the grammar of each line.
    pub quick: bool,
}

/// A file that could not be read to its end.
#[derive(Debug)]
pub struct AuditError {
    path: PathBuf,
    source: io::Error,
}

/// Audits one tape; what is good of it is copied where that is asked for.
///
/// # Errors
/// When a file can not be read, or the copy can not be written.
pub fn audit(input: &Input, options: Options, mut repair: Option<&mut Repair>) -> Result<Report, Failed> {
    let mut ledger = Ledger::default();
    let mut tally = Tally::default();
    let (mut bytes, mut files) = (0, Vec::new());
    for events in &input.events {
        read_events(events, &mut ledger).map_err(|source| AuditError { path: events.clone(), source })?;
    }
    let mut before: Option<&Seal> = None;
    for part in &input.parts {
        ledger.begin(&part.label());
        if let Some(repair) = repair.as_deref_mut() {
            repair.begin(part)?;
        }
        let read = read(part, options, &mut ledger, repair.as_deref_mut())?;
        bytes += read.bytes;
        let mut findings = std::mem::take(&mut ledger.findings);
        if let Role::Segment { seal, .. } = &part.role {
            let seal = judge(&read, seal.as_ref(), &ledger, (&mut tally, &mut findings));
            if seal.is_some_and(|seal| seal.state == State::Recovered) {
                ledger.kills.push(ledger.lines.lines + 1);
            }
            if let (Some(before), Some(after)) = (before, seal)
                && read.counts.raw > 0
            {
                sealing::follow(before, after, &mut findings);
            }
            before = seal.or(before);
        }
        ledger.findings = findings;
        files.push(read);
    }
    aside(input, &mut ledger);
    ledger.end();
    Ok(Report::new(input.name.clone(), ledger, tally, bytes, files))
}

/// What the seals of a segment say of it; the one beside it, if it can be read.
fn judge<'a>(
    read: &Read,
    seal: Option<&'a Result<Box<Seal>, String>>,
    ledger: &Ledger,
    (tally, findings): (&mut Tally, &mut finding::Findings),
) -> Option<&'a Seal> {
    let place = Some(Place { file: read.file.clone(), line: 0, byte: 0 });
    let (is_right, seal) = match seal {
        Some(Ok(seal)) => {
            read.state(seal.state, findings);
            (read.check(seal, ledger, findings) && read.line_right, Some(&**seal))
        }
        Some(Err(error)) => {
            findings.tell(Weight::Fault, Kind::Seal, place, 1, error.clone());
            (false, None)
        }
        None if read.sealed.is_some() => (read.line_right, None),
        None => {
            tally.none += 1;
            findings.tell(
                Weight::Note,
                Kind::Unsealed,
                place,
                1,
                "it has no seal: its numbers are judged, its bytes can not be",
            );
            return None;
        }
    };
    match (is_right, &read.sha256) {
        (true, Some(_)) => tally.right += 1,
        (true, None) => tally.unchecked += 1,
        (false, _) => tally.wrong += 1,
    }
    seal
}

/// What lies beside a tape.
fn aside(input: &Input, ledger: &mut Ledger) {
    let running = input.parts.iter().any(|part| matches!(part.role, Role::Growing(true)));
    let last = input.orphans.len().saturating_sub(1);
    for (index, (segment, is_older)) in input.orphans.iter().enumerate() {
        if *is_older {
            let text = format!(
                "{segment} is not here any more, and its seal is: removed, as `keep` does; older than all that is here"
            );
            ledger.findings.tell(Weight::Note, Kind::Removed, None, 1, text);
        } else if !(running && index == last) {
            let text = format!("{segment} was sealed, and is not here: segments before and behind it are");
            ledger.findings.tell(Weight::Fault, Kind::Missing, None, 1, text);
        }
    }
    for path in &input.unsealed {
        let text =
            format!("{} waits for the next start, which makes a segment of it; audit it by its name", path.display());
        ledger.findings.tell(Weight::Loss, Kind::Killed, None, 1, text);
    }
}

/// Reads one file to its end.
fn read(part: &Part, options: Options, ledger: &mut Ledger, mut repair: Option<&mut Repair>) -> Result<Read, Failed> {
    let failed = |source| AuditError { path: part.path.clone(), source };
    let running = matches!(part.role, Role::Growing(true));
    let mut lines = Lines::new(part.open().map_err(failed)?, !options.quick);
    let mut read = Read { index: ledger.file(), file: part.label(), ..Read::default() };
    // A stream may be of several segments, each with its `sealed` line: where this one begins, and what had come by then.
    let (mut base, mut since) = (0, Counts::default());
    read.line_right = true;
    loop {
        let line = match lines.next() {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(error) if source::is_of_the_disk(&error) => return Err(failed(error).into()),
            Err(error) => {
                let text =
                    format!("what it is packed in ends too early or is spoilt ({error}): what follows can not be read");
                ledger.tell(Weight::Fault, Kind::Packed, 1, text);
                continue;
            }
        };
        ledger.step(line.at);
        read.sealed_last = false;
        let fate = match unsound(&line, options) {
            None => {
                if line.bytes.last() == Some(&b'\r') {
                    ledger.tell(
                        Weight::Note,
                        Kind::Returns,
                        1,
                        "it ends as on Windows: its bytes were changed on the way here",
                    );
                }
                ledger.line(trimmed(line.bytes))
            }
            Some(_) if line.bytes.trim_ascii().is_empty() && line.end == End::Break => {
                ledger.tell(Weight::Note, Kind::Empty, 1, "nothing stands in it");
                Fate::Keep
            }
            Some(kind) => {
                let in_the_making = running && kind == Kind::Torn;
                if !in_the_making {
                    ledger.bad(kind, &line);
                }
                if let Some(repair) = repair.as_deref_mut() {
                    repair.leave_out(ledger.place(), line.length, kind)?;
                }
                continue;
            }
        };
        if let Some(repair) = repair.as_deref_mut() {
            match fate {
                Fate::Keep => repair.keep(line.bytes)?,
                Fate::Again => repair.leave_out(ledger.place(), line.length, Kind::Duplicate)?,
            }
        }
        if let Some(sealed) = ledger.sealed.take() {
            let at = line.at;
            let sha256 = if base == 0 { lines.digest_before().map(hex::encode) } else { None };
            if base > 0 {
                let text = "several segments were joined here: of those behind the first the hash is not held against the bytes";
                ledger.tell(Weight::Note, Kind::Unsealed, 1, text);
            }
            read.sealed = Some((sealed, at - base, sha256));
            read.counts = ledger.part.since(&since);
            read.line_right &= read.check_line(&mut ledger.findings);
            read.sealed_last = true;
            (base, since) = (lines.position(), ledger.part);
        }
    }
    (read.bytes, read.counts) = (lines.position(), ledger.part);
    read.sha256 = lines.digest_behind().map(hex::encode);
    Ok(read)
}

/// Why a line is no record, if it is none.
fn unsound(line: &Line<'_>, options: Options) -> Option<Kind> {
    let bytes = line.bytes;
    match line.end {
        End::Torn => return Some(Kind::Torn),
        End::Overlong => return Some(Kind::Overlong),
        End::Break => {}
    }
    let body = trimmed(bytes);
    let looks_like = matches!((body.first(), body.last()), (Some(b'{'), Some(b'}')) | (Some(b'['), Some(b']')));
    if memchr::memchr(0, bytes).is_some() {
        Some(Kind::Zeros)
    } else if !looks_like {
        Some(if std::str::from_utf8(bytes).is_ok() { Kind::NotJson } else { Kind::NotUtf8 })
    } else if options.quick {
        None
    } else if std::str::from_utf8(bytes).is_err() {
        Some(Kind::NotUtf8)
    } else {
        (!json::is_value(body)).then_some(Kind::NotJson)
    }
}

/// Without the return that stands before a line break on Windows, and without spaces: neither is anybody's data.
fn trimmed(line: &[u8]) -> &[u8] {
    line.trim_ascii()
}

/// Events that stand in a file of their own say what is missing of the raw records beside it.
fn read_events(path: &std::path::Path, ledger: &mut Ledger) -> io::Result<()> {
    let mut lines = Lines::new(source::open(path)?, false);
    while let Some(line) = lines.next()? {
        ledger.event_apart(trimmed(line.bytes));
    }
    Ok(())
}

/// Why an audit could not be made.
#[derive(Debug)]
pub enum Failed {
    /// A file can not be read.
    Read(AuditError),
    /// The copy can not be written.
    Repair(RepairError),
}

impl From<AuditError> for Failed {
    fn from(error: AuditError) -> Self {
        Self::Read(error)
    }
}

impl From<RepairError> for Failed {
    fn from(error: RepairError) -> Self {
        Self::Repair(error)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => error.fmt(f),
            Self::Repair(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Failed {}

impl fmt::Display for AuditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} can not be read to its end: {}", self.path.display(), self.source)
    }
}

impl std::error::Error for AuditError {}
