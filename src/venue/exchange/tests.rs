//! The Exchange's messages, written and read.

use super::*;
use crate::auth::KeyFile;

const SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg==";

fn channels(names: &[&str]) -> Vec<&'static Channel> {
    names.iter().map(|name| EXCHANGE.channel(name).expect("a channel")).collect()
}

fn products(ids: &[&str]) -> Vec<Product> {
    ids.iter().map(|id| Product::parse(id).expect("spelt right")).collect()
}

fn credentials() -> Credentials {
    let file = KeyFile {
        passphrase: Some(Secret::new("phrase".to_owned())),
        ..KeyFile::of_halves("k", Secret::new(SECRET.to_owned()))
    };
    file.credentials("main").expect("a shared secret")
}

#[test]
fn signs_as_its_vector_says() {
    // A known answer, computed with Python's hmac.
    let legs = EXCHANGE.legs(&channels(&["ticker"]), &products(&["BTC-USD"]), &[]);
    let stamp = |millis| Stamp { unix: 1_700_000_000, millis, nonce: [0; 16] };
    let whole = write(&legs[0][0], Some((&credentials(), &stamp(0))));
    assert_eq!(whole.prehash.as_deref(), Some("1700000000GET/users/self/verify"));
    let text: Value = serde_json::from_str(&whole.text).expect("JSON");
    assert_eq!(
        text,
        json!({
            "type": "subscribe",
            "channels": [
                {"name": "heartbeat", "product_ids": ["BTC-USD"]},
                {"name": "ticker", "product_ids": ["BTC-USD"]},
            ],
            "key": "k", "passphrase": "phrase", "timestamp": "1700000000",
            "signature": "VWEblJISZzHK29JLE7EP1VNXMFU1COxq3vybOn3OVEk=",
        })
    );
    let other = write(&legs[0][0], Some((&credentials(), &stamp(1))));
    assert_eq!(other.prehash.as_deref(), Some("1700000000.001GET/users/self/verify"), "another within the same second");
}

/// `gocryptotrader#1421`: products at the root of the message were refused, " is not a valid product".
#[test]
fn products_stand_inside_their_channels_and_what_is_private_apart() {
    let asked = channels(&["status", "ticker", "level2", "balance", "matches"]);
    let accounts = ["7d0f7d8e-dd34-4d9c-a846-06f431c381ba".to_owned()];
    let legs = EXCHANGE.legs(&asked, &products(&["BTC-USD", "ETH-USD"]), &accounts);
    let texts: Vec<_> = legs[0].iter().map(|subscribe| write(subscribe, None).text).collect();
    assert_eq!(
        texts,
        [
            r#"{"type":"subscribe","channels":[{"name":"heartbeat","product_ids":["BTC-USD","ETH-USD"]},{"name":"ticker","product_ids":["BTC-USD","ETH-USD"]},{"name":"matches","product_ids":["BTC-USD","ETH-USD"]}]}"#,
            r#"{"type":"subscribe","channels":[{"name":"level2","product_ids":["BTC-USD","ETH-USD"]}]}"#,
            r#"{"type":"subscribe","channels":[{"name":"status"}]}"#,
            r#"{"type":"subscribe","channels":[{"name":"balance","account_ids":["7d0f7d8e-dd34-4d9c-a846-06f431c381ba"]}]}"#,
        ]
    );
    assert_eq!((legs.len(), legs[0].len()), (1, 4));
}

#[test]
fn heartbeats_have_products_though_no_channel_does() {
    let legs = EXCHANGE.legs(&channels(&["status"]), &products(&["BTC-USD"]), &[]);
    assert_eq!(
        write(&legs[0][0], None).text,
        r#"{"type":"subscribe","channels":[{"name":"heartbeat","product_ids":["BTC-USD"]}]}"#
    );
    let alone = EXCHANGE.legs(&channels(&["heartbeat"]), &products(&["BTC-USD"]), &[]);
    assert_eq!(alone[0].len(), 1);
    assert_eq!(alone[0][0].products.len(), 1);
}

