//! What people paste of the Exchange, and what they hold: whose it is, whether it is a message at all, and which of its faults
//! is told.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use serde_json::json;
use tickerd::{
    venue::exchange::EXCHANGE,
    verdict::{
        self,
        Certainty::{Noted, Wrong},
        Finding, Mistake as M,
    },
};

use super::{
    exchange::{
        Case, KEY, PASSPHRASE, SECRET, VERIFY, examine, good, key, of, of_parts, signature, subscribe, without,
    },
    stage::{self, NOW, mac, with},
};

/// Of requests each mistake, and what is named first.
pub fn requests() -> Vec<Case> {
    let target = "/orders?status=open";
    let post = r#"{"product_id":"BTC-USD"}"#;
    let headers = |line: &str, signature: &str| {
        format!(
            "{line}\nCB-ACCESS-KEY: {KEY}\nCB-ACCESS-SIGN: {signature}\nCB-ACCESS-TIMESTAMP: {NOW}\nCB-ACCESS-PASSPHRASE: \
             {PASSPHRASE}\n"
        )
    };
    let get = format!("GET {target}");
    let of = |line: &str, rest: &str| examine(&headers(line, &signature(&format!("{NOW}{rest}"))));
    let right = headers(&get, &signature(&format!("{NOW}GET{target}")));
    let curl = |host: &str| {
        let options: Vec<_> = right.lines().skip(1).map(|line| format!("-H '{line}'")).collect();
        format!("curl {} '{host}{target}'", options.join(" "))
    };
    assert_eq!(examine(&curl("api.exchange.coinbase.com")), [], "curl adds the scheme itself");
    assert_eq!(examine(&format!("{right}Host: api-public.sandbox.exchange.coinbase.com\n")), []);
    vec![
        ("the query left out", of(&get, "GET/orders"), M::QueryInPath, Wrong),
        ("the host signed", of(&get, &format!("GEThttps://api.exchange.coinbase.com{target}")), M::Uri, Wrong),
        ("the method in small letters", of(&get, &format!("get{target}")), M::Uri, Wrong),
        ("the WebSocket's recipe", of(&get, VERIFY), M::OtherRecipe, Wrong),
        (
            "the body left out",
            examine(&format!("{}\n{post}", headers("POST /orders", &signature(&format!("{NOW}POST/orders"))))),
            M::Prehash,
            Wrong,
        ),
        (
            "hex",
            examine(&headers(&get, &hex::encode(mac(&key(), format!("{NOW}GET{target}").as_bytes())))),
            M::Encoding,
            Wrong,
        ),
        (
            "the secret not decoded",
            examine(&headers(&get, &STANDARD.encode(mac(SECRET.as_bytes(), format!("{NOW}GET{target}").as_bytes())))),
            M::SecretDecoding,
            Wrong,
        ),
        ("no passphrase", examine(&right.replace("CB-ACCESS-PASSPHRASE", "X")), M::Passphrase, Wrong),
        ("another passphrase", examine(&right.replace(PASSPHRASE, "another one")), M::Passphrase, Wrong),
        ("a token", examine(&format!("{get}\nAuthorization: Bearer a.b.c")), M::OtherVenuesKey, Wrong),
        ("the secret in a header", examine(&format!("{right}CB-ACCESS-SECRET: {SECRET}\n")), M::Swapped, Wrong),
        ("the secret in a header of any name", examine(&format!("{right}X-Secret: {SECRET}\n")), M::Swapped, Wrong),
        (
            "Advanced Trade's host",
            examine(&right.replace(&get, &format!("GET https://api.coinbase.com{target}"))),
            M::Url,
            Wrong,
        ),
        ("Advanced Trade's host, in a header", examine(&format!("{right}Host: api.coinbase.com\n")), M::Url, Wrong),
        ("Advanced Trade's host, by curl", examine(&curl("api.coinbase.com")), M::Url, Wrong),
        ("the secret, by curl -u", examine(&format!("{} -u 'me:{SECRET}'", curl("x"))), M::Swapped, Wrong),
        ("no CB-ACCESS-SIGN", examine(&right.replace("CB-ACCESS-SIGN", "X")), M::ChannelsPlural, Wrong),
        ("nothing of the request", examine(&right.replace(&get, "")), M::Prehash, Noted),
    ]
}

