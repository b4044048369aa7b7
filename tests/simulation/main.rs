//! Hours of trouble in simulated time: what the socket delivered is in the output, in order, once.

mod exchange;
mod flapping;
mod liveness;
mod oracle;
mod refusals;
mod seeds;
mod slow;
mod stage;

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
    io::Cursor,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use stage::{Plot, Seen, Shared, cdp_key, exchange_key, hmac_key, start};
use tickerd::{
    auth::jwt::Claims,
    clock::Clock,
    record::Line,
    session::IfRefused,
    simulator::{Faults, Recording, Speed},
    venue::{Product, advanced_trade::MARKET, exchange::EXCHANGE},
};
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::{Message, WebSocket, protocol::Role};

/// What a connection's bytes held, decoded apart from the connection that read them.
fn decoded(tape: &Mutex<Vec<u8>>) -> Vec<Line> {
    let bytes = tape.lock().expect("whole").clone();
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an upgrade") + 4;
    let config = tickerd::net::config();
    let mut socket = WebSocket::from_raw_socket(Deaf(Cursor::new(bytes[head..].to_vec())), Role::Client, Some(config));
    let mut lines = Vec::new();
    while let Ok(message) = socket.read() {
        match message {
            Message::Text(text) => lines.push(Line::from_text(text)),
            Message::Binary(bytes) => lines.push(Line::from_binary(&bytes)),
            _ => {}
        }
    }
    lines
}

/// Reads from memory; what is said to it is lost.
struct Deaf(Cursor<Vec<u8>>);

impl std::io::Read for Deaf {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buf)
    }
}

