//! Coinbase Exchange (once Pro, once GDAX): many channels a message, base64 HMAC with a passphrase, sequences by product.
//!
//! Sources: docs.cdp.coinbase.com, Exchange, WebSocket overview, channels, authentication, errors and rate limits, to
//! 2026-09; shapes from a session recorded on 2021-04-17; words of refusals from the threads that are named beside them.

mod rest;

use std::{borrow::Cow, time::Duration};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use smallvec::{SmallVec, smallvec};

use super::{
    Arrival, Cadence, Channel, Counted, Counts, Encoding, Endpoint, Follows, Hmac, Kind, MendedBy, Message, Product,
    Products, Reason, Subscribe, Venue,
};
use crate::auth::{Credentials, Secret, Signer, Stamp};

/// Market data, and what is one's own. Signing is optional for some channels, and recommended for all.
pub static EXCHANGE: Venue = Venue {
    name: "exchange",
    url: FEED,
    rest: &rest::REST,
    endpoints: &[
        Endpoint { name: "feed", url: FEED, rest: rest::URL, failover: None, signed: false },
        Endpoint {
            name: "direct",
            url: "wss://ws-direct.exchange.coinbase.com",
            rest: rest::URL,
            failover: Some(FEED),
            signed: true,
        },
        Endpoint { name: "sandbox", url: SANDBOX, rest: rest::SANDBOX, failover: None, signed: false },
        Endpoint {
            name: "sandbox-direct",
            url: "wss://ws-direct.sandbox.exchange.coinbase.com",
            rest: rest::SANDBOX,
            failover: Some(SANDBOX),
            signed: true,
        },
    ],
    hmac: &HMAC,
    tokens: false,
    resigns: false,
    wholesale: true,
    channels: CHANNELS,
    subscribe_within: Duration::from_secs(5),
    also_called: &[
        ("heartbeats", "heartbeat"),
        ("l2_data", "level2"),
        ("l2", "level2"),
        ("level2_50", "level2_batch"),
        ("ticker_1000", "ticker_batch"),
        ("tickers", "ticker"),
        ("market_trades", "matches"),
        ("trades", "matches"),
        ("match", "matches"),
        ("l3", "level3"),
        ("auction", "auctionfeed"),
        ("rfq_match", "rfq_matches"),
        ("futures_balance_summary", "balance"),
    ],
    messages,
    write,
    prehash,
    read,
    words: &[
        // The reason stands behind the message, and says more: so it is looked for first.
        ("request timestamp expired", Reason::Expired),
        ("ip does not match ip whitelist", Reason::Address),
        ("invalid passphrase", Reason::Passphrase),
        ("invalid signature", Reason::Signature),
        // bmoscon/cryptofeed#990
        ("require authentication", Reason::Unsigned),
        // gocryptotrader#1421, coinbase-pro-node#174
        ("is not a valid product", Reason::Product),
        ("invalid product id", Reason::Product),
        // coinbasepro-python#371, #255
        ("no channels provided", Reason::Malformed),
        ("at least one product id", Reason::Malformed),
        ("is not a valid channel", Reason::Malformed),
        ("could not be authenticated", Reason::Credentials),
        ("invalid api key", Reason::Key),
        ("unauthorized", Reason::Credentials),
        ("errslowconsume", Reason::TooSlow),
        ("errslowread", Reason::TooFast),
        ("rate limit", Reason::TooFast),
        ("too many requests", Reason::TooFast),
        ("message too big", Reason::TooLong),
        ("subscription limit", Reason::TooMuch),
    ],
};

const FEED: &str = "wss://ws-feed.exchange.coinbase.com";
const SANDBOX: &str = "wss://ws-feed-public.sandbox.exchange.coinbase.com";

static HMAC: Hmac = Hmac { encoding: Encoding::Base64, decoded: true, passphrase: true, decimals: true, query: true };

/// Sizes are those of the recorded session, of books ten times as deep where the products were small; what a day brings is
/// reckoned from them, for a busy product.
static CHANNELS: &[Channel] = &[
    Channel { heartbeat: true, ..public("heartbeat", Counts::Nothing, 140, 12_000_000) },
    Channel { products: Products::None, ..public("status", Counts::Nothing, 1_000_000, 2_000_000_000) },
    public("auctionfeed", Counts::Nothing, 500, 1_000_000),
    // It begins with the last match before the subscribe.
    Channel {
        cadence: Cadence { begins: true, ..FREE }.following(Follows::Trades),
        ..public("matches", Counts::Trades, 330, 100_000_000)
    },
    private("rfq_matches", Counts::Nothing, 400, 1_000_000),
    Channel { cadence: OFTEN.following(Follows::Trades), ..public("ticker", Counts::Nothing, 420, 120_000_000) },
    // Whether it begins with anything was not seen.
    Channel {
        cadence: FREE.following(Follows::Trades),
        reads_as: &["ticker"],
        ..public("ticker_batch", Counts::Nothing, 420, 8_000_000)
    },
    Channel {
        cadence: FREE.following(Follows::Sequence),
        reads_as: &["matches"],
        ..private("full", Counts::Sequence, 400, 10_000_000_000)
    },
    Channel { reads_as: &["full", "matches"], ..private("user", Counts::Nothing, 600, 10_000_000) },
    Channel {
        cadence: OFTEN,
        mended_by: MendedBy::Book,
        ..private("level2", Counts::Nothing, 3_000_000, 3_000_000_000)
    },
    Channel {
        cadence: OFTEN,
        mended_by: MendedBy::Book,
        reads_as: &["level2"],
        ..public("level2_batch", Counts::Nothing, 3_000_000, 1_500_000_000)
    },
    Channel {
        cadence: FREE.following(Follows::Sequence),
        ..private("level3", Counts::Sequence, 10_000_000, 6_000_000_000)
    },
    Channel { products: Products::Accounts, ..private("balance", Counts::Nothing, 300, 1_000_000) },
];