/// What is wrong is told as it is: a remedy against hex helps nobody who sent something else.
#[test]
fn a_finding_says_which() {
    let first = |found: &[Finding]| found.first().map(|first| first.what.clone()).unwrap_or_default();
    let sixty = of_parts(KEY, &STANDARD.encode([3; 60]), Some(PASSPHRASE));
    let hex = of_parts(KEY, &hex::encode(key()), Some(PASSPHRASE));
    for (told, word) in [
        (first(&verdict::of_credentials(&sixty, &EXCHANGE, NOW)), "60 bytes where 64 were always seen"),
        (first(&verdict::of_credentials(&hex, &EXCHANGE, NOW)), "the secret is hex"),
        (first(&of(&subscribe(&STANDARD.encode([7; 64])))), "SHA-512's"),
        (first(&of(&subscribe(&URL_SAFE.encode([0xfb; 32])))), "base64url"),
        (first(&of(&without(good(), "key"))), "`key`"),
        (first(&of(&with(good(), "secret", SECRET))), "make a new key"),
    ] {
        assert!(told.contains(word), "{word}: {told}");
    }
    assert!(!M::Encoding.remedy(&EXCHANGE).contains("hex"));
    assert!(M::ChannelsPlural.remedy(&EXCHANGE).contains("\"type\""));
}

/// Nobody has to name the venue of a message whose form names it.
#[test]
fn whose_a_message_is_its_form_says() {
    let [hex, base64] = [stage::hex_of("x"), signature("x")];
    let pasted = |headers: &str| format!("{headers}\nCB-ACCESS-KEY: k\n");
    let ours = [
        json!({ "type": "subscribe", "channels": [{ "name": "ticker", "product_ids": ["BTC-USD"] }] }).to_string(),
        json!({ "type": "unsubscribe", "channels": ["ticker"] }).to_string(),
        json!({ "channel": "full", "key": KEY, "signature": base64 }).to_string(),
        good().to_string(),
        pasted("GET https://api.coinbase.com/accounts\nCB-ACCESS-PASSPHRASE: p"),
        pasted("GET /accounts\nHost: api.exchange.coinbase.com"),
        pasted(&format!("GET /accounts\nCB-ACCESS-SIGN: {base64}")),
        "curl api-public.sandbox.exchange.coinbase.com/accounts -H 'CB-ACCESS-KEY: k'".to_owned(),
    ];
    let theirs = [
        json!({ "type": "subscribe", "channel": "ticker", "product_ids": ["BTC-USD"] }).to_string(),
        json!({ "channels": ["level2"], "api_key": "k", "signature": hex }).to_string(),
        json!({ "channels": ["level2"], "jwt": "a.b.c" }).to_string(),
        json!({ "channel": "passphrase" }).to_string(),
        pasted("GET https://api.coinbase.com/api/v3/brokerage/accounts"),
        pasted(&format!("GET /accounts\nCB-ACCESS-SIGN: {hex}")),
        "GET https://api.exchange.coinbase.com/accounts\nAuthorization: Bearer a.b.c".to_owned(),
        "hello".to_owned(),
    ];
    for (texts, venue) in [(ours, &EXCHANGE), (theirs, stage::venue())] {
        for text in texts {
            assert_eq!(verdict::venue_meant(&text).name, venue.name, "{text}");
        }
    }
}

/// People paste what they were told: it is what they sent that is looked at.
#[test]
fn an_answer_is_said_to_be_one() {
    let refusal =
        json!({ "type": "error", "message": "Failed to subscribe", "reason": "FOO-USD is not a valid product" });
    let ack = json!({ "type": "subscriptions", "channels": [{ "name": "ticker", "product_ids": ["BTC-USD"] }] });
    let envelope =
        json!({ "channel": "subscriptions", "sequence_num": 0, "events": [{ "subscriptions": { "user": ["x"] } }] });
    for answer in [&refusal, &ack, &envelope] {
        let said = verdict::message(&answer.to_string(), &EXCHANGE, None, NOW);
        assert_eq!(said, Err(verdict::NotAMessage::Answer), "{answer}");
        assert_eq!(examine(&format!("< {answer}\n> {}", good())), [], "{answer}");
    }
}
