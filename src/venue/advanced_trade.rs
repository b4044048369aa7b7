//! Coinbase Advanced Trade: one channel a message, hex HMAC or a CDP token, one sequence a connection.
//!
//! Sources: docs.cdp.coinbase.com, Advanced Trade, WebSocket overview and channels; sizes and cadences from a recorded
//! session of 2026-08-09.

pub mod rest;

use std::{borrow::Cow, sync::LazyLock, time::Duration};

use memchr::{memchr3, memmem::Finder};
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};
use smallvec::SmallVec;

use super::{
    Arrival, Cadence, Channel, Counted, Counts, Encoding, Hmac, Kind, MendedBy, Message, Product, Products, Reason,
    Subscribe, Venue,
};
use crate::auth::{Credentials, Signer, Stamp};

/// Market data. Signing in is optional here, and allowed.
pub static MARKET: Venue = Venue {
    name: "advanced-trade",
    url: "wss://advanced-trade-ws.coinbase.com",
    rest: &rest::REST,
    endpoints: &[],
    hmac: &HMAC,
    tokens: true,
    resigns: true,
    wholesale: false,
    channels: CHANNELS,
    subscribe_within: Duration::from_secs(5),
    also_called: &[
        ("heartbeat", "heartbeats"),
        ("l2_data", "level2"),
        ("l2", "level2"),
        ("full", "level2"),
        ("level2_batch", "level2"),
        ("level2_50", "level2"),
        ("matches", "market_trades"),
        ("trades", "market_trades"),
        ("market_trade", "market_trades"),
        ("tickers", "ticker"),
    ],
    messages,
    write,
    prehash,
    read,
    words: &[
        ("authentication failure", Reason::Credentials),
        ("unauthorized", Reason::Credentials),
        ("rate limit", Reason::TooFast),
        ("too many", Reason::TooMuch),
        ("failure to subscribe", Reason::Subscribe),
    ],
};

/// Orders and balances of one's own; carries no market data.
pub static USER: Venue = Venue {
    name: "advanced-trade-user",
    url: "wss://advanced-trade-ws-user.coinbase.com",
    channels: USER_CHANNELS,
    ..MARKET
};

pub(crate) static HMAC: Hmac =
    Hmac { encoding: Encoding::Hex, decoded: false, passphrase: false, decimals: false, query: false };

const HEARTBEATS: Channel = Channel { heartbeat: true, ..public("heartbeats", Products::None, 240, 18_000_000) };
const USER_ORDERS: Channel = Channel { private: true, ..public("user", Products::Optional, 100_000, 10_000_000) };
const FUTURES: Channel =
    Channel { private: true, ..public("futures_balance_summary", Products::None, 2_000, 10_000_000) };

/// Undocumented and measured on 2026-09-07: the 31st level2 product is refused, and often all with it.
const LEVEL2_PRODUCTS: usize = 30;

static CHANNELS: &[Channel] = &[
    HEARTBEATS,
    Channel {
        // A bucket of five minutes that is told whole each time: the snapshot's hundred cover eight hours.
        mended_by: MendedBy::Snapshot,
        cadence: SELDOM,
        ..public("candles", Products::Required, 15_000, 20_000_000)
    },
    Channel { is_of_all: true, ..public("status", Products::Required, 1_000_000, 5_000_000) },
    Channel { cadence: OFTEN, ..public("ticker", Products::Required, 460, 260_000_000) },
    Channel { cadence: OFTEN, ..public("ticker_batch", Products::Required, 460, 8_000_000) },
    Channel {
        per_connection: Some(LEVEL2_PRODUCTS),
        cadence: OFTEN,
        mended_by: MendedBy::Book,
        ..public("level2", Products::Required, 5_100_000, 3_000_000_000)
    },
    Channel {
        cadence: SELDOM,
        mended_by: MendedBy::Rest,
        ..public("market_trades", Products::Required, 14_000, 50_000_000)
    },
    USER_ORDERS,
    FUTURES,
];

/// Of many products one moves within a minute; where none does, a snapshot costs less than a doubt.
const OFTEN: Cadence = Cadence::probed(Duration::from_secs(60));

/// Trades come when somebody trades, and a quiet product is no dead one: the recorded session has holes of ten seconds in the
/// candles of two busy ones.
const SELDOM: Cadence = Cadence::probed(Duration::from_secs(600));

static USER_CHANNELS: &[Channel] = &[HEARTBEATS, USER_ORDERS, FUTURES];

