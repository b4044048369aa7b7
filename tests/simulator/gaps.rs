//! Faults that a client finds by counting, or by missing what it asked for: each loses, delays or repeats just what it says.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tickerd::simulator::{Observed, Options, Simulator};

use crate::{
    BOTH, NOW,
    client::Client,
    count,
    exchange::{exchange, of, signed},
    with_faults,
};

/// An exchange with faults, and the messages that it made and lost.
fn losing(options: Options) -> (Arc<Simulator>, Arc<Mutex<Vec<Value>>>) {
    let lost = Arc::<Mutex<Vec<Value>>>::default();
    let hears = Arc::clone(&lost);
    let observer = move |observed: &Observed| {
        if let Observed::Lost { message, .. } = observed {
            hears.lock().expect("whole").push(serde_json::from_slice(message).expect("JSON"));
        }
    };
    (Simulator::new(Options { observer: Some(Arc::new(observer)), ..options }), lost)
}

fn at_exchange(faults: &[&str]) -> Options {
    Options { faults: with_faults(faults).faults, ..exchange() }
}

fn numbers(all: &[Value]) -> Vec<u64> {
    all.iter().filter_map(|message| message["sequence_num"].as_u64()).collect()
}

/// By product, the field of each message of this type.
fn by_product(all: &[Value], kind: &str, field: &str) -> BTreeMap<String, Vec<u64>> {
    let mut by = BTreeMap::<String, Vec<u64>>::new();
    for message in all.iter().filter(|message| kind.is_empty() || message["type"] == kind) {
        if let (Some(product), Some(number)) = (message["product_id"].as_str(), message[field].as_u64()) {
            by.entry(product.to_owned()).or_default().push(number);
        }
    }
    by
}

#[tokio::test(start_paused = true)]
async fn a_hole_is_a_message_that_was_made_and_is_told_to_the_observer_alone() {
    let (simulator, lost) = losing(with_faults(&["hole@n2"]));
    let mut client = Client::connect(&simulator).await;
    client.subscribe("heartbeats", &[]).await;
    let all = client.within(Duration::from_secs(4)).await;
    assert_eq!(numbers(&all), [0, 1, 3, 4]);
    let lost = lost.lock().expect("whole");
    assert_eq!(numbers(&lost), [2]);
    assert_eq!(lost[0]["channel"], "heartbeats");
}

#[tokio::test(start_paused = true)]
async fn what_came_and_what_was_lost_is_all_there_was() {
    let (simulator, lost) = losing(with_faults(&["holes:0.2"]));
    let mut client = Client::connect(&simulator).await;
    client.subscribe("ticker", BOTH).await;
    let all = client.within(Duration::from_secs(30)).await;
    let (came, lost) = (numbers(&all), numbers(&lost.lock().expect("whole")));
    assert!(came.is_sorted() && lost.len() > 5);
    let mut both: Vec<_> = came.into_iter().chain(lost).collect();
    both.sort_unstable();
    assert!(both.iter().enumerate().all(|(place, number)| *number == place as u64), "{both:?}");
}

