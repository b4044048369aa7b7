//! Advanced Trade's REST interface. Sources: docs.cdp.coinbase.com, REST API authentication (JWT), and the legacy keys' page
//! (HMAC), and Get Public Market Trades; the products' list as recorded on 2026-08-09, the time's answer from a fixture of
//! 2026-09-30.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::HMAC;
use crate::{
    auth::{Credentials, Signer, Stamp},
    venue::{Listed, Permissions, Proof, Request, Rest, Trade, Trades},
};

pub(super) static REST: Rest = Rest {
    url: "https://api.coinbase.com",
    time: "/api/v3/brokerage/time",
    permissions: "/api/v3/brokerage/key_permissions",
    products: "/api/v3/brokerage/market/products",
    signed_products: "/api/v3/brokerage/products",
    proof: "/api/v3/brokerage/accounts?limit=1",
    trades: Some(Trades { channel: "market_trades", target: trades, read: read_trades }),
    hmac: &HMAC,
    sign,
    read_time,
    read_permissions,
    read_products,
};

/// What the venue tells at once of trades, at most.
pub const TRADES_AT_ONCE: usize = 1_000;

/// What the `uri` claim calls the venue, whatever name or proxy it was reached by.
pub const HOST: &str = "api.coinbase.com";

fn sign(request: &Request, credentials: &Credentials, stamp: &Stamp) -> Proof {
    match credentials.signer() {
        Signer::Jwt(key) => {
            let uri = format!("{} {HOST}{}", request.method, request.path);
            let token = key.token(credentials.key(), Some(&uri), stamp);
            Proof {
                headers: vec![("Authorization", format!("Bearer {token}"))],
                signed: token.rsplit_once('.').map_or_else(String::new, |(signed, _)| signed.to_owned()),
                signature: token,
                uri: Some(uri),
            }
        }
        Signer::Hmac(key) => {
            let timestamp = HMAC.timestamp(stamp);
            let signed = HMAC.prehash_of(&timestamp, request);
            let signature = HMAC.sign(key, &signed);
            Proof {
                headers: vec![
                    ("CB-ACCESS-KEY", credentials.key().to_owned()),
                    ("CB-ACCESS-SIGN", signature.clone()),
                    ("CB-ACCESS-TIMESTAMP", timestamp),
                ],
                signed,
                signature,
                uri: None,
            }
        }
    }
}

#[derive(Deserialize)]
struct Time {
    #[serde(rename = "epochMillis")]
    millis: String,
}

/// The venue writes its numbers as strings.
fn read_time(answer: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Time>(answer).ok()?.millis.parse().ok()
}

#[derive(Deserialize)]
struct KeyPermissions {
    can_view: bool,
    can_trade: bool,
    can_transfer: bool,
}

fn read_permissions(answer: &[u8]) -> Option<Permissions> {
    let KeyPermissions { can_view, can_trade, can_transfer } = serde_json::from_slice(answer).ok()?;
    Some(Permissions { can_view, can_trade, can_transfer })
}

#[derive(Deserialize)]
struct Page {
    products: Vec<Entry>,
    pagination: Option<Pagination>,
}

#[derive(Deserialize)]
struct Entry {
    product_id: String,
    #[serde(default)]
    alias: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    trading_disabled: bool,
    #[serde(default)]
    is_disabled: bool,
}

#[derive(Deserialize)]
struct Pagination {
    #[serde(default)]
    next_cursor: String,
    #[serde(default)]
    has_next: bool,
}

fn read_products(answer: &[u8]) -> Option<(Vec<Listed>, Option<String>)> {
    let page: Page = serde_json::from_slice(answer).ok()?;
    let listed = |entry: Entry| Listed {
        online: entry.status == "online" && !entry.trading_disabled && !entry.is_disabled,
        id: entry.product_id,
        alias: Some(entry.alias).filter(|alias| !alias.is_empty()),
    };
    let next = page.pagination.filter(|page| page.has_next && !page.next_cursor.is_empty());
    Some((page.products.into_iter().map(listed).collect(), next.map(|page| format!("cursor={}", page.next_cursor))))
}

fn trades(product: &str, start: u64, end: u64) -> String {
    format!("{}/{product}/ticker?limit={TRADES_AT_ONCE}&start={start}&end={end}", REST.products)
}

