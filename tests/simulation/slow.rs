//! A reader that stalls, where messages are dropped rather than the venue kept waiting.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use tickerd::{config::WhenSlow, simulator::Speed};
use tokio::time::sleep;

use crate::{
    decoded, faults,
    stage::{Plot, Seen, Shared},
};

/// Of each connection, by its count: each message that the socket delivered is in the output, in order, or lies in a record
/// of its loss that stands in its place; and its account says the same. How many were lost, and the names of other events.
fn assert_what_is_missing_is_told(seen: &Shared<Seen>, output: &[u8]) -> (u64, Vec<String>) {
    let mut records = BTreeMap::<usize, Vec<(&str, Value)>>::new();
    for line in std::str::from_utf8(output).expect("UTF-8").lines() {
        let record: Value = serde_json::from_str(line).expect("a line is JSON");
        let conn = record["conn"].as_str().and_then(|conn| conn.split_once('/')).expect("conn").1;
        records.entry(conn.parse().expect("a count")).or_default().push((line, record));
    }
    let (mut all_lost, mut events) = (0, Vec::new());
    for (index, (_, tape)) in seen.lock().expect("whole").delivered().iter().enumerate() {
        let delivered = decoded(tape);
        let (mut next, mut lost) = (0, 0);
        for (line, record) in &records[&(index + 1)] {
            let n = record["n"].as_u64().expect("a number");
            match record["event"].as_str() {
                Some("dropped") => {
                    let data = &record["data"];
                    assert_eq!((n, &data["why"]), (next, &"slow".into()), "it stands in their place");
                    let count = data["count"].as_u64().expect("a number");
                    let bytes = delivered.iter().map(|line| line.as_bytes().len() as u64);
                    let bytes =
                        bytes.skip(usize::try_from(n).expect("small")).take(usize::try_from(count).expect("small"));
                    assert_eq!(data["bytes"], bytes.sum::<u64>());
                    (next, lost) = (next + count, lost + count);
                }
                Some("disconnected") => {
                    let data = &record["data"];
                    assert_eq!((&data["received"], &data["dropped"]), (&next.into(), &lost.into()));
                    assert_eq!(data["written"], next - lost);
                    assert_eq!(data["dropped_by"].get("slow").and_then(Value::as_u64).unwrap_or(0), lost);
                    events.push("disconnected".to_owned());
                }
                Some(event) => events.push(event.to_owned()),
                None => {
                    assert_eq!(n, next, "a message is missing, or is there twice");
                    let message = delivered[usize::try_from(n).expect("small")].as_bytes();
                    assert!(line.as_bytes()[..line.len() - 1].ends_with(message), "{line}");
                    next += 1;
                }
            }
        }
        assert_eq!(next, delivered.len() as u64, "connection {}", index + 1);
        all_lost += lost;
    }
    (all_lost, events)
}

/// `massive-com/client-python#844`: a consumer that fell behind lost its connection. Here the socket is read on, and what
/// the reader has no time for is told of to the message.
#[tokio::test(start_paused = true)]
async fn a_stalled_reader_costs_messages_and_no_connection() {
    let mut plot = Plot::new(&["ticker", "market_trades", "level2"], None);
    plot.exchange.speed = Speed::Times(200.0);
    plot.when_slow = WhenSlow::Drop;
    let mut batches = 0u64;
    plot.reader = Box::new(move || {
        batches += 1;
        Duration::from_secs(if batches % 100 == 50 { 20 } else { 0 })
    });
    let play = plot.play();
    for _ in 0..60 {
        sleep(Duration::from_secs(1)).await;
        let now = tokio::time::Instant::now().into_std();
        assert_eq!(play.board.stalled(now), None, "no connection waits for the reader");
    }
    let (seen, output) = play.end().await;
    let (lost, events) = assert_what_is_missing_is_told(&seen, &output);
    assert_eq!(events, ["connected", "subscribed", "disconnected"]);
    assert!(lost > 5_000, "{lost}");
}

/// The same while connections come and go: each has its own losses, and none is another's.
#[tokio::test(start_paused = true)]
async fn losses_of_one_connection_are_not_anothers() {
    let mut plot = Plot::new(&["ticker", "market_trades", "level2"], None);
    plot.exchange.speed = Speed::Times(200.0);
    plot.exchange.faults = faults(&["random:20", "fragment"]);
    plot.when_slow = WhenSlow::Drop;
    let mut batches = 0u64;
    plot.reader = Box::new(move || {
        batches += 1;
        Duration::from_secs(if batches % 100 == 50 { 30 } else { 0 })
    });
    let play = plot.play();
    sleep(Duration::from_secs(90)).await;
    let (seen, output) = play.end().await;
    let (lost, events) = assert_what_is_missing_is_told(&seen, &output);
    assert!(lost > 1_000, "{lost}");
    assert!(events.iter().filter(|event| *event == "disconnected").count() > 3, "{events:?}");
}
