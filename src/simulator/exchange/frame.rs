//! The venue's messages, in its own shape and key order: recorded on 2021-04-17, single ones to 2022-12; what was not
//! recorded is of its docs.

use std::{collections::BTreeMap, fmt::Write};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    simulator::market::{Change, Listing, Side, Step, Trade, What, decimal},
    venue::{Channel, Products},
};

const SIZE_PLACES: u32 = 8;

/// What every account has.
pub const BALANCE: &str = "10000";

/// How the arrays of level3 are to be read: what comes first on that channel.
pub const SCHEMA: &str = concat!(
    r#"{"type":"level3","schema":{"change":["type","product_id","sequence","order_id","price","size","time"],"#,
    r#""done":["type","product_id","sequence","order_id","time"],"#,
    r#""match":["type","product_id","sequence","maker_order_id","taker_order_id","price","size","time"],"#,
    r#""noop":["type","product_id","sequence","time"],"#,
    r#""open":["type","product_id","sequence","order_id","side","price","size","time"]}}"#
);

/// A refusal, or the last word before a cut.
pub fn error(message: &str, reason: Option<&str>) -> String {
    match reason {
        Some(reason) => json!({"type": "error", "message": message, "reason": reason}),
        None => json!({"type": "error", "message": message}),
    }
    .to_string()
}

/// The whole set of subscriptions.
pub fn subscriptions(all: &BTreeMap<&str, (&Channel, Vec<String>)>) -> String {
    let listed = |(name, (channel, of)): (&&str, &(&Channel, Vec<String>))| match channel.products {
        Products::None => json!({"name": name, "product_ids": null, "account_ids": null}),
        Products::Accounts => json!({"name": name, "product_ids": null, "account_ids": of}),
        Products::Required | Products::Optional => json!({"name": name, "product_ids": of, "account_ids": null}),
    };
    json!({"type": "subscriptions", "channels": all.iter().map(listed).collect::<Vec<_>>()}).to_string()
}

/// Of a product that is not traded here, as one that never was.
pub fn heartbeat(product: &str, listing: Option<&Listing>, at: Timestamp) -> String {
    let (trade, sequence) = listing.map_or((0, 0), |listing| (listing.last_trade(), listing.orders().sequence()));
    format!(
        "{{\"type\":\"heartbeat\",\"last_trade_id\":{trade},\"product_id\":\"{product}\",\"sequence\":{sequence},\
         \"time\":\"{}\"}}",
        time(at)
    )
}

/// The last trade, with the day around it. Its side is the taker's, the trade's own the maker's.
pub fn ticker(listing: &Listing) -> Option<String> {
    let (trade, day, book) = (listing.newest()?, listing.day(), listing.book());
    let ((bid, bid_size), (ask, ask_size)) = (book.best_bid(), book.best_ask());
    let price = |units| decimal(units, listing.places());
    Some(format!(
        "{{\"type\":\"ticker\",\"sequence\":{},\"product_id\":\"{}\",\"price\":\"{}\",\"open_24h\":\"{}\",\
         \"volume_24h\":\"{}\",\"low_24h\":\"{}\",\"high_24h\":\"{}\",\"volume_30d\":\"{}\",\"best_bid\":\"{}\",\
         \"best_bid_size\":\"{}\",\"best_ask\":\"{}\",\"best_ask_size\":\"{}\",\"side\":\"{}\",\"time\":\"{}\",\
         \"trade_id\":{},\"last_size\":\"{}\"}}",
        trade.sequence,
        listing.product(),
        price(trade.price),
        price(day.open),
        size(day.volume),
        price(day.low),
        price(day.high),
        size(day.volume * 30),
        price(bid),
        size(bid_size),
        price(ask),
        size(ask_size),
        if trade.buy { "sell" } else { "buy" },
        time(trade.time),
        trade.id,
        size(trade.size),
    ))
}

/// The last trade before the subscribe.
pub fn last_match(listing: &Listing) -> Option<String> {
    let trade: &Trade = listing.newest()?;
    let (maker, taker) = listing.orders().of(trade);
    let side = if trade.buy { Side::Bid } else { Side::Offer };
    Some(matched(
        "last_match",
        listing,
        trade.id,
        (&maker, &taker),
        (side, trade.size, trade.price),
        trade.sequence,
        trade.time,
    ))
}

