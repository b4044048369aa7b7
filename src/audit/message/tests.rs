use std::{fs, io::Read, path::Path};

use proptest::prelude::*;

use super::*;

/// Each message's own bytes, of what lies beside the repository; none on a fresh checkout.
fn recorded(name: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    let Ok(bytes) = fs::read(path) else { return Vec::new() };
    let mut text = Vec::new();
    flate2::read::MultiGzDecoder::new(&*bytes).read_to_end(&mut text).expect("gzip");
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}

/// Advanced Trade's, a ticker of two products, and a user's message; the Exchange's of each kind.
const SAMPLES: &[(&venue::Venue, &str)] = &[
    (
        &MARKET,
        r#"{"channel":"ticker","timestamp":"2026-08-09T21:05:48.2Z","sequence_num":7,"events":[{"type":"update","tickers":[{"product_id":"BTC-USD"},{"product_id":"ETH-USD"},{"product_id":"BTC-USD"}]}]}"#,
    ),
    (
        &MARKET,
        r#"{"channel":"l2_data","client_id":"","timestamp":"2026-08-09T21:05:48Z","sequence_num":7,"events":[{"type":"snapshot","product_id":"BTC-USD","updates":[]}]}"#,
    ),
    (
        &MARKET,
        r#"{"channel":"market_trades","sequence_num":8,"events":[{"type":"update","trades":[{"product_id":"BTC-USD","trade_id":"9"},{"trade_id":"4","product_id":"ETH-USD"},{"product_id":"BTC-USD","trade_id":"7"}]}]}"#,
    ),
    (&MARKET, r#"{"channel":"subscriptions","sequence_num":2,"events":[{"subscriptions":{"ticker":["BTC-USD"]}}]}"#),
    (&MARKET, r#"{"channel":"heartbeats","sequence_num":2,"events":[{"heartbeat_counter":9}]}"#),
    (&MARKET, r#"{"events":[{"channel":"x"}],"sequence_num":3,"channel":"heartbeats"}"#),
    (&EXCHANGE, r#"{"type":"error","message":"a \"quoted\" word","reason":"x"}"#),
    (
        &EXCHANGE,
        r#"{"type":"heartbeat","last_trade_id":5,"product_id":"BTC-USD","sequence":9,"time":"2021-04-17T16:43:37.000001Z"}"#,
    ),
    (
        &EXCHANGE,
        r#"{"type":"match","trade_id":7,"product_id":"BTC-USD","sequence":10,"time":"2021-04-17T16:43:37.000001Z"}"#,
    ),
    (&EXCHANGE, r#"{"type":"last_match","trade_id":7,"product_id":"BTC-USD","sequence":10}"#),
    (&EXCHANGE, r#"{"type":"done","product_id":"BTC-USD","sequence":11,"price":"1.0"}"#),
    (
        &EXCHANGE,
        r#"{"type":"l2update","product_id":"BTC-USD","changes":[["sell","1","2"]],"time":"2021-04-17T16:43:37.000001Z"}"#,
    ),
    (&EXCHANGE, r#"{"type":"snapshot","product_id":"BTC-USD","asks":[["1","2"]],"bids":[]}"#),
    (&EXCHANGE, r#"["open","BTC-USD","37259","a"]"#),
];

fn assert_as_the_venue_reads(venue: &venue::Venue, message: &[u8]) {
    let (told, arrival) = (read(message).expect("known"), (venue.read)(std::str::from_utf8(message).expect("text")));
    let text = String::from_utf8_lossy(&message[..message.len().min(200)]);
    assert_eq!((told.sequence, &told.counted), (arrival.sequence, &arrival.counted), "{text}");
    let kind = match arrival.kind {
        venue::Kind::Ack(_) => Kind::Ack,
        venue::Kind::Refusal(_) => Kind::Refusal,
        venue::Kind::Heartbeat => Kind::Heartbeat,
        venue::Kind::Data(channel) => {
            assert_eq!(Some(told.channel), channel.map(|channel| channel.name), "{text}");
            Kind::Data
        }
    };
    assert_eq!(told.kind, kind, "{text}");
}

#[test]
fn reads_what_the_daemon_reads() {
    for (venue, message) in SAMPLES {
        assert_as_the_venue_reads(venue, message.as_bytes());
    }
    for (venue, name) in
        [(&MARKET, "at_session_20260809_all.ndjson.gz"), (&EXCHANGE, "ex_session_20210417_all.ndjson.gz")]
    {
        for message in recorded(name) {
            assert_as_the_venue_reads(venue, &message);
        }
    }
}

#[test]
fn times_and_snapshots_are_known() {
    let told = |index: usize| read(SAMPLES[index].1.as_bytes()).expect("known");
    assert_eq!(told(0).time, stamp::read(b"2026-08-09T21:05:48.2Z"));
    assert_eq!((told(0).snapshot, told(1).snapshot, told(12).snapshot), (false, true, true));
    assert_eq!(told(11).time, stamp::read(b"2021-04-17T16:43:37.000001Z"), "behind the changes");
}

/// Python writes a space behind each colon and comma.
#[test]
fn spaces_between_tokens_change_nothing() {
    for (_, message) in SAMPLES.iter().filter(|(_, message)| message.starts_with('{')) {
        let spaced = message.replace("\":", "\": ").replace(",\"", ", \"");
        let (plain, spaced) = (read(message.as_bytes()), read(spaced.as_bytes()));
        let what =
            |told: Option<Told<'_>>| told.map(|told| (told.house, told.kind, told.channel.to_owned(), told.sequence));
        assert_eq!(what(plain), what(spaced), "{message}");
    }
}

#[test]
fn what_is_nobodys_is_unknown() {
    for other in [
        "",
        "1",
        "{}",
        "[]",
        "[1,2,3]",
        r#"{"a":1}"#,
        r#"{"type":"else"}"#,
        r#"{"level":"info","time":"x"}"#,
        "{\"channel",
    ] {
        assert_eq!(read(other.as_bytes()), None, "{other}");
    }
    let book = br#"{"sequence":81,"bids":[["4","58"]],"channel":"LEVEL2","type":"SNAPSHOT","time":"2024-11-07T00:00:00.015Z","product_id":"TON-PERP"}"#;
    let told = read(book).expect("known");
    assert_eq!((told.house, told.channel, told.counted[0].product), (House::International, "LEVEL2", "TON-PERP"));
}

proptest! {
    #[test]
    fn no_bytes_break_it(which in 0..SAMPLES.len(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut message = SAMPLES[which].1.as_bytes().to_vec();
        let at = at.index(message.len());
        message[at] = byte;
        if cut {
            message.truncate(at);
        }
        let _ = read(&message);
    }
}
