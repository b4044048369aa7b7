//! Numbers that are missing, and what owns up to them: an event follows the line that revealed a hole, or, where that line was dropped,
//! stands before the next. What nothing owns up to in the end is a fault.

use std::collections::VecDeque;

use super::{
    finding::{Findings, Kind, Place, Weight},
    stamp::{self, Stamp},
};

/// Holes that wait for their owner. An event stands within a few lines of its hole; a venue that counts wrongly makes one of each
/// message.
const WAITING: usize = 1_024;

/// What was owned up to and may be found missing yet: all gaps of a bad day, where they stand in another file that is read first.
const CLAIMS: usize = 16_384;

/// Which count it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// tickerd's own, of each message of a connection.
    N,
    /// Advanced Trade's, of each message of a connection.
    SequenceNum,
    /// The Exchange's, of each message of a product.
    Sequence,
    /// That of the trades of a product.
    TradeId,
}

/// Whose count it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Which count.
    pub count: Count,
    /// The connection's run and count, where the count is a connection's and that is known: raw records do not say.
    pub conn: Option<(u32, u64)>,
    /// The products; none where the count is a connection's.
    pub products: Vec<String>,
}

/// Numbers that are missing.
#[derive(Clone, Debug)]
pub struct Hole {
    /// Whose.
    pub scope: Scope,
    /// Which; the second of each pair is the first that is not missing.
    pub missing: Vec<(u64, u64)>,
    /// As many of them are counted elsewhere.
    pub excused: u64,
    /// Where the line is that revealed it.
    pub place: Place,
    /// When the last line before it was received, and that line.
    pub span: (Option<Stamp>, Option<Stamp>),
    /// What is missing, in words: "tickers 3f2a0000/1".
    pub what: String,
}

/// Holes and claims.
#[derive(Clone, Debug, Default)]
pub struct Holes {
    waiting: VecDeque<Hole>,
    claims: VecDeque<(Scope, u64, u64)>,
}

impl Count {
    /// The count that the venue's name stands for.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::SequenceNum, Self::Sequence, Self::TradeId].into_iter().find(|count| count.name() == name)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::N => "n",
            Self::SequenceNum => "sequence_num",
            Self::Sequence => "sequence",
            Self::TradeId => "trade_id",
        }
    }
}

impl Scope {
    /// Whether a claim for this owns up to a hole of the other.
    fn covers(&self, other: &Self) -> bool {
        let same_conn = || match (self.conn, other.conn) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        };
        self.count == other.count
            && match self.count {
                Count::N | Count::SequenceNum => same_conn(),
                Count::Sequence | Count::TradeId => {
                    other.products.iter().all(|product| self.products.contains(product))
                }
            }
    }
}

impl Hole {
    fn left(&self) -> u64 {
        let sum: u64 = self.missing.iter().map(|(from, to)| to - from).sum();
        sum.saturating_sub(self.excused)
    }

    /// These are accounted for.
    fn subtract(&mut self, from: u64, to: u64) {
        let parts = self.missing.iter().flat_map(|(start, end)| [(*start, from.min(*end)), (to.max(*start), *end)]);
        self.missing = parts.filter(|(start, end)| start < end).collect();
    }

    fn settle(&self, findings: &mut Findings) {
        let left = self.left();
        if left == 0 {
            return;
        }
        let numbers: Vec<_> = self.missing.iter().take(3).map(|(from, to)| range(*from, *to)).collect();
        let more = if self.missing.len() > 3 { ", …" } else { "" };
        let when = match self.span {
            (Some(from), Some(until)) => format!(", between {} and {}", stamp::second(from), stamp::second(until)),
            _ => String::new(),
        };
        let text = format!(
            "{}: {} {}{more} {} missing{when}, and nothing says why",
            self.what,
            self.scope.count.name(),
            numbers.join(", "),
            if left == 1 { "is" } else { "are" }
        );
        findings.tell(Weight::Fault, Kind::Hole, Some(self.place.clone()), left, text);
    }
}

fn range(from: u64, to: u64) -> String {
    if to - from == 1 { from.to_string() } else { format!("{from} to {}", to - 1) }
}

impl Holes {
    /// A hole was found.
    pub fn found(&mut self, mut hole: Hole, findings: &mut Findings) {
        for (scope, from, to) in &self.claims {
            if scope.covers(&hole.scope) {
                hole.subtract(*from, *to);
            }
        }
        if hole.left() == 0 {
            return;
        }
        self.waiting.push_back(hole);
        if self.waiting.len() > WAITING
            && let Some(oldest) = self.waiting.pop_front()
        {
            oldest.settle(findings);
        }
    }

    /// Something owns up to the numbers from `from` up to before `to`.
    pub fn claim(&mut self, scope: Scope, from: u64, to: u64) {
        for hole in self.waiting.iter_mut().filter(|hole| scope.covers(&hole.scope)) {
            hole.subtract(from, to);
        }
        self.waiting.retain(|hole| hole.left() > 0);
        self.claims.push_back((scope, from, to));
        if self.claims.len() > CLAIMS {
            self.claims.pop_front();
        }
    }

    /// A message came late; whether one of the holes is where it belongs.
    pub fn fill(&mut self, conn: (u32, u64), n: u64) -> bool {
        let is_it = |hole: &&mut Hole| {
            hole.scope.count == Count::N
                && hole.scope.conn == Some(conn)
                && hole.missing.iter().any(|(from, to)| (*from..*to).contains(&n))
        };
        let Some(hole) = self.waiting.iter_mut().find(is_it) else { return false };
        hole.subtract(n, n + 1);
        self.waiting.retain(|hole| hole.left() > 0);
        true
    }

    /// So many messages were dropped that raw records do not tell apart: any that are missing may be these.
    pub fn excuse_raw(&mut self, mut dropped: u64) {
        for hole in
            self.waiting.iter_mut().filter(|hole| hole.scope.conn.is_none() && hole.scope.count == Count::SequenceNum)
        {
            let some = hole.left().min(dropped);
            hole.excused += some;
            dropped -= some;
        }
    }

    /// There are no more lines: what is left is a fault.
    pub fn settle(&mut self, findings: &mut Findings) {
        for hole in self.waiting.drain(..) {
            hole.settle(findings);
        }
    }
}
