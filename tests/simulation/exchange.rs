//! The same at Coinbase Exchange, where HMAC is how one signs, sequences are the products' own, and one product that it does
//! not know spoils all that is asked for with it.

use std::{path::Path, sync::Arc, time::Duration};

use tickerd::{
    simulator::{Recording, Speed},
    venue::{Product, exchange::EXCHANGE},
};
use tokio::time::sleep;

use super::{
    assert_fresh_and_unique, assert_nothing_is_lost, faults,
    stage::{Plot, cdp_key, exchange_key},
    two_hundred_reconnects, written,
};

/// Every channel there is.
const ALL: &[&str] = &[
    "status",
    "auctionfeed",
    "matches",
    "rfq_matches",
    "ticker",
    "ticker_batch",
    "full",
    "user",
    "level2",
    "level2_batch",
    "level3",
    "balance",
];

#[tokio::test(start_paused = true)]
async fn seeded_faults_on_every_channel_lose_nothing() {
    let mut plot = Plot::at(&EXCHANGE, ALL, Some(exchange_key()));
    plot.exchange.faults = faults(&["random:9", "fragment"]);
    plot.pipe = 4096;
    let play = plot.play();
    sleep(Duration::from_secs(1200)).await;
    let (seen, output) = play.end().await;
    let (lines, connections) = assert_nothing_is_lost(&seen, &output);
    assert!(connections > 40, "{connections}");
    assert!(lines > 20_000, "{lines}");
}

/// The venue's own sample signs once, outside of its reconnect loop: after 30 s every reconnect is refused.
#[tokio::test(start_paused = true)]
async fn two_hundred_reconnects_each_sign_afresh() {
    let plot = Plot::at(&EXCHANGE, &["ticker_batch", "full", "balance"], Some(exchange_key()));
    assert_fresh_and_unique(two_hundred_reconnects(plot).await);
}

/// cryptofeed, `coinbasepro-python#255`: what was asked for all at once was refused all at once, and nobody noticed.
#[tokio::test(start_paused = true)]
async fn forty_nine_of_fifty_are_recorded_when_one_is_not_traded() {
    let ids: Vec<String> = (0..49).map(|i| format!("P{i}-USD")).collect();
    let mut plot = Plot::at(&EXCHANGE, &["ticker", "matches"], None);
    plot.exchange.products = ids.iter().map(|id| Product::parse(id).expect("spelt right")).collect();
    plot.exchange.depth = 5;
    let all: Vec<&'static str> = ids.into_iter().chain(["GONE-USD".to_owned()]).map(|id| &*id.leak()).collect();
    plot.products.clone_from(&all);
    let play = plot.play();
    sleep(Duration::from_secs(30)).await;
    let (seen, output) = play.end().await;
    let (_, connections) = assert_nothing_is_lost(&seen, &output);
    assert_eq!(connections, 1, "found out on the connection that stands");
    let (messages, events) = written(&output);
    let beats = |id: &str| {
        let of = format!("\"product_id\":\"{id}\"");
        messages[&1].iter().any(|line| line.starts_with("{\"type\":\"heartbeat\"") && line.contains(&of))
    };
    assert_eq!(all.iter().filter(|id| beats(id)).count(), 49);
    assert!(!beats("GONE-USD"));
    assert!(events.contains(&"refused".to_owned()), "{events:?}");
    let refused = String::from_utf8_lossy(&output);
    assert!(refused.contains("GONE-USD is kept apart"), "and named");
}

