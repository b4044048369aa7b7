//! Silences of every kind: each is found in its time and told, and none is found where there is none.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use tickerd::{
    config::WhenSlow,
    simulator::{Recording, Speed},
    venue::{Product, advanced_trade::MARKET, exchange::EXCHANGE},
};
use tokio::time::sleep;

use super::{
    assert_nothing_is_lost, faults,
    oracle::{Output, Told, assert_owned_up},
    signature,
    stage::{Plot, cdp_key, exchange_key},
};
const SECOND: Duration = Duration::from_secs(1);

fn now_line(board: &tickerd::status::Board) -> String {
    board.line(tokio::time::Instant::now().into_std())
}

/// Plays for so long: what comes out, and the line of the status when it ends.
async fn output(plot: Plot, lasts: Duration) -> (Output, String) {
    let venue = plot.venue;
    let play = plot.play();
    sleep(lasts).await;
    let line = now_line(&play.board);
    let (seen, output) = play.end().await;
    assert_nothing_is_lost(&seen, &output);
    let read = Output::read(&output);
    assert_owned_up(venue, &seen.lock().expect("whole"), &read);
    (read, line)
}

/// Seconds from the one event to the other.
fn seconds_between(from: &Told, until: &Told) -> i64 {
    let at = |told: &Told| told.recv.parse::<jiff::Timestamp>().expect("RFC 3339").as_second();
    at(until) - at(from)
}

fn ended(output: &Output) -> Vec<(&str, &str)> {
    output
        .told("disconnected")
        .map(|told| (told.data["cause"].as_str().expect("a cause"), told.data["detail"].as_str().expect("a text")))
        .collect()
}

/// tardis-node#48, altangent/ccxws#90, alpaca-py#740: watchdogs that took quiet markets for dead ones. A day of two products
/// and a quiet one, and nothing is found.
#[tokio::test(start_paused = true)]
async fn a_healthy_day_has_no_alarm() {
    let mut plot = Plot::new(&["ticker_batch", "market_trades", "candles"], None);
    plot.products = vec!["BTC-USD", "DULL-USD"];
    let ids = ["BTC-USD", "DULL-USD"].map(|id| Product::parse(id).expect("spelt right"));
    (plot.exchange.products, plot.exchange.quiet) = (ids.to_vec(), ids[1..].to_vec());
    let (output, line) = output(plot, 86_400 * SECOND).await;
    assert_eq!(output.names(), ["connected", "subscribed", "disconnected"]);
    assert!(line.starts_with("play recording"), "{line}");
    assert!(output.messages[&1].len() > 86_400);
}

