//! What came of a feed, by channel and product; and the numbers that each product's messages have among themselves.

use std::collections::{BTreeSet, HashMap};

use super::{
    hole::Count,
    message::{House, Kind, Told},
    stamp::Stamp,
    timeline::{Grid, Row},
};
use crate::venue::Counted;

/// A feed: by its name in envelopes; of raw records there is one, without a name.
#[derive(Debug, Default)]
pub struct Feed {
    /// Its name.
    pub name: String,
    /// What came of it together.
    pub came: Came,
    /// By channel.
    pub channels: Vec<Channel>,
    /// The channels that the venue said it would send, as far as its answers are among the lines.
    pub accepted: Option<BTreeSet<String>>,
    /// Goes up with each loss on any of its connections: what products count over it says nothing.
    pub losses: u64,
    /// The run of its last line, and when that was.
    pub run: Option<(u32, Stamp)>,
    /// When nothing of it, or not all, was recorded.
    pub outages: Outages,
}

/// How much came, and when.
#[derive(Debug, Default)]
pub struct Came {
    /// Messages.
    pub messages: u64,
    /// Their bytes, without what tickerd puts around them.
    pub bytes: u64,
    /// When the first came, and the last.
    pub span: Option<(Stamp, Stamp)>,
    /// How many in each span of time.
    pub row: Row,
}

/// One channel of a feed.
#[derive(Debug)]
pub struct Channel {
    /// Whose.
    pub house: House,
    /// Its name.
    pub name: String,
    /// What came of it.
    pub came: Came,
    /// By product.
    pub products: HashMap<String, Product>,
}

/// One product on a channel.
#[derive(Debug, Default)]
pub struct Product {
    /// What came of it.
    pub came: Came,
    /// The number that is to come, on which connection that was learnt, and how many losses there had been by then.
    next: Option<(u64, (u32, u64), u64)>,
}

/// Numbers of a product that are missing.
#[derive(Debug, PartialEq, Eq)]
pub struct Skip {
    /// Which count.
    pub count: Count,
    /// The number that was to come...
    pub expected: u64,
    /// ...and the one that came.
    pub got: u64,
    /// It came on another connection, and of another run.
    pub run_changed: bool,
}

/// Spans of time, put together where they overlap.
#[derive(Clone, Debug, Default)]
pub struct Outages(Vec<(Stamp, Stamp)>);

impl Came {
    /// One more.
    #[inline]
    pub fn add(&mut self, bytes: u64, at: Option<Stamp>, grid: &Grid, span: u64) {
        self.messages += 1;
        self.bytes += bytes;
        if let Some(at) = at {
            let (first, last) = self.span.unwrap_or((at, at));
            self.span = Some((first.min(at), last.max(at)));
            self.row.add(grid, span);
        }
    }
}

impl Feed {
    /// The channel of a message; it is made where it is new.
    #[must_use]
    pub fn channel(&mut self, told: &Told<'_>) -> usize {
        let is_it = |channel: &Channel| channel.name == told.channel && channel.house == told.house;
        self.channels.iter().position(is_it).unwrap_or_else(|| {
            let (house, name) = (told.house, told.channel.to_owned());
            self.channels.push(Channel { house, name, came: Came::default(), products: HashMap::new() });
            self.channels.len() - 1
        })
    }

    /// Whether the numbers of a product's messages on this channel promise that each is there.
    #[must_use]
    pub fn counts(&self, told: &Told<'_>) -> Option<Count> {
        if told.kind != Kind::Data {
            return None;
        }
        let accepted = |name: &str| self.accepted.as_ref().is_some_and(|all| all.contains(name));
        match (told.house, told.channel) {
            (House::AdvancedTrade, "market_trades") => Some(Count::TradeId),
            // One's own orders come by the same name and are some of all.
            (House::Exchange, "matches") if accepted("matches") || accepted("full") => Some(Count::TradeId),
            (House::Exchange, "full") if accepted("full") => Some(Count::Sequence),
            (House::Exchange, "level3") if accepted("level3") => Some(Count::Sequence),
            _ => None,
        }
    }
}

impl Product {
    /// A message of it came on this connection; whether numbers are missing before it. `losses` is the feed's.
    pub fn count(
        &mut self,
        count: Count,
        counted: &Counted<'_>,
        told: &Told<'_>,
        conn: (u32, u64),
        losses: u64,
    ) -> Option<Skip> {
        let (lowest, highest) = match count {
            Count::Sequence => counted.sequence.map(|sequence| (sequence, sequence)),
            _ => counted.trades,
        }?;
        let behind = highest.saturating_add(1);
        let Some((next, before, lost)) = self.next else {
            self.next = Some((behind, conn, losses));
            return None;
        };
        let is_first = before != conn;
        // The Exchange counts anew after maintenance, and nobody can say from where; trades it does not count anew.
        let begins_anew = is_first && count == Count::Sequence && lowest < next;
        self.next = Some((if begins_anew { behind } else { next.max(behind) }, conn, losses));
        // Within a connection Advanced Trade's own count says whether anything is missing.
        let judged = told.house != House::AdvancedTrade || is_first;
        let skips = lowest > next && judged && lost == losses;
        skips.then_some(Skip { count, expected: next, got: lowest, run_changed: before.0 != conn.0 })
    }
}

impl Outages {
    /// As many as a picture has room for, and then the two that are closest are one.
    const MOST: usize = 4_096;

    /// From then until then.
    pub fn add(&mut self, from: Stamp, until: Stamp) {
        if from >= until {
            return;
        }
        // Mostly it is the last.
        let at = self.0.partition_point(|(_, end)| *end < from);
        let touched = self.0[at..].iter().take_while(|(start, _)| *start <= until).count();
        let joined =
            self.0[at..at + touched].iter().fold((from, until), |all, one| (all.0.min(one.0), all.1.max(one.1)));
        self.0.splice(at..at + touched, [joined]);
        if self.0.len() > Self::MOST {
            let closest = (1..self.0.len()).min_by_key(|at| self.0[*at].0 - self.0[at - 1].1);
            if let Some(at) = closest {
                self.0[at - 1].1 = self.0[at].1;
                self.0.remove(at);
            }
        }
    }

    /// Each.
    pub fn iter(&self) -> impl Iterator<Item = (Stamp, Stamp)> {
        self.0.iter().copied()
    }

    /// How long they are together.
    #[must_use]
    pub fn sum(&self) -> Stamp {
        self.0.iter().map(|(from, until)| until - from).sum()
    }
}
