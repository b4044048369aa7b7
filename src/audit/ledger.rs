//! All that is known of a tape while its lines go by. What it holds is bounded, whatever the lines say.

mod bare;
mod ending;
mod enveloped;
mod happening;

pub use happening::{Refills, Sealed};

use std::collections::{HashMap, HashSet, VecDeque};

use super::{
    connection::{BEGINNING, Connection, name},
    envelope::{Columns, Shape, shape},
    feed::Feed,
    finding::{Findings, Kind, Place, Weight},
    hole::Holes,
    lines::Line,
    raw::Raw,
    stamp::{self, SECOND, Stamp},
    timeline::Grid,
};

/// A connection each eight minutes for a year; at about 400 bytes each, 26 MiB.
const CONNECTIONS: usize = 65_536;

/// Four channels of a thousand products, twice over; with a timeline of 3 KiB each, 25 MiB.
const PRODUCTS: usize = 8_192;

/// A feed is a section of a configuration: hundreds would be many.
const FEEDS: usize = 256;

/// An event that stands there twice stands there twice within so many, or a whole stretch of the file does, with its messages.
const EVENTS: usize = 4_096;

/// What is known of a tape.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Lines of each sort.
    pub lines: Counts,
    /// What of them in this file.
    pub part: Counts,
    /// When the first line was received, or sent, and the last.
    pub span: Option<(Stamp, Stamp)>,
    /// The same in this file.
    pub part_span: Option<(Stamp, Stamp)>,
    /// The widths of time that all rows share.
    pub grid: Grid,
    /// By feed.
    pub feeds: Vec<Feed>,
    /// By connection.
    pub connections: Vec<Connection>,
    /// What has been found.
    pub findings: Findings,
    /// What is missing, and waits for whoever owns up to it.
    pub holes: Holes,
    /// What raw records say.
    pub raw: Raw,
    /// What trades were missed, and what of them is there.
    pub refills: Refills,
    /// The `sealed` event of the line that was just looked at.
    pub sealed: Option<Sealed>,
    /// After how many lines it was said that a recorder was killed: an event of the next, or a seal.
    pub kills: Vec<u64>,
    /// Messages that went with a file which somebody removed while it grew, as the next one says, and that are not found missing yet.
    removed: u64,
    /// What a reconnect missed, while its gaps are told one after another.
    reconnect: Option<happening::Reconnect>,
    index: HashMap<(u32, u64), usize>,
    /// The last connection that a line was of: the next is most likely too.
    last: usize,
    products: usize,
    /// Which file it is, from 0, its name, the line in it, and where that begins.
    pub(super) at: (usize, String, u64, u64),
    events: (HashSet<u64>, VecDeque<u64>),
    exact: bool,
    inexact: u32,
    beyond: bool,
}

/// Lines of each sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// All, good and bad.
    pub lines: u64,
    /// Messages in envelopes.
    pub enveloped: u64,
    /// Messages as the venue sent them.
    pub raw: u64,
    /// What was asked for by REST.
    pub recovered: u64,
    /// Events.
    pub events: u64,
    /// JSON of nobody that is known.
    pub unknown: u64,
    /// What is no record.
    pub bad: u64,
}

impl Counts {
    /// What has come since then.
    #[must_use]
    pub fn since(&self, then: &Self) -> Self {
        Self {
            lines: self.lines - then.lines,
            enveloped: self.enveloped - then.enveloped,
            raw: self.raw - then.raw,
            recovered: self.recovered - then.recovered,
            events: self.events - then.events,
            unknown: self.unknown - then.unknown,
            bad: self.bad - then.bad,
        }
    }
}

/// What a repaired copy does with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is kept.
    Keep,
    /// It is left out: it is there already.
    Again,
}

impl Ledger {
    /// Lines of this file follow.
    pub fn begin(&mut self, file: &str) {
        let index = if self.at.1.is_empty() { 0 } else { self.at.0 + 1 };
        self.at = (index, file.to_owned(), 0, 0);
        (self.part, self.part_span) = (Counts::default(), None);
    }

    /// Which file it is, from 0.
    #[must_use]
    pub fn file(&self) -> usize {
        self.at.0
    }

    /// The next line is looked at; it begins there.
    #[inline]
    pub fn step(&mut self, byte: u64) {
        (self.at.2, self.at.3) = (self.at.2 + 1, byte);
        self.count(|counts| counts.lines += 1);
    }

    /// The line that is being looked at is no record.
    pub fn bad(&mut self, kind: Kind, line: &Line<'_>) {
        self.count(|counts| counts.bad += 1);
        let length = line.length;
        let text = match kind {
            Kind::Torn => format!("the last line does not end: {length} bytes of it are there"),
            Kind::Zeros => {
                let zeros = memchr::memchr_iter(0, line.bytes).count();
                format!("{zeros} of its {length} bytes are zero: a block that did not reach the disk")
            }
            Kind::NotUtf8 => format!("its {length} bytes are no UTF-8"),
            Kind::Overlong => format!("its {length} bytes are more than any record has"),
            _ => {
                let start: String = String::from_utf8_lossy(line.bytes).chars().take(40).collect();
                format!("it is no JSON, and begins {start:?}")
            }
        };
        self.tell(Weight::Fault, kind, 1, text);
    }

    /// Where the line is that is being looked at.
    #[must_use]
    pub fn place(&self) -> Place {
        Place { file: self.at.1.clone(), line: self.at.2, byte: self.at.3 }
    }

