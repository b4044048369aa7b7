//! A recording instead of the market.

use std::{sync::Arc, time::Duration};

use tickerd::simulator::{Ending, Options, Recording, Simulator, Speed};
use tokio::time::Instant;

use crate::{BOTH, NOW, client::Client, count, options, signed};

/// Two lines a second; the space is not how anybody would write it again.
fn tape(lines: usize) -> (String, Arc<Recording>) {
    let line = |n| {
        format!(
            "{{\"channel\":\"ticker\", \"timestamp\":\"2026-08-09T21:05:{:02}.{}Z\",\"sequence_num\":{n}}}\n",
            n / 2,
            n % 2 * 5
        )
    };
    let text: String = (0..lines).map(line).collect();
    (text.clone(), Arc::new(Recording::held(text)))
}

async fn read_tape(client: &mut Client) -> String {
    let mut received = String::new();
    while let Some(message) = client.next().await {
        received.push_str(message.to_text().expect("text"));
        received.push('\n');
    }
    received
}

#[tokio::test(start_paused = true)]
async fn it_comes_byte_for_byte_at_its_own_pace_and_ends_with_1000() {
    let (text, recording) = tape(60);
    let simulator = Simulator::new(Options { recording: Some(recording), speed: Speed::Times(2.0), ..options() });
    let mut client = Client::connect(&simulator).await;
    client.say(signed("ticker", BOTH, NOW - 99)).await;
    assert_eq!(client.refusal().await, "authentication failure", "signatures are checked all the same");
    client.subscribe("ticker", BOTH).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    client.subscribe("heartbeats", &[]).await;
    let begun = Instant::now();
    assert_eq!(read_tape(&mut client).await, text);
    let took = begun.elapsed().as_millis();
    assert!((15_200..=15_300).contains(&took), "29.5 s at twice the pace, after half a second: {took}");
    assert_eq!(client.exchange.await.expect("no panic"), Ending::Closed(1000));

    let mut again = Client::connect(&simulator).await;
    again.subscribe("ticker", BOTH).await;
    again.subscribe("heartbeats", &[]).await;
    let all = again.within(Duration::from_secs(10)).await;
    assert_eq!((count(&all, "ticker"), count(&all, "subscriptions")), (0, 2), "nobody gets a line twice");
    assert!(count(&all, "heartbeats") > 8);
}

/// `cryptostore#157`: what was recorded could not be played. Envelopes were sent as they are, events among them.
#[test]
fn of_a_tape_of_envelopes_the_venues_own_messages_are_played() {
    const HEAD: &str = r#"{"v":1,"recv":"2026-11-24T17:31:02.123456789Z","feed":"tickers","conn":"3f2a0000/1","n":0"#;
    let message = |second| format!(r#"{{"channel":"ticker","timestamp":"2026-08-09T21:05:0{second}Z","events":[]}}"#);
    let tape = format!(
        "{HEAD},\"event\":\"connected\",\"data\":{{}}}}\n{HEAD},\"msg\":{}}}\n{{\"tickerd\":\"gap\"}}\n\
         {HEAD},\"recovered\":true,\"msg\":{}}}\n{HEAD},\"msg\":{}}}\n{}\n",
        message(1),
        message(2),
        message(3),
        message(4)
    );
    let mut playback = Recording::held(tape).play().expect("plays");
    let lines: Vec<_> = std::iter::from_fn(|| playback.next_line().expect("reads")).collect();
    let played: Vec<_> = lines.iter().map(|line| (line.text.to_vec(), line.after.as_secs())).collect();
    assert_eq!(played, [(1, 0), (3, 2), (4, 3)].map(|(second, after)| (message(second).into_bytes(), after)));
}

#[tokio::test(start_paused = true)]
async fn one_that_repeats_starts_again_here_and_for_the_next() {
    let (text, recording) = tape(4);
    let simulator = Simulator::new(Options { recording: Some(recording), repeat: true, ..options() });
    for _ in 0..2 {
        let mut client = Client::connect(&simulator).await;
        client.subscribe("ticker", BOTH).await;
        let mut received = String::new();
        for _ in 0..8 {
            received.push_str(client.next().await.expect("a line").to_text().expect("text"));
            received.push('\n');
        }
        assert_eq!(received, text.repeat(2));
        client.socket.close(None).await.expect("closed");
        assert_eq!(client.end().await.1, Ending::Left);
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_at_once_one_gets_it_and_the_other_acks_and_heartbeats() {
    let (text, recording) = tape(4);
    let simulator = Simulator::new(Options { recording: Some(recording), ..options() });
    let (mut one, mut two) = (Client::connect(&simulator).await, Client::connect(&simulator).await);
    one.subscribe("ticker", BOTH).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    two.subscribe("heartbeats", &[]).await;
    assert_eq!(read_tape(&mut one).await, text);
    let all = two.within(Duration::from_secs(5)).await;
    assert_eq!(count(&all[..1], "subscriptions"), 1);
    assert!(count(&all, "heartbeats") >= 4);
}

#[tokio::test(start_paused = true)]
async fn a_text_that_is_not_utf8_comes_as_a_binary_message() {
    let recording = Arc::new(Recording::held(&b"{\"a\":1}\n\xff\xfe\n"[..]));
    let simulator = Simulator::new(Options { recording: Some(recording), speed: Speed::Max, ..options() });
    let mut client = Client::connect(&simulator).await;
    client.subscribe("ticker", BOTH).await;
    assert!(client.next().await.expect("a line").is_text());
    assert_eq!(&client.next().await.expect("a line").into_data()[..], b"\xff\xfe");
    assert_eq!(client.end().await.0, Some(1000));
}
