//! The venue's messages, in its own shape and key order (recorded on 2026-08-09; private channels from its docs).

use std::{collections::BTreeMap, fmt::Write};

use jiff::Timestamp;

use crate::simulator::market::{Change, Listing, Side, Trade, decimal};

const CANDLES_IN_A_SNAPSHOT: usize = 100;
const SIZE_PLACES: u32 = 8;

/// Whether a message is the first of its product or tells what is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The first.
    Snapshot,
    /// What is new.
    Update,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Update => "update",
        }
    }
}

/// The envelope around `events`. The private channels' messages have a `client_id`, the others none.
pub fn envelope(channel: &str, private: bool, at: Timestamp, sequence: u64, events: &str) -> String {
    let client = if private { ",\"client_id\":\"\"" } else { "" };
    format!(
        "{{\"channel\":\"{channel}\"{client},\"timestamp\":\"{at}\",\"sequence_num\":{sequence},\"events\":[{events}]}}"
    )
}

/// A refusal; it has no number.
pub fn error(said: &str) -> String {
    format!("{{\"type\":\"error\",\"message\":\"{said}\"}}")
}

/// The whole set of subscriptions.
pub fn subscriptions(all: &BTreeMap<&str, Vec<String>>) -> String {
    format!("{{\"subscriptions\":{}}}", serde_json::json!(all))
}

/// `counter` is the server's uptime in seconds; the text is how Go prints a time.
pub fn heartbeat(at: Timestamp, counter: u64) -> String {
    let (time, fraction) = (at.strftime("%Y-%m-%d %H:%M:%S%.f"), at.subsec_nanosecond());
    format!("{{\"current_time\":\"{time} +0000 UTC m=+{counter}.{fraction:09}\",\"heartbeat_counter\":{counter}}}")
}

/// `quotes` adds the best bid and ask, which `ticker_batch` lacks.
pub fn ticker(part: Part, listing: &Listing, quotes: bool) -> String {
    let (day, book) = (listing.day(), listing.book());
    let price = |units| decimal(units, listing.places());
    let mut text = format!(
        "{{\"type\":\"{}\",\"tickers\":[{{\"type\":\"ticker\",\"product_id\":\"{}\",\"price\":\"{}\",\
         \"volume_24_h\":\"{}\",\"low_24_h\":\"{}\",\"high_24_h\":\"{}\",\"low_52_w\":\"{}\",\"high_52_w\":\"{}\",\
         \"price_percent_chg_24_h\":\"{:.14}\"",
        part.name(),
        listing.product(),
        price(listing.price()),
        size(day.volume),
        price(day.low),
        price(day.high),
        price(day.year_low),
        price(day.year_high),
        day.change,
    );
    if quotes {
        let ((bid, bid_size), (ask, ask_size)) = (book.best_bid(), book.best_ask());
        let _ = write!(
            text,
            ",\"best_bid\":\"{}\",\"best_ask\":\"{}\",\"best_bid_quantity\":\"{}\",\"best_ask_quantity\":\"{}\"",
            price(bid),
            price(ask),
            size(bid_size),
            size(ask_size),
        );
    }
    text + "}]}"
}

/// Newest first.
pub fn market_trades<'a>(part: Part, listing: &Listing, trades: impl Iterator<Item = &'a Trade>) -> String {
    let one = |trade: &Trade| {
        format!(
            "{{\"product_id\":\"{}\",\"trade_id\":\"{}\",\"price\":\"{}\",\"size\":\"{}\",\"time\":\"{}\",\"side\":\"{}\"}}",
            listing.product(),
            trade.id,
            decimal(trade.price, listing.places()),
            size(trade.size),
            trade.time,
            if trade.buy { "BUY" } else { "SELL" },
        )
    };
    format!("{{\"type\":\"{}\",\"trades\":[{}]}}", part.name(), joined(trades.map(one)))
}

/// The last hundred, oldest first, or only the last.
pub fn candles(part: Part, listing: &Listing) -> String {
    let count = if part == Part::Snapshot { CANDLES_IN_A_SNAPSHOT } else { 1 };
    let all = listing.candles();
    let price = |units| decimal(units, listing.places());
    let last = all.iter().skip(all.len().saturating_sub(count)).map(|candle| {
        format!(
            "{{\"start\":\"{}\",\"high\":\"{}\",\"low\":\"{}\",\"open\":\"{}\",\"close\":\"{}\",\"volume\":\"{}\",\
             \"product_id\":\"{}\"}}",
            candle.start,
            price(candle.high),
            price(candle.low),
            price(candle.open),
            price(candle.close),
            size(candle.volume),
            listing.product(),
        )
    });
    format!("{{\"type\":\"{}\",\"candles\":[{}]}}", part.name(), joined(last))
}

/// The whole book as of `at`.
pub fn level2_snapshot(listing: &Listing, at: Timestamp) -> String {
    let at = Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at);
    level2(Part::Snapshot, listing, listing.book().levels().map(|level| Change { at, ..level }))
}

/// Absolute quantities; "0" removes a level.
pub fn level2(part: Part, listing: &Listing, changes: impl Iterator<Item = Change>) -> String {
    let mut text = format!("{{\"type\":\"{}\",\"product_id\":\"{}\",\"updates\":[", part.name(), listing.product());
    for (place, change) in changes.enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let side = if change.side == Side::Bid { "bid" } else { "offer" };
        let price = decimal(change.price, listing.places());
        let quantity = size(change.quantity);
        let _ = write!(
            text,
            "{comma}{{\"side\":\"{side}\",\"event_time\":\"{}\",\"price_level\":\"{price}\",\"new_quantity\":\"{quantity}\"}}",
            change.at,
        );
    }
    text + "]}"
}

