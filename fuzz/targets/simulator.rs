//! What a client may send to the built-in exchange: each message has its answer, in JSON, and what comes after it is heard.

#![no_main]

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use futures::{SinkExt, StreamExt};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tickerd::{
    clock::Clock,
    simulator::{Options, Simulator},
    venue::{Venue, advanced_trade, exchange},
};
use tokio::{runtime::Runtime, time::timeout};
use tokio_tungstenite::{client_async, tungstenite::Message};

struct Stage {
    runtime: Runtime,
    markets: Vec<(&'static Venue, Arc<Simulator>)>,
}

static STAGE: LazyLock<Stage> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("one");
    let markets = runtime.block_on(async {
        [&advanced_trade::MARKET, &advanced_trade::USER, &exchange::EXCHANGE]
            .map(|venue| (venue, Simulator::new(Options { venue, depth: 20, ..Options::new(Clock::system()) })))
            .to_vec()
    });
    Stage { runtime, markets }
});

fuzz_target!(|data: &[u8]| {
    let Some((&first, rest)) = data.split_first() else { return };
    let (venue, simulator) = &STAGE.markets[usize::from(first) % STAGE.markets.len()];
    let said: Vec<_> = rest.split(|byte| *byte == b'\n').filter(|text| !text.is_empty()).take(16).collect();
    STAGE.runtime.block_on(talk(venue, simulator, &said, first & 0x40 != 0));
});

async fn talk(venue: &Venue, simulator: &Arc<Simulator>, said: &[&[u8]], raw: bool) {
    let (near, far) = tokio::io::duplex(1 << 20);
    let serving = tokio::spawn(Arc::clone(simulator).serve(far));
    if raw {
        // Not even a WebSocket, or not for long.
        use tokio::io::AsyncWriteExt;
        let mut near = near;
        for bytes in said {
            let _ = near.write_all(bytes).await;
            let _ = near.write_all(b"\r\n").await;
        }
        drop(near);
        serving.await.expect("it does not panic");
        return;
    }
    let (mut socket, _) = client_async("ws://simulator/", near).await.expect("an upgrade");
    for bytes in said {
        let message = match std::str::from_utf8(bytes) {
            Ok(text) => Message::text(text.to_owned()),
            Err(_) => Message::binary(bytes.to_vec()),
        };
        if socket.send(message).await.is_err() {
            break;
        }
    }
    // Each has its answer, and so has what is right and comes behind, unless the venue has had enough.
    let channel = if venue.name == "exchange" { "heartbeat" } else { "heartbeats" };
    let subscribe =
        format!(r#"{{"type":"subscribe","channel":"{channel}","channels":["{channel}"],"product_ids":["BTC-USD"]}}"#);
    let mut closed = socket.send(Message::text(subscribe)).await.is_err();
    let mut answers = 0;
    // Of what was subscribed before more data may come first.
    for _ in 0..2_000 {
        if closed || answers > said.len() {
            break;
        }
        match timeout(Duration::from_secs(30), socket.next()).await {
            Ok(Some(Ok(Message::Text(text)))) => {
                let answer: Value = serde_json::from_str(&text).expect("the exchange speaks JSON");
                let kind = answer["channel"].as_str().or(answer["type"].as_str());
                answers += usize::from(matches!(kind, Some("subscriptions" | "error")));
            }
            Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) => closed = true,
            Ok(Some(Ok(_))) => {}
            Err(_) => break,
        }
    }
    assert!(closed || answers > said.len(), "{answers} answers to {} messages and one more", said.len());
    drop(socket);
    serving.await.expect("it does not panic");
}
