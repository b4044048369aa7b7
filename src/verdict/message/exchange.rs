//! A subscribe to the Exchange: a list of channels, each with products of its own, and an HMAC with a passphrase.

use serde_json::{Map, Value};

use super::{Examination, Given};
use crate::{
    auth::key,
    venue::{Product, Products},
    verdict::{Finding, Mistake as M, of_channel, of_product, paste::plain, recipe},
};

/// What the venue itself calls two of its channels as well.
const ALIASES: [&str; 2] = ["ticker_1000", "level2_50"];

/// A channel of the list.
struct Asked {
    name: String,
    /// None where it has no such field.
    products: Option<Vec<String>>,
    accounts: bool,
}

pub(super) fn subscribe(by: &Examination<'_>, message: &Map<String, Value>) -> Vec<Finding> {
    let mut found = Vec::new();
    let has = |name: &str| message.contains_key(name);
    let channels = listed(message, &mut found);
    if !has("type") {
        found.push(Finding::wrong(M::ChannelsPlural, "there is no `type`: it must be \"subscribe\""));
    }
    // It is nobody's to read, and a finding says what is misspelt.
    let is_passphrase = |text: &str| by.own().is_some_and(|(_, passphrase)| text == passphrase);
    for asked in channels.iter().filter(|asked| !ALIASES.contains(&&*asked.name)) {
        if is_passphrase(&asked.name) {
            found.push(Finding::wrong(M::Swapped, "the passphrase stands where a channel belongs"));
        } else {
            found.extend(of_channel(by.venue, &asked.name));
        }
    }
    let beside = of_products(message.get("product_ids"));
    if beside.as_ref().is_some_and(|ids| !ids.is_empty()) {
        let what = "`product_ids` stands beside the channels, where the venue was seen to refuse it with \" is not a valid \
                    product\" (gocryptotrader#1421): write it into each channel that has products";
        found.push(Finding::wrong(M::ChannelsPlural, what));
    }
    let fields = std::iter::once(message).chain(objects(message));
    if fields.clone().any(|of| {
        of.contains_key("product_id") || of.get("product_ids").is_some_and(|ids| !ids.is_array() && !ids.is_null())
    }) {
        let what = "products are sent as a list, \"product_ids\": [\"BTC-USD\"], within each channel";
        found.push(Finding::wrong(M::ProductSpelling, what));
    }
    // To unsubscribe of none is to unsubscribe of all.
    let unsubscribes = message.get("type").is_some_and(|kind| kind == "unsubscribe");
    for asked in channels.iter().filter(|_| !unsubscribes) {
        found.extend(lacks(by, asked, beside.is_some()));
    }
    let accounts = |of: &Map<String, Value>| of.get("account_ids").and_then(Value::as_array).cloned();
    if !fields.filter_map(accounts).flatten().all(|id| id.as_str().is_some_and(key::is_uuid)) {
        // What is no id may be anything, a key as well: it is not shown.
        let what = "what stands in `account_ids` is no account's id: they are UUIDs, as GET /accounts lists them";
        found.push(Finding::wrong(M::ChannelsPlural, what));
    }
    let mut products: Vec<_> = Vec::new();
    for id in channels.iter().filter_map(|asked| asked.products.as_ref()).chain(&beside).flatten() {
        if !products.contains(id) {
            products.push(id.clone());
        }
    }
    for misspelt in products.iter().filter_map(|id| Product::parse(id).err()) {
        found.push(if is_passphrase(&misspelt.given) {
            Finding::wrong(M::Swapped, "the passphrase stands where a product belongs")
        } else {
            of_product(&misspelt)
        });
    }
    if message.keys().any(|name| name.to_lowercase().starts_with("cb-access-")) {
        let what =
            "there are REST's headers in the message: a WebSocket takes key, passphrase, timestamp and signature";
        found.push(Finding::wrong(M::OtherRecipe, what));
    }
    if has("jwt") {
        let what =
            "there is a jwt, which is Advanced Trade's: the Exchange takes key, passphrase, timestamp and signature";
        found.push(Finding::wrong(M::OtherVenuesKey, what));
    }
    if has("api_key") && !has("key") {
        let what = "the key is sent as `api_key`, which is Advanced Trade's name for it: the Exchange's is `key`";
        found.push(Finding::wrong(M::ChannelsPlural, what));
    }
    let names: Vec<_> = channels.into_iter().map(|asked| asked.name).collect();
    if let Some(signature) = message.get("signature").map(plain) {
        let key = message.get("key").or_else(|| message.get("api_key")).map(plain);
        let given = Given { key, key_field: "key", timestamp: message.get("timestamp").cloned(), signature };
        found.extend(given.number(by.venue));
        by.signature(&given, || recipe::of_path(by.venue, &names, &products, by.own()), &mut found);
        by.passphrase(message.get("passphrase").map(plain).as_deref(), &mut found);
    } else if has("key") || has("passphrase") {
        found.push(Finding::wrong(M::ChannelsPlural, "there is a `key` or a `passphrase`, and no `signature`"));
    } else if !has("jwt") && !unsubscribes {
        let private = names.iter().filter_map(|name| by.venue.channel(name)).find(|channel| channel.private);
        found.extend(private.map(|channel| {
            Finding::wrong(M::PrivateChannel, format!("{} is private, and the message is not signed", channel.name))
        }));
    }
    found
}

