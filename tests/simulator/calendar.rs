//! When there is no market, or one without a product: what stands, what is silent, and that it goes on where it was.

use std::time::Duration;

use serde_json::{Value, json};
use tickerd::{
    simulator::{Options, Simulator},
    venue::Product,
};

use crate::{
    BOTH, NOW,
    client::Client,
    count,
    exchange::{exchange, of, signed},
    options, with_faults,
};

fn at_exchange(faults: &[&str]) -> Options {
    Options { faults: with_faults(faults).faults, ..exchange() }
}

fn kinds(all: &[Value]) -> Vec<&str> {
    let mut kinds: Vec<_> =
        all.iter().filter_map(|message| message["channel"].as_str().or_else(|| message["type"].as_str())).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// The ids of a product's trades, in the order of coming, snapshots left out.
fn trades(all: &[Value], product: &str) -> Vec<u64> {
    let events =
        all.iter().filter(|message| message["channel"] == "market_trades").filter_map(|m| m["events"].as_array());
    let updates = events.flatten().filter(|event| event["type"] == "update");
    let of = |event: &Value| -> Vec<u64> {
        let newest_first = event["trades"].as_array().expect("trades").iter().rev();
        let named = newest_first.filter(|trade| trade["product_id"] == product);
        named.map(|trade| trade["trade_id"].as_str().expect("text").parse().expect("a number")).collect()
    };
    updates.flat_map(of).collect()
}

fn is_whole(numbers: &[u64]) -> bool {
    numbers.windows(2).all(|pair| pair[1] == pair[0] + 1)
}

#[tokio::test(start_paused = true)]
async fn in_maintenance_connections_stand_and_nothing_but_acks_and_heartbeats_comes() {
    let simulator = Simulator::new(Options { depth: 20, ..with_faults(&["maintenance:30s-630s"]) });
    let mut client = Client::connect(&simulator).await;
    let channels = ["ticker", "ticker_batch", "market_trades", "level2", "candles"];
    client.subscribe("heartbeats", &[]).await;
    for channel in channels {
        client.subscribe(channel, BOTH).await;
    }
    let mut all = client.within(Duration::from_secs(30)).await;
    assert!(!trades(&all, "BTC-USD").is_empty());
    let silent = client.within(Duration::from_secs(300)).await;
    assert_eq!(kinds(&silent), ["heartbeats"]);
    client.say(json!({"type": "unsubscribe", "channel": "candles", "product_ids": BOTH})).await;
    client.subscribe("candles", BOTH).await;
    let probed = client.within(Duration::from_secs(10)).await;
    assert_eq!(kinds(&probed), ["heartbeats", "subscriptions"]);
    let mut another = Client::connect(&simulator).await;
    another.subscribe("heartbeats", &[]).await;
    another.subscribe("ticker", BOTH).await;
    assert_eq!(kinds(&another.within(Duration::from_secs(10)).await), ["heartbeats", "subscriptions"]);
    let rest = client.within(Duration::from_secs(279)).await;
    assert_eq!(kinds(&rest), ["heartbeats"]);
    let after = client.within(Duration::from_secs(61)).await;
    for channel in channels {
        assert!(count(&after, channel.strip_suffix("evel2").map_or(channel, |_| "l2_data")) > 0, "{channel}");
    }
    assert!(count(&another.within(Duration::from_secs(70)).await, "ticker") > 0);
    for part in [silent, probed, rest, after] {
        all.extend(part);
    }
    let ids = trades(&all, "BTC-USD");
    assert!(ids.len() > 100 && is_whole(&ids), "nothing was traded that nobody was told of");
    let numbers: Vec<_> = all.iter().filter_map(|message| message["sequence_num"].as_u64()).collect();
    assert_eq!(numbers.len(), all.len());
    assert!(is_whole(&numbers));
}

#[tokio::test(start_paused = true)]
async fn the_exchange_keeps_its_maintenance_as_well() {
    let simulator = Simulator::new(at_exchange(&["maintenance:30s-630s"]));
    let mut client = Client::connect(&simulator).await;
    client.say(signed(of(&["heartbeat", "full", "ticker", "level2"], BOTH), &NOW.to_string())).await;
    let mut all = client.within(Duration::from_secs(30)).await;
    let silent = client.within(Duration::from_secs(300)).await;
    assert_eq!(kinds(&silent), ["heartbeat"]);
    client.say(of(&["matches", "status"], BOTH)).await;
    let rest = client.within(Duration::from_secs(299)).await;
    assert_eq!(kinds(&rest), ["heartbeat", "subscriptions"]);
    all.extend(client.within(Duration::from_secs(61)).await);
    let is_step = |message: &&Value| {
        message["product_id"] == "BTC-USD" && !["heartbeat", "ticker"].iter().any(|kind| message["type"] == *kind)
    };
    let numbers: Vec<_> = all.iter().filter(is_step).filter_map(|message| message["sequence"].as_u64()).collect();
    assert!(numbers.len() > 200 && is_whole(&numbers));
    assert!(kinds(&all).contains(&"status"));
}

/// coinbase-pro-node#174: one product that was not traded, and nothing at all came.
#[tokio::test(start_paused = true)]
async fn a_product_that_is_not_listed_yet_is_left_out_and_can_be_asked_for_later() {
    let simulator = Simulator::new(with_faults(&["unlisted:ETH-USD:0s-5m"]));
    let mut client = Client::connect(&simulator).await;
    client.subscribe("heartbeats", &[]).await;
    client.set().await;
    client.subscribe("market_trades", BOTH).await;
    assert_eq!(client.set().await["market_trades"], json!(["BTC-USD"]));
    assert_eq!(simulator.last_trade("ETH-USD"), None);
    let all = client.within(Duration::from_secs(301)).await;
    assert!(trades(&all, "ETH-USD").is_empty() && trades(&all, "BTC-USD").len() > 500);
    client.subscribe("market_trades", &["ETH-USD"]).await;
    let mut set = client.set().await["market_trades"].take();
    set.as_array_mut().expect("a list").sort_by_key(ToString::to_string);
    assert_eq!(set, json!(BOTH));
    assert!(!trades(&client.within(Duration::from_secs(30)).await, "ETH-USD").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_product_that_vanishes_for_a_while_goes_on_where_it_was() {
    let simulator = Simulator::new(with_faults(&["unlisted:ETH-USD:20s-5m"]));
    let mut client = Client::connect(&simulator).await;
    client.subscribe("heartbeats", &[]).await;
    client.subscribe("level2", BOTH).await;
    client.subscribe("market_trades", BOTH).await;
    let mut all = client.within(Duration::from_secs(20)).await;
    let without = client.within(Duration::from_secs(279)).await;
    assert!(!without.iter().any(|message| message.to_string().contains("ETH-USD")));
    all.extend(client.within(Duration::from_secs(40)).await);
    let ids = trades(&all, "ETH-USD");
    assert!(ids.len() > 20 && is_whole(&ids), "{ids:?}");
}

#[tokio::test(start_paused = true)]
async fn the_exchange_refuses_what_is_not_listed_until_it_is() {
    let simulator = Simulator::new(at_exchange(&["unlisted:ETH-USD:0s-5m"]));
    let mut client = Client::connect(&simulator).await;
    client.say(of(&["heartbeat", "matches"], BOTH)).await;
    let refused = client.read().await;
    assert_eq!(refused["reason"], "ETH-USD is not a valid product");
    client.say(of(&["heartbeat", "matches"], &["BTC-USD"])).await;
    client.within(Duration::from_secs(301)).await;
    client.say(of(&["matches"], &["ETH-USD"])).await;
    let all = client.within(Duration::from_secs(30)).await;
    assert!(all.iter().any(|message| message["type"] == "match" && message["product_id"] == "ETH-USD"));
}

#[tokio::test(start_paused = true)]
async fn the_last_trade_is_the_one_that_is_told_last() {
    let simulator = Simulator::new(options());
    let mut client = Client::connect(&simulator).await;
    client.subscribe("market_trades", BOTH).await;
    let first = trades(&client.within(Duration::from_secs(10)).await, "BTC-USD");
    drop(client.socket);
    tokio::time::sleep(Duration::from_secs(20)).await;
    let meanwhile = simulator.last_trade("BTC-USD").expect("traded");
    assert!(meanwhile > first[first.len() - 1] + 20);
    let mut client = Client::connect(&simulator).await;
    client.subscribe("market_trades", BOTH).await;
    let then = trades(&client.within(Duration::from_secs(10)).await, "BTC-USD");
    assert_eq!(then[0], meanwhile + 1);
}

/// A product that nobody trades is silent on each channel for minutes, and that is no fault.
#[tokio::test(start_paused = true)]
async fn a_quiet_product_is_silent_for_minutes() {
    let quiet = vec![Product::parse("ETH-USD").expect("spelt right")];
    let simulator = Simulator::new(Options { quiet, ..options() });
    let mut client = Client::connect(&simulator).await;
    client.subscribe("heartbeats", &[]).await;
    for channel in ["ticker", "ticker_batch", "market_trades", "candles", "level2"] {
        client.subscribe(channel, BOTH).await;
    }
    let first = client.within(Duration::from_secs(1)).await;
    assert!(first.iter().any(|message| message.to_string().contains("ETH-USD")), "snapshots come");
    let all = client.within(Duration::from_secs(180)).await;
    let heard: Vec<_> = all.iter().filter(|message| message.to_string().contains("ETH-USD")).collect();
    assert!(heard.len() < 30, "{}", heard.len());
    assert!(heard.iter().filter(|message| message["channel"] == "candles").count() < 3);
    assert!(count(&all, "candles") > 100, "the other one's candles go on");
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_and_requests_bring_the_same_bytes() {
    let faults = ["holes:0.02", "late@5s", "back@9s", "fragment", "maintenance:20s-30s", "unlisted:ETH-USD:40s-50s"];
    let play = async |options: Options, subscribe: Value| {
        let simulator = Simulator::new(options);
        let mut texts = Vec::new();
        for _ in 0..2 {
            let mut client = Client::connect(&simulator).await;
            client.say(&subscribe).await;
            let end = tokio::time::Instant::now() + Duration::from_secs(45);
            while let Ok(Some(message)) = tokio::time::timeout_at(end, client.next()).await {
                texts.push(message.into_data());
            }
        }
        texts
    };
    let market = || Options { depth: 20, ..with_faults(&faults) };
    let subscribe = json!({"type": "subscribe", "channel": "level2", "product_ids": ["BTC-USD"]});
    let once = play(market(), subscribe.clone()).await;
    assert!(once.len() > 500 && once == play(market(), subscribe.clone()).await);
    assert!(once != play(Options { seed: 2, ..market() }, subscribe).await);
    let all = of(&["heartbeat", "matches", "ticker", "level2_batch"], &["BTC-USD"]);
    let once = play(at_exchange(&faults), all.clone()).await;
    assert!(once.len() > 500 && once == play(at_exchange(&faults), all).await);
}
