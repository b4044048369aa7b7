//! The built-in exchange, seen by a scripted client: over in-memory streams, under tokio's paused time.

mod calendar;
mod client;
mod exchange;
mod faults;
mod gaps;
mod recording;
mod rest;
mod subscribing;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tickerd::{
    auth::hmac,
    clock::Clock,
    simulator::{Faults, Options},
};

const SECRET: &str = "M4009eFnOoPwhNoMwJlsAHgIgleGVFPl";
const KEY: &str = "kVlJUIsXUFIGCVuV";
const BOTH: &[&str] = &["BTC-USD", "ETH-USD"];
/// When every exchange here opens, in seconds since 1970.
const NOW: u64 = 1_786_309_548;

fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

fn options() -> Options {
    Options::new(Clock::from(start()))
}

fn with_faults(faults: &[&str]) -> Options {
    let faults: Vec<_> = faults.iter().map(|fault| (*fault).to_owned()).collect();
    Options { faults: Faults::parse(&faults).expect("known"), ..options() }
}

fn count(messages: &[Value], channel: &str) -> usize {
    messages.iter().filter(|message| message["channel"] == channel).count()
}

/// A subscribe signed at `unix`.
fn signed(channel: &str, products: &[&str], unix: u64) -> Value {
    let timestamp = unix.to_string();
    let prehash = format!("{timestamp}{channel}{}", products.join(","));
    json!({
        "type": "subscribe", "product_ids": products, "channel": channel, "api_key": KEY,
        "timestamp": timestamp, "signature": hex::encode(hmac::Key::new(SECRET).sign(&prehash)),
    })
}
