//! How Advanced Trade signs with a shared secret: whole seconds as a string, the secret's own bytes, lower-case hex.

use serde_json::Value;

use crate::{auth::hmac, simulator::refusal::Refusal};

/// Whole seconds, as a string: a number is refused.
pub fn timestamp(sent: &Value) -> Result<(String, u64), Refusal> {
    let text = match sent {
        Value::String(text) => text,
        Value::Number(_) => return Err(Refusal::NumericTimestamp),
        _ => return Err(Refusal::OddTimestamp),
    };
    Ok((text.clone(), text.parse().map_err(|_| Refusal::OddTimestamp)?))
}

/// Whether it is 32 bytes in lower-case hex.
pub fn look_at(signature: &str) -> Result<(), Refusal> {
    let hex = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
    if signature.len() == 64 && signature.bytes().all(hex) { Ok(()) } else { Err(Refusal::NotHex) }
}

/// The signature over `prehash`.
pub fn sign(key: &hmac::Key, prehash: &str) -> String {
    hex::encode(key.sign(prehash))
}

/// The same over each of several pre-hashes, with the name of each.
pub fn signed<const N: usize>(key: &hmac::Key, prehashes: [(String, &'static str); N]) -> Vec<(String, &'static str)> {
    prehashes.into_iter().map(|(prehash, name)| (sign(key, &prehash), name)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        auth::{Credentials, Scheme, Secret},
        simulator::{
            advanced_trade::{api::Calling, request::Subscribing},
            counterpart,
            gate::{Gate, Proof, Signed},
            rest::Call,
        },
        venue::{self, advanced_trade::MARKET},
    };

    const NOW: u64 = 1_786_309_548;

    /// What the venue says is the same each time; whoever reads the exchange's log is to learn more.
    #[test]
    fn a_signature_by_another_recipe_is_told_by_which() {
        let secret = "M4009eFnOoPwhNoMwJlsAHgIgleGVFPl";
        let known = Credentials::new("main", Scheme::Hmac, "k", &Secret::new(secret.to_owned())).expect("a key");
        let mut gate = Gate::new(counterpart::of(&MARKET), vec![Arc::new(known)]);
        let over = |prehash: &str| Proof::Hmac {
            key: Some("k".to_owned()),
            timestamp: Some(Value::String(NOW.to_string())),
            passphrase: None,
            signature: Some(hex::encode(hmac::Key::new(secret).sign(&format!("{NOW}{prehash}")))),
        };
        let call = Call {
            request: venue::Request::get("/api/v3/brokerage/accounts?limit=1"),
            host: String::new(),
            proof: Proof::None,
        };
        let subscribe = r#"{"type":"subscribe","channel":"ticker","product_ids":["ETH-USD","BTC-USD"]}"#;
        let subscribe = counterpart::of(&MARKET).read(subscribe).expect("a subscribe");
        let (call, subscribe) = (Calling(&call), Subscribing(&subscribe));
        let cases: [(&dyn Signed, &str, &str); 7] = [
            (&call, "GET/api/v3/brokerage/accounts?limit=1", "query"),
            (&call, "get/api/v3/brokerage/accounts", "small letters"),
            (&call, "GEThttps://api.coinbase.com/api/v3/brokerage/accounts", "host"),
            (&subscribe, "GET/users/self/verify", "a REST request"),
            (&subscribe, "tickerBTC-USD,ETH-USD", "another order"),
            (&subscribe, "tickerETH-USD, BTC-USD", "blanks"),
            (&subscribe, "ticker", "without its products"),
        ];
        for (what, prehash, named) in cases {
            let refusal = gate.check_proof(&over(prehash), what, NOW).expect_err(prehash);
            assert!(matches!(refusal, Refusal::Recipe(recipe) if recipe.contains(named)), "{prehash}: {refusal}");
        }
        assert_eq!(gate.check_proof(&over("nonsense"), &call, NOW), Err(Refusal::WrongSignature));
        assert_eq!(gate.check_proof(&over("GET/api/v3/brokerage/accounts"), &call, NOW), Ok(()));
    }
}