#[derive(Deserialize)]
struct Told<'a> {
    /// Each as the venue wrote it: parsed and written anew it would be somebody else's.
    #[serde(borrow)]
    trades: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Numbered {
    trade_id: Number,
    time: String,
}

/// Text on the wire and in the docs; other interfaces of the venue's write a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Whole(u64),
    Text(String),
}

/// One trade that is written otherwise than the rest is left out, and will be told as missing.
fn read_trades(answer: &[u8]) -> Option<Vec<Trade>> {
    let Told { trades: told } = serde_json::from_slice(answer).ok()?;
    let trades: Vec<_> = told.iter().filter_map(|text| read_trade(text.get())).collect();
    (told.is_empty() || !trades.is_empty()).then_some(trades)
}

fn read_trade(text: &str) -> Option<Trade> {
    let Numbered { trade_id, time } = serde_json::from_str(text).ok()?;
    let id = match trade_id {
        Number::Whole(id) => id,
        Number::Text(id) => id.parse().ok()?,
    };
    let time: Timestamp = time.parse().ok()?;
    let by = u64::try_from(time.as_second()).ok()? + u64::from(time.subsec_nanosecond() > 0);
    Some(Trade { id, by, text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_venue_answers() {
        let time = br#"{"iso":"2026-09-30T02:37:29Z","epochSeconds":"1790735849","epochMillis":"1790735849298"}"#;
        assert_eq!(read_time(time), Some(1_790_735_849_298));
        let permissions = br#"{"can_view":true,"can_trade":false,"can_transfer":false,"portfolio_uuid":"u"}"#;
        let may_view = Permissions { can_view: true, can_trade: false, can_transfer: false };
        assert_eq!(read_permissions(permissions), Some(may_view));
        let page = br#"{"products":[{"product_id":"BTC-USDC","alias":"BTC-USD","status":"online"},{"product_id":"X-USD","status":"delisted","trading_disabled":true}],"pagination":{"next_cursor":"c","has_next":true}}"#;
        let (listed, next) = read_products(page).expect("a page");
        let of = |id: &str, alias: Option<&str>, online| Listed { id: id.into(), alias: alias.map(Into::into), online };
        assert_eq!(listed, [of("BTC-USDC", Some("BTC-USD"), true), of("X-USD", None, false)]);
        assert_eq!(next.as_deref(), Some("cursor=c"));
        for odd in [&b""[..], b"{}", b"[]", b"<html>"] {
            assert!(read_time(odd).is_none() && read_permissions(odd).is_none() && read_products(odd).is_none());
        }
    }

    /// What is kept of a trade is what the venue wrote, digit for digit: ccxt turned 15-digit numbers into strings.
    #[test]
    fn reads_trades_and_keeps_each_as_it_is_written() {
        let answer = br#"{"trades":[{"trade_id":"12","product_id":"BTC-USD","price":1.10,"time":"2026-11-24T17:31:02.5Z","bid":""},
            {"time":"2026-11-24T17:31:02Z","trade_id":11},{"trade_id":"?","time":"2026-11-24T17:31:02Z"},7],"best_bid":"1"}"#;
        let second = 1_795_541_462;
        let first = r#"{"trade_id":"12","product_id":"BTC-USD","price":1.10,"time":"2026-11-24T17:31:02.5Z","bid":""}"#;
        let of = |id, by, text: &str| Trade { id, by, text: text.into() };
        assert_eq!(
            read_trades(answer).expect("trades"),
            [of(12, second + 1, first), of(11, second, r#"{"time":"2026-11-24T17:31:02Z","trade_id":11}"#)]
        );
        let pretty = "{\n  \"trades\": [\n    {\n      \"trade_id\": \"12\",\n      \"time\": \"2026-11-24T17:31:02Z\"\n    }\n  ]\n}";
        let read = read_trades(pretty.as_bytes()).expect("trades");
        assert_eq!(read[0].text, "{\n      \"trade_id\": \"12\",\n      \"time\": \"2026-11-24T17:31:02Z\"\n    }");
        assert_eq!(read_trades(br#"{"trades":[]}"#), Some(Vec::new()));
        for odd in [&b""[..], b"{}", b"[]", b"<html>", br#"{"trades":[{"id":1}]}"#] {
            assert_eq!(read_trades(odd), None);
        }
        assert_eq!(
            trades("BTC-USD", 7, 9),
            "/api/v3/brokerage/market/products/BTC-USD/ticker?limit=1000&start=7&end=9"
        );
    }
}
