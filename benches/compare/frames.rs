//! What the blaster sends: messages in Advanced Trade's shape and key order (recorded on 2026-08-09), framed beforehand.

use std::{collections::BTreeMap, fmt::Write as _, ops::Range};

use serde_json::json;

/// At 5,000 messages a second, one heartbeat a second.
const HEARTBEAT_EVERY: usize = 5_000;

/// A snapshot of a busy book, of about 119 bytes a level.
const SNAPSHOT: usize = 3_000_000;

/// An update of a busy second.
const UPDATE: usize = 2_500;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// `ticker_batch`, 373 bytes a message, with a heartbeat among each 5,000.
    Tickers,
    /// A snapshot of 3 MB, then updates of 2.5 KB.
    Level2,
    /// Snapshots of 3 MB and nothing else, each of the next product.
    Snapshots,
    /// Nothing but heartbeats.
    Heartbeats,
}

/// Text frames of a server, one behind the other.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    /// Where each message's bytes lie; its frame ends where they do.
    messages: Vec<Range<usize>>,
}

impl Kind {
    /// So many messages, numbered from `sequence`, of the products in turn.
    pub fn frames(self, count: usize, products: &[String], sequence: u64) -> Frames {
        let mut frames = Frames::default();
        for (i, n) in (0..count).zip(sequence..) {
            let product = &products[i % products.len()];
            frames.push(&match self {
                Self::Heartbeats => heartbeat(n),
                Self::Snapshots => book("snapshot", product, n, SNAPSHOT),
                Self::Level2 if i < products.len() => book("snapshot", product, n, SNAPSHOT),
                _ if i % HEARTBEAT_EVERY == HEARTBEAT_EVERY - 1 => heartbeat(n),
                Self::Level2 => book("update", product, n, UPDATE),
                Self::Tickers => ticker(product, n),
            });
        }
        frames
    }
}

impl Frames {
    /// Frames one message.
    #[expect(clippy::cast_possible_truncation, reason = "each arm says what it takes")]
    pub fn push(&mut self, message: &str) {
        const TEXT: u8 = 0x81;
        match message.len() {
            0..126 => self.bytes.extend([TEXT, message.len() as u8]),
            126..0x1_0000 => {
                self.bytes.extend([TEXT, 126]);
                self.bytes.extend((message.len() as u16).to_be_bytes());
            }
            _ => {
                self.bytes.extend([TEXT, 127]);
                self.bytes.extend((message.len() as u64).to_be_bytes());
            }
        }
        let begin = self.bytes.len();
        self.bytes.extend(message.as_bytes());
        self.messages.push(begin..self.bytes.len());
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// The frames of these messages, headers included.
    pub fn of(&self, messages: Range<usize>) -> &[u8] {
        let end = |count: usize| if count == 0 { 0 } else { self.messages[count - 1].end };
        &self.bytes[end(messages.start)..end(messages.end)]
    }

    /// How many whole frames there are from this message on within so many bytes; one at least.
    pub fn within(&self, first: usize, bytes: usize) -> usize {
        let limit = self.messages[first].start + bytes;
        self.messages[first..].partition_point(|message| message.end <= limit).max(1)
    }

    /// Each message's own bytes.
    pub fn messages(&self) -> impl Iterator<Item = &[u8]> {
        self.messages.iter().map(|message| &self.bytes[message.clone()])
    }
}

/// What the venue answers a subscribe with: all that the connection has.
pub fn ack(subscriptions: &BTreeMap<String, Vec<String>>, n: u64) -> String {
    envelope("subscriptions", n, &json!({ "subscriptions": subscriptions }).to_string())
}

/// The one message that comes each second, whatever happens.
pub fn heartbeat(n: u64) -> String {
    let event = format!(
        "{{\"current_time\":\"2026-08-09 21:05:49.855324364 +0000 UTC m=+{n}.260969659\",\"heartbeat_counter\":{n}}}"
    );
    envelope("heartbeats", n, &event)
}

/// 373 bytes where its number has six digits and the product seven letters.
fn ticker(product: &str, n: u64) -> String {
    let (dollars, cents) = (65_000 + n / 100 % 1_000, n % 100);
    let event = format!(
        "{{\"type\":\"update\",\"tickers\":[{{\"type\":\"ticker\",\"product_id\":\"{product}\",\
         \"price\":\"{dollars}.{cents:02}\",\"volume_24_h\":\"2867.54532609\",\"low_24_h\":\"64675.22\",\
         \"high_24_h\":\"65252.99\",\"low_52_w\":\"57717.55\",\"high_52_w\":\"126296.11\",\
         \"price_percent_chg_24_h\":\"0.09601107287722\"}}]}}"
    );
    envelope("ticker_batch", n, &event)
}

fn book(part: &str, product: &str, n: u64, bytes: usize) -> String {
    let mut event = format!("{{\"type\":\"{part}\",\"product_id\":\"{product}\",\"updates\":[");
    for level in 0_u64.. {
        let side = if level % 2 == 0 { "bid" } else { "offer" };
        let _ = write!(
            event,
            "{{\"side\":\"{side}\",\"event_time\":\"2026-08-09T21:05:48.170326Z\",\"price_level\":\"{}.{:02}\",\
             \"new_quantity\":\"0.{:08}\"}}",
            60_000 + level / 100 % 10_000,
            level % 100,
            n % 100_000_000
        );
        if event.len() + 120 > bytes {
            break;
        }
        event.push(',');
    }
    event.push_str("]}");
    envelope("l2_data", n, &event)
}

fn envelope(channel: &str, n: u64, event: &str) -> String {
    let fraction = n % 1_000_000_000;
    format!(
        "{{\"channel\":\"{channel}\",\"timestamp\":\"2026-08-09T21:05:48.{fraction:09}Z\",\"sequence_num\":{n},\"events\":[{event}]}}"
    )
}