const fn public(name: &'static str, products: Products, longest_line: u64, bytes_a_day: u64) -> Channel {
    let counts = Counts::Connection;
    Channel {
        name,
        private: false,
        heartbeat: false,
        products,
        counts,
        is_of_all: false,
        cadence: Cadence::FREE,
        mended_by: MendedBy::Nothing,
        reads_as: &[],
        per_connection: None,
        longest_line,
        bytes_a_day,
    }
}

fn messages(channels: &[&'static Channel], products: &[Product]) -> Vec<Subscribe> {
    let one = |channel: &&'static Channel| Subscribe {
        unsubscribes: false,
        channels: vec![channel],
        products: if channel.products == Products::None { Vec::new() } else { products.to_vec() },
        accounts: Vec::new(),
    };
    channels.iter().map(one).collect()
}

fn write(subscribe: &Subscribe, signed: Option<(&Credentials, &Stamp)>) -> Message {
    let channel = subscribe.channels[0].name;
    let mut text = Map::new();
    text.insert("type".into(), json!(if subscribe.unsubscribes { "unsubscribe" } else { "subscribe" }));
    text.insert("product_ids".into(), subscribe.products.iter().map(Product::as_str).collect());
    text.insert("channel".into(), json!(channel));
    let mut prehash = None;
    if let Some((credentials, stamp)) = signed {
        match credentials.signer() {
            Signer::Jwt(key) => {
                text.insert("jwt".into(), json!(key.token(credentials.key(), None, stamp)));
            }
            Signer::Hmac(key) => {
                let timestamp = HMAC.timestamp(stamp);
                let signed = self::prehash(&timestamp, subscribe);
                text.insert("api_key".into(), json!(credentials.key()));
                text.insert("signature".into(), json!(HMAC.sign(key, &signed)));
                text.insert("timestamp".into(), json!(timestamp));
                prehash = Some(signed);
            }
        }
    }
    Message { text: Value::Object(text).to_string(), prehash }
}

/// timestamp + channel + products joined by commas, in the order of the message.
fn prehash(timestamp: &str, subscribe: &Subscribe) -> String {
    let products: Vec<_> = subscribe.products.iter().map(Product::as_str).collect();
    format!("{timestamp}{}{}", subscribe.channels[0].name, products.join(","))
}

/// What `read` looks at where the head does not say it; the events are stepped over.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    channel: Option<Cow<'a, str>>,
    sequence_num: Option<u64>,
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Ack {
    events: Vec<Subscriptions>,
}

#[derive(Deserialize)]
struct Subscriptions {
    subscriptions: std::collections::BTreeMap<String, Vec<String>>,
}

fn read(message: &str) -> Arrival<'_> {
    if let Some((channel, sequence, events)) = head(message) {
        return arrival(channel, Some(sequence), message, events);
    }
    let Ok(envelope) = serde_json::from_str::<Envelope>(message) else { return Arrival::unreadable() };
    match (envelope.channel, envelope.kind) {
        (Some(channel), _) => arrival(&channel, envelope.sequence_num, message, message),
        (None, Some(kind)) if kind == "error" => {
            let words = envelope.message.map_or_else(String::new, Cow::into_owned);
            Arrival { sequence: envelope.sequence_num, ..Arrival::new(Kind::Refusal(words)) }
        }
        (None, _) => {
            let counted = products(message);
            Arrival { sequence: envelope.sequence_num, counted, ..Arrival::unreadable() }
        }
    }
}

/// The channel, the number and the events, which may be megabytes. The venue has written them in this order since 2023, the
/// channel first and the number right before the events; where it does not, a parser looks for them, in ten times as long.
fn head(message: &str) -> Option<(&str, u64, &str)> {
    let fields = message.strip_prefix("{\"channel\":\"")?;
    // With another list, an object or an escape before them, what is found may be part of something else.
    let (head, events) = fields.split_at(memchr3(b'[', b'{', b'\\', fields.as_bytes())?);
    let head = head.strip_suffix(",\"events\":").filter(|_| events.starts_with('['))?;
    // Names and numbers are short: a look at each byte costs less than the call of a search.
    let channel = &head[..head.bytes().position(|byte| byte == b'"')?];
    let (rest, number) = head.split_at(head.bytes().rposition(|byte| byte == b':')? + 1);
    let is_its = rest.ends_with(",\"sequence_num\":") && !number.starts_with('+');
    is_its.then(|| Some((channel, number.parse().ok()?, events)))?
}

