//! What a venue's message says of itself, scanned: the audit reads it of every line, and may not take longer than the hash.
//!
//! `(venue.read)` is what the daemon believes; where a message has another shape than those known here it is asked, and the tests
//! hold the two to each other on what was recorded.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use smallvec::{SmallVec, smallvec};

use super::{
    envelope::number,
    stamp::{self, Stamp},
};
use crate::venue::{
    self, Counted,
    advanced_trade::{MARKET, USER},
    exchange::{EXCHANGE, channel_by},
};

/// What a message says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told<'a> {
    /// Whose message it is.
    pub house: House,
    /// What it is.
    pub kind: Kind,
    /// The channel, by the name that one subscribes to where that is known.
    pub channel: &'a str,
    /// Its number on the connection.
    pub sequence: Option<u64>,
    /// When the venue says that it sent it, or that it happened.
    pub time: Option<Stamp>,
    /// That is the time of this message, and not that of the last trade, which may be long past.
    pub exact: bool,
    /// It tells how things stand, and so what was told before.
    pub snapshot: bool,
    /// The products that it is of.
    pub counted: SmallVec<[Counted<'a>; 1]>,
}

/// Whose messages they are, which is whose habits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum House {
    /// Coinbase Advanced Trade: each message of a connection is numbered.
    AdvancedTrade,
    /// Coinbase Exchange: those of some channels are, by product.
    Exchange,
    /// Coinbase International Exchange, which tickerd does not record: counted by channel, and no number of it is judged.
    International,
}

/// The kinds of message that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The answer to a subscribe.
    Ack,
    /// The venue's refusal.
    Refusal,
    /// The venue lives.
    Heartbeat,
    /// All else.
    Data,
}

impl House {
    /// As reports call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AdvancedTrade => "advanced-trade",
            Self::Exchange => "exchange",
            Self::International => "international",
        }
    }
}

/// What of a flat object matters: it ends where something nested begins.
#[derive(Default)]
struct Flat<'a> {
    channel: Option<&'a str>,
    kind: Option<&'a str>,
    product: Option<&'a str>,
    time: Option<&'a [u8]>,
    sequence_num: Option<u64>,
    sequence: Option<u64>,
    trade: Option<u64>,
    last_trade: Option<u64>,
    /// Where something nested begins.
    nested: Option<usize>,
}

/// Reads a message; None where it is nobody's that is known.
#[must_use]
pub fn read(message: &[u8]) -> Option<Told<'_>> {
    match message.first()? {
        b'{' => match flat(message) {
            Some(flat) => told(message, &flat),
            None => by_the_venues(message),
        },
        b'[' => Some(by_the_venues(message)?).filter(|told| told.counted.iter().any(|one| one.sequence.is_some())),
        _ => None,
    }
}

fn told<'a>(message: &'a [u8], flat: &Flat<'a>) -> Option<Told<'a>> {
    let time = flat.time.and_then(stamp::read);
    match (flat.channel, flat.kind) {
        (Some(channel), None) if flat.sequence_num.is_some() => {
            let events = flat.nested.map_or(&b""[..], |at| &message[at..]);
            Some(Told { time, ..advanced_trade(channel, flat.sequence_num, events) })
        }
        (Some(channel), _) if channel.starts_with(|first: char| first.is_ascii_uppercase()) => {
            Some(international(channel, flat.product, time))
        }
        (None, Some(_)) => exchange(message, flat, time),
        _ => international_tail(message).or_else(|| by_the_venues(message)),
    }
}

/// `events` is what stands behind that key.
fn advanced_trade<'a>(channel: &'a str, sequence: Option<u64>, events: &'a [u8]) -> Told<'a> {
    /// `[{"type":"snapshot"`, with spaces.
    const TYPE: usize = 32;
    let (kind, channel) = match channel {
        "subscriptions" => (Kind::Ack, channel),
        "heartbeats" => (Kind::Heartbeat, channel),
        "l2_data" => (Kind::Data, "level2"),
        channel => (Kind::Data, channel),
    };
    let snapshot = SNAPSHOT.find(&events[..events.len().min(TYPE)]).is_some();
    let counted = match (kind, channel) {
        (Kind::Data, "market_trades") => trades(events),
        (Kind::Data, _) => products(events),
        _ => SmallVec::new(),
    };
    Told { house: House::AdvancedTrade, kind, channel, sequence, time: None, exact: true, snapshot, counted }
}

