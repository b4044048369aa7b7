//! The Exchange: a heartbeat of each product, and counts of each product, of which but some promise to have no holes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{Belief, Eyes, belief, each_second, list};
use crate::venue::{Arrival, Channel, Counted, Kind};

/// What was seen of each product.
#[derive(Default)]
pub(super) struct Products {
    beats: BTreeMap<String, Vec<Instant>>,
    orders: Count,
    /// More of the orders was seen than their matches.
    is_full: bool,
    trades: Count,
    /// The sequences of what does not promise to have no holes.
    tickers: Count,
    no_trade: BTreeSet<String>,
    fields: BTreeMap<&'static str, BTreeSet<String>>,
}

/// One count a product.
#[derive(Default)]
struct Count {
    last: BTreeMap<String, u64>,
    steps: u64,
    holes: Vec<String>,
    back: Vec<String>,
}

/// The members of what is most read, as they were documented and recorded.
const FIELDS: [(&str, &str, &[&str]); 3] = [
    (
        "heartbeat",
        "fields of a heartbeat stand as documented",
        &["type, sequence, last_trade_id, product_id, time", "type, last_trade_id, product_id, sequence, time"],
    ),
    (
        "ticker",
        "fields of a ticker stand as recorded",
        &[
            "type, sequence, product_id, price, open_24h, volume_24h, low_24h, high_24h, volume_30d, best_bid, best_ask, side, \
             time, trade_id, last_size",
            "type, sequence, product_id, price, open_24h, volume_24h, low_24h, high_24h, volume_30d, best_bid, best_bid_size, \
             best_ask, best_ask_size, side, time, trade_id, last_size",
        ],
    ),
    (
        "match",
        "fields of a match stand as recorded",
        &["type, trade_id, maker_order_id, taker_order_id, side, size, price, product_id, sequence, time"],
    ),
];

impl Eyes for Products {
    fn see(&mut self, message: &Map<String, Value>, arrival: &Arrival<'_>, at: Instant) {
        let kind = message.get("type").and_then(Value::as_str).unwrap_or_default();
        if let Some((name, ..)) = FIELDS.iter().find(|(name, ..)| *name == kind) {
            let order: Vec<_> = message.keys().map(String::as_str).collect();
            self.fields.entry(name).or_default().insert(order.join(", "));
        }
        let number = |member: &str| message.get(member).and_then(Value::as_u64);
        match (kind, message.get("product_id").and_then(Value::as_str), number("sequence")) {
            ("ticker", Some(product), Some(sequence)) => self.tickers.see(product, sequence),
            ("received" | "open" | "done" | "change" | "match", Some(product), Some(sequence)) => {
                self.orders.see(product, sequence);
                self.is_full |= kind != "match";
            }
            _ => {}
        }
        let Some(&Counted { product, trades, .. }) = arrival.counted.first() else { return };
        match (&arrival.kind, trades.map(|(trade, _)| trade)) {
            (Kind::Heartbeat, trade) => {
                self.beats.entry(product.to_owned()).or_default().push(at);
                // It was reported to be stuck at 0 (coinbasepro-python#356, go-coinbasepro#89).
                if trade.is_none_or(|trade| trade == 0) {
                    self.no_trade.insert(product.to_owned());
                }
            }
            (_, Some(trade)) => self.trades.see(product, trade),
            _ => {}
        }
    }

    fn stamp(&self) -> &'static str {
        "time"
    }

    fn said_as(&self, channel: &str) -> &'static [&'static str] {
        match channel {
            "ticker_batch" => &["ticker"],
            "level2_batch" => &["level2"],
            "user" => &["full", "matches"],
            _ => &[],
        }
    }

    fn beliefs(&self, asked: &[&'static Channel]) -> Vec<Belief> {
        let has = |name: &str| asked.iter().any(|channel| channel.name == name);
        let judged: Vec<_> = self.beats.iter().map(|(product, beats)| (product, each_second(beats))).collect();
        // One that differs says more than the others, and any one says how it is.
        let first = judged.iter().find(|(_, (holds, _))| *holds == Some(false)).or_else(|| judged.first());
        let (holds, seen) = first.map_or((None, String::new()), |(product, (holds, seen))| {
            (*holds, format!("of {} products; {product}: {seen}", judged.len()))
        });
        let mut beliefs = vec![
            belief("a heartbeat each second of each product", holds, seen),
            belief(
                "a heartbeat tells the last trade",
                (!self.beats.is_empty()).then_some(self.no_trade.is_empty()),
                format!("without: {}", list(&self.no_trade)),
            ),
            // Matches alone, and what is one's own, are some of the sequence and of the trades.
            self.orders.unbroken("full: each product's sequence goes up by 1", self.is_full && has("full")),
            self.trades.unbroken("matches: each product's trade_id goes up by 1", has("matches") || has("full")),
            belief(
                "ticker: each product's sequence goes up, and skips",
                (self.tickers.steps > 0).then_some(self.tickers.back.is_empty()),
                self.tickers.seen(),
            ),
        ];
        beliefs.extend(FIELDS.iter().map(|(name, what, known)| {
            let seen = self.fields.get(name);
            let as_known = seen.map(|orders| orders.iter().all(|order| known.contains(&order.as_str())));
            belief(what, as_known, seen.map_or_else(String::new, |orders| Vec::from_iter(orders.clone()).join(" | ")))
        }));
        beliefs
    }
}

impl Count {
    /// The same twice is of two channels, and no step.
    fn see(&mut self, product: &str, number: u64) {
        let Some(last) = self.last.insert(product.to_owned(), number) else { return };
        self.steps += u64::from(number != last);
        if number < last {
            self.back.push(format!("{product} {last} then {number}"));
        } else if number > last + 1 {
            self.holes.push(format!("{product} {last} then {number}"));
        }
    }

    fn unbroken(&self, what: &'static str, is_told: bool) -> Belief {
        let holds = (is_told && self.steps > 0).then_some(self.holes.is_empty() && self.back.is_empty());
        belief(what, holds, self.seen())
    }

    fn seen(&self) -> String {
        /// As many as say what kind of holes they are.
        const SOME: usize = 5;
        let (holes, back) = (&self.holes, &self.back);
        let some: Vec<_> = back.iter().chain(holes).take(SOME).map(String::as_str).collect();
        let some = if some.is_empty() { String::new() } else { format!(" ({})", some.join(", ")) };
        format!("{} steps, {} of them over a hole, {} back{some}", self.steps, holes.len(), back.len())
    }
}
