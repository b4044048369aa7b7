//! What a subscribe may have been signed over: at one venue its own contents, at another always the same path.

use super::{Contents, VERIFY, Way, right, slip};
use crate::{venue::Venue, verdict::Mistake as M};

/// As many products as a hand-written message has.
const MANY: usize = 30;

const REST: &str = "it is signed by REST's recipe (method and path), and a WebSocket signs channel and products";

/// Where channel and products are signed.
pub(in crate::verdict) fn of_contents(venue: &Venue, channel: &str, products: &[String]) -> Vec<Way<Contents>> {
    const SEPARATOR: &str = "the products are not joined by commas alone in what is signed";
    const ORDER: &str = "the products are signed in another order than they are sent in";
    let joined = products.join(",");
    let text = |text: String| Contents::after(text);
    let mut ways = vec![right(text(format!("{channel}{joined}")))];
    let mut add = |of: String, mistake, what| ways.push(slip(text(of), mistake, what));
    let json = serde_json::json!(products).to_string();
    let spaced = json.replace("\",\"", "\", \"");
    for separated in ["", ", ", " ", ";", "|"].map(|by| products.join(by)).into_iter().chain([
        spaced.replace('"', "'"),
        json,
        spaced,
    ]) {
        add(format!("{channel}{separated}"), M::Prehash, SEPARATOR);
    }
    let mut sorted = products.to_vec();
    sorted.sort();
    add(format!("{channel}{}", sorted.join(",")), M::Prehash, ORDER);
    for order in orders(products) {
        add(format!("{channel}{}", order.join(",")), M::Prehash, ORDER);
    }
    add(channel.to_owned(), M::Prehash, "the products are left out of what is signed");
    // Of many it would take minutes, and nobody forgets one of a hundred.
    for (left_out, _) in products.iter().enumerate().filter(|_| products.len() <= MANY) {
        let others: Vec<_> =
            products.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, id)| &**id).collect();
        add(format!("{channel}{}", others.join(",")), M::Prehash, "a product is left out of what is signed");
    }
    add(joined.clone(), M::Prehash, "the channel is left out of what is signed");
    add(format!("{joined}{channel}"), M::Prehash, "products are signed before the channel");
    add(format!("[\"{channel}\"]{joined}"), M::Prehash, "the channel is signed as a list");
    add(format!("{channel},{joined}"), M::Prehash, "a comma is signed between channel and products");
    for other in venue.channels.iter().map(|channel| channel.name).chain(["l2_data", "heartbeat"]) {
        if other != channel {
            add(format!("{other}{joined}"), M::Prehash, "the channel is signed by another name than it is sent by");
        }
    }
    add(String::new(), M::Prehash, "the time alone is signed");
    add(VERIFY.to_owned(), M::OtherRecipe, "it is signed by the Exchange's recipe, GET/users/self/verify");
    let rest = venue.rest;
    for path in [rest.permissions, rest.time, rest.products, rest.proof, "/api/v3/brokerage/accounts", "/ws", "/", ""] {
        let path = path.split('?').next().unwrap_or_default();
        for method in ["GET", "POST", "get"] {
            for rest in ["", &format!("{channel}{joined}")] {
                add(format!("{method}{path}{rest}"), M::OtherRecipe, REST);
            }
        }
        if !path.is_empty() {
            add(format!("{path}{channel}{joined}"), M::OtherRecipe, REST);
        }
    }
    for before in [format!("{channel}{joined}"), channel.to_owned()] {
        let after = if before.len() == channel.len() { joined.clone() } else { String::new() };
        ways.push(slip(Contents { before, after }, M::Prehash, "the time is not signed first"));
    }
    ways
}

/// Where every subscribe is signed as a request to the same path is; `own` are key and passphrase, where they are known.
pub(in crate::verdict) fn of_path(
    venue: &Venue,
    channels: &[String],
    products: &[String],
    own: Option<(&str, &str)>,
) -> Vec<Way<Contents>> {
    const PATH: &str = "the path is misspelt in what is signed: it is /users/self/verify";
    const BLANK: &str = "a blank is signed between method and path";
    const CONTENTS: &str =
        "it is signed by Advanced Trade's recipe (channel and products), and the Exchange signs GET/users/self/verify";
    const REST: &str = "it is signed by REST's recipe, over another path: a WebSocket signs GET/users/self/verify";
    const MORE: &str = "what is subscribed to is signed behind GET/users/self/verify, and must not be";
    let mut ways = vec![right(Contents::after(VERIFY.to_owned()))];
    let mut add = |of: String, mistake, what| ways.push(slip(Contents::after(of), mistake, what));
    for path in ["/user/self/verify", "/users/verify", "/users/self", "/users/self/verify/", "users/self/verify"] {
        add(format!("GET{path}"), M::Prehash, PATH);
    }
    add("GET /users/self/verify".to_owned(), M::Prehash, BLANK);
    add("/users/self/verify".to_owned(), M::Prehash, "the method is left out of what is signed: it is GET");
    add("get/users/self/verify".to_owned(), M::Uri, "the method is signed in small letters, and must be in capitals");
    add("POST/users/self/verify".to_owned(), M::Prehash, "another method is signed than GET");
    add(format!("GET{}/users/self/verify", venue.rest.url), M::Uri, "scheme and host are signed before the path");
    add(format!("{VERIFY}{{}}"), M::Prehash, "a body is signed where none is");
    add(String::new(), M::Prehash, "the time alone is signed");
    let (rest, all) = (venue.rest, [products.join(","), products.concat(), String::new()]);
    for path in [rest.permissions, rest.time, rest.products, rest.proof, "/ws", "/subscribe", "/", ""] {
        add(format!("GET{path}"), M::OtherRecipe, REST);
    }
    for products in &all {
        let together = [channels.join(","), channels.concat()];
        for channel in channels.iter().chain(&together) {
            add(format!("{channel}{products}"), M::OtherRecipe, CONTENTS);
            add(format!("{VERIFY}{channel}{products}"), M::Prehash, MORE);
        }
    }
    if let Some((key, passphrase)) = own {
        let what = "it is signed by the International Exchange's recipe, and the Exchange signs GET/users/self/verify";
        add(format!("{key}CBINTLMD{passphrase}"), M::OtherRecipe, what);
    }
    ways.push(slip(
        Contents { before: VERIFY.to_owned(), after: String::new() },
        M::Prehash,
        "the time is not signed first",
    ));
    ways
}

/// Every order of a few products; of many only the reverse, for there are too many orders.
fn orders(products: &[String]) -> Vec<Vec<&str>> {
    /// 120 orders.
    const FEW: usize = 5;
    let all: Vec<_> = products.iter().map(String::as_str).collect();
    if all.len() > FEW {
        return vec![all.into_iter().rev().collect()];
    }
    let mut orders = vec![Vec::new()];
    for _ in 0..all.len() {
        let longer = |order: Vec<_>| {
            let all = &all;
            all.iter().filter(|id| !order.contains(*id)).map(|id| [&order[..], &[*id]].concat()).collect::<Vec<_>>()
        };
        orders = orders.into_iter().flat_map(longer).collect();
    }
    orders
}