static SNAPSHOT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"snapshot\""));
static PRODUCT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"product_id\""));
static TRADE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"trade_id\""));

/// As `(venue.read)` does: a message that is wide is a snapshot, and of one product.
fn products(events: &[u8]) -> SmallVec<[Counted<'_>; 1]> {
    const WIDE: usize = 64 * 1024;
    let look = if events.len() > WIDE { &events[..1024] } else { events };
    let mut products: SmallVec<[Counted<'_>; 1]> = SmallVec::new();
    for at in PRODUCT.find_iter(look) {
        if let Some(id) = value(look, at + PRODUCT.needle().len())
            && !products.iter().any(|known| known.product == id)
        {
            products.push(Counted::of(id));
        }
    }
    products
}

/// Each trade has a product and an id, in whatever order.
fn trades(events: &[u8]) -> SmallVec<[Counted<'_>; 1]> {
    let mut all: SmallVec<[Counted<'_>; 1]> = SmallVec::new();
    let mut ids = TRADE.find_iter(events);
    for at in PRODUCT.find_iter(events) {
        let product = value(events, at + PRODUCT.needle().len());
        let id =
            ids.next().and_then(|at| value(events, at + TRADE.needle().len())).and_then(|id| id.parse::<u64>().ok());
        let (Some(product), Some(id)) = (product, id) else { continue };
        match all.iter_mut().find(|known| known.product == product).and_then(|known| known.trades.as_mut()) {
            Some((lowest, highest)) => (*lowest, *highest) = (id.min(*lowest), id.max(*highest)),
            None => all.push(Counted { trades: Some((id, id)), ..Counted::of(product) }),
        }
    }
    all
}

/// What stands behind a key: a string without its quotes, or a number.
fn value(text: &[u8], behind: usize) -> Option<&str> {
    let rest = &text[skip(text, behind, b": ")..];
    let value = match rest.strip_prefix(b"\"") {
        Some(rest) => &rest[..memchr::memchr(b'"', rest)?],
        None => &rest[..rest.iter().position(|byte| !byte.is_ascii_digit())?],
    };
    std::str::from_utf8(value).ok()
}

fn exchange<'a>(message: &'a [u8], flat: &Flat<'a>, time: Option<Stamp>) -> Option<Told<'a>> {
    let name = flat.kind?;
    let (kind, channel) = match name {
        "subscriptions" => (Kind::Ack, name),
        "error" => (Kind::Refusal, name),
        "heartbeat" => (Kind::Heartbeat, name),
        name => (Kind::Data, channel_by(name)?.name),
    };
    let (sequence, trade) = match name {
        "heartbeat" => (flat.sequence, flat.last_trade),
        "last_match" => (None, flat.trade),
        "match" => (flat.sequence, flat.trade),
        "received" | "open" | "done" | "change" => (flat.sequence, None),
        _ => (None, None),
    };
    let counted = match (kind, flat.product.filter(|product| !product.is_empty())) {
        (Kind::Data | Kind::Heartbeat, Some(product)) => {
            smallvec![Counted { product, sequence, trades: trade.map(|trade| (trade, trade)) }]
        }
        _ => SmallVec::new(),
    };
    // A change of the book says when last, behind all of its changes.
    let time = time.or_else(|| if flat.nested.is_some() { time_in(tail(message)) } else { None });
    let (exact, snapshot) = (!matches!(name, "ticker" | "last_match"), name == "snapshot");
    Some(Told { house: House::Exchange, kind, channel, sequence: None, time, exact, snapshot, counted })
}

fn international<'a>(channel: &'a str, product: Option<&'a str>, time: Option<Stamp>) -> Told<'a> {
    let kind = match channel {
        "SUBSCRIPTIONS" => Kind::Ack,
        _ => Kind::Data,
    };
    let counted = product.map(Counted::of).into_iter().collect();
    Told { house: House::International, kind, channel, sequence: None, time, exact: true, snapshot: false, counted }
}

/// Its books say last what they are of.
fn international_tail(message: &[u8]) -> Option<Told<'_>> {
    let tail = tail(message);
    let field = |name: &str| value(tail, memchr::memmem::rfind(tail, name.as_bytes())? + name.len());
    let channel = field("\"channel\"")?;
    let is_it = channel.starts_with(|first: char| first.is_ascii_uppercase());
    is_it.then(|| international(channel, field("\"product_id\""), time_in(tail)))
}

fn tail(message: &[u8]) -> &[u8] {
    /// A time, a channel, a product and a type.
    const LOOK: usize = 192;
    &message[message.len().saturating_sub(LOOK)..]
}

fn time_in(tail: &[u8]) -> Option<Stamp> {
    const TIME: &[u8] = b"\"time\"";
    stamp::read(value(tail, memchr::memmem::rfind(tail, TIME)? + TIME.len())?.as_bytes())
}

/// What the daemon would make of it, whose shape is not known here.
fn by_the_venues(message: &[u8]) -> Option<Told<'_>> {
    let message = str::from_utf8(message).ok()?;
    for (house, venue) in [(House::AdvancedTrade, &MARKET), (House::Exchange, &EXCHANGE)] {
        let arrival = (venue.read)(message);
        let user = || if house == House::AdvancedTrade { (USER.read)(message).kind } else { venue::Kind::Data(None) };
        let (kind, channel) = match arrival.kind {
            venue::Kind::Ack(_) => (Kind::Ack, "subscriptions"),
            venue::Kind::Refusal(_) => (Kind::Refusal, "error"),
            venue::Kind::Heartbeat => (Kind::Heartbeat, venue.channels[0].name),
            venue::Kind::Data(Some(channel)) => (Kind::Data, channel.name),
            venue::Kind::Data(None) if arrival.sequence.is_some() => match user() {
                venue::Kind::Data(Some(channel)) => (Kind::Data, channel.name),
                _ => (Kind::Data, "unknown"),
            },
            venue::Kind::Data(None) => continue,
        };
        let (sequence, counted) = (arrival.sequence, arrival.counted);
        return Some(Told { house, kind, channel, sequence, time: None, exact: false, snapshot: false, counted });
    }
    None
}