#[tokio::test(start_paused = true)]
async fn a_recorded_session_is_recorded_again_as_it_was() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/ex_session_20210417_all.ndjson.gz");
    if !path.exists() {
        let _ = std::io::Write::write_all(&mut std::io::stderr(), b"skipped: the recorded session is not there\n");
        return;
    }
    let recording = Recording::open(&path).expect("a recording");
    let mut playback = recording.play().expect("it opens");
    let lines: Vec<_> = std::iter::from_fn(|| playback.next_line().expect("it reads"))
        .map(|line| String::from_utf8(line.text.to_vec()).expect("UTF-8"))
        .collect();
    let mut plot = Plot::at(&EXCHANGE, &["level2", "ticker", "matches"], Some(exchange_key()));
    plot.exchange.recording = Some(Arc::new(recording));
    // It holds no heartbeats: after 15 s without one the connection would be given up.
    plot.exchange.speed = Speed::Times(10.0);
    let play = plot.play();
    sleep(Duration::from_secs(600)).await;
    let (seen, output) = play.end().await;
    assert_nothing_is_lost(&seen, &output);
    let (messages, _) = written(&output);
    assert!(messages[&1] == lines, "{} messages of {}", messages[&1].len(), lines.len());
}

/// Two venues in one process: one is down for ten minutes and then refuses the key, and the other never notices.
#[tokio::test(start_paused = true)]
async fn one_venue_in_trouble_costs_the_other_nothing() {
    for advanced_trade_is_well in [true, false] {
        let market = Plot::new(&["ticker_batch", "level2"], Some(cdp_key()));
        let exchange = Plot::at(&EXCHANGE, &["ticker_batch", "full"], Some(exchange_key()));
        let (mut well, mut ill) = if advanced_trade_is_well { (market, exchange) } else { (exchange, market) };
        well.paces.clone_from(&ill.paces);
        ill.down_for = Duration::from_secs(600);
        let key = ill.credentials.as_ref().expect("signed").key().to_owned();
        let (well, ill) = (well.play(), ill.play());
        ill.exchange.revoke(&key);
        sleep(Duration::from_secs(3600)).await;
        let (seen, output) = well.end().await;
        let (lines, connections) = assert_nothing_is_lost(&seen, &output);
        assert_eq!(connections, 1);
        let sent: usize = seen.lock().expect("whole").sent.values().map(Vec::len).sum();
        assert!(lines > 10_000 && sent - lines < 100, "{lines} of {sent}: what is on its way at the end is none of it");
        let (seen, output) = ill.end().await;
        assert_nothing_is_lost(&seen, &output);
        let (_, events) = written(&output);
        assert!(events.contains(&"refused".to_owned()), "{events:?}");
    }
}

/// ws-direct with the feed as its failover: while the one can not be reached the other carries, and then the one again.
#[tokio::test(start_paused = true)]
async fn a_failover_carries_until_its_connection_ends() {
    let mut plot = Plot::at(&EXCHANGE, &["ticker"], Some(exchange_key()));
    plot.direct_after = Some(Duration::from_secs(60));
    plot.exchange.faults = faults(&["conn1:close:1001@120s"]);
    let play = plot.play();
    sleep(Duration::from_secs(240)).await;
    let (seen, output) = play.end().await;
    let (_, connections) = assert_nothing_is_lost(&seen, &output);
    assert_eq!(connections, 2);
    let output = String::from_utf8(output).expect("UTF-8");
    let urls: Vec<_> = output
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|line| line["event"] == "connected")
        .map(|line| line["data"]["url"].as_str().expect("a url").to_owned())
        .collect();
    assert_eq!(urls, ["ws://stage", "ws://direct"]);
}

/// `coinbase-pro-node#227`, and what nobody checks: on `full` each product's sequence goes up by one.
#[tokio::test(start_paused = true)]
async fn what_is_promised_to_have_no_holes_has_none() {
    let play = Plot::at(&EXCHANGE, &["full"], Some(exchange_key())).play();
    sleep(Duration::from_secs(300)).await;
    let (seen, output) = play.end().await;
    assert_nothing_is_lost(&seen, &output);
    let mut last = std::collections::HashMap::new();
    for line in &written(&output).0[&1] {
        let arrival = (EXCHANGE.read)(line);
        let Some(counted) = arrival.counted.first().filter(|_| arrival.kind != tickerd::venue::Kind::Heartbeat) else {
            continue;
        };
        let (product, sequence) = (counted.product.to_owned(), counted.sequence.expect("numbered"));
        if let Some(before) = last.insert(product, sequence) {
            assert_eq!(sequence, before + 1, "{line}");
        }
    }
    assert_eq!(last.len(), 2);
}
