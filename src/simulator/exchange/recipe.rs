//! How the Exchange signs: seconds, with decimals or without, the secret decoded, base64. A subscribe signs the same as a
//! request to `/users/self/verify`, whatever it asks for; REST signs the path with its query.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::{
    auth::hmac,
    simulator::{counterpart::Request, gate::Signed, refusal::Refusal, rest::Call},
};

/// The path that each subscribe signs.
pub const VERIFY: &str = "/users/self/verify";

const NOT_DECODED: &str = "with the secret as it stands: it is base64, and what it stands for is the key";
const AS_HEX: &str = "in the right way but for its spelling: it is hex, and base64 is wanted";
const NEITHER: &str = "with the secret as it stands, and in hex: Advanced Trade wants it so, the Exchange neither";

/// A subscribe or unsubscribe, as it is signed.
pub struct Subscribing<'a>(pub &'a Request);

/// A REST request, as it is signed.
pub struct Calling<'a>(pub &'a Call);

impl Signed for Subscribing<'_> {
    fn timestamp(&self, sent: &Value) -> Result<(String, u64), Refusal> {
        timestamp(sent)
    }

    fn look_at(&self, signature: &str) -> Result<(), Refusal> {
        look_at(signature)
    }

    fn signature(&self, key: &hmac::Key, timestamp: &str) -> String {
        sign(key, &format!("{timestamp}GET{VERIFY}"))
    }

    fn mistaken(&self, key: &hmac::Key, timestamp: &str) -> Vec<(String, &'static str)> {
        let wanted: Vec<_> = self.0.wanted.iter().collect();
        let channels: Vec<_> = wanted.iter().map(|wanted| wanted.channel.name).collect();
        let products = wanted.first().map(|wanted| wanted.of.join(",")).unwrap_or_default();
        // Advanced Trade's recipe, of this message.
        let advanced_trade = format!("{timestamp}{}{products}", channels.join(","));
        let mut all = spelt(key, &format!("{timestamp}GET{VERIFY}"));
        all.push((
            hex::encode(key.sign(&advanced_trade)),
            "by Advanced Trade's recipe: over channel and products, in hex",
        ));
        for (prehash, name) in [
            (advanced_trade, "over channel and products, as at Advanced Trade: it is GET/users/self/verify here"),
            (format!("{timestamp}GET{VERIFY}/"), "over a slash more than the path has"),
            (format!("{timestamp}get{VERIFY}"), "over the method in small letters"),
            (format!("{timestamp}{VERIFY}"), "over the path without its method"),
            (format!("{timestamp}GET/users/self"), "over a path without its /verify"),
            (format!("{timestamp}GET"), "over no path"),
            (format!("GET{VERIFY}"), "over no timestamp"),
        ] {
            all.push((sign(key, &prehash), name));
        }
        all
    }

    fn wrong_uri(&self, _: Option<&str>) -> Option<&'static str> {
        None
    }
}

impl Signed for Calling<'_> {
    fn timestamp(&self, sent: &Value) -> Result<(String, u64), Refusal> {
        timestamp(sent)
    }

    fn look_at(&self, signature: &str) -> Result<(), Refusal> {
        look_at(signature)
    }

    fn signature(&self, key: &hmac::Key, timestamp: &str) -> String {
        sign(key, &self.prehash(timestamp))
    }

    fn mistaken(&self, key: &hmac::Key, timestamp: &str) -> Vec<(String, &'static str)> {
        let crate::venue::Request { method, path, body, .. } = &self.0.request;
        let (target, lower) = (self.0.request.target(), method.to_lowercase());
        let mut all = spelt(key, &self.prehash(timestamp));
        for (prehash, name) in [
            (format!("{timestamp}{method}{path}{body}"), "over the path without its query, which is signed here"),
            (format!("{timestamp}{lower}{target}{body}"), "over the method in small letters"),
            (format!("{timestamp}{method}{VERIFY}"), "over a subscribe's path: a request signs its own"),
            (
                format!("{timestamp}{method}https://{}{target}{body}", self.0.host),
                "over scheme and host as well, which are not signed",
            ),
        ] {
            all.push((sign(key, &prehash), name));
        }
        all
    }

    fn wrong_uri(&self, _: Option<&str>) -> Option<&'static str> {
        None
    }
}

impl Calling<'_> {
    fn prehash(&self, timestamp: &str) -> String {
        let request = &self.0.request;
        format!("{timestamp}{}{}{}", request.method, request.target(), request.body)
    }
}

/// Seconds as a string or as a number: tardis sends a number, and is answered.
fn timestamp(sent: &Value) -> Result<(String, u64), Refusal> {
    let text = match sent {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err(Refusal::OddTimestamp),
    };
    let (whole, part) = text.split_once('.').unwrap_or((&text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match whole.parse() {
        Ok(seconds) if digits(whole) && digits(part) => Ok((text, seconds)),
        _ => Err(Refusal::OddTimestamp),
    }
}

/// Whether it is 32 bytes, in base64 or, so that the log can say what it is, in hex.
fn look_at(signature: &str) -> Result<(), Refusal> {
    let long = |bytes: Option<Vec<u8>>| bytes.is_some_and(|bytes| bytes.len() == 32);
    let is_one = long(STANDARD.decode(signature).ok()) || long(hex::decode(signature).ok());
    if is_one { Ok(()) } else { Err(Refusal::NotBase64) }
}

/// The signature over `prehash`; of a secret that can not be decoded, what nobody can have made.
fn sign(key: &hmac::Key, prehash: &str) -> String {
    key.sign_decoded(prehash).map(|signature| STANDARD.encode(signature)).unwrap_or_default()
}

/// The right text, signed or written in a wrong way.
fn spelt(key: &hmac::Key, prehash: &str) -> Vec<(String, &'static str)> {
    let plain = key.sign(prehash);
    let decoded = key.sign_decoded(prehash).map(hex::encode).unwrap_or_default();
    vec![(STANDARD.encode(plain), NOT_DECODED), (decoded, AS_HEX), (hex::encode(plain), NEITHER)]
}

#[cfg(test)]
mod tests;