fn flat(message: &[u8]) -> Option<Flat<'_>> {
    let mut flat = Flat::default();
    let mut at = skip(message, 1, b" ");
    while *message.get(at)? != b'}' {
        let key = message[at..].strip_prefix(b"\"")?;
        let key = &key[..memchr::memchr(b'"', key)?];
        at = skip(message, at + key.len() + 2, b": ");
        match *message.get(at)? {
            b'"' => {
                let text = &message[at + 1..];
                let text = &text[..memchr::memchr(b'"', text)?];
                if text.last() == Some(&b'\\') {
                    // A quote inside of it: somebody's words.
                    return None;
                }
                at += text.len() + 2;
                flat.text(key, text);
            }
            b'{' | b'[' => {
                flat.nested = Some(at);
                return Some(flat);
            }
            _ => {
                let end = memchr::memchr2(b',', b'}', &message[at..])?;
                flat.number(key, &message[at..at + end]);
                at += end;
            }
        }
        at = skip(message, at, b", ");
    }
    Some(flat)
}

#[inline]
fn skip(text: &[u8], mut at: usize, what: &[u8]) -> usize {
    while text.get(at).is_some_and(|byte| what.contains(byte)) {
        at += 1;
    }
    at
}

impl<'a> Flat<'a> {
    fn text(&mut self, key: &[u8], value: &'a [u8]) {
        let field = match key {
            b"channel" => &mut self.channel,
            b"type" => &mut self.kind,
            b"product_id" => &mut self.product,
            b"timestamp" | b"time" => {
                self.time = Some(value);
                return;
            }
            b"sequence_num" | b"sequence" | b"trade_id" | b"last_trade_id" => return self.number(key, value),
            _ => return,
        };
        *field = std::str::from_utf8(value).ok();
    }

    fn number(&mut self, key: &[u8], value: &[u8]) {
        let field = match key {
            b"sequence_num" => &mut self.sequence_num,
            b"sequence" => &mut self.sequence,
            b"trade_id" => &mut self.trade,
            b"last_trade_id" => &mut self.last_trade,
            _ => return,
        };
        *field = number(value).filter(|(_, rest)| rest.trim_ascii_start().is_empty()).map(|(number, _)| number);
    }
}

#[cfg(test)]
#[path = "message/tests.rs"]
mod tests;
