//! What events say: what they own up to, and what they count.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::{Fate, Ledger};
use crate::{
    audit::{
        connection::{BEGINNING, Ended, name},
        envelope::{Columns, Shape, shape},
        finding::{Kind, Weight},
        hole::{Count, Hole, Scope},
        stamp::{self, SECOND, Stamp},
    },
    segment::State,
};

/// What a `sealed` line says of all that stands before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The segment's name.
    pub segment: String,
    /// Messages in it.
    pub messages: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Their SHA-256, in hex.
    pub sha256: String,
    /// How it came to be closed.
    pub state: Option<State>,
}

/// Trades that were missed, and what REST brought of them.
#[derive(Clone, Debug, Default)]
pub struct Refills {
    /// By product and by the first that is missing: how many are, at first and now.
    gaps: HashMap<(String, u64), (u64, u64)>,
    /// Lines of each product since its last `refilled`.
    lines: HashMap<String, u64>,
    /// Trades that were missed, and those of them that are missing still, of gaps that are not held any more.
    settled: (u64, u64),
}

/// What was missed between two connections, told for each channel and product.
#[derive(Clone, Debug)]
pub(super) struct Reconnect {
    conn: (u32, u64),
    found: String,
    feed: usize,
    span: (Stamp, Stamp),
    channels: BTreeSet<String>,
    products: BTreeSet<String>,
}

impl Refills {
    /// Gaps whose refill is awaited: tickerd asks for 1,024 at most.
    const WAITING: usize = 4_096;

    fn missed(&mut self, product: String, expected: u64, missed: u64) {
        if self.gaps.len() >= Self::WAITING {
            let gaps = self.gaps.drain().map(|(_, gap)| gap);
            self.settled = gaps.fold(self.settled, |sum, gap| (sum.0 + gap.0, sum.1 + gap.1));
        }
        self.gaps.insert((product, expected), (missed, missed));
    }

    /// How many trades were missed, and how many are missing still.
    #[must_use]
    pub fn sums(&self) -> (u64, u64) {
        self.gaps.values().fold(self.settled, |sum, gap| (sum.0 + gap.0, sum.1 + gap.1))
    }
}

impl Ledger {
    /// An event among raw lines, whose columns are its own.
    pub(super) fn raw_event(&mut self, event: &str, line: &[u8]) {
        let data: Value = serde_json::from_slice(line).unwrap_or_default();
        let text = |name: &str| data[name].as_str().unwrap_or_default();
        let (Some(conn), Some(recv)) = (conn(&data), stamp::read(text("recv").as_bytes())) else {
            return self.tell(Weight::Note, Kind::Unknown, 1, format!("an event {event:?} without time or connection"));
        };
        match event {
            "connected" => self.raw.opens(conn),
            "disconnected" => {
                if let Some((count, text)) = self.raw.closes(conn, number(&data, "written").unwrap_or_default()) {
                    self.tell(Weight::Fault, Kind::Account, count, text);
                }
            }
            "dropped" => {
                let count = number(&data, "count").unwrap_or_default();
                self.disown(count, &format!("{}: {count} messages were received and not written", name(conn)));
            }
            "sealed" | "recovered" => {
                let columns = Columns { recv, feed: b"", conn, n: 0 };
                self.file_event(&columns, event, &data);
            }
            "gap" => {
                let feed = self.feed(b"");
                self.gap(feed, &Columns { recv, feed: b"", conn, n: number(&data, "n").unwrap_or_default() }, &data);
            }
            _ => {}
        }
    }

    /// A line of a file of events beside raw records, which is read before those.
    pub fn event_apart(&mut self, line: &[u8]) {
        let Shape::RawEvent(event) = shape(line) else { return };
        let data: Value = serde_json::from_slice(line).unwrap_or_default();
        let recv = data["recv"].as_str().and_then(|text| stamp::read(text.as_bytes()));
        let (Some(conn), Some(recv)) = (conn(&data), recv) else { return };
        match event {
            "dropped" => {
                let count = number(&data, "count").unwrap_or_default();
                self.disown(count, &format!("{}: {count} messages were received and not written", name(conn)));
            }
            "gap" => {
                let feed = self.feed(b"");
                self.gap(feed, &Columns { recv, feed: b"", conn, n: 0 }, &data);
            }
            _ => {}
        }
    }

