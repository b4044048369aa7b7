//! What is let in, what is refused, and what then comes when.

use std::{sync::Arc, time::Duration};

use base64::Engine as _;
use futures::StreamExt;
use serde_json::{Value, json};
use tickerd::{
    auth::{Credentials, Scheme, Secret, Signer, Stamp},
    simulator::{Ending, Options, Simulator, Speed},
    venue::Product,
};
use tokio::{
    io::AsyncWriteExt,
    time::{Instant, timeout},
};

use crate::{BOTH, KEY, NOW, SECRET, client::Client, count, options, signed};

const REFUSED: &str = "authentication failure";

#[tokio::test(start_paused = true)]
async fn acks_come_after_the_first_data_and_list_the_whole_set() {
    let mut client = Client::connect(&Simulator::new(options())).await;
    client.subscribe("heartbeats", &[]).await;
    let first = client.up_to_ack().await;
    assert_eq!(first.len(), 1);
    assert_eq!(first[0]["events"][0]["subscriptions"], json!({"heartbeats": ["heartbeats"]}));
    for (channel, frame, messages) in [
        ("ticker_batch", "ticker_batch", 2),
        ("level2", "l2_data", 2),
        ("market_trades", "market_trades", 2),
        ("candles", "candles", 2),
        ("ticker", "ticker", 2),
        ("status", "status", 1),
    ] {
        client.subscribe(channel, BOTH).await;
        let mut answer = client.up_to_ack().await;
        let snapshots = |message: &&Value| message["channel"] == frame && message["events"][0]["type"] == "snapshot";
        assert_eq!(answer.iter().filter(snapshots).count(), messages, "{channel}");
        let set = answer.pop().expect("an ack")["events"][0]["subscriptions"].take();
        assert_eq!(listed(&set, channel), BOTH);
        assert!(set.get("heartbeats").is_some() && set.get("ticker_batch").is_some());
    }
}

fn listed<'a>(set: &'a Value, channel: &str) -> Vec<&'a str> {
    let mut listed: Vec<_> = set[channel].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    listed.sort_unstable();
    listed
}