/// `events` is the part of the message where these are.
fn arrival<'a>(channel: &str, sequence: Option<u64>, message: &'a str, events: &'a str) -> Arrival<'a> {
    let kind = match channel {
        "subscriptions" => Kind::Ack(accepted(message)),
        "heartbeats" => Kind::Heartbeat,
        // The one channel whose messages go by another name than its subscribe.
        "l2_data" => Kind::Data(MARKET.channel("level2")),
        name => Kind::Data(MARKET.channel(name)),
    };
    let counted = match kind {
        Kind::Data(channel) if channel.is_some_and(|channel| channel.name == "market_trades") => trades(message),
        Kind::Data(_) => products(events),
        _ => SmallVec::new(),
    };
    Arrival { kind, sequence, counted }
}

/// The products that a data message is of. Frames seen have one each; the format allows many.
fn products(events: &str) -> SmallVec<[Counted<'_>; 1]> {
    /// A longer one is a snapshot, and a snapshot is of one product.
    const WIDE: usize = 64 * 1024;
    /// Made once: that costs more than to search a ticker by it.
    static NAME: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new("\"product_id\":\""));
    let look = &events.as_bytes()[..if events.len() > WIDE { 1024 } else { events.len() }];
    let mut products: SmallVec<[Counted<'_>; 1]> = SmallVec::new();
    for at in NAME.find_iter(look) {
        let rest = &events[at + NAME.needle().len()..];
        let id = rest.bytes().position(|byte| byte == b'"').map(|end| &rest[..end]);
        if let Some(id) = id
            && !products.iter().any(|known| known.product == id)
        {
            products.push(Counted::of(id));
        }
    }
    products
}

#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow)]
    events: Vec<Trades<'a>>,
}

#[derive(Deserialize)]
struct Trades<'a> {
    #[serde(borrow)]
    trades: Vec<Trade<'a>>,
}

#[derive(Deserialize)]
struct Trade<'a> {
    product_id: &'a str,
    /// A string on the wire, and a number wherever somebody thinks that nicer.
    #[serde(borrow)]
    trade_id: &'a RawValue,
}

