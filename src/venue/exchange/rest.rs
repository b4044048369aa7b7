//! The Exchange's REST interface. Sources: docs.cdp.coinbase.com, Exchange, REST authentication, time, products, accounts.

use serde::Deserialize;

use super::HMAC;
use crate::{
    auth::{Credentials, Secret, Signer, Stamp},
    venue::{Listed, Page, Permissions, Proof, Request, Rest},
};

pub(super) const URL: &str = "https://api.exchange.coinbase.com";
pub(super) const SANDBOX: &str = "https://api-public.sandbox.exchange.coinbase.com";

pub(super) static REST: Rest = Rest {
    url: URL,
    time: "/time",
    // There is no list of what a key may do; its accounts are told to one that may view.
    permissions: "/accounts",
    products: "/products",
    signed_products: "/products",
    proof: "/accounts?limit=1",
    // Its trades do not name their product, so that nobody could tell of what a recovered one is.
    trades: None,
    hmac: &HMAC,
    sign,
    read_time,
    read_permissions,
    read_products,
};

fn sign(request: &Request, credentials: &Credentials, stamp: &Stamp) -> Proof {
    let timestamp = HMAC.timestamp(stamp);
    let signed = HMAC.prehash_of(&timestamp, request);
    let signature = match credentials.signer() {
        Signer::Hmac(key) => HMAC.sign(key, &signed),
        // It does not fit here, and never comes here.
        Signer::Jwt(_) => String::new(),
    };
    let passphrase = credentials.passphrase().map_or("", Secret::expose).to_owned();
    Proof {
        headers: vec![
            ("CB-ACCESS-KEY", credentials.key().to_owned()),
            ("CB-ACCESS-SIGN", signature.clone()),
            ("CB-ACCESS-TIMESTAMP", timestamp),
            ("CB-ACCESS-PASSPHRASE", passphrase),
        ],
        signed,
        signature,
        uri: None,
    }
}

#[derive(Deserialize)]
struct Time {
    epoch: f64,
}

/// Seconds with decimals, as a number.
fn read_time(answer: &[u8]) -> Option<u64> {
    let Time { epoch } = serde_json::from_slice(answer).ok()?;
    let millis = (epoch * 1_000.0).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "in range, and whole, by the line before"
    )]
    (0.0..9e15).contains(&millis).then_some(millis as u64)
}

/// Accounts are listed to a key that may view; what else it may do is not told.
fn read_permissions(answer: &[u8]) -> Option<Permissions> {
    serde_json::from_slice::<Vec<serde::de::IgnoredAny>>(answer).ok()?;
    Some(Permissions { can_view: true, can_trade: false, can_transfer: false })
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    trading_disabled: bool,
}

/// All on one page.
fn read_products(answer: &[u8]) -> Option<Page> {
    let entries: Vec<Entry> = serde_json::from_slice(answer).ok()?;
    let listed = |entry: Entry| Listed {
        online: entry.status == "online" && !entry.trading_disabled,
        id: entry.id,
        alias: None,
    };
    Some((entries.into_iter().map(listed).collect(), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_venue_answers() {
        let time = br#"{"iso":"2015-01-07T23:47:25.201Z","epoch":1420674445.201}"#;
        assert_eq!(read_time(time), Some(1_420_674_445_201));
        assert_eq!(read_time(br#"{"epoch":1420674445}"#), Some(1_420_674_445_000));
        let products =
            br#"[{"id":"BTC-USD","status":"online","trading_disabled":false},{"id":"X-USD","status":"delisted"}]"#;
        let of = |id: &str, online| Listed { id: id.into(), alias: None, online };
        assert_eq!(read_products(products), Some((vec![of("BTC-USD", true), of("X-USD", false)], None)));
        assert!(read_permissions(br#"[{"id":"a","currency":"BTC"}]"#).is_some_and(|may| may.can_view));
        for odd in [&b""[..], b"{}", b"{\"epoch\":-1}", b"<html>", b"{\"message\":\"invalid signature\"}"] {
            assert!(read_time(odd).is_none() && read_permissions(odd).is_none() && read_products(odd).is_none());
        }
    }
}