/// One step of the matching engine, as `full` and `matches` tell it.
pub fn step(listing: &Listing, step: &Step) -> String {
    let orders = listing.orders();
    let (order, of) = (orders.id(step.order), side(step.side));
    let (price, quantity) = (decimal(step.price, listing.places()), size(step.size));
    let head = |kind: &str| {
        format!(
            "{{\"type\":\"{kind}\",\"side\":\"{of}\",\"product_id\":\"{}\",\"time\":\"{}\",\"sequence\":{},",
            listing.product(),
            time(step.at),
            step.sequence
        )
    };
    match step.what {
        What::Received => format!(
            "{}\"order_id\":\"{order}\",\"order_type\":\"limit\",\"size\":\"{quantity}\",\"price\":\"{price}\"}}",
            head("received")
        ),
        What::Open => {
            format!(
                "{}\"price\":\"{price}\",\"order_id\":\"{order}\",\"remaining_size\":\"{quantity}\"}}",
                head("open")
            )
        }
        What::Change(from) => format!(
            "{}\"order_id\":\"{order}\",\"reason\":\"modify_order\",\"price\":\"{price}\",\"old_size\":\"{}\",\
             \"new_size\":\"{quantity}\"}}",
            head("change"),
            size(from)
        ),
        What::Done { filled } => format!(
            "{}\"order_id\":\"{order}\",\"reason\":\"{}\",\"price\":\"{price}\",\"remaining_size\":\"{quantity}\"}}",
            head("done"),
            if filled { "filled" } else { "canceled" }
        ),
        What::Match { trade, taker } => matched(
            "match",
            listing,
            trade,
            (&order, &orders.id(taker)),
            (step.side, step.size, step.price),
            step.sequence,
            step.at,
        ),
    }
}

/// The same as `level3` tells it: an array, and no received, in whose place the count goes on.
pub fn step3(listing: &Listing, step: &Step) -> String {
    let orders = listing.orders();
    let (product, sequence, time) = (listing.product(), step.sequence, time(step.at));
    let (order, price, size) = (orders.id(step.order), decimal(step.price, listing.places()), size(step.size));
    match step.what {
        What::Received => format!("[\"noop\",\"{product}\",\"{sequence}\",\"{time}\"]"),
        What::Open => format!(
            "[\"open\",\"{product}\",\"{sequence}\",\"{order}\",\"{}\",\"{price}\",\"{size}\",\"{time}\"]",
            side(step.side)
        ),
        What::Change(_) => {
            format!("[\"change\",\"{product}\",\"{sequence}\",\"{order}\",\"{price}\",\"{size}\",\"{time}\"]")
        }
        What::Done { .. } => format!("[\"done\",\"{product}\",\"{sequence}\",\"{order}\",\"{time}\"]"),
        What::Match { taker, .. } => format!(
            "[\"match\",\"{product}\",\"{sequence}\",\"{order}\",\"{}\",\"{price}\",\"{size}\",\"{time}\"]",
            orders.id(taker)
        ),
    }
}

/// The whole book, the best levels first, offers before bids.
pub fn snapshot(listing: &Listing) -> String {
    let levels = |side| {
        let of_side = listing.book().levels().filter(move |level| level.side == side);
        let one =
            |level: Change| format!("[\"{}\",\"{}\"]", decimal(level.price, listing.places()), size(level.quantity));
        of_side.map(one).collect::<Vec<_>>().join(",")
    };
    let (asks, bids) = (levels(Side::Offer), levels(Side::Bid));
    format!("{{\"type\":\"snapshot\",\"product_id\":\"{}\",\"asks\":[{asks}],\"bids\":[{bids}]}}", listing.product())
}

/// Absolute quantities; zero removes a level.
pub fn l2update<'a>(listing: &Listing, changes: impl Iterator<Item = &'a Change>, at: Timestamp) -> String {
    let mut text = format!("{{\"type\":\"l2update\",\"product_id\":\"{}\",\"changes\":[", listing.product());
    for (place, change) in changes.enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let price = decimal(change.price, listing.places());
        let quantity = if change.quantity == 0 { "0.00000000".to_owned() } else { size(change.quantity) };
        let _ = write!(text, "{comma}[\"{}\",\"{price}\",\"{quantity}\"]", side(change.side));
    }
    text + &format!("],\"time\":\"{}\"}}", time(at))
}

/// What is traded, and for what.
pub fn status<'a>(listings: impl Iterator<Item = &'a Listing>) -> String {
    let product = |listing: &Listing| -> Value {
        let (base, quote) = listing.product().split_once('-').unwrap_or_else(|| (listing.product(), ""));
        json!({
            "id": listing.product(), "base_currency": base, "quote_currency": quote, "base_increment": "0.00000001",
            "quote_increment": decimal(1, listing.places()), "display_name": format!("{base}-{quote}"),
            "status": "online", "margin_enabled": false, "status_message": "", "min_market_funds": "1",
            "post_only": false, "limit_only": false, "cancel_only": false, "auction_mode": false, "type": "spot",
            "fx_stablecoin": false,
        })
    };
    let products: Vec<_> = listings.map(product).collect();
    let mut names: Vec<_> =
        products.iter().flat_map(|product| [&product["base_currency"], &product["quote_currency"]]).collect();
    names.sort_unstable_by_key(|name| name.as_str());
    names.dedup();
    let currency =
        |id: &&Value| json!({"id": id, "name": id, "status": "online", "message": "", "max_precision": "0.00000001"});
    let currencies: Vec<_> = names.iter().map(currency).collect();
    json!({"type": "status", "products": products, "currencies": currencies}).to_string()
}