impl std::io::Write for Deaf {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The messages of each connection in the output, by its count, and the names of the events.
fn written(output: &[u8]) -> (BTreeMap<u64, Vec<String>>, Vec<String>) {
    let (mut messages, mut events) = (BTreeMap::<u64, Vec<String>>::new(), Vec::new());
    for line in std::str::from_utf8(output).expect("UTF-8").lines() {
        let record: Value = serde_json::from_str(line).expect("a line is JSON");
        let count = record["conn"].as_str().and_then(|conn| conn.split_once('/')).expect("conn").1;
        let of_conn = messages.entry(count.parse().expect("a count")).or_default();
        if let Some(event) = record["event"].as_str() {
            events.push(event.to_owned());
        } else if record["recovered"] != true {
            assert_eq!(record["n"], of_conn.len() as u64, "n counts without a hole");
            let at = line.find(",\"msg\":").expect("a message") + 7;
            of_conn.push(line[at..line.len() - 1].to_owned());
        }
    }
    (messages, events)
}

/// The invariant: lines written = messages delivered, in order, once; and what was delivered is what was sent. Every line
/// names its connection, so a task of an old socket that wrote into a new one's record would be found here: tardis-node tests
/// for just that, and `XChange` counts generations of its connections to drop what an old one still says.
fn assert_nothing_is_lost(seen: &Shared<Seen>, output: &[u8]) -> (usize, usize) {
    let seen = seen.lock().expect("whole");
    let (written, _) = written(output);
    let mut total = 0;
    for (index, (conn, tape)) in seen.delivered().iter().enumerate() {
        let delivered: Vec<_> =
            decoded(tape).iter().map(|line| String::from_utf8(line.as_bytes().to_vec()).expect("UTF-8")).collect();
        let lines = written.get(&(index as u64 + 1)).cloned().unwrap_or_default();
        assert_eq!(lines.len(), delivered.len(), "connection {conn}");
        assert!(lines == delivered, "connection {conn}: other messages, or in another order");
        let sent = seen.sent.get(conn).map_or(&[][..], Vec::as_slice);
        assert!(delivered.len() <= sent.len(), "connection {conn}");
        for (line, sent) in delivered.iter().zip(sent) {
            assert!(line.starts_with("{\"tickerd\":\"not-json\"") || line.as_bytes() == &sent[..], "{line}");
        }
        total += lines.len();
    }
    (total, seen.delivered().len())
}

fn faults(list: &[&str]) -> Faults {
    Faults::parse(&list.iter().map(ToString::to_string).collect::<Vec<_>>()).expect("known faults")
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_seeded_faults_loses_nothing() {
    for seed in 1..=3 {
        let mut plot = Plot::new(&["ticker_batch", "market_trades", "level2"], Some(cdp_key()));
        plot.exchange.seed = seed;
        plot.exchange.faults = faults(&["random:3", "fragment"]);
        plot.pipe = 4096;
        let play = plot.play();
        sleep(Duration::from_secs(3600)).await;
        let (seen, output) = play.end().await;
        let (lines, connections) = assert_nothing_is_lost(&seen, &output);
        assert!(
            connections > 40,
            "seed {seed}: an hour with three faults a minute has many connections: {connections}"
        );
        assert!(lines > 10_000, "seed {seed}: and goes on recording: {lines}");
    }
}

/// What gathers while the reader is slow is taken off the socket in batches; the message between two of them belongs to the output like any other.
#[tokio::test(start_paused = true)]
async fn a_burst_is_taken_whole() {
    let mut plot = Plot::new(&["ticker_batch"], None);
    let mut burst = String::new();
    for number in 0..60_000 {
        let _ = writeln!(
            burst,
            "{{\"channel\":\"ticker_batch\",\"timestamp\":\"2026-08-09T21:05:48Z\",\"sequence_num\":{number},\"events\":[]}}"
        );
    }
    plot.exchange.recording = Some(Arc::new(Recording::held(burst.into_bytes())));
    plot.pipe = 1024 * 1024;
    plot.reader = Box::new(|| Duration::from_secs(1));
    let play = plot.play();
    sleep(Duration::from_secs(60)).await;
    let (seen, output) = play.end().await;
    let (lines, _) = assert_nothing_is_lost(&seen, &output);
    assert!(lines >= 60_000, "{lines}");
}

/// A reader that takes its time, up to minutes: memory stays within the queue, nothing is dropped, and the stall is not
/// held against the venue.
#[tokio::test(start_paused = true)]
async fn a_reader_that_stalls_costs_nothing_but_time() {
    let mut plot = Plot::new(&["ticker_batch", "level2"], None);
    let mut batches = 0u64;
    plot.reader = Box::new(move || {
        batches += 1;
        Duration::from_secs(if batches.is_multiple_of(50) { 120 } else { 0 })
    });
    let play = plot.play();
    sleep(Duration::from_secs(3600)).await;
    let (seen, output) = play.end().await;
    let (lines, _) = assert_nothing_is_lost(&seen, &output);
    assert!(lines > 10_000, "{lines}");
    assert!(
        !String::from_utf8_lossy(&output).contains("\"cause\":\"silent\""),
        "our own stall is no silence of the venue"
    );
}

/// waifu-capital's collector always looked at the socket first, and a busy one starved its pings. Here there is never a pause
/// between messages, and subscribes, pings and the stop get their turn all the same. (In simulated time no socket is ready
/// for ever; tests/flood.rs has one that is.)
#[tokio::test(start_paused = true)]
async fn a_flood_starves_nothing() {
    let mut plot = Plot::new(&["ticker", "market_trades", "level2"], Some(cdp_key()));
    plot.exchange.speed = Speed::Times(200.0);
    let play = plot.play();
    sleep(Duration::from_secs(20)).await;
    let (seen, output) = play.end().await;
    let (lines, connections) = assert_nothing_is_lost(&seen, &output);
    assert_eq!(connections, 1, "nobody gave up on the other");
    assert!(lines > 15_000, "{lines}");
    let pings = seen.lock().expect("whole").pings.get(&1).copied();
    assert_eq!(pings, Some(3), "one in five seconds");
    let (_, events) = written(&output);
    assert_eq!(events, ["connected", "subscribed", "disconnected"]);
}

/// Every kind of ending there is, two hundred times, under a clock that runs, jumps ahead and steps back. Each dial takes so
/// long that what was signed before it would be too old behind it.
async fn two_hundred_reconnects(mut plot: Plot) -> Vec<(String, Duration, SystemTime)> {
    let kinds = [
        "close:1000@n4",
        "close:1001@n6",
        "close:1011@n3",
        "close:4000@n9",
        "reset@n5",
        "cut@n7",
        "silence@n4",
        "dead@n4",
        "mute",
        "no-ack",
        "no-heartbeats",
        "garbage@n3",
        "503:1",
        "429:2",
        "close:1000@100ms",
        "close:1012@n2",
    ];
    let mut list = Vec::new();
    for conn in 1..=200 {
        list.push(format!("conn{conn}:{}", kinds[conn % kinds.len()]));
        if kinds[conn % kinds.len()].starts_with("garbage") {
            list.push(format!("conn{conn}:reset@n12"));
        }
    }
    plot.exchange.faults = Faults::parse(&list).expect("known faults");
    plot.dial_takes = Duration::from_secs(8);
    let begun = tokio::time::Instant::now();
    let clock = Clock::told(move || {
        // Ten minutes ahead at minute 5, and 40 s back at minute 15.
        let run = begun.elapsed();
        let ahead = Duration::from_secs(if run.as_secs() >= 300 { 600 } else { 0 });
        let back = Duration::from_secs(if run.as_secs() >= 900 { 40 } else { 0 });
        start() + run + ahead - back
    });
    plot.clock = clock.clone();
    plot.exchange.clock = clock;
    let play = plot.play();
    loop {
        sleep(Duration::from_secs(60)).await;
        if play.seen.lock().expect("whole").subscribes.iter().any(|(conn, ..)| *conn > 200) {
            break;
        }
        let at = play.seen.lock().expect("whole").subscribes.last().map(|(conn, ..)| *conn);
        assert!(
            begun.elapsed() < Duration::from_secs(12 * 3600),
            "200 reconnects take less than half a day: stuck at {at:?}"
        );
    }
    let (seen, output) = play.end().await;
    assert_nothing_is_lost(&seen, &output);
    let (_, events) = written(&output);
    assert!(
        events.iter().filter(|name| *name == "disconnected").count() >= 170,
        "those refused at the upgrade have none"
    );
    let seen = seen.lock().expect("whole");
    assert!(seen.subscribes.iter().all(|(.., accepted)| *accepted), "the exchange took every signature");
    seen.subscribes.iter().map(|(_, text, at, _)| signature(text, *at)).collect()
}

/// The signature or token, when it was stamped, and when it came.
fn signature(text: &str, at: SystemTime) -> (String, Duration, SystemTime) {
    let message: Value = serde_json::from_str(text).expect("JSON");
    if let Some(token) = message["jwt"].as_str() {
        let claims = Claims::read(token).expect("a token");
        return (token.to_owned(), Duration::from_secs(claims.nbf + 5), at);
    }
    let stamp = message["timestamp"].as_str().expect("a string (coinbase-pro-node#377)");
    let stamp = Duration::from_secs_f64(stamp.parse().expect("seconds"));
    (message["signature"].as_str().expect("a signature").to_owned(), stamp, at)
}

fn assert_fresh_and_unique(signatures: Vec<(String, Duration, SystemTime)>) {
    let mut used = HashSet::new();
    assert!(signatures.len() >= 300, "{}", signatures.len());
    for (signature, stamp, at) in signatures {
        // What is a fraction is rounded when it is read.
        let age = (at + Duration::from_millis(1)).duration_since(UNIX_EPOCH + stamp).expect("no stamp of the future");
        assert!(age < Duration::from_secs(2), "signed {age:?} before it came");
        assert!(used.insert(signature), "a signature was used twice");
    }
}

/// Polymarket/polymarket-us-python PR#3, ccxt, gocryptotrader: a token made once and used to its last second is refused
/// after an unlucky reconnect. vi/websocat#304: its preamble goes out once, and after a reconnect nothing was subscribed at all.
#[tokio::test(start_paused = true)]
async fn two_hundred_reconnects_each_sign_afresh_with_a_cdp_key() {
    assert_fresh_and_unique(two_hundred_reconnects(Plot::new(&["ticker_batch"], Some(cdp_key()))).await);
}

/// The venue's own Exchange sample signs once, outside of its reconnect loop: after 30 s every reconnect is refused. And text
/// that is fixed, as the preamble of vi/websocat#304 is, can not be signed again even where it is sent again.
#[tokio::test(start_paused = true)]
async fn two_hundred_reconnects_each_sign_afresh_with_an_hmac_key() {
    assert_fresh_and_unique(two_hundred_reconnects(Plot::new(&["ticker_batch"], Some(hmac_key()))).await);
}

/// `coinbase-advanced-py#63`: after a clean close the vendor's client never came back. hftbacktest took the end of a stream
/// for the end of its work; barter, which reset its backoff at the connect, and cryptofeed, at the subscribe, reconnected in a
/// tight loop to a server that accepts and closes.
#[tokio::test(start_paused = true)]
async fn clean_closes_lead_to_another_try_and_to_no_tight_loop() {
    let mut plot = Plot::new(&["ticker_batch"], None);
    plot.exchange.faults = faults(&["close:1000@50ms"]);
    let play = plot.play();
    sleep(Duration::from_secs(600)).await;
    let (seen, _) = play.end().await;
    let connections = seen.lock().expect("whole").delivered().len();
    assert!((20..2000).contains(&connections), "{connections} connections in ten minutes");
}

/// coinbase-advanced-py gives up after five tries, at most four minutes; cryptofeed after ten (`bmoscon/cryptofeed#124`).
#[tokio::test(start_paused = true)]
async fn an_outage_of_hours_is_outlived() {
    let mut plot = Plot::new(&["ticker_batch"], None);
    let list: Vec<_> = (1..=400).map(|conn| format!("conn{conn}:503:1")).collect();
    plot.exchange.faults = Faults::parse(&list).expect("known faults");
    let play = plot.play();
    sleep(Duration::from_secs(4 * 3600)).await;
    assert!(play.board.is_delivering(), "{}", play.board.line(tokio::time::Instant::now().into_std()));
    let (seen, output) = play.end().await;
    assert_nothing_is_lost(&seen, &output);
}

/// tardis retried a permanent refusal at full speed for ever; `coinbase-advanced-py#19` shows refusals that heal.
#[tokio::test(start_paused = true)]
async fn refused_credentials_are_asked_again_slowly_and_public_data_goes_on() {
    let mut plot = Plot::new(&["ticker_batch"], Some(cdp_key()));
    plot.exchange.credentials = vec![cdp_key()];
    let play = plot.play();
    sleep(Duration::from_secs(3600)).await;
    let line = play.board.line(tokio::time::Instant::now().into_std());
    assert_eq!(line, "play recording public channels, credentials refused");
    let (seen, output) = play.end().await;
    assert_nothing_is_lost(&seen, &output);
    let refused = seen.lock().expect("whole").subscribes.iter().filter(|(.., accepted)| !accepted).count();
    assert!((5..30).contains(&refused), "{refused} refusals in an hour");
    let (_, events) = written(&output);
    assert!(events.iter().filter(|name| *name == "refused").count() == refused, "each is in the record");
}

#[tokio::test(start_paused = true)]
async fn with_wait_nothing_goes_out_unsigned_and_a_healed_key_is_found() {
    let mut plot = Plot::new(&["ticker_batch"], Some(cdp_key()));
    plot.exchange.faults = faults(&["refuse:6"]);
    plot.if_refused = IfRefused::Wait;
    let play = plot.play();
    sleep(Duration::from_secs(3600)).await;
    assert!(play.board.is_delivering());
    let (seen, _) = play.end().await;
    let seen = seen.lock().expect("whole");
    assert!(seen.subscribes.iter().all(|(_, text, ..)| text.contains("\"jwt\"")), "always signed");
}

/// How many lines have data of a product.
fn told_of(output: &[u8], product: &str) -> usize {
    let name = format!("\"product_id\":\"{product}\"");
    String::from_utf8_lossy(output).lines().filter(|line| line.contains(&name)).count()
}

/// `coinbase-pro-node#174`: one delisted coin cost the subscription of all. The list changes under a running feed, and what
/// stays does not notice: one connection, no hole.
#[tokio::test(start_paused = true)]
async fn a_change_of_the_venues_list_is_followed_on_the_living_connection() {
    for credentials in [cdp_key(), hmac_key()] {
        let mut plot = Plot::new(&["ticker", "level2"], Some(credentials));
        plot.products = vec!["*-USD", "!DOGE-*"];
        let play = plot.play();
        sleep(Duration::from_secs(300)).await;
        let line = |play: &stage::Play| play.board.line(tokio::time::Instant::now().into_std());
        assert_eq!(line(&play), "play waiting until the venue lists a product that matches");
        assert!(!play.board.is_delivering() && play.board.is_alive(tokio::time::Instant::now().into_std()));
        play.list(&["BTC-EUR"]);
        sleep(Duration::from_secs(5)).await;
        assert_eq!(line(&play), "play waiting until the venue lists a product that matches", "nothing matches");

        play.list(&["BTC-USD", "ETH-USD", "DOGE-USD", "USDT-USDC"]);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(line(&play), "play recording");
        play.list(&["ETH-USD", "SOL-USD", "DOGE-USD"]);
        sleep(Duration::from_secs(10)).await;
        let before = play.written.lock().expect("whole").len();
        sleep(Duration::from_secs(60)).await;
        play.list(&[]);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(line(&play), "play recording", "a list without any changes nothing");

        let (seen, output) = play.end().await;
        let (_, connections) = assert_nothing_is_lost(&seen, &output);
        assert_eq!(connections, 1, "on the same connection");
        let (messages, events) = written(&output);
        assert_eq!(events, ["connected", "subscribed", "subscribed", "disconnected"]);
        for (number, line) in messages[&1].iter().enumerate() {
            let message: Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(message["sequence_num"], number as u64, "no hole");
        }
        let after = &output[before..];
        assert!(told_of(&output, "BTC-USD") > 0 && told_of(after, "ETH-USD") > 0);
        assert!(told_of(after, "SOL-USD") > 0, "new, and recorded");
        assert_eq!(told_of(after, "BTC-USD"), 0, "let go");
        assert_eq!(told_of(&output, "DOGE-USD"), 0, "never wanted");

        let seen = seen.lock().expect("whole");
        assert!(seen.subscribes.iter().all(|(.., accepted)| *accepted), "the exchange took every signature");
        let signatures: HashSet<_> = seen.subscribes.iter().map(|(_, text, at, _)| signature(text, *at).0).collect();
        assert_eq!(signatures.len(), 3 + 4, "each signed for itself: heartbeats, two channels, and both ways of both");
    }
}

/// tiagosiebler/coinbase-api noted a topic when it was sent, and an unsubscribe put it back: after a reconnect it was there
/// again. Here the list changes on the connection that is closed later, or while the way to the next one is opened.
#[tokio::test(start_paused = true)]
async fn what_was_let_go_does_not_come_back_with_the_next_connection() {
    let venues = [(&MARKET, cdp_key(), "ticker"), (&EXCHANGE, exchange_key(), "full")];
    for ((venue, key, channel), changes_at) in venues.into_iter().flat_map(|of| [(of.clone(), 20), (of, 65)]) {
        let mut plot = Plot::at(venue, &[channel, "level2"], Some(key));
        plot.products = vec!["*-USD"];
        plot.dial_takes = Duration::from_secs(8);
        plot.exchange.faults = faults(&["conn1:close:1001@50s"]);
        let play = plot.play();
        play.list(&["BTC-USD", "ETH-USD"]);
        sleep(Duration::from_secs(changes_at)).await;
        assert_eq!(play.board.is_delivering(), changes_at == 20, "{} at {changes_at} s", venue.name);
        play.list(&["ETH-USD", "SOL-USD"]);
        sleep(Duration::from_secs(100)).await;
        assert!(play.board.is_delivering(), "{} at {changes_at} s", venue.name);
        let (seen, output) = play.end().await;
        let (_, connections) = assert_nothing_is_lost(&seen, &output);
        assert_eq!(connections, 2, "{} at {changes_at} s", venue.name);

        let seen = seen.lock().expect("whole");
        let asked = |conn| seen.subscribes.iter().filter(move |asked| asked.0 == conn).map(|asked| &asked.1);
        let lets_go = asked(1).any(|text| text.contains("\"unsubscribe\"") && text.contains("BTC-USD"));
        assert_eq!(lets_go, changes_at == 20, "{} at {changes_at} s", venue.name);
        for text in asked(2) {
            assert!(!text.contains("BTC-USD") && !text.contains("\"unsubscribe\""), "{changes_at} s: {text}");
        }
        for product in ["ETH-USD", "SOL-USD"] {
            assert!(asked(2).any(|text| text.contains(product)), "{product} of {} at {changes_at} s", venue.name);
        }
        assert_eq!(written(&output).0[&2].iter().filter(|line| line.contains("BTC-USD")).count(), 0);
    }
}

/// Undocumented and measured: the 31st level2 product is refused. It gets a connection of its own, the first stands.
#[tokio::test(start_paused = true)]
async fn what_has_no_room_opens_a_connection_and_what_is_emptied_closes_one() {
    let ids: Vec<_> = (0..31).map(|i| format!("P{i}-USD")).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let mut plot = Plot::new(&["level2"], Some(cdp_key()));
    plot.products = vec!["*"];
    plot.exchange.products = ids.iter().map(|id| Product::parse(id).expect("spelt right")).collect();
    plot.exchange.depth = 5;
    let play = plot.play();
    play.list(&ids[..30]);
    sleep(Duration::from_secs(20)).await;
    let line = |play: &stage::Play| play.board.line(tokio::time::Instant::now().into_std());
    assert_eq!(line(&play), "play recording");
    play.list(&ids);
    sleep(Duration::from_secs(20)).await;
    assert_eq!(line(&play), "play recording (2 of 2 connections deliver)");
    play.list(&ids[..30]);
    sleep(Duration::from_secs(20)).await;
    assert_eq!(line(&play), "play recording");

    let (seen, output) = play.end().await;
    assert_nothing_is_lost(&seen, &output);
    let (_, events) = written(&output);
    let twice = ["connected", "subscribed", "connected", "subscribed", "disconnected", "disconnected"];
    assert_eq!(events, twice, "the first connection stood, and had nothing to do with it");
    assert!(told_of(&output, "P30-USD") > 0);
}
