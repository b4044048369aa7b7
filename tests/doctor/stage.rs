//! Keys that are made here, and messages that are signed with them in any way.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use tickerd::{
    auth::{Credentials, Scheme, Secret},
    venue::{Venue, advanced_trade::MARKET},
    verdict::{self, Finding},
};

pub const KEY: &str = "kVlJUIsXUFIGCVuV";
pub const SECRET: &str = "M4009eFnOoPwhNoMwJlsAHgIgleGVFPl";
pub const NAME: &str =
    "organizations/00000000-1111-2222-3333-444444444444/apiKeys/55555555-6666-7777-8888-999999999999";
pub const NOW: u64 = 1_795_539_600;
pub const PATH: &str = "/api/v3/brokerage/accounts";

pub fn venue() -> &'static Venue {
    &MARKET
}

pub fn credentials(key: &str, secret: &str) -> Credentials {
    Credentials::new("main", Scheme::Auto, key, &Secret::new(secret.to_owned())).expect("a good pair")
}

pub fn hmac_key() -> Credentials {
    credentials(KEY, SECRET)
}

/// DER of an EC key, and credentials of it.
pub fn ec_key() -> (Vec<u8>, Credentials) {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let der = pair.to_pkcs8v1().expect("DER").as_ref().to_vec();
    let credentials = credentials(NAME, &STANDARD.encode(&der));
    (der, credentials)
}

/// DER of an Ed25519 key.
pub fn ed_key() -> Vec<u8> {
    Ed25519KeyPair::generate().expect("a key").to_pkcs8v1().expect("DER").as_ref().to_vec()
}

pub fn pem(der: &[u8], label: &str) -> String {
    let base64 = STANDARD.encode(der);
    let lines: Vec<_> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

pub fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).expect("any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

pub fn hex_of(prehash: &str) -> String {
    hex::encode(mac(SECRET.as_bytes(), prehash.as_bytes()))
}

/// A subscribe to level2 of two products, with this signature.
pub fn subscribe(signature: &str) -> Value {
    json!({
        "type": "subscribe", "product_ids": ["ETH-USD", "BTC-USD"], "channel": "level2",
        "api_key": KEY, "timestamp": NOW.to_string(), "signature": signature,
    })
}

/// The same, signed over `prehash`, of which the time comes first and is added here.
pub fn signed(rest: &str) -> Value {
    subscribe(&hex_of(&format!("{NOW}{rest}")))
}

pub fn with(mut message: Value, field: &str, value: impl Into<Value>) -> Value {
    message[field] = value.into();
    message
}

pub fn headers(line: &str, signature: &str) -> String {
    format!("{line}\nCB-ACCESS-KEY: {KEY}\nCB-ACCESS-SIGN: {signature}\nCB-ACCESS-TIMESTAMP: {NOW}\n")
}

/// A token of any claims, signed by ES256.
pub fn token(der: &[u8], header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(header), part(claims));
    let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der).expect("a key");
    let signature = pair.sign(&aws_lc_rs::rand::SystemRandom::new(), text.as_bytes()).expect("a signature");
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

pub fn header() -> Value {
    json!({ "alg": "ES256", "typ": "JWT", "kid": NAME, "nonce": "00" })
}

pub fn claims() -> Value {
    json!({ "sub": NAME, "iss": "cdp", "nbf": NOW - 5, "exp": NOW + 115 })
}

pub fn with_jwt(token: &str) -> Value {
    json!({ "type": "subscribe", "product_ids": ["BTC-USD"], "channel": "level2", "jwt": token })
}

pub fn examine(text: &str, credentials: &Credentials) -> Vec<Finding> {
    verdict::message(text, venue(), Some(credentials), NOW).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// No text of a finding holds eight characters in a row of what must not be seen.
pub fn hides(found: &[Finding], hidden: &[&str]) {
    for finding in found {
        for window in hidden.iter().flat_map(|text| text.as_bytes().windows(8)) {
            let window = String::from_utf8_lossy(window);
            assert!(!finding.what.contains(&*window), "{} shows {window}", finding.what);
        }
    }
}
