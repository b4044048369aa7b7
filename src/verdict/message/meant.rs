//! For which venue a message was written, where nobody says so: by its form.

use serde_json::{Map, Value};

use super::headers::{answers_at, host_of};
use crate::{
    venue::{Venue, advanced_trade::MARKET, exchange::EXCHANGE},
    verdict::paste::{self, Asked, Pasted},
};

/// The venue whose form a message has. What only one of them knows weighs most; a field may be astray, most of them are not.
#[must_use]
pub fn venue_meant(text: &str) -> &'static Venue {
    let weight = match paste::read(text) {
        Ok(Pasted::Subscribe(message)) => of_message(&message),
        Ok(Pasted::Headers(headers, asked)) => of_headers(&headers, asked.as_ref()),
        Err(_) => 0,
    };
    if weight > 0 { &EXCHANGE } else { &MARKET }
}

/// Above 0 where it has the Exchange's form, below where it has Advanced Trade's.
fn of_message(message: &Map<String, Value>) -> i32 {
    let has = |name: &str| i32::from(message.contains_key(name));
    let is_list = i32::from(message.get("channels").is_some_and(Value::is_array));
    let exchanges = is_list + has("key") + 2 * has("passphrase");
    let advanced_trades = has("channel") + has("api_key") + 2 * has("jwt");
    exchanges - advanced_trades + message.get("signature").and_then(Value::as_str).map_or(0, of_signature)
}

fn of_headers(headers: &[(String, String)], asked: Option<&Asked>) -> i32 {
    let of = |name: &str| headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str());
    let target = asked.map(|asked| asked.target.as_str()).unwrap_or_default();
    let address = target.split_once("://").map(|(_, rest)| rest).or_else(|| of("host")).unwrap_or_default();
    let is_at = |venue| i32::from(answers_at(venue, &host_of(address)));
    let proof = 2 * i32::from(of("cb-access-passphrase").is_some()) - 2 * i32::from(of("authorization").is_some());
    proof + is_at(&EXCHANGE) - is_at(&MARKET) + of("cb-access-sign").map_or(0, of_signature)
}

fn of_signature(signature: &str) -> i32 {
    let bare = signature.trim();
    match bare.len() {
        64 if bare.bytes().all(|b| b.is_ascii_hexdigit()) => -1,
        44 if bare.ends_with('=') => 1,
        _ => 0,
    }
}