    /// Something is the matter with the line that is being looked at.
    pub fn tell(&mut self, weight: Weight, kind: Kind, count: u64, text: impl Into<String>) {
        let place = self.place();
        self.findings.tell(weight, kind, Some(place), count, text);
    }

    /// Takes in a line that is whole and sound.
    pub fn line(&mut self, line: &[u8]) -> Fate {
        match shape(line) {
            Shape::Message(columns, message) => {
                self.count(|counts| counts.enveloped += 1);
                self.message(&columns, message)
            }
            Shape::Recovered(columns, message) => {
                self.count(|counts| counts.recovered += 1);
                self.came(columns.recv);
                if self.is_again(line) { Fate::Again } else { self.recovered(&columns, message) }
            }
            Shape::Event(columns, name, data) => {
                self.count(|counts| counts.events += 1);
                self.came(columns.recv);
                if self.is_again(line) {
                    return Fate::Again;
                }
                let (name, data) = (name.to_owned(), serde_json::from_slice(data).unwrap_or_default());
                self.happened(&columns, &name, &data);
                Fate::Keep
            }
            Shape::RawEvent("not-json") => {
                self.count(|counts| counts.raw += 1);
                self.raw.message();
                self.tell(Weight::Note, Kind::Kept, 1, "what the venue sent was no JSON, and is kept in base64");
                Fate::Keep
            }
            Shape::RawEvent(name) => {
                let name = name.to_owned();
                self.count(|counts| counts.events += 1);
                if self.is_again(line) {
                    return Fate::Again;
                }
                self.raw_event(&name, line);
                Fate::Keep
            }
            Shape::Bare => self.bare(line),
        }
    }

    #[inline]
    fn count(&mut self, mut add: impl FnMut(&mut Counts)) {
        add(&mut self.lines);
        add(&mut self.part);
    }

    /// Whether this very line was among the last that are not numbered.
    fn is_again(&mut self, line: &[u8]) -> bool {
        use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(line);
        if !self.events.0.insert(hash) {
            self.tell(Weight::Fault, Kind::Duplicate, 1, "this very line stood there before");
            return true;
        }
        self.events.1.push_back(hash);
        if self.events.1.len() > EVENTS
            && let Some(oldest) = self.events.1.pop_front()
        {
            self.events.0.remove(&oldest);
        }
        false
    }

    /// A line was received then.
    #[inline]
    pub(super) fn came(&mut self, at: Stamp) -> u64 {
        for span in [&mut self.span, &mut self.part_span] {
            let (first, last) = span.unwrap_or((at, at));
            *span = Some((first.min(at), last.max(at)));
        }
        self.grid.see(at)
    }

    /// The place of a feed of this name.
    pub(super) fn feed(&mut self, name: &[u8]) -> usize {
        if let Some(at) = self.feeds.iter().position(|feed| feed.name.as_bytes() == name) {
            return at;
        }
        if self.feeds.len() >= FEEDS {
            self.beyond("feeds");
            return FEEDS - 1;
        }
        self.feeds.push(Feed { name: String::from_utf8_lossy(name).into_owned(), ..Feed::default() });
        self.feeds.len() - 1
    }

    /// The place of a connection; it is made where its first line comes. None for events that are of no connection.
    pub(super) fn connection(&mut self, columns: &Columns<'_>, is_begun: bool) -> Option<usize> {
        if let Some(last) = self.connections.get(self.last)
            && last.id == columns.conn
        {
            return Some(self.last);
        }
        if columns.conn.1 == 0 {
            return None;
        }
        if let Some(at) = self.index.get(&columns.conn) {
            self.last = *at;
            return Some(*at);
        }
        if self.connections.len() >= CONNECTIONS {
            self.beyond("connections");
            return None;
        }
        let feed = self.feed(columns.feed);
        self.run_of(feed, columns);
        let mut connection = Connection::new(feed, columns.conn, columns.n, columns.recv);
        let opening = self.span.map_or(columns.recv, |(first, _)| first);
        if columns.n > 0 && !is_begun {
            if columns.recv.saturating_sub(opening) <= BEGINNING {
                let text = format!(
                    "{} had begun before: what came ahead of its message {} is not here to be looked at",
                    name(columns.conn),
                    columns.n
                );
                self.tell(Weight::Note, Kind::Beginning, 1, text);
            } else {
                (connection.next, connection.from) = (0, 0);
            }
        }
        connection.first_line = self.lines.lines;
        self.index.insert(columns.conn, self.connections.len());
        self.connections.push(connection);
        self.last = self.connections.len() - 1;
        Some(self.last)
    }

    /// Where a feed goes on in another run, what was between is not recorded.
    fn run_of(&mut self, feed: usize, columns: &Columns<'_>) {
        let (run, recv) = (columns.conn.0, columns.recv);
        let known = &mut self.feeds[feed];
        let Some((before, last)) = known.run.replace((run, recv)) else { return };
        if before == run {
            return;
        }
        known.outages.add(last, recv);
        let text = format!(
            "{}: nothing was recorded from {} to {}: the recorder was not running",
            known.name,
            stamp::second(last),
            stamp::second(recv)
        );
        self.tell(Weight::Loss, Kind::Outage, recv.saturating_sub(last).div_ceil(SECOND), text);
    }

    fn beyond(&mut self, what: &str) {
        if !std::mem::replace(&mut self.beyond, true) {
            self.tell(
                Weight::Fault,
                Kind::Beyond,
                1,
                format!("more {what} than the audit holds in mind: from here on not all is judged; audit fewer files at once"),
            );
        }
    }
}
