//! A message, as a venue's socket hands it over: it becomes one line that says the same, and what is read of it is what is in it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tickerd::{
    record::Line,
    venue::{Arrival, Kind, advanced_trade, exchange},
};

fuzz_target!(|data: &[u8]| {
    let line = Line::from_binary(data);
    assert!(kept(&line).as_object().is_some_and(|kept| kept.len() == 2), "binary is kept");
    let Ok(text) = str::from_utf8(data) else { return };
    let line = Line::from_text(text.into());
    assert!(!line.as_bytes().iter().any(|byte| matches!(byte, b'\n' | b'\r')), "one line");
    let said: Option<Value> = serde_json::from_str(text).ok();
    match &said {
        // A venue's JSON begins at its first byte.
        Some(said) if text.starts_with(['{', '[']) => {
            assert_eq!(line.as_bytes().len(), text.len(), "no byte more or less");
            assert_eq!(&kept(&line), said, "the line says what the message said");
        }
        _ if text.starts_with(['{', '[']) && !text.contains(['\n', '\r']) => assert_eq!(line.as_bytes(), data),
        _ => assert_eq!(kept(&line)["tickerd"], "not-json"),
    }
    read(text, said.as_ref().filter(|said| said.is_object()));
    // The edge reads a line that is on its way already: a break that became a space changes nothing.
    for venue in [&advanced_trade::MARKET, &exchange::EXCHANGE] {
        if said.is_some() && text.starts_with('{') && text.len() < 512 && !text.contains(['\n', '\r']) {
            assert_eq!((venue.read)(line.as_str()), (venue.read)(text));
        }
    }
});

fn kept(line: &Line) -> Value {
    serde_json::from_slice(line.as_bytes()).expect("a line that is kept is JSON")
}

/// Both venues read it; what they take out of it is in it.
fn read(text: &str, said: Option<&Value>) {
    for venue in [&advanced_trade::MARKET, &exchange::EXCHANGE] {
        let arrival = (venue.read)(text);
        assert_eq!(arrival, (venue.read)(text), "the same each time");
        for counted in &arrival.counted {
            assert!(!counted.product.is_empty() || venue.name != "exchange", "no product without a name");
            assert!(text.contains(counted.product));
            assert!(counted.trades.is_none_or(|(lowest, highest)| lowest <= highest));
        }
    }
    let Some(said) = said else { return };
    // By another reader: what of it is well-formed and there once is read, wherever it stands.
    let once = |key: &str| text.matches(&format!("\"{key}\"")).count() == 1 && !text.contains('\\');
    let Arrival { kind, sequence, .. } = (advanced_trade::MARKET.read)(text);
    let flat = |key: &str| said[key].as_str().filter(|_| once(key));
    if let (Some(channel), Some(number)) = (flat("channel"), said["sequence_num"].as_u64())
        && once("sequence_num")
        && once("events") | !text.contains("\"events\"")
        && said.get("type").is_none_or(Value::is_string)
        && said.get("message").is_none_or(Value::is_string)
        && !text.contains("\"type\"") | once("type")
        && !text.contains("\"message\"") | once("message")
    {
        assert_eq!(sequence, Some(number), "its number is read");
        assert_eq!(kind == Kind::Heartbeat, channel == "heartbeats", "a heartbeat is one");
        assert_eq!(matches!(kind, Kind::Ack(_)), channel == "subscriptions", "an ack is one");
    }
}
