//! What a client sends over its WebSocket: a subscribe or an unsubscribe of one channel.

use serde::Deserialize;
use serde_json::Value;

use super::recipe;
use crate::{
    auth::hmac,
    simulator::{
        counterpart::{Request, Wanted},
        gate::{Proof, Signed},
        refusal::Refusal,
    },
    venue::{Products, Venue, advanced_trade::MARKET},
};

/// For whoever reads the exchange's log.
const FORM: &str = "it should be {\"type\":\"subscribe\",\"product_ids\":[…],\"channel\":\"…\"}";

#[derive(Deserialize)]
struct Text {
    r#type: String,
    channel: String,
    product_ids: Option<Vec<String>>,
    jwt: Option<String>,
    api_key: Option<String>,
    timestamp: Option<Value>,
    signature: Option<String>,
}

/// Reads what a client sent to `venue`.
pub fn read(text: &str, venue: &'static Venue) -> Result<Request, Refusal> {
    // serde_json's message names a place in the text and a type, and no value but a key.
    let text: Text = serde_json::from_str(text)
        .map_err(|error| Refusal::Unreadable(format!("line {}, column {}: {FORM}", error.line(), error.column())))?;
    let subscribe = match text.r#type.as_str() {
        "subscribe" => true,
        "unsubscribe" => false,
        _ => return Err(Refusal::Unreadable("type is neither subscribe nor unsubscribe".to_owned())),
    };
    let channel = venue.channel(&text.channel).ok_or_else(|| Refusal::UnknownChannel(text.channel.clone()))?;
    let products = text.product_ids.unwrap_or_default();
    if subscribe && products.is_empty() && channel.products == Products::Required {
        return Err(Refusal::NoProducts(channel.name));
    }
    let proof = match (text.jwt, text.api_key, text.timestamp, text.signature) {
        (Some(token), ..) => Proof::Jwt(token),
        (None, None, None, None) => Proof::None,
        (None, key, timestamp, signature) => Proof::Hmac { key, timestamp, signature, passphrase: None },
    };
    Ok(Request { subscribe, wanted: vec![Wanted { channel, of: products }], proof })
}

/// A subscribe or unsubscribe, as it is signed.
pub struct Subscribing<'a>(pub &'a Request);

impl Subscribing<'_> {
    fn parts(&self) -> (&'static str, &[String]) {
        self.0.wanted.first().map_or(("", &[]), |wanted| (wanted.channel.name, &wanted.of))
    }
}

impl Signed for Subscribing<'_> {
    fn timestamp(&self, sent: &Value) -> Result<(String, u64), Refusal> {
        recipe::timestamp(sent)
    }

    fn look_at(&self, signature: &str) -> Result<(), Refusal> {
        recipe::look_at(signature)
    }

    fn signature(&self, key: &hmac::Key, timestamp: &str) -> String {
        let (channel, products) = self.parts();
        recipe::sign(key, &format!("{timestamp}{channel}{}", products.join(",")))
    }

    fn mistaken(&self, key: &hmac::Key, timestamp: &str) -> Vec<(String, &'static str)> {
        const REST: &str = "over a REST request: a subscribe signs timestamp, channel and products";
        let (channel, products) = self.parts();
        let mut sorted = products.to_vec();
        sorted.sort_unstable();
        recipe::signed(
            key,
            [
                (format!("{timestamp}GET/users/self/verify"), REST),
                (format!("{timestamp}GET{}", MARKET.rest.permissions), REST),
                (
                    format!("{timestamp}{channel}{}", sorted.join(",")),
                    "over the products in another order than the message's",
                ),
                (format!("{timestamp}{channel}{}", products.concat()), "over products without a comma between them"),
                (format!("{timestamp}{channel}{}", products.join(", ")), "over products with blanks between them"),
                (format!("{timestamp}{channel}"), "over the channel without its products"),
            ],
        )
    }

    fn wrong_uri(&self, uri: Option<&str>) -> Option<&'static str> {
        uri.map(|_| "uri is for REST requests only")
    }
}
