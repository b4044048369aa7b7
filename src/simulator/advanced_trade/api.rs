//! The REST interface: what there is, and how it is written. Shapes are those that the client reads in
//! `venue/advanced_trade/rest.rs`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{frame::size, recipe};
use crate::{
    auth::hmac,
    simulator::{
        counterpart::Facts,
        gate::Signed,
        market::{Trade, decimal},
        refusal::Refusal,
        rest::{Call, Resource},
    },
    venue::{
        Listed, Permissions, Request,
        advanced_trade::{
            MARKET,
            rest::{HOST, TRADES_AT_ONCE},
        },
    },
};

/// What a resource has to tell.
pub fn tell(resource: Resource, facts: &Facts<'_>) -> Result<Value, Refusal> {
    Ok(match resource {
        Resource::Time => time(facts.now),
        Resource::Permissions => permissions(facts.permissions),
        Resource::Products | Resource::SignedProducts => products(facts.listed),
        Resource::Accounts => accounts(),
        Resource::Trades => trades(facts)?,
    })
}

/// The product of whose trades this path is.
pub fn of_trades(path: &str) -> Option<&str> {
    path.strip_prefix(MARKET.rest.products)?.strip_prefix('/')?.strip_suffix("/ticker")
}

/// A request, as it is signed.
pub struct Calling<'a>(pub &'a Call);

impl Signed for Calling<'_> {
    fn timestamp(&self, sent: &Value) -> Result<(String, u64), Refusal> {
        recipe::timestamp(sent)
    }

    fn look_at(&self, signature: &str) -> Result<(), Refusal> {
        recipe::look_at(signature)
    }

    fn signature(&self, key: &hmac::Key, timestamp: &str) -> String {
        recipe::sign(key, &MARKET.hmac.prehash_of(timestamp, &self.0.request))
    }

    fn mistaken(&self, key: &hmac::Key, timestamp: &str) -> Vec<(String, &'static str)> {
        let Request { method, path, body, .. } = &self.0.request;
        let target = self.0.request.target();
        let lower = method.to_lowercase();
        recipe::signed(
            key,
            [
                (format!("{timestamp}{method}{target}{body}"), "over the query as well, which is not signed"),
                (format!("{timestamp}{lower}{path}{body}"), "over the method in small letters"),
                (
                    format!("{timestamp}{method}https://{HOST}{path}{body}"),
                    "over scheme and host as well, which are not signed",
                ),
                (format!("{timestamp}{method}{path}/{body}"), "over a slash more than the path has"),
            ],
        )
    }

    fn wrong_uri(&self, uri: Option<&str>) -> Option<&'static str> {
        let Some(uri) = uri else { return Some("uri is missing: a REST token names its request") };
        let is_of = |host: &str| uri == format!("{} {host}{}", self.0.request.method, self.0.request.path);
        let name = self.0.host.rsplit_once(':').map_or(&*self.0.host, |(name, _)| name);
        if [HOST, &self.0.host, name].into_iter().any(is_of) {
            return None;
        }
        Some(match uri {
            uri if uri.contains("://") => "uri has a scheme, which does not belong there",
            uri if uri.contains('?') => "uri has the query, which does not belong there",
            _ => "uri is another request's",
        })
    }
}

/// The venue's time; its numbers are strings.
fn time(now: Timestamp) -> Value {
    let (seconds, millis) = (now.as_second().to_string(), now.as_millisecond().to_string());
    json!({"iso": now.strftime("%FT%TZ").to_string(), "epochSeconds": seconds, "epochMillis": millis})
}

/// What the key may do.
fn permissions(permissions: Permissions) -> Value {
    let Permissions { can_view, can_trade, can_transfer } = permissions;
    json!({
        "can_view": can_view, "can_trade": can_trade, "can_transfer": can_transfer,
        "portfolio_uuid": "11111111-2222-3333-4444-555555555555", "portfolio_type": "DEFAULT",
    })
}

/// What is traded, and what no longer is.
fn products(listed: &[Listed]) -> Value {
    let product = |listed: &Listed| {
        json!({
            "product_id": listed.id, "product_type": "SPOT", "alias": listed.alias.as_deref().unwrap_or_default(),
            "status": if listed.online { "online" } else { "delisted" }, "trading_disabled": !listed.online,
            "is_disabled": false,
        })
    };
    json!({"products": listed.iter().map(product).collect::<Vec<_>>(), "num_products": listed.len()})
}

/// The newest trades of those that are asked for, and the best prices.
fn trades(facts: &Facts<'_>) -> Result<Value, Refusal> {
    let product = of_trades(&facts.request.path).unwrap_or_default();
    let listing = facts.market.answers(product).and_then(|product| facts.market.listing(product));
    let listing = listing.ok_or_else(|| Refusal::UnknownProduct(product.to_owned()))?;
    let asked = |name: &str| -> Option<u64> {
        let parts = facts.request.query.iter().flat_map(|query| query.split('&'));
        parts.filter_map(|part| part.split_once('=')).find(|(key, _)| *key == name)?.1.parse().ok()
    };
    let second = |name: &str| asked(name).filter(|_| facts.real_pace).and_then(|second| i64::try_from(second).ok());
    let at = |second: i64| Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
    let start = second("start").map_or(Timestamp::MIN, at);
    let end = second("end").map_or(Timestamp::MAX, at);
    let limit = asked("limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(TRADES_AT_ONCE);
    let told = listing.trades_since(0).filter(|trade| (start..=end).contains(&trade.time));
    let trade = |trade: &Trade| {
        json!({
            "trade_id": trade.id.to_string(), "product_id": listing.product(),
            "price": decimal(trade.price, listing.places()), "size": size(trade.size), "time": trade.time.to_string(),
            "side": if trade.buy { "BUY" } else { "SELL" }, "bid": "", "ask": "", "exchange": "",
        })
    };
    let ((bid, _), (ask, _)) = (listing.book().best_bid(), listing.book().best_ask());
    Ok(json!({
        "trades": told.take(limit.min(TRADES_AT_ONCE)).map(trade).collect::<Vec<_>>(),
        "best_bid": decimal(bid, listing.places()), "best_ask": decimal(ask, listing.places()),
    }))
}

/// No accounts: the market knows no money.
fn accounts() -> Value {
    json!({"accounts": [], "has_next": false, "cursor": "", "size": 0})
}

/// What a key is told that may not view.
pub fn denied() -> Value {
    json!({
        "error": "PERMISSION_DENIED", "error_details": "User does not have access to portfolio",
        "message": "User does not have access to portfolio",
    })
}