    /// Messages that were dropped, among raw records: any hole may be theirs.
    fn disown(&mut self, dropped: u64, text: &str) {
        if dropped > 0 {
            self.tell(Weight::Loss, Kind::Dropped, dropped, text);
            self.raw.dropped += dropped;
        }
    }

    /// An event in an envelope.
    pub(super) fn happened(&mut self, columns: &Columns<'_>, event: &str, data: &Value) {
        if matches!(event, "sealed" | "recovered") {
            return self.file_event(columns, event, data);
        }
        if event == "dropped" && data["why"] == "removed" {
            let count = number(data, "count").unwrap_or_default();
            self.removed += count;
            let text = format!("{count} messages went with a file that was removed while it grew");
            return self.tell(Weight::Loss, Kind::Dropped, count, text);
        }
        let Some(index) = self.connection(columns, event == "connected") else { return };
        let total = self.lines.lines;
        let connection = &mut self.connections[index];
        connection.span = (connection.span.0.min(columns.recv), connection.span.1.max(columns.recv));
        connection.last_line = total;
        let feed = connection.feed;
        let due = connection.next;
        match event {
            "dropped" => self.dropped(index, columns, data),
            "disconnected" => self.disconnected(index, columns, data),
            "refilled" => self.refilled(columns, data),
            // They stand behind all messages that came before.
            "connected" | "subscribed" | "refused" | "gap" if columns.n > due => {
                connection.next = columns.n;
                connection.missing += columns.n - due;
                connection.skipped += columns.n - due;
                self.hole(index, (due, columns.n), 0, columns.recv);
            }
            _ => {}
        }
        if event == "gap" {
            self.gap(feed, columns, data);
        }
    }

    fn hole(&mut self, index: usize, (from, to): (u64, u64), excused: u64, recv: Stamp) {
        let connection = &self.connections[index];
        let (feed, conn, before) = (connection.feed, connection.id, connection.span.1);
        let excused = excused + self.went_with_a_file(to - from - excused.min(to - from));
        self.feeds[feed].losses += 1;
        let scope = Scope { count: Count::N, conn: Some(conn), products: Vec::new() };
        let what = format!("{} {}", self.feeds[feed].name, name(conn));
        let (place, span) = (self.place(), (Some(before), Some(recv)));
        self.holes.found(Hole { scope, missing: vec![(from, to)], excused, place, span, what }, &mut self.findings);
    }

    /// How many of so many that are missing are owned up to by what tells of a removed file.
    pub(super) fn went_with_a_file(&mut self, missing: u64) -> u64 {
        let went = missing.min(self.removed);
        self.removed -= went;
        went
    }

    fn dropped(&mut self, index: usize, columns: &Columns<'_>, data: &Value) {
        let count = number(data, "count").unwrap_or_default();
        let why = data["why"].as_str().unwrap_or("of a cause not known");
        let connection = &mut self.connections[index];
        let feed = connection.feed;
        if let Some(missing) = connection.drop_from(columns.n, count) {
            self.hole(index, missing, 0, columns.recv);
        }
        let scope = Scope { count: Count::N, conn: Some(columns.conn), products: Vec::new() };
        self.holes.claim(scope, columns.n, columns.n.saturating_add(count));
        self.feeds[feed].losses += 1;
        let text = format!(
            "{} {}: {count} messages were received and not written: {why}",
            self.feeds[feed].name,
            name(columns.conn)
        );
        self.tell(Weight::Loss, Kind::Dropped, count, text);
    }

