//! Each fault does what it says.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tickerd::simulator::{Ending, Observed, Options, Simulator};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::{self, Message};

use crate::{BOTH, client::Client, count, with_faults};

#[tokio::test(start_paused = true)]
async fn silence_still_answers_pings() {
    let mut client = Client::connect(&Simulator::new(with_faults(&["silence@1s"]))).await;
    client.subscribe("heartbeats", &[]).await;
    assert_eq!(client.within(Duration::from_secs(20)).await.len(), 2, "an ack, a heartbeat, silence");
    client.socket.send(Message::Ping("there?".into())).await.expect("sent");
    let answer = client.socket.next().await.expect("an answer").expect("no error");
    assert_eq!(answer, Message::Pong("there?".into()));
}

#[tokio::test(start_paused = true)]
async fn a_dead_connection_stays_open_and_answers_nothing() {
    let mut client = Client::connect(&Simulator::new(with_faults(&["dead@1s"]))).await;
    client.subscribe("heartbeats", &[]).await;
    client.within(Duration::from_secs(2)).await;
    client.socket.send(Message::Ping("there?".into())).await.expect("sent");
    assert!(timeout(Duration::from_secs(60), client.socket.next()).await.is_err());
    drop(client.socket);
    assert_eq!(client.exchange.await.expect("no panic"), Ending::Dead);
}

#[tokio::test(start_paused = true)]
async fn closes_come_with_their_code_after_just_so_many_messages() {
    for code in [1000, 1001, 4321] {
        for fragment in [&["fragment"][..], &[]] {
            let close = format!("close:{code}@n7");
            let simulator = Simulator::new(with_faults(&[&[close.as_str()], fragment].concat()));
            let mut client = Client::connect(&simulator).await;
            client.subscribe("ticker", BOTH).await;
            for _ in 0..7 {
                client.read().await;
            }
            assert_eq!(client.end().await, (Some(code), Ending::Closed(code)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_and_a_cut_end_without_a_word() {
    for (fault, ending) in [("reset@3s", Ending::Reset), ("cut@3s", Ending::Cut)] {
        let begun = Instant::now();
        let mut client = Client::connect(&Simulator::new(with_faults(&[fault]))).await;
        client.subscribe("heartbeats", &[]).await;
        assert_eq!(client.end().await, (None, ending));
        assert_eq!(begun.elapsed().as_secs(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_drip_is_slow_and_complete() {
    let mut client = Client::connect(&Simulator::new(with_faults(&["drip:1000"]))).await;
    let begun = Instant::now();
    client.subscribe("market_trades", &["BTC-USD"]).await;
    let snapshot = client.read().await;
    assert_eq!(snapshot["events"][0]["trades"].as_array().map(Vec::len), Some(100));
    assert!(begun.elapsed() > Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn refusals_are_counted_and_then_over() {
    let simulator = Simulator::new(with_faults(&["refuse:2"]));
    for _ in 0..2 {
        let mut client = Client::connect(&simulator).await;
        client.subscribe("heartbeats", &[]).await;
        assert_eq!(client.refusal().await, "authentication failure");
    }
    let mut client = Client::connect(&simulator).await;
    client.subscribe("heartbeats", &[]).await;
    client.up_to_ack().await;
}

/// coinbase-pro-node#376: the server answered with something that was no JSON, and the client died of it.
#[tokio::test(start_paused = true)]
async fn garbage_is_a_text_that_is_no_json_and_a_binary_message() {
    let mut client = Client::connect(&Simulator::new(with_faults(&["garbage@n1"]))).await;
    client.subscribe("heartbeats", &[]).await;
    client.read().await;
    let text = client.next().await.expect("a message");
    assert!(serde_json::from_str::<Value>(text.to_text().expect("text")).is_err());
    assert!(client.next().await.expect("a message").is_binary());
    assert_eq!(client.read().await["sequence_num"], 1, "and then it goes on");
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_is_refused_with_a_time_to_wait() {
    let simulator = Simulator::new(with_faults(&["conn1:429:7", "conn2:503:9"]));
    for (status, wait) in [(429, "7"), (503, "9")] {
        let error = Client::try_connect(&simulator, 1 << 16).await.err().expect("refused");
        let tungstenite::Error::Http(response) = error else { panic!("{error}") };
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["retry-after"], wait);
    }
    Client::connect(&simulator).await;
}

#[tokio::test(start_paused = true)]
async fn mute_no_ack_and_no_heartbeats_leave_out_what_they_say() {
    for (fault, acks, heartbeats, tickers) in [
        ("mute", true, false, false),
        ("no-ack", false, true, true),
        ("no-heartbeats", true, false, true),
        ("only-heartbeats", true, true, false),
    ] {
        let mut client = Client::connect(&Simulator::new(with_faults(&[fault]))).await;
        client.subscribe("ticker", BOTH).await;
        client.subscribe("heartbeats", &[]).await;
        let all = client.within(Duration::from_secs(10)).await;
        assert_eq!(count(&all, "subscriptions") > 0, acks, "{fault}");
        assert_eq!(count(&all, "heartbeats") > 0, heartbeats, "{fault}");
        assert_eq!(count(&all, "ticker") > 0, tickers, "{fault}");
    }
}

/// An observer is told what is sent, and that is what arrives, whatever the wire does to it.
#[tokio::test(start_paused = true)]
async fn fragments_pings_and_cut_writes_change_no_byte() {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&sent);
    let mut options = with_faults(&["fragment"]);
    options.observer = Some(Arc::new(move |observed: &Observed| {
        if let Observed::Sent { message, .. } = observed {
            hears.lock().expect("no panic").push(message.clone());
        }
    }));
    let mut client = Client::connect(&Simulator::new(options)).await;
    for channel in ["level2", "market_trades", "ticker", "heartbeats"] {
        client.subscribe(channel, BOTH).await;
    }
    let (mut received, mut pings) = (Vec::new(), 0);
    let end = Instant::now() + Duration::from_secs(10);
    while let Ok(Some(Ok(message))) = timeout_at(end, client.socket.next()).await {
        match message {
            Message::Ping(_) => pings += 1,
            message => received.push(message.into_data()),
        }
    }
    assert!(received.len() > 200 && pings > 20, "{} {pings}", received.len());
    assert_eq!(received[..], sent.lock().expect("no panic")[..received.len()]);
}

#[tokio::test(start_paused = true)]
async fn random_faults_are_the_same_for_the_same_seed() {
    let mut stories = Vec::new();
    for seed in [1, 1, 2] {
        let simulator = Simulator::new(Options { seed, ..with_faults(&["random:12"]) });
        let mut story = Vec::new();
        for _ in 0..20 {
            let begun = Instant::now();
            let Ok(mut client) = Client::try_connect(&simulator, 1 << 16).await else { continue };
            client.subscribe("heartbeats", &[]).await;
            while let Ok(Some(Ok(_))) = timeout(Duration::from_secs(15), client.socket.next()).await {}
            drop(client.socket);
            story.push((begun.elapsed().as_secs(), client.exchange.await.expect("no panic")));
        }
        stories.push(story);
    }
    assert_eq!(stories[0], stories[1]);
    assert_ne!(stories[0], stories[2]);
}
