//! The Exchange's signatures, right and by other recipes.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::{
    auth::{KeyFile, Secret},
    simulator::{
        counterpart,
        gate::{Gate, Proof},
    },
    venue::{self, exchange::EXCHANGE},
};

const SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg==";
const NOW: u64 = 1_700_000_000;

fn gate() -> Gate {
    let file = KeyFile {
        passphrase: Some(Secret::new("phrase".to_owned())),
        ..KeyFile::of_halves("k", Secret::new(SECRET.to_owned()))
    };
    Gate::new(counterpart::of(&EXCHANGE), vec![Arc::new(file.credentials("main").expect("a shared secret"))])
}

fn shown(timestamp: Value, signature: &str, passphrase: &str) -> Proof {
    Proof::Hmac {
        key: Some("k".to_owned()),
        timestamp: Some(timestamp),
        signature: Some(signature.to_owned()),
        passphrase: Some(passphrase.to_owned()),
    }
}

fn subscribe() -> Request {
    let text = r#"{"type":"subscribe","channels":[{"name":"ticker","product_ids":["ETH-USD","BTC-USD"]}]}"#;
    counterpart::of(&EXCHANGE).read(text).expect("a subscribe")
}

/// A known answer, computed with Python's hmac.
#[test]
fn a_signature_is_taken_that_was_not_made_here() {
    const KNOWN: &str = "VWEblJISZzHK29JLE7EP1VNXMFU1COxq3vybOn3OVEk=";
    let subscribe = subscribe();
    let check =
        |passphrase| gate().check_proof(&shown(json!("1700000000"), KNOWN, passphrase), &Subscribing(&subscribe), NOW);
    assert_eq!(check("phrase"), Ok(()));
    assert_eq!(check("Phrase"), Err(Refusal::Passphrase));
}

/// What the venue says is "invalid signature" each time; whoever reads the exchange's log is to learn more.
#[test]
fn a_signature_by_another_recipe_is_told_by_which() {
    let (mut gate, key) = (gate(), hmac::Key::new(SECRET));
    let call = Call {
        request: venue::Request::get("/accounts?limit=1"),
        host: "exchange.test".to_owned(),
        proof: Proof::None,
    };
    let subscribe = subscribe();
    let (call, subscribe) = (Calling(&call), Subscribing(&subscribe));
    let base64 = |prehash: &str| sign(&key, &format!("{NOW}{prehash}"));
    let raw = |prehash: &str| key.sign(&format!("{NOW}{prehash}"));
    let verify = "GET/users/self/verify";
    let cases: [(&dyn Signed, String, &str); 11] = [
        (&subscribe, STANDARD.encode(raw(verify)), "as it stands: it is base64"),
        (&subscribe, hex::encode(raw(verify)), "the Exchange neither"),
        (&subscribe, hex::encode(key.sign_decoded(&format!("{NOW}{verify}")).expect("base64")), "it is hex"),
        (&subscribe, hex::encode(raw("tickerETH-USD,BTC-USD")), "by Advanced Trade's recipe"),
        (&subscribe, base64("tickerETH-USD,BTC-USD"), "over channel and products"),
        (&subscribe, base64("GET/users/self/verify/"), "a slash more"),
        (&subscribe, base64("get/users/self/verify"), "small letters"),
        (&subscribe, base64("/users/self/verify"), "without its method"),
        (&call, base64("GET/accounts"), "without its query"),
        (&call, base64(verify), "a subscribe's path"),
        (&call, base64("GEThttps://exchange.test/accounts?limit=1"), "scheme and host"),
    ];
    for (what, signature, named) in cases {
        let refusal = gate.check_proof(&shown(json!(NOW.to_string()), &signature, "phrase"), what, NOW);
        let said = refusal.expect_err(named).to_string();
        assert!(said.starts_with("the signature is this key's") && said.contains(named), "{named}: {said}");
    }
    let wrong = gate.check_proof(&shown(json!(NOW), &base64("nonsense"), "phrase"), &call, NOW);
    assert_eq!(wrong, Err(Refusal::WrongSignature));
    let short = gate.check_proof(&shown(json!(NOW), "AAAA", "phrase"), &call, NOW);
    assert_eq!(short, Err(Refusal::NotBase64));
    assert_eq!(gate.check_proof(&shown(json!(NOW), &base64("GET/accounts?limit=1"), "phrase"), &call, NOW), Ok(()));
}

#[test]
fn seconds_may_have_decimals_and_be_a_number() {
    let whole = |sent: Value| timestamp(&sent).map(|(_, seconds)| seconds);
    for sent in [json!("1700000000"), json!("1700000000.123"), json!(NOW), json!(1_700_000_000.25)] {
        assert_eq!(whole(sent.clone()), Ok(NOW), "{sent}");
    }
    for odd in [json!(""), json!("now"), json!("1700000000."), json!("-1.5"), json!("+5"), json!(null), json!("1e9")] {
        assert_eq!(whole(odd.clone()), Err(Refusal::OddTimestamp), "{odd}");
    }
}
