//! The Exchange, seen by a scripted client: its words, its acks, its counts.

mod rest;

use std::{fs, io::Read, path::Path, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tickerd::{
    auth::{Credentials, KeyFile, Secret, Stamp, hmac},
    simulator::{Ending, Faults, Options, Recording, Simulator, Speed},
    venue::{Product, Request, Subscribe, exchange::EXCHANGE},
};
use tokio::time::{Instant, timeout};

use crate::{BOTH, NOW, client::Client, options};

const SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg==";
const KEY: &str = "0123456789abcdef0123456789abcdef";
const PHRASE: &str = "a phrase";
const ACCOUNT: &str = "71452118-efc7-4cc4-8780-a5e22d4baa53";

pub fn exchange() -> Options {
    Options { venue: &EXCHANGE, depth: 20, ..options() }
}

fn known() -> Arc<Credentials> {
    let phrase = Secret::new(PHRASE.to_owned());
    let file = KeyFile { passphrase: Some(phrase), ..KeyFile::of_halves(KEY, Secret::new(SECRET.to_owned())) };
    Arc::new(file.credentials("main").expect("a shared secret"))
}

fn that_knows() -> Arc<Simulator> {
    Simulator::new(Options { credentials: vec![known()], ..exchange() })
}

fn with_fault(fault: &str) -> Options {
    Options { faults: Faults::parse(&[fault.to_owned()]).expect("known"), ..exchange() }
}

fn signature(prehash: &str) -> String {
    STANDARD.encode(hmac::Key::new(SECRET).sign_decoded(prehash).expect("base64"))
}

pub fn of(channels: &[&str], products: &[&str]) -> Value {
    let channels: Vec<_> = channels.iter().map(|name| json!({"name": name, "product_ids": products})).collect();
    json!({"type": "subscribe", "channels": channels})
}

pub fn signed(mut message: Value, timestamp: &str) -> Value {
    message["key"] = json!(KEY);
    message["passphrase"] = json!(PHRASE);
    message["timestamp"] = json!(timestamp);
    message["signature"] = json!(signature(&format!("{timestamp}GET/users/self/verify")));
    message
}

/// The next ack's channels, with their products or accounts in order.
async fn set(client: &mut Client) -> Vec<(String, Vec<String>)> {
    loop {
        let message = client.read().await;
        assert_ne!(message["type"], "error", "{message}");
        if message["type"] == "subscriptions" {
            let listed = |channel: &Value| {
                let of = channel["product_ids"].as_array().or_else(|| channel["account_ids"].as_array());
                let mut of: Vec<_> = of.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
                of.sort_unstable();
                (channel["name"].as_str().expect("a name").to_owned(), of)
            };
            return message["channels"].as_array().expect("channels").iter().map(listed).collect();
        }
    }
}

/// Message and reason of the next error.
async fn refusal(client: &mut Client) -> (String, Option<String>) {
    loop {
        let message = client.read().await;
        if message["type"] == "error" {
            let text = |field: &str| message[field].as_str().map(str::to_owned);
            return (text("message").expect("words"), text("reason"));
        }
    }
}

fn listed(name: &str, of: &[&str]) -> (String, Vec<String>) {
    (name.to_owned(), of.iter().map(|id| (*id).to_owned()).collect())
}

fn count(messages: &[Value], kind: &str) -> usize {
    messages.iter().filter(|message| message["type"] == kind).count()
}

#[tokio::test(start_paused = true)]
async fn many_channels_come_in_one_message_and_the_ack_lists_the_whole_set_first() {
    let mut client = Client::connect(&Simulator::new(exchange())).await;
    client.say(of(&["heartbeat", "ticker_1000", "matches", "level2_50"], BOTH)).await;
    let ack = client.read().await;
    assert_eq!(ack["type"], "subscriptions", "before the data: {ack}");
    assert_eq!(ack["channels"].as_array().map(Vec::len), Some(4));
    let mut first = Vec::new();
    for _ in 0..6 {
        first.push(client.read().await);
    }
    for kind in ["snapshot", "last_match", "ticker"] {
        assert_eq!(count(&first, kind), 2, "{kind}, one of each product");
    }
    client.say(json!({"type": "subscribe", "channels": ["status"]})).await;
    let whole = ["heartbeat", "level2_batch", "matches", "ticker_batch"].map(|name| listed(name, BOTH));
    let with_status = [&whole[..3], &[listed("status", &[])], &whole[3..]].concat();
    assert_eq!(set(&mut client).await, with_status);
    let fewer = json!([{"name": "matches", "product_ids": ["BTC-USD"]}, "level2_batch", "status"]);
    client.say(json!({"type": "unsubscribe", "channels": fewer})).await;
    let left = [listed("heartbeat", BOTH), listed("matches", &["ETH-USD"]), listed("ticker_batch", BOTH)];
    assert_eq!(set(&mut client).await, left);
}

/// In the venue's own words, as the threads that `venue/exchange.rs` names quote them.
#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_subscribe_is_said_in_the_venues_words() {
    let mut client = Client::connect(&Simulator::new(exchange())).await;
    let unsigned = "level2, level3, and full channels now require authentication";
    for (text, reason) in [
        (r#"{"type":"subscribe","product_ids":["BTC-USD"],"channel":"ticker"}"#, "No channels provided"),
        (r#"{"type":"subscribe","channels":[]}"#, "No channels provided"),
        // gocryptotrader#1421: products stood at the root of the message.
        (r#"{"type":"subscribe","product_ids":["BTC-USD"],"channels":["ticker"]}"#, " is not a valid product"),
        (
            r#"{"type":"subscribe","channels":["heartbeat"]}"#,
            "You need to specify at least one product ID for channel heartbeat",
        ),
        (
            r#"{"type":"subscribe","channels":[{"name":"ticker","product_ids":["BTC-USD","FOO-USD"]}]}"#,
            "FOO-USD is not a valid product",
        ),
        (
            r#"{"type":"subscribe","channels":[{"name":"heartbeats","product_ids":["BTC-USD"]}]}"#,
            "heartbeats is not a valid channel",
        ),
        (r#"{"type":"subscribe","channels":[{"name":"level2","product_ids":["BTC-USD"]}]}"#, unsigned),
        (r#"{"type":"subscribe","channels":[{"name":"full","product_ids":["BTC-USD"]}]}"#, unsigned),
        ("hello", "Malformed JSON"),
    ] {
        client.say(text).await;
        let (message, said) = refusal(&mut client).await;
        assert_eq!(message, "Failed to subscribe", "{text}");
        assert!(said.as_deref().is_some_and(|said| said.starts_with(reason)), "{text}: {said:?}");
    }
}

/// `coinbase-pro-node#174`: one product that was delisted, and the whole subscribe was refused.
#[tokio::test(start_paused = true)]
async fn one_bad_product_keeps_all_of_its_message_out() {
    let mut client = Client::connect(&Simulator::new(exchange())).await;
    client.say(of(&["ticker"], &["BTC-USD"])).await;
    assert_eq!(set(&mut client).await, [listed("ticker", &["BTC-USD"])]);
    client.say(of(&["heartbeat", "matches"], &["ETH-USD", "BTC-USDX"])).await;
    assert_eq!(refusal(&mut client).await.1.as_deref(), Some("BTC-USDX is not a valid product"));
    client.say(of(&["matches"], &["ETH-USD"])).await;
    assert_eq!(set(&mut client).await, [listed("matches", &["ETH-USD"]), listed("ticker", &["BTC-USD"])]);
}

#[tokio::test(start_paused = true)]
async fn a_signature_is_taken_while_it_is_fresh_and_only_once() {
    let mut client = Client::connect(&that_knows()).await;
    let ask = || of(&["level2", "user"], &["BTC-USD"]);
    for timestamp in [format!("{NOW}"), format!("{NOW}.125"), format!("{}", NOW - 30), format!("{}.9", NOW + 29)] {
        client.say(signed(ask(), &timestamp)).await;
        assert_eq!(set(&mut client).await.len(), 2, "{timestamp}");
    }
    let mut number = signed(ask(), &format!("{}", NOW + 1));
    number["timestamp"] = json!(NOW + 1);
    client.say(number).await;
    set(&mut client).await;

    let (bad, unauthorized) =
        ("Sorry, you could not be authenticated: Bad Request", "Sorry, you could not be authenticated: Unauthorized");
    let with = |field: &str, value: Value| {
        let mut message = signed(ask(), &format!("{NOW}.5"));
        message[field] = value;
        message
    };
    let undecoded = STANDARD.encode(hmac::Key::new(SECRET).sign(&format!("{NOW}.5GET/users/self/verify")));
    for (message, said, reason) in [
        (signed(ask(), &format!("{NOW}")), unauthorized, Some("invalid signature")),
        (signed(ask(), &format!("{}", NOW - 40)), bad, Some("request timestamp expired")),
        (signed(ask(), &format!("{NOW}125")), bad, Some("request timestamp expired")),
        (signed(ask(), "now"), bad, None),
        (with("passphrase", json!("another")), unauthorized, Some("Invalid Passphrase")),
        (with("passphrase", Value::Null), bad, None),
        (with("key", json!("f".repeat(32))), unauthorized, Some("invalid signature")),
        (with("signature", json!(undecoded)), unauthorized, Some("invalid signature")),
        (with("signature", json!("0".repeat(64))), unauthorized, Some("invalid signature")),
    ] {
        client.say(&message).await;
        let heard = refusal(&mut client).await;
        assert_eq!((&*heard.0, heard.1.as_deref()), (said, reason), "{}", message["timestamp"]);
    }
    let mut public = signed(of(&["ticker"], BOTH), &format!("{NOW}.75"));
    public["signature"] = json!(signature("nonsense"));
    client.say(public).await;
    assert_eq!(refusal(&mut client).await.1.as_deref(), Some("invalid signature"), "on a public channel too");
}

/// Both sides of the venue were written apart, from the same facts.
#[tokio::test(start_paused = true)]
async fn what_the_client_itself_writes_is_let_in() {
    let (simulator, credentials) = (that_knows(), known());
    let mut client = Client::connect(&simulator).await;
    let stamp = |millis| Stamp { unix: NOW, millis, nonce: [0; 16] };
    for (millis, names) in [(0, &["heartbeat", "ticker", "matches"][..]), (5, &["full", "level2", "level3", "user"])] {
        let channels = names.iter().map(|name| EXCHANGE.channel(name).expect("a channel")).collect();
        let products = BOTH.iter().map(|id| Product::parse(id).expect("spelt right")).collect();
        let subscribe = Subscribe { unsubscribes: false, channels, products, accounts: Vec::new() };
        client.say((EXCHANGE.write)(&subscribe, Some((&credentials, &stamp(millis)))).text).await;
        let acked = set(&mut client).await;
        assert!(names.iter().all(|name| acked.contains(&listed(name, BOTH))), "{acked:?}");
    }
    let request = Request::get(EXCHANGE.rest.proof);
    let proof = (EXCHANGE.rest.sign)(&request, &credentials, &stamp(7));
    let lines: Vec<_> = proof.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    assert_eq!(rest::ask(&simulator, EXCHANGE.rest.proof, &lines.concat()).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_is_refused_and_its_connection_stands() {
    let simulator = that_knows();
    let mut client = Client::connect(&simulator).await;
    client.say(signed(of(&["heartbeat"], BOTH), &format!("{NOW}"))).await;
    set(&mut client).await;
    simulator.revoke(KEY);
    client.say(signed(of(&["full"], BOTH), &format!("{NOW}.1"))).await;
    assert_eq!(refusal(&mut client).await.1.as_deref(), Some("invalid signature"));
    assert_eq!(client.read().await["type"], "heartbeat");
    simulator.restore(KEY);
    client.say(signed(of(&["full"], BOTH), &format!("{NOW}.2"))).await;
    assert_eq!(set(&mut client).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn channels_keep_their_cadence() {
    let mut client = Client::connect(&that_knows()).await;
    client.say(of(&["heartbeat", "ticker_batch"], &["BTC-USD"])).await;
    set(&mut client).await;
    let all = client.within(Duration::from_secs(60)).await;
    assert!((59..=60).contains(&count(&all, "heartbeat")), "{}", count(&all, "heartbeat"));
    assert!((11..=13).contains(&count(&all, "ticker")), "{}", count(&all, "ticker"));
    client
        .say(signed(
            json!({"type": "subscribe", "channels": [
                "status", {"name": "balance", "account_ids": [ACCOUNT]}, {"name": "level2", "product_ids": ["BTC-USD"]},
                {"name": "auctionfeed", "product_ids": BOTH}, {"name": "rfq_matches", "product_ids": BOTH},
            ]}),
            &format!("{}", NOW + 60),
        ))
        .await;
    let acked = set(&mut client).await;
    assert!(acked.contains(&listed("balance", &[ACCOUNT])) && acked.contains(&listed("auctionfeed", BOTH)));
    let all = client.within(Duration::from_secs(60)).await;
    for (kind, least, most) in
        [("status", 12, 13), ("balance", 1, 1), ("snapshot", 1, 1), ("l2update", 600, 1_200), ("heartbeat", 59, 61)]
    {
        assert!((least..=most).contains(&count(&all, kind)), "{kind}: {}", count(&all, kind));
    }
}

/// What the matching engine counts, `full` shows without a hole, and no other channel does (`coinbase-pro-node#227`).
#[tokio::test(start_paused = true)]
async fn full_counts_each_product_without_a_hole_and_heartbeats_tell_how_far_it_is() {
    let mut client = Client::connect(&that_knows()).await;
    client.say(of(&["matches", "heartbeat"], BOTH)).await;
    let mut all = client.within(Duration::from_secs(20)).await;
    client.say(signed(of(&["full"], BOTH), &format!("{}", NOW + 20))).await;
    all.extend(client.within(Duration::from_secs(40)).await);
    for product in BOTH {
        let (mut sequence, mut trade) = (None, None);
        for message in all.iter().filter(|message| message["product_id"] == *product) {
            let (number, kind) = (message["sequence"].as_u64(), message["type"].as_str().expect("a type"));
            match kind {
                "heartbeat" => {
                    assert_eq!(message["last_trade_id"].as_u64(), trade, "no trade is told of that did not come");
                    assert!(sequence.is_none() || number == sequence, "nor any step");
                    continue;
                }
                "last_match" => {}
                "match" => assert_eq!(message["trade_id"].as_u64(), trade.map(|trade: u64| trade + 1)),
                _ => sequence = sequence.or_else(|| number.map(|number| number - 1)),
            }
            if kind.ends_with("match") {
                trade = message["trade_id"].as_u64();
            }
            if sequence.is_some() {
                assert_eq!(number, sequence.map(|sequence| sequence + 1), "{kind}");
                sequence = number;
            }
        }
        assert!(sequence.is_some() && trade.is_some());
    }
    for kind in ["received", "open", "done", "match", "change"] {
        assert!(count(&all, kind) > 10, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn level3_says_first_how_its_arrays_are_to_be_read() {
    let mut client = Client::connect(&that_knows()).await;
    client.say(signed(of(&["level3"], &["BTC-USD"]), &format!("{NOW}"))).await;
    set(&mut client).await;
    let schema = client.read().await;
    assert_eq!((&schema["type"], &schema["schema"]["noop"][3]), (&json!("level3"), &json!("time")));
    let all = client.within(Duration::from_secs(10)).await;
    let numbers: Vec<u64> =
        all.iter().map(|array| array[2].as_str().expect("text").parse().expect("a number")).collect();
    assert!(numbers.len() > 100 && numbers.windows(2).all(|pair| pair[1] == pair[0] + 1));
}

#[tokio::test(start_paused = true)]
async fn faults_work_here_as_well() {
    let acks_only = |all: &[Value]| count(all, "subscriptions") == all.len() && !all.is_empty();
    let subscribe = of(&["heartbeat", "ticker", "matches"], BOTH);
    let play = async |fault: &str| {
        let mut client = Client::connect(&Simulator::new(with_fault(fault))).await;
        client.say(&subscribe).await;
        client.within(Duration::from_secs(20)).await
    };
    assert!(acks_only(&play("mute").await));
    assert_eq!(count(&play("no-ack").await, "subscriptions"), 0);
    assert_eq!(count(&play("no-heartbeats").await, "heartbeat"), 0);
    let refused = play("refuse:1").await;
    assert_eq!((refused.len(), &refused[0]["type"]), (1, &json!("error")));
    // A match that is lost is missing: the next one's id, or a heartbeat's, shows it.
    let trades = |all: &[Value]| -> Vec<u64> {
        let of_btc = all.iter().filter(|message| message["type"] == "match" && message["product_id"] == "BTC-USD");
        of_btc.filter_map(|message| message["trade_id"].as_u64()).collect()
    };
    let (whole, holes) = (trades(&play("no-ack").await), trades(&play("holes:0.5").await));
    assert!(whole.windows(2).all(|pair| pair[1] == pair[0] + 1));
    assert!(holes.len() < whole.len() && holes.windows(2).any(|pair| pair[1] > pair[0] + 1));

    let mut client = Client::connect(&Simulator::new(with_fault("clock:-90s"))).await;
    client.say(signed(subscribe.clone(), &format!("{NOW}"))).await;
    assert_eq!(refusal(&mut client).await.1.as_deref(), Some("request timestamp expired"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_told_so_and_cut_off() {
    let mut client = Client::try_connect(&Simulator::new(exchange()), 4_096).await.expect("an upgrade");
    let begun = Instant::now();
    client.say(of(&["level2_batch", "matches", "ticker"], BOTH)).await;
    // It wakes up just in time for the last word.
    tokio::time::sleep(Duration::from_secs(33)).await;
    let mut last = Value::Null;
    while let Some(message) = client.next().await {
        last = serde_json::from_str(message.to_text().expect("text")).expect("JSON");
    }
    assert_eq!(last, json!({"type": "error", "message": "ErrSlowConsume"}));
    assert_eq!(client.exchange.await.expect("no panic"), Ending::Slow);
    assert!((33..36).contains(&begun.elapsed().as_secs()));

    let mut sleeper = Client::try_connect(&Simulator::new(exchange()), 4_096).await.expect("an upgrade");
    sleeper.say(of(&["level2_batch", "matches", "ticker"], BOTH)).await;
    let ending = timeout(Duration::from_secs(60), sleeper.exchange).await.expect("an end").expect("no panic");
    assert_eq!(ending, Ending::Slow);
}

#[tokio::test(start_paused = true)]
async fn who_sends_too_much_is_told_so() {
    let mut client = Client::connect(&Simulator::new(exchange())).await;
    for _ in 0..1_001 {
        client.say(json!({"type": "unsubscribe", "channels": ["ticker"]})).await;
        if client.read().await["message"] == "ErrSlowRead" {
            return;
        }
    }
    panic!("a thousand at once are allowed, and no more");
}

#[tokio::test(start_paused = true)]
async fn a_recorded_session_is_played_byte_for_byte_at_its_own_pace() {
    let genuine = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/ex_session_20210417_all.ndjson.gz");
    let Ok(compressed) = fs::read(&genuine) else {
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            format!("skipped: {} is not there\n", genuine.display()).as_bytes(),
        );
        return;
    };
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(&compressed[..]).read_to_string(&mut text).expect("gzip");
    let recording = Arc::new(Recording::held(compressed));
    let simulator = Simulator::new(Options { recording: Some(recording), speed: Speed::Times(2.0), ..exchange() });
    let mut client = Client::connect(&simulator).await;
    client.say(of(&["ticker", "matches", "level2_batch"], &["SKL-USD", "SKL-BTC"])).await;
    let begun = Instant::now();
    let mut lines = text.lines();
    while let Some(message) = client.next().await {
        assert_eq!(message.to_text().ok(), lines.next());
    }
    assert_eq!((lines.next(), client.exchange.await.expect("no panic")), (None, Ending::Closed(1000)));
    let took = begun.elapsed().as_secs();
    assert!((15..=60).contains(&took), "half a minute at twice the pace, from its first trade on: {took}");

    let mut after = Client::connect(&simulator).await;
    after.say(of(&["heartbeat", "ticker"], &["SKL-USD"])).await;
    let all = after.within(Duration::from_secs(10)).await;
    assert_eq!((count(&all, "subscriptions"), count(&all, "ticker")), (1, 0), "nobody gets a line twice");
    assert!(count(&all, "heartbeat") > 8);
}