    /// The account that a connection's end gives, against what is there.
    fn disconnected(&mut self, index: usize, columns: &Columns<'_>, data: &Value) {
        let count = |name: &str| number(data, name).unwrap_or_default();
        let (received, written, dropped) = (count("received"), count("written"), count("dropped"));
        let cause = data["cause"].as_str().unwrap_or_default().to_owned();
        let connection = &mut self.connections[index];
        connection.ended = Some(Ended { cause, received, written, dropped });
        let who = name(connection.id);
        // Of those that have no event of their own, as far as is known.
        let further = dropped.saturating_sub(connection.dropped);
        let due = connection.next;
        if received > due {
            connection.next = received;
            let tail = received - due;
            let excused = further.min(tail);
            connection.missing += tail - excused;
            self.hole(index, (due, received), excused, columns.recv);
            if excused > 0 {
                let text = format!("{who}: {excused} messages were received and not written, as `disconnected` says");
                self.tell(Weight::Loss, Kind::Dropped, excused, text);
            }
        } else if received < due {
            let text = format!(
                "{who}: {received} messages were received, as `disconnected` says, and there are numbers up to {}",
                due - 1
            );
            self.tell(Weight::Fault, Kind::Account, due - received, text);
        }
        let connection = &self.connections[index];
        let known = connection.messages + connection.missing;
        if connection.from == 0 && known != written || received != written + dropped {
            let text = format!(
                "{who}: `disconnected` says {received} received, {written} written, {dropped} dropped, and {} are there",
                connection.messages
            );
            self.tell(Weight::Fault, Kind::Account, known.abs_diff(written).max(1), text);
        }
    }

    fn gap(&mut self, feed: usize, columns: &Columns<'_>, data: &Value) {
        let list = |name: &str| {
            let all = data[name].as_array().into_iter().flatten();
            all.filter_map(|one| Some(one.as_str()?.to_owned())).collect::<Vec<_>>()
        };
        let time = |name: &str| data[name].as_str().and_then(|text| stamp::read(text.as_bytes()));
        let (expected, got, missed) = (number(data, "expected"), number(data, "got"), number(data, "missed"));
        let count = data["counted_by"].as_str().and_then(Count::named);
        let (channels, products) = (list("channels"), list("products"));
        if let (Some(count), Some(expected), Some(got)) = (count, expected, got)
            && expected < got
        {
            let scope = Scope { count, conn: Some(columns.conn), products: products.clone() };
            self.holes.claim(scope, expected, got);
        }
        let found = data["found"].as_str().unwrap_or_default();
        if count == Some(Count::TradeId)
            && let (Some(product), Some(expected), Some(missed)) =
                (products.first(), expected, missed.filter(|missed| *missed > 0))
        {
            self.refills.missed(product.clone(), expected, missed);
        }
        match (found, count) {
            ("reconnect" | "stopped", _) => {
                let until = time("until").unwrap_or(columns.recv);
                let span = (time("from").unwrap_or(until), until);
                self.reconnected(Reconnect {
                    conn: columns.conn,
                    found: found.to_owned(),
                    feed,
                    span,
                    channels: channels.into_iter().collect(),
                    products: products.into_iter().collect(),
                });
            }
            ("back", _) => {
                let text = format!("{}: the venue's count steps back, as a gap says", name(columns.conn));
                self.tell(Weight::Note, Kind::Back, 1, text);
            }
            // They are told as trades, in the end.
            (_, Some(Count::TradeId)) => {}
            _ => {
                let missed = missed.unwrap_or_default();
                let text = format!(
                    "{}: the venue left out {missed} messages of {}, as a gap says",
                    name(columns.conn),
                    channels.join(", ")
                );
                self.tell(Weight::Loss, Kind::Gap, missed, text);
            }
        }
    }

    /// Gaps of one reconnect follow each other, one a channel and product: they are one finding.
    fn reconnected(&mut self, gap: Reconnect) {
        if let Some(open) = &mut self.reconnect
            && (open.conn.0, &open.found, open.feed) == (gap.conn.0, &gap.found, gap.feed)
            && gap.span.0 <= open.span.1
            && open.span.0 <= gap.span.1
        {
            open.span = (open.span.0.min(gap.span.0), open.span.1.max(gap.span.1));
            open.channels.extend(gap.channels);
            open.products.extend(gap.products);
            return;
        }
        self.settle_reconnect();
        self.reconnect = Some(gap);
    }