const FREE: Cadence = Cadence::FREE;

/// Of many products one moves within a minute; where none does, a snapshot costs less than a doubt.
const OFTEN: Cadence = Cadence::probed(Duration::from_secs(60));

const fn public(name: &'static str, counts: Counts, longest_line: u64, bytes_a_day: u64) -> Channel {
    Channel {
        name,
        private: false,
        heartbeat: false,
        products: Products::Required,
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

const fn private(name: &'static str, counts: Counts, longest_line: u64, bytes_a_day: u64) -> Channel {
    Channel { private: true, ..public(name, counts, longest_line, bytes_a_day) }
}

/// What is alike in one message: refused credentials keep private channels back and no others, and what is taken away of
/// products leaves alone what has none.
fn messages(channels: &[&'static Channel], products: &[Product]) -> Vec<Subscribe> {
    let mut messages = Vec::new();
    for (private, of_products) in [(false, true), (true, true), (false, false), (true, false)] {
        let alike = |channel: &&&'static Channel| {
            channel.private == private && (channel.products == Products::Required) == of_products
        };
        let channels: Vec<_> = channels.iter().filter(alike).copied().collect();
        if !channels.is_empty() {
            let products = if of_products { products.to_vec() } else { Vec::new() };
            messages.push(Subscribe { unsubscribes: false, channels, products, accounts: Vec::new() });
        }
    }
    messages
}

fn write(subscribe: &Subscribe, signed: Option<(&Credentials, &Stamp)>) -> Message {
    let mut text = Map::new();
    text.insert("type".into(), json!(if subscribe.unsubscribes { "unsubscribe" } else { "subscribe" }));
    text.insert("channels".into(), subscribe.channels.iter().map(|channel| channel_of(channel, subscribe)).collect());
    let mut signed_text = None;
    if let Some((credentials, stamp)) = signed
        && let Signer::Hmac(key) = credentials.signer()
    {
        let timestamp = HMAC.timestamp(stamp);
        let prehash = prehash(&timestamp, subscribe);
        text.insert("key".into(), json!(credentials.key()));
        text.insert("passphrase".into(), json!(credentials.passphrase().map_or("", Secret::expose)));
        text.insert("signature".into(), json!(HMAC.sign(key, &prehash)));
        text.insert("timestamp".into(), json!(timestamp));
        signed_text = Some(prehash);
    }
    Message { text: Value::Object(text).to_string(), prehash: signed_text }
}

/// With its products inside: those at the root are refused (`gocryptotrader#1421`).
fn channel_of(channel: &Channel, subscribe: &Subscribe) -> Value {
    match channel.products {
        Products::None => json!({"name": channel.name}),
        Products::Accounts => json!({"name": channel.name, "account_ids": subscribe.accounts}),
        Products::Required | Products::Optional => {
            let products: Vec<_> = subscribe.products.iter().map(Product::as_str).collect();
            json!({"name": channel.name, "product_ids": products})
        }
    }
}

/// The same for every subscribe: whatever is asked for, it is asked as a request to this path would be.
fn prehash(timestamp: &str, _: &Subscribe) -> String {
    format!("{timestamp}GET/users/self/verify")
}

/// What `read` looks at; levels and lists are stepped over. Numbers are taken as they come: what is none is no number.
#[derive(Deserialize)]
struct Envelope<'a> {
    // Behind an Option serde would copy what it can borrow.
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    product_id: Cow<'a, str>,
    #[serde(default)]
    sequence: Value,
    #[serde(default)]
    trade_id: Value,
    #[serde(default)]
    last_trade_id: Value,
    #[serde(borrow, default)]
    message: Cow<'a, str>,
    #[serde(borrow, default)]
    reason: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Ack {
    channels: Vec<Accepted>,
}

#[derive(Deserialize)]
struct Accepted {
    name: String,
    product_ids: Option<Vec<String>>,
    account_ids: Option<Vec<String>>,
}

fn read(message: &str) -> Arrival<'_> {
    if is_book(message) {
        let counted = book_of(message).into_iter().collect();
        return Arrival { counted, ..Arrival::new(Kind::Data(EXCHANGE.channel("level2"))) };
    }
    if message.starts_with('[') {
        let counted = order_of(message).into_iter().collect();
        return Arrival { counted, ..Arrival::new(Kind::Data(EXCHANGE.channel("level3"))) };
    }
    let Ok(envelope) = serde_json::from_str::<Envelope>(message) else { return read_odd(message) };
    let counted = counted(&envelope);
    let kind = match &*envelope.kind {
        "subscriptions" => Kind::Ack(accepted(message)),
        "error" => Kind::Refusal(words(&envelope.message, &envelope.reason)),
        "heartbeat" => Kind::Heartbeat,
        kind => Kind::Data(channel_by(kind)),
    };
    Arrival { counted, ..Arrival::new(kind) }
}

/// What has something else in a field than was seen so far, as a null: its type counts, and of a refusal all the words.
fn read_odd(message: &str) -> Arrival<'_> {
    let Ok(message) = serde_json::from_str::<Map<String, Value>>(message) else { return Arrival::unreadable() };
    let text = |name: &str| message.get(name).and_then(Value::as_str).unwrap_or_default();
    Arrival::new(match text("type") {
        "error" => Kind::Refusal(words(text("message"), text("reason"))),
        "heartbeat" => Kind::Heartbeat,
        kind => Kind::Data(channel_by(kind)),
    })
}

