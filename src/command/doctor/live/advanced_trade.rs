//! Advanced Trade: one count over the whole connection, a counter in each heartbeat, an envelope around everything.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{Belief, Eyes, belief, each_second, option};
use crate::venue::{Arrival, Channel, Kind};

/// What its numbers were.
#[derive(Default)]
pub(super) struct Numbers {
    first: Option<u64>,
    last: Option<u64>,
    holes: Vec<(u64, u64)>,
    unnumbered: u64,
    beats: Vec<Instant>,
    counters: Vec<Option<u64>>,
    orders: BTreeSet<String>,
}

impl Eyes for Numbers {
    fn see(&mut self, message: &Map<String, Value>, arrival: &Arrival<'_>, at: Instant) {
        if arrival.kind == Kind::Heartbeat {
            self.beats.push(at);
            let counter = message.get("events").map(|events| &events[0]["heartbeat_counter"]);
            self.counters.push(counter.and_then(Value::as_u64));
        }
        self.number(arrival.sequence);
        let order: Vec<_> = message.keys().map(String::as_str).collect();
        self.orders.insert(order.join(", "));
    }

    fn stamp(&self) -> &'static str {
        "timestamp"
    }

    fn said_as(&self, _: &str) -> &'static [&'static str] {
        &[]
    }

    fn beliefs(&self, _: &[&'static Channel]) -> Vec<Belief> {
        let known = ["channel, timestamp, sequence_num, events", "channel, client_id, timestamp, sequence_num, events"];
        let as_known = self.orders.iter().all(|order| known.contains(&order.as_str()));
        let orders: Vec<_> = self.orders.iter().map(String::as_str).collect();
        let (holds, seen) = each_second(&self.beats);
        vec![
            belief("sequence_num begins at 0", self.first.map(|first| first == 0), option(self.first)),
            belief(
                "sequence_num goes up by 1 over all channels, acks and heartbeats among them",
                self.last.map(|_| self.holes.is_empty() && self.unnumbered == 0),
                self.numbers(),
            ),
            belief("a heartbeat each second", holds, seen),
            self.counter(),
            belief(
                "fields stand as channel, [client_id,] timestamp, sequence_num, events",
                (!orders.is_empty()).then_some(as_known),
                orders.join(" | "),
            ),
        ]
    }
}

impl Numbers {
    fn number(&mut self, sequence: Option<u64>) {
        let Some(sequence) = sequence else {
            self.unnumbered += 1;
            return;
        };
        self.first.get_or_insert(sequence);
        if let Some(last) = self.last.filter(|last| last + 1 != sequence) {
            self.holes.push((last, sequence));
        }
        self.last = Some(sequence);
    }

    fn numbers(&self) -> String {
        let holes: Vec<_> = self.holes.iter().take(5).map(|(from, to)| format!("{from} then {to}")).collect();
        let first = if holes.is_empty() { String::new() } else { format!(" ({})", holes.join(", ")) };
        format!("up to {}, {} jumps{first}, {} messages without", option(self.last), self.holes.len(), self.unnumbered)
    }

    fn counter(&self) -> Belief {
        let numbers = self.counters.iter().all(Option::is_some);
        let steady = self.counters.windows(2).all(|two| two[0].map(|counter| counter + 1) == two[1]);
        let seen = format!(
            "from {} to {}",
            option(self.counters.first().copied().flatten()),
            option(self.counters.last().copied().flatten())
        );
        belief(
            "heartbeat_counter is a number and goes up by 1",
            (!self.counters.is_empty()).then_some(numbers && steady),
            seen,
        )
    }
}