    /// What a reconnect missed is told once all of its gaps are there.
    pub(super) fn settle_reconnect(&mut self) {
        let Some(Reconnect { conn, found, feed, span: (from, until), channels, products }) = self.reconnect.take()
        else {
            return;
        };
        self.feeds[feed].outages.add(from, until);
        let channels: Vec<_> = channels.into_iter().collect();
        let end = if found == "stopped" { "did not go on before the recorder was stopped" } else { "went on" };
        let text = format!(
            "{}: what was sent of {} ({} products) from {} to {} may be missing: a connection ended, and it {end}",
            name(conn),
            channels.join(", "),
            products.len(),
            stamp::second(from),
            stamp::second(until)
        );
        self.tell(Weight::Loss, Kind::Outage, until.saturating_sub(from).div_ceil(SECOND), text);
    }

    /// What was asked for by REST: counted, and held to what `refilled` says.
    pub(super) fn recovered(&mut self, columns: &Columns<'_>, message: &[u8]) -> Fate {
        /// As many products as anybody trades.
        const MOST: usize = 8_192;
        self.connection(columns, false);
        let data: Value = serde_json::from_slice(message).unwrap_or_default();
        let product = data["product_id"].as_str().unwrap_or_default();
        if self.refills.lines.len() < MOST || self.refills.lines.contains_key(product) {
            *self.refills.lines.entry(product.to_owned()).or_default() += 1;
        }
        Fate::Keep
    }

    fn refilled(&mut self, columns: &Columns<'_>, data: &Value) {
        let product = data["product"].as_str().unwrap_or_default().to_owned();
        let count = |name: &str| number(data, name).unwrap_or_default();
        let (expected, recovered, missing) = (count("expected"), count("recovered"), count("missing"));
        let there = self.refills.lines.remove(&product).unwrap_or_default();
        let opening = self.span.map_or(columns.recv, |(first, _)| first);
        if there != recovered && columns.recv.saturating_sub(opening) > BEGINNING {
            let text = format!(
                "{product}: {recovered} trades were recovered by REST, as `refilled` says, and {there} are there"
            );
            self.tell(Weight::Fault, Kind::Account, there.abs_diff(recovered), text);
        }
        self.refills.gaps.entry((product, expected)).or_insert((recovered + missing, missing)).1 = missing;
    }

    /// What happened to the file, and not to a connection.
    fn file_event(&mut self, columns: &Columns<'_>, event: &str, data: &Value) {
        let text = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
        if event == "sealed" {
            let state = serde_json::from_value(data["state"].clone()).ok();
            let count = |name: &str| number(data, name).unwrap_or_default();
            let (messages, bytes) = (count("messages"), count("bytes"));
            self.sealed = Some(Sealed { segment: text("segment"), messages, bytes, sha256: text("sha256"), state });
            return;
        }
        self.kills.push(self.lines.lines);
        let bytes = number(data, "bytes").unwrap_or_default();
        let torn = match bytes {
            0 => String::new(),
            bytes => format!("; {bytes} bytes of a torn line are set apart in {}", text("file")),
        };
        let text = format!(
            "the recorder of {} was killed or lost its power before {}: what it held in memory is not here, and nobody can say how much{torn}",
            text("segment"),
            stamp::second(columns.recv)
        );
        self.tell(Weight::Loss, Kind::Killed, 1, text);
    }
}

fn conn(data: &Value) -> Option<(u32, u64)> {
    let (run, count) = data["conn"].as_str()?.split_once('/')?;
    Some((u32::from_str_radix(run, 16).ok()?, count.parse().ok()?))
}

fn number(data: &Value, name: &str) -> Option<u64> {
    data[name].as_u64()
}