#[test]
fn reads_what_the_session_must_know() {
    let kind = |text: &'static str| read(text).kind;
    let data = |name| Kind::Data(EXCHANGE.channel(name));
    let ack = r#"{"type":"subscriptions","channels":[{"name":"ticker_1000","product_ids":["BTC-USD"]},{"name":"status","product_ids":null},{"name":"balance","account_ids":["a"]}]}"#;
    let listed = |name: &str, of: &[&str]| (name.to_owned(), of.iter().map(|id| (*id).to_owned()).collect());
    assert_eq!(
        kind(ack),
        Kind::Ack(vec![listed("ticker_batch", &["BTC-USD"]), listed("status", &[]), listed("balance", &["a"])])
    );
    assert_eq!(
        kind(r#"{"type":"error","message":"Failed to subscribe","reason":"FOO-USD is not a valid product"}"#),
        Kind::Refusal("Failed to subscribe: FOO-USD is not a valid product".to_owned())
    );
    assert_eq!(kind(r#"{"type":"error","message":"ErrSlowConsume"}"#), Kind::Refusal("ErrSlowConsume".to_owned()));
    assert_eq!(kind(r#"{"type":"error","message":"No","reason":null}"#), Kind::Refusal("No".to_owned()));
    assert_eq!(kind(r#"{"type":"heartbeat","product_id":null}"#), Kind::Heartbeat);
    assert_eq!(kind(r#"{"product_id":"BAT-USDC","type":"snapshot","bids":[],"asks":[]}"#), data("level2"));
    assert_eq!(kind(r#"{"type":"l2update","product_id":"BTC-EUR","changes":[]}"#), data("level2"));
    assert_eq!(kind(r#"{"type":"level3","schema":{}}"#), data("level3"));
    assert_eq!(kind(r#"{"type":"novelty"}"#), Kind::Data(None));
    for odd in ["", "{", "[", "[1,2]", "null", r#"{"type":7}"#] {
        assert!(matches!(read(odd).kind, Kind::Data(_)), "{odd}");
    }
}

/// `coinbase-pro-node#227`: heartbeats' and tickers' sequences skip, and were taken for losses.
#[test]
fn claims_a_number_only_where_the_venue_does_not_skip() {
    let numbers = |text: &'static str| {
        let counted = read(text).counted[0];
        let (sequence, trade) = (counted.sequence, counted.trades.map(|(trade, _)| trade));
        (sequence.is_some() || trade.is_some()).then_some((counted.product, sequence, trade))
    };
    let ticker = r#"{"type":"ticker","sequence":8176375276,"product_id":"BTC-USD","trade_id":61165589}"#;
    assert_eq!(numbers(ticker), None);
    let open = r#"{"type":"open","sequence":10,"product_id":"BTC-USD","order_id":"o"}"#;
    assert_eq!(numbers(open), Some(("BTC-USD", Some(10), None)));
    let matched = r#"{"type":"match","trade_id":7,"product_id":"BTC-USD","sequence":11}"#;
    assert_eq!(numbers(matched), Some(("BTC-USD", Some(11), Some(7))));
    let before = r#"{"type":"last_match","trade_id":6,"product_id":"BTC-USD","sequence":9}"#;
    assert_eq!(numbers(before), Some(("BTC-USD", None, Some(6))));
    let beat = r#"{"type":"heartbeat","sequence":90,"last_trade_id":20,"product_id":"BTC-USD"}"#;
    assert_eq!(numbers(beat), Some(("BTC-USD", Some(90), Some(20))));
    let order = r#"["open","BTC-USD","37259","o","buy","1.0","2.0","2022-05-25T17:06:18Z"]"#;
    assert_eq!(numbers(order), Some(("BTC-USD", Some(37_259), None)));
    assert!(read(r#"["open","","37259"]"#).counted.is_empty(), "of no product");
}

#[test]
fn every_text_that_was_seen_has_its_class() {
    for (words, reason) in [
        (
            "Failed to subscribe: level2, level3, and full channels now require authentication. For more details…",
            Reason::Unsigned,
        ),
        ("Failed to subscribe: FOO-USD is not a valid product", Reason::Product),
        ("Failed to subscribe:  is not a valid product", Reason::Product),
        ("Failed to subscribe: Invalid product ID provided", Reason::Product),
        ("Failed to subscribe: No channels provided", Reason::Malformed),
        ("Failed to subscribe: You need to specify at least one product ID for channel heartbeat", Reason::Malformed),
        ("Sorry, you could not be authenticated: Bad Request", Reason::Credentials),
        ("Sorry, you could not be authenticated: Unauthorized", Reason::Credentials),
        ("Sorry, you could not be authenticated: Unauthorized: invalid signature", Reason::Signature),
        ("Sorry, you could not be authenticated: Bad Request: request timestamp expired", Reason::Expired),
        ("Sorry, you could not be authenticated: IP does not match IP whitelist", Reason::Address),
        ("ErrSlowConsume", Reason::TooSlow),
        ("ErrSlowRead", Reason::TooFast),
        ("Message too big", Reason::TooLong),
        ("something new", Reason::Unknown),
    ] {
        assert_eq!(EXCHANGE.reason(words), reason, "{words}");
    }
}