/// What an account has, which is always the same.
pub fn balance(account: &str, at: Timestamp) -> String {
    let at = at.strftime("%FT%T%.3fZ").to_string();
    json!({
        "type": "balance", "account_id": account, "currency": "USD", "holds": "0", "available": BALANCE,
        "updated": at, "timestamp": at,
    })
    .to_string()
}

fn matched(
    kind: &str,
    listing: &Listing,
    trade: u64,
    (maker, taker): (&str, &str),
    (of, quantity, price): (Side, u64, i64),
    sequence: u64,
    at: Timestamp,
) -> String {
    format!(
        "{{\"type\":\"{kind}\",\"trade_id\":{trade},\"maker_order_id\":\"{maker}\",\"taker_order_id\":\"{taker}\",\
         \"side\":\"{}\",\"size\":\"{}\",\"price\":\"{}\",\"product_id\":\"{}\",\"sequence\":{sequence},\"time\":\"{}\"}}",
        side(of),
        size(quantity),
        decimal(price, listing.places()),
        listing.product(),
        time(at),
    )
}

/// Always six decimals.
fn time(at: Timestamp) -> String {
    at.strftime("%FT%T%.6fZ").to_string()
}

fn side(side: Side) -> &'static str {
    if side == Side::Bid { "buy" } else { "sell" }
}

fn size(units: u64) -> String {
    decimal(i64::try_from(units).unwrap_or(i64::MAX), SIZE_PLACES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{simulator::market::Market, venue::Product};

    #[test]
    fn frames_have_the_recorded_shape_and_key_order() {
        let products = [Product::parse("BTC-USD").expect("spelt right")];
        let at: Timestamp = "2021-04-17T16:43:37.07Z".parse().expect("a time");
        let mut market = Market::new(&products, &[], 3, 1, at);
        let told = market.listing("BTC-USD").expect("listed").orders().sequence();
        market.advance(std::time::Duration::from_secs(10));
        let listing = market.listing("BTC-USD").expect("listed");
        let steps: Vec<_> = listing.orders().since(told).expect("not too late").copied().collect();
        let first = |kind: fn(&What) -> bool| {
            let found = steps.iter().find(|step| kind(&step.what)).expect("each kind within ten seconds");
            step(listing, found)
        };
        let changes: Vec<_> = listing.book().levels().take(1).collect();
        for (text, recorded) in [
            (heartbeat("BTC-USD", Some(listing), at), "type last_trade_id product_id sequence time"),
            (
                ticker(listing).expect("a trade"),
                "type sequence product_id price open_24h volume_24h low_24h high_24h volume_30d best_bid best_bid_size \
                 best_ask best_ask_size side time trade_id last_size",
            ),
            (
                last_match(listing).expect("a trade"),
                "type trade_id maker_order_id taker_order_id side size price product_id sequence time",
            ),
            (
                first(|what| matches!(what, What::Match { .. })),
                "type trade_id maker_order_id taker_order_id side size price product_id sequence time",
            ),
            (first(|what| *what == What::Open), "type side product_id time sequence price order_id remaining_size"),
            (
                first(|what| matches!(what, What::Done { .. })),
                "type side product_id time sequence order_id reason price remaining_size",
            ),
            (snapshot(listing), "type product_id asks bids"),
            (l2update(listing, changes.iter(), at), "type product_id changes time"),
        ] {
            // What stands between quotes and before a colon is a key.
            let words: Vec<_> = text.split('"').collect();
            let keys: Vec<_> = words.windows(2).filter(|pair| pair[1].starts_with(':')).map(|pair| pair[0]).collect();
            assert_eq!(keys.join(" "), recorded, "{text}");
            serde_json::from_str::<Value>(&text).expect("JSON");
        }
        let beat = heartbeat("X-USD", None, at);
        assert!(beat.ends_with(r#""sequence":0,"time":"2021-04-17T16:43:37.070000Z"}"#), "{beat}");
    }

    #[test]
    fn the_schema_says_how_long_each_array_is() {
        let schema: Value = serde_json::from_str(SCHEMA).expect("JSON");
        let products = [Product::parse("BTC-USD").expect("spelt right")];
        let mut market = Market::new(&products, &[], 3, 1, Timestamp::UNIX_EPOCH);
        let told = market.listing("BTC-USD").expect("listed").orders().sequence();
        market.advance(std::time::Duration::from_secs(10));
        let listing = market.listing("BTC-USD").expect("listed");
        for step in listing.orders().since(told).expect("not too late") {
            let array: Vec<String> = serde_json::from_str(&step3(listing, step)).expect("an array of strings");
            let fields = schema["schema"][&array[0]].as_array().expect("a kind of the schema");
            assert_eq!((fields.len(), &array[2]), (array.len(), &step.sequence.to_string()));
        }
    }
}
