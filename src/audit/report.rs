//! What an audit found, as people and programs are told.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    connection::Connection,
    feed::{Came, Feed},
    finding::{Findings, Weight},
    ledger::{Counts, Ledger},
    sealing::{Read, Tally},
    stamp::{SECOND, Stamp, text},
    timeline::Grid,
};

/// What is to be said of a recording in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing is missing, and nothing is wrong.
    Whole,
    /// Something is missing, and the recording says so itself.
    OwnedUp,
    /// Something is missing or wrong, and nothing in the recording says so.
    NotWhole,
}

/// What an audit of one tape found.
#[derive(Debug)]
pub struct Report {
    /// The tape.
    pub name: PathBuf,
    /// In a word.
    pub verdict: Verdict,
    /// Its files.
    pub files: Vec<Read>,
    /// Bytes, uncompressed.
    pub bytes: u64,
    /// Lines of each sort.
    pub lines: Counts,
    /// When the first was received or sent, and the last.
    pub span: Option<(Stamp, Stamp)>,
    /// The spans of time in which the rows count.
    pub grid: Grid,
    /// By feed.
    pub feeds: Vec<Feed>,
    /// What was found.
    pub findings: Findings,
    /// How the seals stand.
    pub seals: Tally,
    connections: Vec<Connection>,
    trades: (u64, u64),
}

impl Report {
    pub(super) fn new(name: PathBuf, ledger: Ledger, seals: Tally, bytes: u64, files: Vec<Read>) -> Self {
        let verdict = if ledger.findings.any(Weight::Fault) {
            Verdict::NotWhole
        } else if ledger.findings.any(Weight::Loss) {
            Verdict::OwnedUp
        } else {
            Verdict::Whole
        };
        let trades = ledger.refills.sums();
        let Ledger { lines, span, grid, feeds, findings, connections, .. } = ledger;
        Self { name, verdict, files, bytes, lines, span, grid, feeds, findings, seals, connections, trades }
    }

    /// How many connections there are.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// As JSON; `docs/AUDIT.md` lists the fields.
    #[must_use]
    pub fn json(&self) -> Value {
        let totals = self.findings.totals().map(|(weight, kind, total)| {
            json!({ "weight": weight, "kind": kind, "times": total.times, "count": total.count })
        });
        let files = self
            .files
            .iter()
            .map(|file| json!({ "file": file.file, "bytes": file.bytes, "sha256": file.sha256, "lines": file.counts }));
        json!({
            "tape": self.name,
            "verdict": self.verdict,
            "files": files.collect::<Vec<_>>(),
            "bytes": self.bytes,
            "lines": self.lines,
            "first": self.span.map(|span| text(span.0)),
            "last": self.span.map(|span| text(span.1)),
            "seals": self.seals,
            "trades": { "missed": self.trades.0, "missing": self.trades.1 },
            "coverage": { "from": self.grid.bounds().map(|bounds| text(bounds.0)), "step_s": self.step() / SECOND },
            "feeds": self.feeds.iter().map(|feed| self.feed(feed)).collect::<Vec<_>>(),
            "connections": self.connections.iter().map(|connection| self.connection(connection)).collect::<Vec<_>>(),
            "totals": totals.collect::<Vec<_>>(),
            "findings": self.findings.kept().collect::<Vec<_>>(),
        })
    }

    /// Coverage is told by the hour, or by what is wider.
    fn step(&self) -> Stamp {
        self.grid.width().max(3_600 * SECOND)
    }

    fn feed(&self, feed: &Feed) -> Value {
        let outages = feed.outages.iter().map(|(from, until)| json!({ "from": text(from), "until": text(until) }));
        let channels = feed.channels.iter().map(|channel| {
            let mut products: Vec<_> = channel.products.iter().collect();
            products.sort_by_key(|(name, _)| *name);
            let products = products.into_iter().map(|(name, product)| {
                let mut told = self.came(&product.came);
                told["product"] = json!(name);
                told["hours"] = self.hours(&product.came);
                told
            });
            let products: Vec<_> = products.collect();
            let mut told = self.came(&channel.came);
            told["channel"] = json!(channel.name);
            told["venue"] = json!(channel.house.name());
            told["hours"] = self.hours(&channel.came);
            told["products"] = json!(products);
            told
        });
        let mut told = self.came(&feed.came);
        told["feed"] = if feed.name.is_empty() { Value::Null } else { json!(feed.name) };
        told["outages"] = outages.collect();
        told["outage_ms"] = json!(feed.outages.sum() / 1_000_000);
        told["channels"] = channels.collect();
        told
    }

    #[expect(clippy::unused_self, reason = "it reads as its brothers")]
    fn came(&self, came: &Came) -> Value {
        json!({
            "messages": came.messages, "bytes": came.bytes, "first": came.span.map(|span| text(span.0)),
            "last": came.span.map(|span| text(span.1)),
        })
    }

    /// Messages in each hour that has any, by when that begins.
    fn hours(&self, came: &Came) -> Value {
        let step = self.step();
        let mut hours: Vec<(Stamp, u64)> = Vec::new();
        for (at, count) in self.grid.spans(&came.row) {
            let hour = at / step * step;
            match hours.last_mut() {
                Some((last, sum)) if *last == hour => *sum += count,
                _ => hours.push((hour, count)),
            }
        }
        let hours = hours.into_iter().map(|(hour, count)| (text(hour)[..19].to_owned() + "Z", json!(count)));
        Value::Object(hours.collect())
    }

    fn connection(&self, connection: &Connection) -> Value {
        let feed = &self.feeds.get(connection.feed);
        let channels = connection
            .channels
            .iter()
            .filter_map(|(channel, count)| Some((feed.as_ref()?.channels.get(*channel)?.name.clone(), json!(count))));
        json!({
            "conn": connection.name(),
            "feed": feed.map(|feed| &feed.name),
            "first": text(connection.span.0),
            "last": text(connection.span.1),
            "from": connection.from,
            "next": connection.next,
            "messages": connection.messages,
            "bytes": connection.bytes,
            "dropped": connection.dropped,
            "missing": connection.missing,
            "channels": channels.collect::<serde_json::Map<_, _>>(),
            "ended": connection.ended.as_ref().map(|ended| json!({
                "cause": ended.cause, "received": ended.received, "written": ended.written, "dropped": ended.dropped,
            })),
        })
    }
}
