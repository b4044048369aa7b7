//! Patterns over the venue's genuine list. `data/products.json` is `GET /api/v3/brokerage/market/products` of 2026-08-09, of
//! each product its id, alias and whether it is traded.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;
use tickerd::venue::{Channel, Listed, Product, Selection, advanced_trade::MARKET};

const LIST: &str = include_str!("data/products.json");

fn listed() -> Vec<Listed> {
    let (listed, next) = (MARKET.rest.read_products)(LIST.as_bytes()).expect("the list");
    assert!(listed.len() == 920 && next.is_none());
    listed
}

fn channel(name: &str) -> &'static Channel {
    MARKET.channel(name).expect("a channel")
}

fn resolved(entries: &[&str], listed: &[Listed]) -> Vec<Product> {
    let mut selection = Selection::default();
    for entry in entries {
        selection.add(entry).expect("it selects");
    }
    selection.resolve(listed, &[channel("level2")]).expect("something matches")
}

/// The list as it lies there, filtered without any of tickerd's own reading.
fn filtered(keep: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let list: Value = serde_json::from_str(LIST).expect("JSON");
    let products = list["products"].as_array().expect("products").iter();
    let online = products.filter(|product| product["status"] == "online" && product["trading_disabled"] != true);
    online.filter_map(|product| product["product_id"].as_str()).filter(|id| keep(id)).map(Into::into).collect()
}

fn ids(products: &[Product]) -> BTreeSet<String> {
    assert_eq!(products.iter().collect::<HashSet<_>>().len(), products.len(), "each once");
    products.iter().map(ToString::to_string).collect()
}

#[test]
fn every_online_usd_product_of_the_genuine_list() {
    let products = resolved(&["*-USD"], &listed());
    assert_eq!(products.len(), 397);
    assert_eq!(ids(&products), filtered(|id| id.ends_with("-USD")));
    let without = resolved(&["*-USD", "!DOGE-*", "!*T-USD"], &listed());
    let kept = |id: &str| id.ends_with("-USD") && !id.starts_with("DOGE-") && !id.ends_with("T-USD");
    assert_eq!(ids(&without), filtered(kept));
}

#[test]
fn level2_of_them_splits_by_thirty() {
    let legs = MARKET.legs(&[channel("level2"), channel("ticker_batch")], &resolved(&["*-USD"], &listed()), &[]);
    let of = |name: &str| -> Vec<usize> {
        legs.iter().flatten().filter(|s| s.channels[0].name == name).map(|s| s.products.len()).collect()
    };
    assert_eq!(of("level2"), [[30; 13].as_slice(), &[7]].concat());
    assert_eq!(of("ticker_batch"), [397]);
    assert_eq!(of("heartbeats").len(), 14, "on each connection");
}

/// 400 products are aliases of others, and level2 has thirty places a connection: none is spent on the same book twice.
#[test]
fn no_book_is_taken_twice() {
    let listed = listed();
    let book = |product: &Product| {
        let listed = listed.iter().find(|listed| listed.id == product.as_str()).expect("of the list");
        listed.alias.clone().unwrap_or_else(|| listed.id.clone())
    };
    let all = resolved(&["*"], &listed);
    assert_eq!(all.iter().map(book).collect::<HashSet<_>>().len(), all.len());
    assert!(!all.iter().any(|product| product.as_str() == "BTC-USDC") && ids(&all).contains("USDT-USDC"));
}