#[tokio::test(start_paused = true)]
async fn quiet_products_alone_cost_a_snapshot_each_five_minutes_and_no_alarm() {
    let mut plot = Plot::new(&["ticker_batch", "market_trades", "candles"], None);
    plot.products = vec!["DULL-USD"];
    let id = Product::parse("DULL-USD").expect("spelt right");
    (plot.exchange.products, plot.exchange.quiet) = (vec![id.clone()], vec![id]);
    let (output, line) = output(plot, 6 * 3600 * SECOND).await;
    let mut names = output.names();
    names.dedup();
    assert_eq!(names, ["connected", "subscribed", "disconnected"]);
    let probes = output.told("subscribed").count();
    assert!((10..200).contains(&probes), "{probes} in six hours");
    assert!(line.starts_with("play recording"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_healthy_day_at_the_exchange_has_no_alarm() {
    let mut plot = Plot::at(&EXCHANGE, &["ticker_batch", "matches", "level2_batch"], Some(exchange_key()));
    plot.products = vec!["BTC-USD", "DULL-USD"];
    let ids = ["BTC-USD", "DULL-USD"].map(|id| Product::parse(id).expect("spelt right"));
    (plot.exchange.products, plot.exchange.quiet) = (ids.to_vec(), ids[1..].to_vec());
    let (output, line) = output(plot, 6 * 3600 * SECOND).await;
    assert_eq!(output.names(), ["connected", "subscribed", "disconnected"]);
    assert!(line.starts_with("play recording"), "{line}");
}

/// AdamastorX/adamastorx#283, ccxt#21731, `coinbasepro-python#89`: the connection lives, heartbeats come, and the data has stopped.
#[tokio::test(start_paused = true)]
async fn a_channel_that_dies_is_found_in_65_seconds_and_comes_back() {
    for channel in ["ticker_batch", "level2", "ticker"] {
        let mut plot = Plot::new(&[channel, "market_trades"], None);
        plot.exchange.faults = faults(&[&format!("conn1:dead-channel:{channel}@100s")]);
        let (output, _) = output(plot, 400 * SECOND).await;
        let detail = format!("{channel} fell silent, and asked for anew brought no snapshot");
        assert_eq!(ended(&output)[0], ("no_snapshot", &*detail));
        assert_eq!(ended(&output).len(), 2, "and the next goes on: {:?}", ended(&output));
        let (begun, end) =
            (output.told("connected").next().expect("one"), output.told("disconnected").next().expect("one"));
        assert!((160..=175).contains(&seconds_between(begun, end)), "{}", seconds_between(begun, end));
        for product in ["BTC-USD", "ETH-USD"] {
            let gap = output
                .told("gap")
                .find(|told| told.data["channels"][0] == channel && told.data["products"][0] == product);
            assert_eq!(gap.expect("told for each product").data["found"], "reconnect", "{channel} {product}");
        }
    }
}

/// `nautilus_trader` PR#4255, QuantConnect/Lean.Brokerages.Tastytrade#31: accepted, and never any data.
#[tokio::test(start_paused = true)]
async fn connected_and_mute_from_the_start_is_found() {
    for (fault, cause, detail) in [
        ("conn1:mute", "no_heartbeat", ""),
        ("conn1:only-heartbeats", "no_data", "heartbeats come, and nothing of market_trades, ticker_batch"),
        ("conn1:dead-channel:ticker_batch", "no_data", "heartbeats come, and nothing of ticker_batch"),
    ] {
        let mut plot = Plot::new(&["ticker_batch", "market_trades"], None);
        plot.exchange.faults = faults(&[fault]);
        let (output, line) = output(plot, 120 * SECOND).await;
        let (said, of) = ended(&output)[0];
        let mut of: Vec<_> = of.rsplit_once(" of ").map_or(vec![], |(_, list)| list.split(", ").collect());
        of.sort_unstable();
        let expected: Vec<_> = detail.rsplit_once(" of ").map_or(vec![], |(_, list)| list.split(", ").collect());
        assert_eq!((said, of), (cause, expected), "{fault}");
        let (begun, end) =
            (output.told("connected").next().expect("one"), output.told("disconnected").next().expect("one"));
        assert!(seconds_between(begun, end) <= 17, "{fault}: {}", seconds_between(begun, end));
        assert!(line.starts_with("play recording"), "{line}");
    }
}

/// Polymarket/real-time-data-client#26, InjectiveLabs/injective-helix-demo#182: maintenance answered with one reconnect after
/// the other.
#[tokio::test(start_paused = true)]
async fn an_hour_of_maintenance_is_sat_out() {
    let mut plot = Plot::new(&["ticker_batch", "market_trades", "candles"], None);
    plot.exchange.faults = faults(&["maintenance:600s-4200s"]);
    let play = plot.play();
    sleep(3000 * SECOND).await;
    let line = now_line(&play.board);
    assert!(line.starts_with("play DOWN 3"), "{line}");
    sleep(1200 * SECOND + 15 * SECOND).await;
    assert!(now_line(&play.board).starts_with("play recording"), "{}", now_line(&play.board));
    sleep(600 * SECOND).await;
    let (seen, output) = play.end().await;
    assert_nothing_is_lost(&seen, &output);
    let read = Output::read(&output);
    assert_owned_up(&MARKET, &seen.lock().expect("whole"), &read);
    let ends = ended(&read);
    assert!((4..=11).contains(&ends.len()), "in an hour: {ends:?}");
    for gap in read.told("gap") {
        assert_eq!(gap.data["found"], "reconnect", "the venue left nothing out");
    }
}

/// A send that is awaited without a deadline hangs for ever behind a full socket, and all timers with it. Here the venue reads
/// nothing after its upgrade, and what lies between holds less than a subscribe.
#[tokio::test(start_paused = true)]
async fn a_subscribe_that_does_not_leave_ends_the_connection_and_the_next_one_signs_afresh() {
    for (venue, key) in [(&MARKET, cdp_key()), (&EXCHANGE, exchange_key())] {
        let mut plot = Plot::at(venue, &["ticker_batch"], Some(key));
        (plot.pipe, plot.first_is_deaf) = (64, true);
        let play = plot.play();
        sleep(20 * SECOND).await;
        assert!(play.board.is_delivering(), "{}", now_line(&play.board));
        let (seen, output) = play.end().await;
        assert_nothing_is_lost(&seen, &output);
        let output = Output::read(&output);
        assert_eq!(ended(&output), [("send_timeout", ""), ("stopped", "")]);
        let told = |name| output.told(name).next().expect("told");
        assert_eq!(seconds_between(told("connected"), told("disconnected")), 5);
        let seen = seen.lock().expect("whole");
        assert!(seen.subscribes.iter().all(|(.., accepted)| *accepted), "the exchange took every signature");
        for (_, text, at, _) in &seen.subscribes {
            let (_, stamp, at) = signature(text, *at);
            let age = (at + Duration::from_millis(1)).duration_since(UNIX_EPOCH + stamp).expect("none of the future");
            assert!(age < 2 * SECOND, "signed {age:?} before it came");
        }
    }
}

/// bennycode/coinbase-pro-node#105: what stalls is our own reader, and the venue is not blamed.
#[tokio::test(start_paused = true)]
async fn a_reader_of_ours_that_stalls_trips_no_clock() {
    let mut plot = Plot::new(&["ticker_batch", "level2", "market_trades"], None);
    let mut batches = 0u64;
    plot.queue = 16 * 1024;
    plot.reader = Box::new(move || {
        batches += 1;
        Duration::from_secs(if batches.is_multiple_of(20) { 100 } else { 0 })
    });
    let (output, _) = output(plot, 3600 * SECOND).await;
    let causes: Vec<_> = ended(&output).iter().map(|(cause, _)| *cause).collect();
    assert!(causes.iter().all(|cause| ["stopped", "reader_stalled"].contains(cause)), "{causes:?}");
}

/// `coinbase-pro-node#174`: one product that the venue does not know; it is named, and found as soon as it is known.
#[tokio::test(start_paused = true)]
async fn a_product_left_out_is_asked_for_each_hour() {
    let mut plot = Plot::new(&["ticker_batch", "market_trades"], None);
    plot.exchange.faults = faults(&["unlisted:ETH-USD:0s-5000s"]);
    let (output, line) = output(plot, 8000 * SECOND).await;
    let omitted: Vec<_> =
        output.told("subscribed").map(|told| told.data["omitted"].as_array().expect("a list").len()).collect();
    assert_eq!((omitted[0], omitted.last()), (2, Some(&0)), "{omitted:?}");
    assert!(line.starts_with("play recording"), "{line}");
    assert!(output.messages[&1].iter().any(|text| text.contains("\"ETH-USD\",\"price\"")), "recorded at last");
    assert_eq!(ended(&output), [("stopped", "")], "on one connection");
    assert_eq!(output.told("gap").count(), 0);
}

/// JKorf/Bitfinex.Net#183: a count that skips must not make it reconnect for ever. SockTrader/SockTrader#49: the venue begins anew.
#[tokio::test(start_paused = true)]
async fn holes_and_steps_back_are_told_and_cost_no_connection() {
    let mut plot = Plot::new(&["ticker_batch", "market_trades"], None);
    // Behind the acks: one that is lost is no answer.
    let mut list: Vec<_> = (0..80).map(|hole| format!("hole@n{}", 30 + hole * 21)).collect();
    list.extend(["back@n50", "back@n500", "late@n900"].map(ToOwned::to_owned));
    plot.exchange.faults = faults(&list.iter().map(String::as_str).collect::<Vec<_>>());
    plot.refill = true;
    let play = plot.play();
    sleep(600 * SECOND).await;
    let gaps = play.run.account.totals().gaps;
    let (seen, output) = play.end().await;
    let read = Output::read(&output);
    let missing = assert_owned_up(&MARKET, &seen.lock().expect("whole"), &read);
    assert_eq!(ended(&read), [("stopped", "")]);
    let found = |how: &str| read.told("gap").filter(|told| told.data["found"] == how).count();
    assert!(found("hole") > 50 && found("back") >= 2 && missing > 50, "{} {}", found("hole"), found("back"));
    assert_eq!(read.told("gap").count() as u64, gaps, "each is counted");
    assert_eq!(read.told("disconnected").next().expect("one").data["gaps"], gaps);
    let (recovered, still): (u64, u64) = read.told("refilled").fold((0, 0), |(recovered, still), told| {
        let number = |key: &str| told.data[key].as_u64().expect("a number");
        (recovered + number("recovered"), still + number("missing"))
    });
    assert!(recovered > 0 && read.recovered.len() as u64 == recovered, "{recovered}");
    assert_eq!(still, 0, "the venue still has them all");
}

/// bmoscon/cryptofeed#426, hummingbot: what is dropped for a slow reader was never counted.
#[tokio::test(start_paused = true)]
async fn what_is_dropped_for_a_slow_reader_trips_no_clock_either() {
    let mut plot = Plot::new(&["ticker", "level2"], None);
    plot.when_slow = WhenSlow::Drop;
    plot.queue = 16 * 1024;
    let mut batches = 0u64;
    plot.reader = Box::new(move || {
        batches += 1;
        Duration::from_secs(if batches.is_multiple_of(20) { 30 } else { 0 })
    });
    let play = plot.play();
    sleep(1800 * SECOND).await;
    let (seen, output) = play.end().await;
    let read = Output::read(&output);
    assert_owned_up(&MARKET, &seen.lock().expect("whole"), &read);
    assert_eq!(ended(&read), [("stopped", "")]);
    assert!(read.told("dropped").count() > 5);
    assert_eq!(read.told("gap").count(), 0, "the venue left nothing out");
}

/// The sessions that venues really sent have no hole, no step back, and no silence that is one.
#[tokio::test(start_paused = true)]
async fn the_genuine_sessions_have_no_alarm() {
    for (venue, file, channels, products) in [
        (
            &MARKET,
            "at_session_20260809_all.ndjson.gz",
            &["level2", "ticker", "market_trades", "candles"][..],
            &["BTC-USD", "ETH-USD"][..],
        ),
        (
            &EXCHANGE,
            "ex_session_20210417_all.ndjson.gz",
            &["level2", "ticker", "matches"],
            &[
                "BAND-GBP", "BAND-BTC", "YFI-BTC", "NU-GBP", "CRV-EUR", "SKL-GBP", "SKL-USD", "SKL-BTC", "NMR-EUR",
                "DASH-BTC",
            ],
        ),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(file);
        if !path.exists() {
            let _ = std::io::Write::write_all(&mut std::io::stderr(), b"skipped: the recorded session is not there\n");
            continue;
        }
        let mut plot = Plot::at(venue, channels, (venue.name == "exchange").then(exchange_key));
        plot.products = products.to_vec();
        // The Exchange's holds no heartbeats: after 15 s without one the connection would be given up.
        plot.exchange.speed = Speed::Times(if venue.name == "exchange" { 10.0 } else { 1.0 });
        plot.exchange.recording = Some(Arc::new(Recording::open(&path).expect("a recording")));
        let play = plot.play();
        sleep(120 * SECOND).await;
        let (seen, output) = play.end().await;
        assert_nothing_is_lost(&seen, &output);
        let read = Output::read(&output);
        let mut first: Vec<_> = read.events.iter().filter(|told| told.conn == 1).map(|told| &*told.name).collect();
        // The tape goes on, and what is asked for anew on it is acked.
        first.dedup();
        assert_eq!(first, ["connected", "subscribed", "disconnected"], "{file}");
        assert_eq!(ended(&read)[0].0, "closed", "{file}: the recording has an end");
        assert!(read.messages[&1].len() > 1_000, "{file}");
    }
}

/// At the Exchange: `matches` and books that stop while heartbeats of their products go on.
#[tokio::test(start_paused = true)]
async fn a_channel_that_dies_at_the_exchange_is_found() {
    for (channel, cause, within) in
        [("matches", "behind", 100..=150), ("level2_batch", "no_snapshot", 160..=175), ("full", "behind", 100..=120)]
    {
        let mut plot = Plot::at(&EXCHANGE, &[channel], Some(exchange_key()));
        plot.exchange.faults = faults(&[&format!("conn1:dead-channel:{channel}@100s")]);
        let (output, _) = output(plot, 400 * SECOND).await;
        assert_eq!((ended(&output)[0].0, ended(&output).len()), (cause, 2), "{channel}: {:?}", ended(&output));
        let (begun, end) =
            (output.told("connected").next().expect("one"), output.told("disconnected").next().expect("one"));
        let seconds = seconds_between(begun, end);
        assert!(within.contains(&seconds), "{channel}: {seconds}");
        let gaps: Vec<_> = output.told("gap").filter(|told| told.data["found"] == "reconnect").collect();
        assert!(gaps.iter().any(|gap| gap.data["channels"][0] == channel), "{channel}");
        if channel != "level2_batch" {
            assert!(gaps.iter().all(|gap| gap.data["missed"].as_u64() > Some(0)), "{channel}: counted to the message");
        }
    }
}