#[tokio::test(start_paused = true)]
async fn at_the_exchange_a_hole_is_a_step_of_the_matching_engine() {
    let (simulator, lost) = losing(at_exchange(&["hole@n40", "hole@n80"]));
    let mut client = Client::connect(&simulator).await;
    client.say(signed(of(&["full"], BOTH), &NOW.to_string())).await;
    let mut all = client.within(Duration::from_secs(20)).await;
    let before: usize =
        by_product(&all, "", "sequence").values().map(|of| of.windows(2).filter(|p| p[1] != p[0] + 1).count()).sum();
    assert!(before == 1 || before == 2, "two side by side are one hole: {before}");
    let lost = lost.lock().expect("whole").clone();
    assert_eq!(lost.len(), 2);
    all.extend(lost);
    for mut of in by_product(&all, "", "sequence").into_values() {
        of.sort_unstable();
        assert!(of.windows(2).all(|pair| pair[1] == pair[0] + 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_count_steps_back_once_and_goes_on_from_there() {
    for (fault, expected) in
        [("back@n6", [4, 5, 1, 2, 3]), ("back:1@n6", [4, 5, 5, 6, 7]), ("back:100@n6", [4, 5, 0, 1, 2])]
    {
        let mut client = Client::connect(&Simulator::new(with_faults(&[fault]))).await;
        client.subscribe("heartbeats", &[]).await;
        let all = client.within(Duration::from_secs(20)).await;
        assert_eq!(numbers(&all)[4..9], expected, "{fault}");
        assert!(numbers(&all)[6..].windows(2).all(|pair| pair[1] == pair[0] + 1), "{fault}");
    }
}

/// There the numbers are the matching engine's, and what comes again is what it did.
#[tokio::test(start_paused = true)]
async fn at_the_exchange_a_count_that_steps_back_tells_the_same_again() {
    for (channel, kind, field) in [("full", "", "sequence"), ("matches", "match", "trade_id")] {
        let mut client = Client::connect(&Simulator::new(at_exchange(&["back:4@10s"]))).await;
        client.say(signed(of(&[channel], BOTH), &NOW.to_string())).await;
        let all = client.within(Duration::from_secs(30)).await;
        let mut back = 0;
        for of in by_product(&all, kind, field).values() {
            for (place, pair) in of.windows(2).enumerate().filter(|(_, pair)| pair[1] != pair[0] + 1) {
                back += 1;
                assert_eq!(pair[1] + 3, pair[0], "{channel}: the last four again");
                assert_eq!(of[place + 1 + 4], pair[0] + 1, "{channel}: and then the next");
            }
        }
        assert_eq!(back, 1, "{channel}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_message_comes_behind_the_next() {
    let mut client = Client::connect(&Simulator::new(with_faults(&["late@n6"]))).await;
    client.subscribe("heartbeats", &[]).await;
    let all = client.within(Duration::from_secs(12)).await;
    assert_eq!(numbers(&all)[4..10], [4, 5, 7, 6, 8, 9]);
}

/// tardis-node#48: heartbeats went on, a channel did not, and the client waited for ever.
#[tokio::test(start_paused = true)]
async fn a_dead_channel_is_acked_and_sends_nothing_and_is_not_numbered() {
    for fault in ["dead-channel:ticker", "dead-channel:ticker@10s"] {
        let mut client = Client::connect(&Simulator::new(with_faults(&[fault]))).await;
        client.subscribe("heartbeats", &[]).await;
        client.subscribe("ticker", BOTH).await;
        client.subscribe("market_trades", BOTH).await;
        let mut all = client.within(Duration::from_secs(11)).await;
        assert_eq!(count(&all, "ticker") > 0, fault.ends_with("@10s"), "{fault}");
        client.say(json!({"type": "unsubscribe", "channel": "ticker", "product_ids": BOTH})).await;
        client.subscribe("ticker", BOTH).await;
        let after = client.within(Duration::from_secs(30)).await;
        let acks: Vec<_> = after.iter().filter(|message| message["channel"] == "subscriptions").collect();
        assert_eq!(acks[1]["events"][0]["subscriptions"]["ticker"].as_array().map(Vec::len), Some(2), "{fault}");
        assert_eq!(count(&after, "ticker"), 0, "{fault}");
        assert!(count(&after, "heartbeats") > 20 && count(&after, "market_trades") > 20, "{fault}");
        all.extend(after);
        assert!(numbers(&all).iter().enumerate().all(|(place, number)| *number == place as u64), "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn at_the_exchange_channels_die_alone_as_well() {
    for (fault, kind, lives) in
        [("dead-channel:matches", "match", "ticker"), ("dead-channel:ticker", "ticker", "match")]
    {
        let mut client = Client::connect(&Simulator::new(at_exchange(&[fault]))).await;
        client.say(of(&["heartbeat", "matches", "ticker"], BOTH)).await;
        let all = client.within(Duration::from_secs(20)).await;
        let of = |kind: &str| {
            all.iter().filter(|message| message["type"].as_str().is_some_and(|of| of.ends_with(kind))).count()
        };
        assert_eq!(of(kind), 0, "{fault}");
        assert!(of(lives) > 20 && of("heartbeat") > 20 && of("subscriptions") == 1, "{fault}");
    }
}