/// Each product's trades, which are numbered one by one.
fn trades(message: &str) -> SmallVec<[Counted<'_>; 1]> {
    let Ok(told) = serde_json::from_str::<Told<'_>>(message) else { return SmallVec::new() };
    let mut products: SmallVec<[Counted<'_>; 1]> = SmallVec::new();
    for trade in told.events.iter().flat_map(|event| &event.trades) {
        let Ok(id) = trade.trade_id.get().trim_matches('"').parse::<u64>() else { continue };
        let known = products.iter_mut().find(|known| known.product == trade.product_id);
        match known.and_then(|known| known.trades.as_mut()) {
            Some((lowest, highest)) => (*lowest, *highest) = (id.min(*lowest), id.max(*highest)),
            None => products.push(Counted { trades: Some((id, id)), ..Counted::of(trade.product_id) }),
        }
    }
    products
}

fn accepted(message: &str) -> Vec<(String, Vec<String>)> {
    let Ok(ack) = serde_json::from_str::<Ack>(message) else { return Vec::new() };
    ack.events.into_iter().flat_map(|event| event.subscriptions).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn signs_as_its_vectors_say() {
        // Known answers, computed with Python's hmac.
        let secret = crate::auth::hmac::Key::new("M4009eFnOoPwhNoMwJlsAHgIgleGVFPl");
        for (prehash, signature) in [
            ("1660838876level2ETH-USD,ETH-EUR", "0fae257719c75433e24bada2e45296d56de5e054c9e557a885643a70e868c679"),
            ("1700000000ticker_batchBTC-USD", "4a6f018d320161b7280017814f955fe759c759359718f52f35ff86106d481c87"),
            ("1700000000heartbeats", "8dae28a11c3fa1efe140503c0864e229aa9b9709ce203703d71fac58411f4f95"),
            (
                "1700000000ticker_batchETH-USD,BTC-USD",
                "42b8443ae9d5c336a4130b241ccc6cc7bd68b022c0416bc87aec35d75674738c",
            ),
            ("1700000000userBTC-USD", "a9a71d8cbd5e681f69bc75f57333bb5a8ae2bda1de0930165f2fec9dbcd641a0"),
        ] {
            let (timestamp, rest) = prehash.split_at(10);
            let channel =
                MARKET.channels.iter().rev().find(|channel| rest.starts_with(channel.name)).expect("a channel");
            let products: Vec<_> = rest[channel.name.len()..]
                .split(',')
                .filter(|id| !id.is_empty())
                .map(|id| Product::parse(id).expect(id))
                .collect();
            let subscribe = Subscribe { unsubscribes: false, channels: vec![channel], products, accounts: Vec::new() };
            assert_eq!(super::prehash(timestamp, &subscribe), prehash);
            assert_eq!(hex::encode(secret.sign(prehash)), signature, "{prehash}");
        }
    }

    #[test]
    fn reads_what_the_venue_sends() {
        let snapshot = r#"{"channel":"l2_data","client_id":"","timestamp":"2026-08-09T21:05:48Z","sequence_num":7,"events":[{"type":"snapshot"}]}"#;
        let numbered = |kind, sequence| Arrival { sequence, ..Arrival::new(kind) };
        assert_eq!(read(snapshot), numbered(Kind::Data(MARKET.channel("level2")), Some(7)));
        let ack = r#"{"channel":"subscriptions","sequence_num":2,"events":[{"subscriptions":{"ticker":["BTC-USD"]}}]}"#;
        assert_eq!(read(ack), numbered(Kind::Ack(vec![("ticker".into(), vec!["BTC-USD".into()])]), Some(2)));
        let refusal = r#"{"type":"error","message":"authentication failure"}"#;
        assert_eq!(read(refusal), numbered(Kind::Refusal("authentication failure".into()), None));
        let reordered = r#"{"events":[{"channel":"x"}],"sequence_num":3,"channel":"heartbeats"}"#;
        assert_eq!(read(reordered), numbered(Kind::Heartbeat, Some(3)));
        let behind = r#"{"channel":"heartbeats","events":[{"sequence_num":9}],"sequence_num":3}"#;
        assert_eq!(read(behind), numbered(Kind::Heartbeat, Some(3)));
        for odd in ["not json", "", "[1]", "{}", "{\"channel\":null}", ",\"events\":["] {
            assert_eq!(read(odd).kind, Kind::Data(None), "{odd:?}");
        }
    }

    proptest! {
        /// Whatever a head is made of, what is found at its places is what a parser finds; and it is, where all is plain.
        #[test]
        fn a_head_agrees_with_a_parser(
            channel in "[a-z_0-9\"\\\\]{0,9}",
            others in prop::collection::vec(("[a-z{,:\"\\\\]{0,9}", "[a-z{\\[,:\"\\\\]{0,20}"), 0..4),
            sequence in any::<u64>(),
            nested in any::<bool>(),
        ) {
            const EVENTS: &str = r#","events":[{"sequence_num":3}]}"#;
            let mut fields = Map::from_iter([("channel".to_owned(), json!(channel))]);
            fields.extend(others.into_iter().map(|(name, text)| (name, if nested { json!([text]) } else { json!(text) })));
            fields.insert("sequence_num".to_owned(), json!(sequence));
            fields.insert("events".to_owned(), json!([{"sequence_num": 3}]));
            let message = Value::Object(fields).to_string();
            let whole: Envelope = serde_json::from_str(&message).expect("an envelope");
            match head(&message) {
                Some((channel, sequence, events)) => {
                    prop_assert_eq!(whole.channel.as_deref(), Some(channel));
                    prop_assert_eq!((whole.sequence_num, events), (Some(sequence), &EVENTS[EVENTS.len() - events.len()..]));
                }
                None => prop_assert!(message[1..message.len() - EVENTS.len()].contains(['\\', '{', '[']), "{}", message),
            }
        }
    }

    #[test]
    fn reads_of_which_products_a_message_is() {
        let ticker = r#"{"channel":"ticker","sequence_num":7,"events":[{"type":"update","tickers":[{"type":"ticker","product_id":"BTC-USD","price":"1"},{"type":"ticker","product_id":"ETH-USD","price":"1"},{"product_id":"BTC-USD"}]}]}"#;
        assert_eq!(read(ticker).counted[..], [Counted::of("BTC-USD"), Counted::of("ETH-USD")]);
        let trades = r#"{"channel":"market_trades","sequence_num":7,"events":[{"type":"update","trades":[{"product_id":"BTC-USD","trade_id":"9","price":"1"},{"product_id":"ETH-USD","trade_id":"4"},{"product_id":"BTC-USD","trade_id":"8"}]}]}"#;
        let of = |product, trades| Counted { trades: Some(trades), ..Counted::of(product) };
        assert_eq!(read(trades).counted[..], [of("BTC-USD", (8, 9)), of("ETH-USD", (4, 4))]);
        let number = r#"{"channel":"market_trades","sequence_num":7,"events":[{"trades":[{"product_id":"BTC-USD","trade_id":7}]}]}"#;
        assert_eq!(read(number).counted[..], [of("BTC-USD", (7, 7))]);
        let odd = r#"{"channel":"market_trades","sequence_num":7,"events":[{"trades":[{"trade_id":7}]}]}"#;
        assert_eq!((read(odd).sequence, read(odd).counted.len()), (Some(7), 0));
    }
}
