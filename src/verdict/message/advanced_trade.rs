//! A subscribe to Advanced Trade: one channel, its products, and a token or an HMAC.

use serde_json::{Map, Value};

use super::{Examination, Given};
use crate::{
    venue::Product,
    verdict::{
        Finding, Mistake as M, of_channel, of_product,
        paste::plain,
        recipe,
        token::{self, For},
    },
};

pub(super) fn subscribe(by: &Examination<'_>, message: &Map<String, Value>) -> Vec<Finding> {
    let mut found = Vec::new();
    let has = |name: &str| message.contains_key(name);
    if has("passphrase") || (has("key") && has("signature")) {
        let what = "there is a `passphrase` or a `key`, which are the Exchange's fields: Advanced Trade has api_key";
        found.push(Finding::wrong(M::OtherVenuesKey, what));
    }
    if has("channels") {
        found.push(Finding::wrong(M::ChannelsPlural, "`channels` is the Exchange's: write one `channel`, as a text"));
    } else if !message.get("channel").is_some_and(Value::is_string) {
        found.push(Finding::wrong(M::ChannelsPlural, "there is no `channel` that is a text"));
    }
    let channel = message.get("channel").and_then(Value::as_str).or_else(|| message.get("channels")?.get(0)?.as_str());
    let channel = channel.unwrap_or_default();
    if !channel.is_empty() {
        found.extend(of_channel(by.venue, channel));
    }
    if !has("type") {
        found.push(Finding::wrong(M::ChannelsPlural, "there is no `type`: it must be \"subscribe\""));
    }
    if has("product_id") || message.get("product_ids").is_some_and(|ids| !ids.is_array()) {
        let what = "products are sent as a list, \"product_ids\": [\"BTC-USD\"]";
        found.push(Finding::wrong(M::ProductSpelling, what));
    }
    if message.keys().any(|name| name.to_lowercase().starts_with("cb-access-")) {
        let what = "there are REST's headers in the message: a WebSocket takes api_key, timestamp and signature";
        found.push(Finding::wrong(M::OtherRecipe, what));
    }
    let products: Vec<_> =
        message.get("product_ids").and_then(Value::as_array).into_iter().flatten().map(plain).collect();
    found.extend(products.iter().filter_map(|id| Product::parse(id).err()).map(|misspelt| of_product(&misspelt)));
    let token = message.get("jwt").map(plain);
    let signature = message.get("signature").map(plain);
    if let Some(token) = &token {
        found.extend(token::examine(token, &For::WebSocket, by.venue, by.credentials, by.now));
    }
    if token.is_some() && (signature.is_some() || has("api_key")) {
        found.push(Finding::wrong(
            M::BadToken,
            "there is a jwt, and a signature or an api_key as well: send one of them",
        ));
    } else if let Some(signature) = signature {
        let key = message.get("api_key").or_else(|| message.get("key")).map(plain);
        let given = Given { key, key_field: "api_key", timestamp: message.get("timestamp").cloned(), signature };
        found.extend(given.number(by.venue));
        by.signature(&given, || recipe::of_contents(by.venue, channel, &products), &mut found);
    } else if token.is_none() && by.venue.channel(channel).is_some_and(|channel| channel.private) {
        found.push(Finding::wrong(M::PrivateChannel, format!("{channel} is private, and the message is not signed")));
    }
    found
}