/// The channels, as texts or as objects: the venue takes both.
fn listed(message: &Map<String, Value>, found: &mut Vec<Finding>) -> Vec<Asked> {
    let mut wrong = |what: &str| found.push(Finding::wrong(M::ChannelsPlural, what));
    let one = |name: &str| Asked { name: name.to_owned(), products: None, accounts: false };
    let Some(list) = message.get("channels").and_then(Value::as_array).filter(|list| !list.is_empty()) else {
        let Some(name) = message.get("channel").and_then(Value::as_str) else {
            wrong("there is no `channels` that is a list: of that the venue says \"No channels provided\"");
            return Vec::new();
        };
        wrong(
            "`channel` is Advanced Trade's: write `channels`, a list; without it the venue says \"No channels provided\"",
        );
        return vec![one(name)];
    };
    let mut channels = Vec::new();
    for entry in list {
        let name = entry.as_str().or_else(|| entry.get("name")?.as_str());
        let Some(name) = name else {
            wrong("a channel of the list is neither a text nor an object with a `name`");
            continue;
        };
        channels.push(Asked {
            products: of_products(entry.get("product_ids")),
            accounts: entry.get("account_ids").and_then(Value::as_array).is_some_and(|ids| !ids.is_empty()),
            ..one(name)
        });
    }
    channels
}

fn objects(message: &Map<String, Value>) -> impl Iterator<Item = &Map<String, Value>> + Clone {
    message.get("channels").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

fn of_products(ids: Option<&Value>) -> Option<Vec<String>> {
    match ids? {
        Value::Array(ids) => Some(ids.iter().map(plain).collect()),
        // Which form it must have is said apart from what it says.
        Value::String(id) => Some(vec![id.clone()]),
        _ => None,
    }
}

/// What a channel must be told of, and is not; of products beside the list that is said already.
fn lacks(by: &Examination<'_>, asked: &Asked, beside: bool) -> Option<Finding> {
    let channel = by.venue.channel(&asked.name)?;
    let name = channel.name;
    let none = asked.products.as_ref().is_none_or(Vec::is_empty);
    let what = match channel.products {
        Products::Required if none && !beside => format!(
            "{name} has no `product_ids`: of that the venue says \"You need to specify at least one product ID for \
             channel {name}\""
        ),
        Products::Accounts if !asked.accounts => format!("{name} has no list of `account_ids`, and must be told which"),
        _ => return None,
    };
    Some(Finding::wrong(M::ChannelsPlural, what))
}
