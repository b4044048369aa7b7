//! Advanced Trade's REST interface. Sources: docs.cdp.coinbase.com, REST API authentication (JWT), and the legacy keys' page
//! (HMAC); the products' list as recorded on 2026-08-09, the time's answer from a fixture of 2026-09-30.

use serde::Deserialize;

use super::HMAC;
use crate::{
    auth::{Credentials, Signer, Stamp},
    venue::{Listed, Permissions, Proof, Request, Rest},
};

pub(super) static REST: Rest = Rest {
    url: "https://api.coinbase.com",
    time: "/api/v3/brokerage/time",
    permissions: "/api/v3/brokerage/key_permissions",
    products: "/api/v3/brokerage/market/products",
    signed_products: "/api/v3/brokerage/products",
    proof: "/api/v3/brokerage/accounts?limit=1",
    hmac: &HMAC,
    sign,
    read_time,
    read_permissions,
    read_products,
};

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
}
