//! What a client sends over its WebSocket: a subscribe or an unsubscribe.

use serde::Deserialize;
use serde_json::Value;

use super::{
    gate::{Proof, Signed},
    refusal::Refusal,
};
use crate::venue::{Channel, Products, advanced_trade::MARKET};

/// A subscribe or an unsubscribe, as far as it can be read.
#[derive(Debug)]
pub struct Request {
    /// It subscribes; else it unsubscribes.
    pub subscribe: bool,
    /// To what.
    pub channel: &'static Channel,
    /// Of which products, as the client wrote them.
    pub products: Vec<String>,
    pub(super) proof: Proof,
}

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

impl Request {
    /// Reads what a client sent.
    ///
    /// # Errors
    /// When it is not a subscribe or unsubscribe, or names no channel of the venue.
    pub fn read(text: &str) -> Result<Self, Refusal> {
        // serde_json's message names a place in the text and a type, and no value but a key.
        let text: Text = serde_json::from_str(text)
            .map_err(|error| Refusal::Unreadable(format!("line {}, column {}", error.line(), error.column())))?;
        let subscribe = match text.r#type.as_str() {
            "subscribe" => true,
            "unsubscribe" => false,
            _ => return Err(Refusal::Unreadable("type is neither subscribe nor unsubscribe".to_owned())),
        };
        let channel = MARKET.channel(&text.channel).ok_or(Refusal::UnknownChannel)?;
        let products = text.product_ids.unwrap_or_default();
        if subscribe && products.is_empty() && channel.products == Products::Required {
            return Err(Refusal::NoProducts);
        }
        let proof = match (text.jwt, text.api_key, text.timestamp, text.signature) {
            (Some(token), ..) => Proof::Jwt(token),
            (None, None, None, None) => Proof::None,
            (None, key, timestamp, signature) => Proof::Hmac { key, timestamp, signature },
        };
        Ok(Self { subscribe, channel, products, proof })
    }

    /// Whether it claims to come from somebody.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        !matches!(self.proof, Proof::None)
    }
}

impl Signed for Request {
    fn prehash(&self, timestamp: &str) -> String {
        format!("{timestamp}{}{}", self.channel.name, self.products.join(","))
    }

    fn mistaken(&self, timestamp: &str) -> Vec<(String, &'static str)> {
        const REST: &str = "a REST request: a subscribe signs timestamp, channel and products";
        let channel = self.channel.name;
        let mut sorted = self.products.clone();
        sorted.sort_unstable();
        vec![
            (format!("{timestamp}GET/users/self/verify"), REST),
            (format!("{timestamp}GET{}", MARKET.rest.permissions), REST),
            (format!("{timestamp}{channel}{}", sorted.join(",")), "the products in another order than the message's"),
            (format!("{timestamp}{channel}{}", self.products.concat()), "products without a comma between them"),
            (format!("{timestamp}{channel}{}", self.products.join(", ")), "products with blanks between them"),
            (format!("{timestamp}{channel}"), "the channel without its products"),
        ]
    }

    fn wrong_uri(&self, uri: Option<&str>) -> Option<&'static str> {
        uri.map(|_| "uri is for REST requests only")
    }
}
