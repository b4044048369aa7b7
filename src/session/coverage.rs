//! What has come of each channel and product, over all connections of a leg: what is between the last message of one
//! connection and the first of the next was missed, or may have been.

use std::{
    collections::{BTreeMap, HashMap},
    time::SystemTime,
};

use foldhash::fast::FixedState;

use super::{
    Found, Gap,
    count::{Count, Step},
};
use crate::venue::{Channel, Counted, Counts, MendedBy};

/// What has come. It counts what was received, never what was subscribed to.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    /// By channel, and by product; of a channel that has none by the empty name.
    marks: BTreeMap<&'static str, Products>,
    connection: u64,
    /// Holes in the count of this connection.
    holes: u64,
}

/// By name, in no order: a message costs the same whether it is of one product or of five hundred.
type Products = HashMap<String, Mark, FixedState>;

/// How far one product has come on one channel.
#[derive(Clone, Debug)]
struct Mark {
    /// When something came last, or when the venue first said that it would send it.
    last: SystemTime,
    count: Option<Count>,
    /// The venue's name for what is counted.
    counted_by: Option<&'static str>,
    /// The connection on which that was, and how many holes that had then.
    connection: u64,
    holes: u64,
}

impl Coverage {
    /// Another connection begins.
    pub(super) fn begin(&mut self) {
        self.connection += 1;
        self.holes = 0;
    }

    /// The count of the connection had a hole: each product's own numbers say what of it is missing.
    pub(super) fn hole(&mut self) {
        self.holes += 1;
    }

    /// The venue has taken the subscription: from now on nothing is to be missed.
    pub(super) fn expect(&mut self, channel: &Channel, product: &str, recv: SystemTime) {
        let (connection, holes) = (self.connection, self.holes);
        let products = self.marks.entry(channel.name).or_default();
        if !products.contains_key(product) {
            let mark = Mark { last: recv, count: None, counted_by: None, connection, holes };
            products.insert(product.to_owned(), mark);
        }
    }

    /// Nobody wants to know of these any more.
    pub(super) fn retain(&mut self, mut wanted: impl FnMut(&str, &str) -> bool) {
        for (channel, products) in &mut self.marks {
            products.retain(|product, _| wanted(channel, product));
        }
    }

    /// A message of the channel came. What is missing before it. `shares`: other channels of the connection send the same
    /// messages, so that one may come twice. `late`: it stands before the connection's last hole, and says nothing of that.
    pub(super) fn see(
        &mut self,
        channel: &'static Channel,
        counted: Counted<'_>,
        (shares, late): (bool, bool),
        recv: SystemTime,
    ) -> Option<Gap> {
        let (connection, holes) = (self.connection, self.holes);
        let numbers = numbers(channel, counted);
        let products = self.marks.entry(channel.name).or_default();
        let Some(mark) = products.get_mut(counted.product) else {
            let count = numbers.map(|(_, highest)| Count::from(highest.saturating_add(1)));
            let counted_by = count.and_then(|_| counts(channel).name());
            products.insert(counted.product.to_owned(), Mark { last: recv, count, counted_by, connection, holes });
            return None;
        };
        let is_first = mark.connection != connection;
        // On one connection Advanced Trade's own count says whether anything is missing; a product's says what.
        let is_trusted = channel.counts != Counts::Connection || mark.holes != holes || is_first;
        let from = mark.last;
        (mark.last, mark.connection) = (recv, connection);
        if !late {
            mark.holes = holes;
        }
        let gap = |expected: Option<u64>, got: Option<u64>| Gap {
            found: if is_first { Found::Reconnect } else { Found::Hole },
            counted_by: expected.and_then(|_| counts(channel).name()),
            expected,
            got: expected.and(got),
            missed: expected.zip(got).map(|(expected, got)| got.saturating_sub(expected)),
            channels: vec![channel.name],
            products: if counted.product.is_empty() { Vec::new() } else { vec![counted.product.to_owned()] },
            from: Some(from),
            until: Some(recv),
            mended_by: channel.mended_by,
        };
        let Some((lowest, highest)) = numbers else {
            return is_first.then(|| gap(None, None));
        };
        let Some(count) = &mut mark.count else {
            (mark.count, mark.counted_by) = (Some(Count::from(highest.saturating_add(1))), counts(channel).name());
            return is_first.then(|| gap(None, None));
        };
        let due = count.next();
        if is_first && lowest < due {
            if counts(channel) == Counts::Sequence {
                // The venue counts anew, and nobody can say from where.
                *count = Count::from(highest.saturating_add(1));
                return Some(Gap { missed: None, ..gap(Some(due), Some(lowest)) });
            }
            // A snapshot reaches back to before the hole; what lies behind us stays there.
            *count = Count::from(due.max(highest.saturating_add(1)));
            return None;
        }
        if shares && lowest < due {
            return None;
        }
        match count.step(lowest, highest) {
            Step::On => None,
            _ if !is_trusted => None,
            Step::Hole(expected) => Some(gap(Some(expected), Some(lowest))),
            // A snapshot tells of several, and some or all of them were told before.
            Step::Back(expected) if lowest < highest && highest.saturating_add(1) >= expected => None,
            Step::Back(expected) => {
                Some(Gap { found: Found::Back, mended_by: MendedBy::Nothing, ..gap(Some(expected), Some(lowest)) })
            }
        }
    }

    /// What has not come again since the connection before: at the end nobody can say more of it.
    #[must_use]
    pub fn open(&self, is_connected: bool) -> Vec<Gap> {
        let now = self.connection + u64::from(!is_connected);
        let of = |channel: &'static str, product: &str, mark: &Mark| Gap {
            found: Found::Stopped,
            counted_by: mark.counted_by,
            expected: mark.count.map(Count::next),
            got: None,
            missed: None,
            channels: vec![channel],
            products: if product.is_empty() { Vec::new() } else { vec![product.to_owned()] },
            from: Some(mark.last),
            until: None,
            mended_by: MendedBy::Nothing,
        };
        let all = self.marks.iter().flat_map(|(channel, products)| {
            products.iter().map(move |(product, mark)| (*channel, product.as_str(), mark))
        });
        let mut gaps: Vec<_> = all
            .filter(|(.., mark)| mark.connection < now)
            .map(|(channel, product, mark)| of(channel, product, mark))
            .collect();
        gaps.sort_by(|one, other| (&one.channels, &one.products).cmp(&(&other.channels, &other.products)));
        gaps
    }
}

/// The numbers of a message that go up one by one on its channel.
fn numbers(channel: &Channel, counted: Counted<'_>) -> Option<(u64, u64)> {
    match counts(channel) {
        Counts::Sequence => counted.sequence.map(|sequence| (sequence, sequence)),
        Counts::Trades => counted.trades,
        Counts::Connection | Counts::Nothing => None,
    }
}

/// What counts a product's messages: where the connection has a count of its own, trades have theirs besides.
fn counts(channel: &Channel) -> Counts {
    if channel.counts == Counts::Connection { Counts::Trades } else { channel.counts }
}