/// A book or a change of it, which may be megabytes and has no number.
fn is_book(message: &str) -> bool {
    message.starts_with(r#"{"type":"l2update""#) || message.starts_with(r#"{"type":"snapshot""#)
}

/// Its product stands second.
fn book_of(message: &str) -> Option<Counted<'_>> {
    const NAME: &str = r#""product_id":""#;
    let head = &message.as_bytes()[..message.len().min(128)];
    let rest = &message[memchr::memmem::find(head, NAME.as_bytes())? + NAME.len()..];
    Some(Counted::of(&rest[..memchr::memchr(b'"', rest.as_bytes())?]))
}

/// The channel whose messages say that they are of this type. `ticker_batch` and `level2_batch` say what `ticker` and
/// `level2` say, and `user` what `full` says.
pub(crate) fn channel_by(kind: &str) -> Option<&'static Channel> {
    let name = match kind {
        "match" | "last_match" => "matches",
        "received" | "open" | "done" | "change" | "activate" => "full",
        "snapshot" | "l2update" => "level2",
        "auction" => "auctionfeed",
        "rfq_match" => "rfq_matches",
        other => other,
    };
    EXCHANGE.channel(name)
}

/// The numbers that promise something: a ticker's skip.
fn counted<'a>(envelope: &Envelope<'a>) -> SmallVec<[Counted<'a>; 1]> {
    let Cow::Borrowed(product) = envelope.product_id else { return SmallVec::new() };
    if product.is_empty() {
        return SmallVec::new();
    }
    let (sequence, trade) = match &*envelope.kind {
        "heartbeat" => (&envelope.sequence, &envelope.last_trade_id),
        // The last before the subscribe: the first `match` is the next.
        "last_match" => (&Value::Null, &envelope.trade_id),
        "match" => (&envelope.sequence, &envelope.trade_id),
        "received" | "open" | "done" | "change" => (&envelope.sequence, &Value::Null),
        _ => (&Value::Null, &Value::Null),
    };
    let trades = trade.as_u64().map(|trade| (trade, trade));
    smallvec![Counted { product, sequence: sequence.as_u64(), trades }]
}

/// `["open","BTC-USD","37259", …]`: level3 says in a schema first what stands where.
fn order_of(message: &str) -> Option<Counted<'_>> {
    let mut fields = message.split(',').skip(1).map(|field| field.trim_matches('"'));
    let (product, sequence) = (fields.next()?, fields.next()?);
    (!product.is_empty()).then_some(())?;
    Some(Counted { sequence: Some(sequence.parse().ok()?), ..Counted::of(product) })
}

fn words(message: &str, reason: &str) -> String {
    if reason.is_empty() { message.to_owned() } else { format!("{message}: {reason}") }
}

fn accepted(message: &str) -> Vec<(String, Vec<String>)> {
    let Ok(ack) = serde_json::from_str::<Ack>(message) else { return Vec::new() };
    let listed = |Accepted { name, product_ids, account_ids }: Accepted| {
        // By its other name where it has one: ticker_1000.
        let name = EXCHANGE.channel_meant(&name).map_or(name, |channel| channel.name.to_owned());
        (name, product_ids.or(account_ids).unwrap_or_default())
    };
    ack.channels.into_iter().map(listed).collect()
}

#[cfg(test)]
mod tests;