#[tokio::test(start_paused = true)]
async fn numbers_run_from_0_over_all_frames_of_a_connection_but_errors() {
    let simulator = Simulator::new(options());
    for _ in 0..2 {
        let mut client = Client::connect(&simulator).await;
        for channel in ["ticker", "nonsense", "level2", "heartbeats"] {
            client.subscribe(channel, BOTH).await;
        }
        let all = client.within(Duration::from_secs(5)).await;
        let numbers: Vec<_> = all.iter().filter_map(|message| message["sequence_num"].as_u64()).collect();
        assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
        assert_eq!(all.len(), numbers.len() + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn channels_keep_their_cadence() {
    let mut client = Client::connect(&Simulator::new(options())).await;
    for channel in ["heartbeats", "ticker_batch", "candles", "market_trades", "level2", "ticker"] {
        client.subscribe(channel, &["BTC-USD"]).await;
        client.up_to_ack().await;
    }
    let all = client.within(Duration::from_secs(60)).await;
    for (channel, least, most) in [
        ("heartbeats", 60, 60),
        ("ticker_batch", 11, 12),
        ("candles", 45, 60),
        ("market_trades", 80, 240),
        ("ticker", 120, 240),
        ("l2_data", 600, 1_200),
    ] {
        assert!((least..=most).contains(&count(&all, channel)), "{channel}: {}", count(&all, channel));
    }
    let counters: Vec<_> =
        all.iter().filter_map(|message| message["events"][0]["heartbeat_counter"].as_u64()).collect();
    assert!(counters.windows(2).all(|pair| pair[1] == pair[0] + 1), "{counters:?}");
    assert!(all.iter().all(|message| message.get("client_id").is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_speed_of_ten_brings_ten_times_as_much() {
    let mut client = Client::connect(&Simulator::new(Options { speed: Speed::Times(10.0), ..options() })).await;
    client.subscribe("heartbeats", &[]).await;
    client.up_to_ack().await;
    assert_eq!(client.within(Duration::from_secs(6)).await.len(), 60);
}

#[tokio::test(start_paused = true)]
async fn at_full_speed_the_socket_sets_the_pace_and_is_still_heard() {
    let mut client = Client::connect(&Simulator::new(Options { speed: Speed::Max, ..options() })).await;
    client.subscribe("ticker_batch", &["BTC-USD"]).await;
    client.up_to_ack().await;
    for _ in 0..1_000 {
        assert_eq!(client.read().await["channel"], "ticker_batch");
    }
    client.say(json!({"type": "unsubscribe", "channel": "ticker_batch"})).await;
    assert_eq!(client.set().await, json!({}));
}

#[tokio::test(start_paused = true)]
async fn a_quiet_product_is_silent_on_ticker_batch() {
    let quiet = Product::parse("ETH-USD").expect("spelt right");
    let mut client = Client::connect(&Simulator::new(Options { quiet: vec![quiet], ..options() })).await;
    client.subscribe("ticker_batch", BOTH).await;
    client.up_to_ack().await;
    let all = client.within(Duration::from_secs(30)).await;
    let of = |id: &str| all.iter().filter(|m| m["events"][0]["tickers"][0]["product_id"] == id).count();
    assert!(of("BTC-USD") >= 5 && of("ETH-USD") <= 1);
}

#[tokio::test(start_paused = true)]
async fn everybody_sees_the_same_prices() {
    let simulator = Simulator::new(options());
    let (mut one, mut two) = (Client::connect(&simulator).await, Client::connect(&simulator).await);
    one.subscribe("market_trades", &["BTC-USD"]).await;
    two.subscribe("market_trades", &["BTC-USD"]).await;
    let span = Duration::from_secs(10);
    let (one, two) = tokio::join!(one.within(span), two.within(span));
    let trades = |messages: &[Value]| -> Vec<String> {
        let updates = messages.iter().filter(|message| message["events"][0]["type"] == "update");
        updates
            .flat_map(|message| message["events"][0]["trades"].as_array().expect("trades").iter().rev())
            .map(|trade| format!("{} {}", trade["trade_id"], trade["price"]))
            .collect()
    };
    assert!(trades(&one).len() > 10);
    assert_eq!(trades(&one), trades(&two));
}

#[tokio::test(start_paused = true)]
async fn products_that_nobody_knows_are_left_out_without_a_word() {
    let mut client = Client::connect(&Simulator::new(options())).await;
    client.subscribe("ticker", &["BTC-USDC", "ETH_USD", "NOPE-USD", "ETH-USD"]).await;
    let answer = client.up_to_ack().await;
    assert_eq!(answer.len(), 3);
    let set = &answer[2]["events"][0]["subscriptions"];
    assert_eq!(listed(set, "ticker"), BOTH, "BTC-USDC is answered as BTC-USD");
    client.subscribe("candles", &["NOPE-USD"]).await;
    assert!(client.set().await.get("candles").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_product_subscribed_again_brings_an_ack_and_no_snapshot() {
    let mut client = Client::connect(&Simulator::new(options())).await;
    client.subscribe("status", &["BTC-USD"]).await;
    assert_eq!(client.up_to_ack().await.len(), 2);
    client.subscribe("status", &["BTC-USD"]).await;
    assert_eq!(client.up_to_ack().await.len(), 1);
    client.subscribe("status", BOTH).await;
    let answer = client.up_to_ack().await;
    assert_eq!(answer[0]["events"][0]["products"][0]["id"], "ETH-USD");
    client.say(json!({"type": "unsubscribe", "product_ids": ["BTC-USD"], "channel": "status"})).await;
    assert_eq!(client.set().await, json!({"status": ["ETH-USD"]}));
    client.subscribe("status", &["BTC-USD"]).await;
    assert_eq!(client.up_to_ack().await.len(), 2, "unsubscribed first, it is new again");
}

#[tokio::test(start_paused = true)]
async fn the_31st_level2_product_is_refused_and_all_with_it() {
    const REFUSED: &str = "too many L2 streams requested in a single session";
    let ids: Vec<_> = (0..31).map(|i| format!("P{i}-USD")).collect();
    let products = ids.iter().map(|id| Product::parse(id).expect("spelt right")).collect();
    let mut client = Client::connect(&Simulator::new(Options { products, depth: 5, ..options() })).await;
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    client.subscribe("level2", &ids).await;
    assert_eq!(client.refusal().await, REFUSED);
    client.subscribe("level2", &ids[..30]).await;
    assert_eq!(client.up_to_ack().await.iter().filter(|m| m["events"][0]["type"] == "snapshot").count(), 30);
    client.subscribe("level2", &ids[30..]).await;
    assert_eq!(client.refusal().await, REFUSED);
    client.say(json!({"type": "unsubscribe", "product_ids": ["P0-USD"], "channel": "level2"})).await;
    client.up_to_ack().await;
    client.subscribe("level2", &ids[30..]).await;
    client.up_to_ack().await;
    client.subscribe("ticker", &ids).await;
    client.up_to_ack().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_subscribe_is_refused_in_the_venues_words() {
    let mut client = Client::connect(&Simulator::new(options())).await;
    for (text, said) in [
        (r#"{"type":"subscribe","product_ids":["BTC-USD"],"channels":["ticker"]}"#, "failure to subscribe"),
        (r#"{"type":"subscribe","product_ids":[],"channel":"ticker"}"#, "failure to subscribe"),
        (r#"{"type":"hello","channel":"ticker"}"#, "failure to subscribe"),
        ("hello", "failure to subscribe"),
        (r#"{"type":"subscribe","product_ids":["BTC-USD"],"channel":"heartbeat"}"#, REFUSED),
        (r#"{"type":"subscribe","product_ids":[],"channel":"user"}"#, REFUSED),
        (r#"{"type":"subscribe","channel":"heartbeats","api_key":"k","timestamp":"1786309548"}"#, REFUSED),
    ] {
        client.say(text).await;
        assert_eq!(client.refusal().await, said, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn more_than_eight_unsigned_messages_a_second_are_refused() {
    let mut client = Client::connect(&Simulator::new(options())).await;
    for _ in 0..9 {
        client.subscribe("heartbeats", &[]).await;
    }
    assert_eq!(client.refusal().await, "rate limit exceeded");
    // Paced as a client should, none is.
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(125)).await;
        client.subscribe("heartbeats", &[]).await;
        client.up_to_ack().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_signature_is_taken_while_it_is_fresh_and_only_once() {
    let mut client = Client::connect(&Simulator::new(options())).await;
    client.say(signed("ticker_batch", BOTH, NOW)).await;
    client.up_to_ack().await;
    client.say(signed("ticker_batch", BOTH, NOW)).await;
    assert_eq!(client.refusal().await, REFUSED, "used before");
    client.say(signed("user", &[], NOW)).await;
    let answer = client.up_to_ack().await;
    assert_eq!(answer[0]["events"][0]["orders"], json!([]));
    assert_eq!(answer[1]["events"][0]["subscriptions"]["user"][0].as_str().map(str::len), Some(36));
    client.say(signed("futures_balance_summary", &[], NOW)).await;
    assert_eq!(client.up_to_ack().await[0]["channel"], "futures_balance_summary");
    for unix in [NOW - 30, NOW + 29] {
        client.say(signed("heartbeats", &[], unix)).await;
        client.up_to_ack().await;
    }
    for unix in [NOW - 32, NOW + 40, NOW * 1_000] {
        client.say(signed("heartbeats", &[], unix)).await;
        assert_eq!(client.refusal().await, REFUSED, "{unix}");
    }
}

/// coinbase-pro-node#377: the timestamp went out as a JSON number, and the venue took only strings.
#[tokio::test(start_paused = true)]
async fn a_timestamp_that_is_a_number_is_refused() {
    let mut client = Client::connect(&Simulator::new(options())).await;
    let mut message = signed("heartbeats", &[], NOW);
    message["timestamp"] = json!(NOW);
    client.say(message).await;
    assert_eq!(client.refusal().await, REFUSED);
}

#[tokio::test(start_paused = true)]
async fn with_credentials_the_signature_itself_is_checked() {
    let secret = Secret::new(SECRET.to_owned());
    let known = Arc::new(Credentials::new("main", Scheme::Hmac, KEY, &secret).expect("a key"));
    let mut client = Client::connect(&Simulator::new(Options { credentials: vec![known], ..options() })).await;
    client.say(signed("heartbeats", &[], NOW)).await;
    client.up_to_ack().await;
    for (field, wrong) in [
        ("product_ids", json!(["ETH-USD", "BTC-USD"])),
        ("api_key", json!("somebody else")),
        ("signature", json!("0".repeat(64))),
        ("signature", json!(signed("ticker", BOTH, NOW)["signature"].as_str().expect("text").to_uppercase())),
    ] {
        let mut message = signed("ticker", BOTH, NOW);
        message[field] = wrong;
        client.say(message).await;
        assert_eq!(client.refusal().await, REFUSED, "{field}");
    }
}

/// A CDP key of this test's own.
fn cdp(name: &str, seed: u8) -> Arc<Credentials> {
    let secret = Secret::new(base64::engine::general_purpose::STANDARD.encode([seed; 32]));
    Arc::new(Credentials::new("main", Scheme::Jwt, name, &secret).expect("a key"))
}

fn with_token(by: &Credentials, uri: Option<&str>, unix: u64, nonce: u8) -> Value {
    let Signer::Jwt(key) = by.signer() else { panic!("not a CDP key") };
    let token = key.token(by.key(), uri, &Stamp { unix, millis: 0, nonce: [nonce; 16] });
    json!({"type": "subscribe", "product_ids": BOTH, "channel": "ticker_batch", "jwt": token})
}

#[tokio::test(start_paused = true)]
async fn tokens_are_taken_while_they_live_and_only_once() {
    const NAME: &str = "organizations/o/apiKeys/k";
    let (known, forger) = (cdp(NAME, 7), cdp(NAME, 8));
    for credentials in [vec![Arc::clone(&known)], Vec::new()] {
        let checks = !credentials.is_empty();
        let mut client = Client::connect(&Simulator::new(Options { credentials, ..options() })).await;
        for (unix, nonce) in [(NOW, 1), (NOW, 2), (NOW + 5, 3), (NOW - 110, 4)] {
            client.say(with_token(&known, None, unix, nonce)).await;
            client.up_to_ack().await;
        }
        for (uri, unix, nonce) in [
            (None, NOW, 1),
            (None, NOW + 10, 5),
            (None, NOW - 120, 6),
            (Some("GET api.coinbase.com/api/v3/brokerage/accounts"), NOW, 7),
        ] {
            client.say(with_token(&known, uri, unix, nonce)).await;
            assert_eq!(client.refusal().await, REFUSED, "{uri:?} {unix} {nonce}");
        }
        client.say(json!({"type": "subscribe", "channel": "heartbeats", "jwt": "nonsense"})).await;
        assert_eq!(client.refusal().await, REFUSED, "worse than none, on a public channel too");
        client.say(with_token(&forger, None, NOW, 8)).await;
        if checks {
            assert_eq!(client.refusal().await, REFUSED, "another key under the same name");
        } else {
            client.up_to_ack().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_subscribe_within_5_s_is_closed() {
    let begun = Instant::now();
    let client = Client::connect(&Simulator::new(options())).await;
    assert_eq!(client.end().await, (Some(1008), Ending::Closed(1008)));
    assert_eq!(begun.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_heartbeats_and_news_is_closed_for_idling() {
    let begun = Instant::now();
    let mut client = Client::connect(&Simulator::new(options())).await;
    client.subscribe("status", &["BTC-USD"]).await;
    client.up_to_ack().await;
    assert_eq!(client.end().await.0, Some(1001));
    assert!((60..=90).contains(&begun.elapsed().as_secs()));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_cut_off_after_30_s() {
    let mut client = Client::try_connect(&Simulator::new(options()), 4_096).await.expect("an upgrade");
    let begun = Instant::now();
    client.subscribe("level2", BOTH).await;
    let ending = timeout(Duration::from_secs(60), client.exchange).await.expect("an end").expect("no panic");
    assert_eq!((ending, begun.elapsed().as_secs()), (Ending::Slow, 30));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_is_heard_and_kept() {
    let mut client = Client::try_connect(&Simulator::new(options()), 4_096).await.expect("an upgrade");
    for channel in ["level2", "market_trades", "heartbeats"] {
        client.subscribe(channel, BOTH).await;
    }
    let mut last = None;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let number = client.read().await["sequence_num"].as_u64();
        assert_eq!(number, Some(last.map_or(0, |last| last + 1)), "late, but whole");
        last = number;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_websocket_is_given_up_on() {
    let (mut near, far) = tokio::io::duplex(1 << 16);
    let exchange = tokio::spawn(Simulator::new(options()).serve(far));
    near.write_all(b"SSH-2.0-hello\r\n\r\n").await.expect("written");
    assert!(matches!(exchange.await.expect("no panic"), Ending::Failed(_)));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_closes_is_answered() {
    let mut client = Client::connect(&Simulator::new(options())).await;
    client.subscribe("heartbeats", &[]).await;
    client.socket.close(None).await.expect("closed");
    while let Some(message) = client.socket.next().await {
        message.expect("a clean end");
    }
    assert_eq!(client.exchange.await.expect("no panic"), Ending::Left);
}