/// What the products are.
pub fn status<'a>(listings: impl Iterator<Item = &'a Listing>) -> String {
    let one = |listing: &Listing| {
        let (base, quote) = listing.product().split_once('-').unwrap_or_else(|| (listing.product(), ""));
        format!(
            "{{\"product_type\":\"SPOT\",\"id\":\"{}\",\"base_currency\":\"{base}\",\"quote_currency\":\"{quote}\",\
             \"base_increment\":\"0.00000001\",\"quote_increment\":\"{}\",\"display_name\":\"{base}/{quote}\",\
             \"status\":\"online\",\"status_message\":\"\",\"min_market_funds\":\"1\"}}",
            listing.product(),
            decimal(1, listing.places()),
        )
    };
    format!("{{\"type\":\"snapshot\",\"products\":[{}]}}", joined(listings.map(one)))
}

/// Somebody without orders.
pub const USER: &str = "{\"type\":\"snapshot\",\"orders\":[],\"positions\":{\"perpetual_futures_positions\":[],\
                        \"expiring_futures_positions\":[],\"prediction_market_positions\":[]}}";

/// Somebody without futures.
pub const FUTURES: &str = "{\"type\":\"snapshot\",\"fcm_balance_summary\":{\"futures_buying_power\":\"0\",\
    \"total_usd_balance\":\"0\",\"cbi_usd_balance\":\"0\",\"cfm_usd_balance\":\"0\",\
    \"total_open_orders_hold_amount\":\"0\",\"unrealized_pnl\":\"0\",\"daily_realized_pnl\":\"0\",\
    \"initial_margin\":\"0\",\"available_margin\":\"0\",\"liquidation_threshold\":\"0\",\
    \"liquidation_buffer_amount\":\"0\",\"liquidation_buffer_percentage\":\"1000\",\
    \"intraday_margin_window_measure\":{\"margin_window_type\":\"FCM_MARGIN_WINDOW_TYPE_INTRADAY\",\
    \"margin_level\":\"MARGIN_LEVEL_TYPE_BASE\",\"initial_margin\":\"0\",\"maintenance_margin\":\"0\",\
    \"liquidation_buffer_percentage\":\"1000\",\"total_hold\":\"0\",\"futures_buying_power\":\"0\"},\
    \"overnight_margin_window_measure\":{\"margin_window_type\":\"FCM_MARGIN_WINDOW_TYPE_OVERNIGHT\",\
    \"margin_level\":\"MARGIN_LEVEL_TYPE_BASE\",\"initial_margin\":\"0\",\"maintenance_margin\":\"0\",\
    \"liquidation_buffer_percentage\":\"1000\",\"total_hold\":\"0\",\"futures_buying_power\":\"0\"}}}";

/// A quantity, as the venue writes it.
pub fn size(units: u64) -> String {
    decimal(i64::try_from(units).unwrap_or(i64::MAX), SIZE_PLACES)
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{simulator::market::Market, venue::Product};

    #[test]
    fn frames_have_the_recorded_shape_and_key_order() {
        let products = [Product::parse("BTC-USD").expect("spelt right")];
        let at: Timestamp = "2026-08-09T21:05:48.229198328Z".parse().expect("a time");
        let market = Market::new(&products, &[], 3, 1, at);
        let listing = market.listing("BTC-USD").expect("listed");
        let trade = listing.trades_since(0).take(1);
        for (text, recorded) in [
            (
                envelope("ticker", false, at, 6, &ticker(Part::Snapshot, listing, true)),
                "channel timestamp sequence_num events type tickers type product_id price volume_24_h low_24_h \
                 high_24_h low_52_w high_52_w price_percent_chg_24_h best_bid best_ask best_bid_quantity \
                 best_ask_quantity",
            ),
            (market_trades(Part::Update, listing, trade), "type trades product_id trade_id price size time side"),
            (candles(Part::Update, listing), "type candles start high low open close volume product_id"),
            (
                level2(Part::Update, listing, listing.book().levels().take(1)),
                "type product_id updates side event_time price_level new_quantity",
            ),
        ] {
            // What stands between quotes and before a colon is a key.
            let words: Vec<_> = text.split('"').collect();
            let keys: Vec<_> = words.windows(2).filter(|pair| pair[1].starts_with(':')).map(|pair| pair[0]).collect();
            assert_eq!(keys.join(" "), recorded, "{text}");
            serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
        }
        let envelope = envelope("user", true, at, 3, USER);
        assert!(envelope.starts_with(
            r#"{"channel":"user","client_id":"","timestamp":"2026-08-09T21:05:48.229198328Z","sequence_num":3,"events":[{"type":"snapshot","orders":[]"#
        ));
    }

    #[test]
    fn every_constant_frame_is_json() {
        for text in [USER, FUTURES, &error("authentication failure")] {
            serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        }
    }

    #[test]
    fn a_heartbeat_prints_time_as_go_does() {
        let at: Timestamp = "2026-08-09T21:05:48.854840045Z".parse().expect("a time");
        assert_eq!(
            heartbeat(at, 41_691),
            r#"{"current_time":"2026-08-09 21:05:48.854840045 +0000 UTC m=+41691.854840045","heartbeat_counter":41691}"#
        );
    }
}
