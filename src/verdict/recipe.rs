//! By which recipe an HMAC signature was made: the right one, or which of the wrong ones that people use. Every part of it
//! is varied (what was signed, at which time, with which key), and the combination with the fewest slips is the answer.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use zeroize::Zeroizing;

use super::{Finding, Mistake as M, paste::Asked};
use crate::{
    auth::hmac,
    venue::{Request, Venue},
};

/// One way to make a part of the recipe; what is wrong with it, if anything is.
pub(super) struct Way<T> {
    part: T,
    slips: Vec<(M, &'static str)>,
}

impl<T> Way<T> {
    /// What is wrong with it.
    pub(super) fn slips(&self) -> impl Iterator<Item = Finding> {
        self.slips.iter().map(|(mistake, what)| Finding::wrong(*mistake, *what))
    }
}

fn right<T>(part: T) -> Way<T> {
    Way { part, slips: Vec::new() }
}

fn slip<T>(part: T, mistake: M, what: &'static str) -> Way<T> {
    Way { part, slips: vec![(mistake, what)] }
}

/// What a signature was made with, as far as it is known.
pub(super) struct Maker<'a> {
    pub key: &'a str,
    pub secret: &'a str,
    pub timestamp: &'a str,
}

/// The slips by which `signature` comes out of what is known; none for a good one. None where no known recipe makes it.
pub(super) fn of(signature: &str, maker: &Maker<'_>, contents: &[Way<Contents>]) -> Option<Vec<Finding>> {
    let given = decoded(signature)?;
    let secrets = secrets(maker);
    let mut best: Option<Vec<(M, &'static str)>> = None;
    for contents in contents {
        // Contents with as many slips as all of the best has can not make a better one.
        if best.as_ref().is_some_and(|best| best.len() <= contents.slips.len()) {
            continue;
        }
        for timestamp in times(maker.timestamp, contents.slips.is_empty()) {
            if best.as_ref().is_some_and(Vec::is_empty) {
                break;
            }
            let prehash = contents.part.with(&timestamp.part);
            for prehash in wrapped(&prehash) {
                for secret in &secrets {
                    for swapped in [false, true] {
                        let (key, message) = (&secret.part[..], prehash.part.as_bytes());
                        let made = if swapped { hmac::raw(message, key) } else { hmac::raw(key, message) };
                        if made != given.part {
                            continue;
                        }
                        let mut slips = contents.slips.clone();
                        slips.extend(&timestamp.slips);
                        slips.extend(&prehash.slips);
                        slips.extend(&secret.slips);
                        slips.extend(swapped.then_some((M::Prehash, SWAPPED)));
                        if best.as_ref().is_none_or(|best| slips.len() < best.len()) {
                            best = Some(slips);
                        }
                    }
                }
            }
        }
    }
    let mut slips = best?;
    slips.extend(&given.slips);
    Some(slips.into_iter().map(|(mistake, what)| Finding::wrong(mistake, what)).collect())
}

const SWAPPED: &str = "the HMAC's arguments are swapped: the secret is the key, and the pre-hash is the message";

/// The signature's bytes, out of whatever encoding they were given in. None where it is none of 32 bytes.
pub(super) fn decoded(signature: &str) -> Option<Way<[u8; 32]>> {
    let bytes = |bytes: Vec<u8>| <[u8; 32]>::try_from(bytes).ok();
    let bare = signature.trim();
    if let Some(inner) = bare.strip_prefix("b'").and_then(|rest| rest.strip_suffix('\'')) {
        let mut way = decoded(inner)?;
        way.slips
            .push((M::Encoding, "the signature is Python's b'…' of its bytes: decode it to text before it is sent"));
        return Some(way);
    }
    if let Some(made) = hex::decode(bare).ok().and_then(bytes) {
        return Some(if bare.bytes().any(|b| b.is_ascii_uppercase()) {
            slip(made, M::Encoding, "the signature is in upper-case hex, and must be in lower case")
        } else if bare.len() < signature.len() {
            slip(made, M::StrayWhiteSpace, "there is white space around the signature")
        } else {
            right(made)
        });
    }
    if let Some(made) = bare.strip_prefix("0x").and_then(|hex| hex::decode(hex).ok()).and_then(bytes) {
        return Some(slip(made, M::Encoding, "the signature begins with 0x, and must be hex alone"));
    }
    let text = bare.replace('-', "+").replace('_', "/");
    let text = text.trim_end_matches('=');
    let padded = format!("{text}{}", "=".repeat((4 - text.len() % 4) % 4));
    let made = STANDARD.decode(padded).ok()?;
    if let Some(made) = hex::decode(&made).ok().and_then(bytes) {
        return Some(slip(made, M::Encoding, "the signature is base64 of its hex, and must be hex alone"));
    }
    bytes(made).map(|made| slip(made, M::Encoding, "the signature is in base64, and must be in lower-case hex"))
}

fn secrets(maker: &Maker<'_>) -> Vec<Way<Zeroizing<Vec<u8>>>> {
    let secret = maker.secret;
    let bytes = |text: &str| Zeroizing::new(text.as_bytes().to_vec());
    let mut ways = vec![
        right(bytes(secret)),
        slip(bytes(&format!("{secret}\n")), M::StrayWhiteSpace, "the secret is used with a line break behind it"),
        slip(bytes(&format!("{secret}\r\n")), M::StrayWhiteSpace, "the secret is used with a line break behind it"),
        slip(bytes(&format!("{secret} ")), M::StrayWhiteSpace, "the secret is used with a blank behind it"),
        slip(bytes(&format!("\"{secret}\"")), M::StrayWhiteSpace, "the secret is used with quotes around it"),
        slip(bytes(&format!("b'{secret}'")), M::SecretDecoding, "the secret is used as Python's b'…' of its bytes"),
        slip(bytes(&STANDARD.encode(secret)), M::SecretDecoding, "the secret is encoded as base64 before it is used"),
        slip(bytes(maker.key), M::Swapped, "it is signed with the key's name in place of the secret"),
    ];
    for engine in [STANDARD, URL_SAFE] {
        let base64 = engine.decode(secret).ok();
        ways.extend(base64.map(|made| {
            slip(
                Zeroizing::new(made),
                M::SecretDecoding,
                "the secret is base64-decoded, and must be used as it is written",
            )
        }));
    }
    ways.extend(hex::decode(secret).ok().map(|made| {
        slip(Zeroizing::new(made), M::SecretDecoding, "the secret is hex-decoded, and must be used as it is written")
    }));
    ways
}

/// The times that may have been signed where `sent` was sent; the many milliseconds of one second only `thoroughly`.
fn times(sent: &str, thoroughly: bool) -> Vec<Way<String>> {
    const OTHER: &str =
        "the time that was signed is a second or two off the one that was sent: the clock was read twice";
    const MILLIS: &str = "the time was signed in milliseconds and sent in seconds";
    const SECONDS: &str = "the time was signed in whole seconds and sent otherwise";
    const DECIMALS: &str = "the time was signed with decimals and sent without";
    let mut ways = vec![right(sent.to_owned())];
    let Some(seconds) = sent.split('.').next().and_then(|whole| whole.parse::<u64>().ok()) else { return ways };
    if seconds > super::message::MILLIS {
        ways.push(slip((seconds / 1000).to_string(), M::TimestampDiffers, SECONDS));
        return ways;
    }
    if sent.contains('.') {
        ways.push(slip(seconds.to_string(), M::TimestampDiffers, SECONDS));
    }
    for other in [seconds.saturating_sub(1), seconds + 1, seconds.saturating_sub(2), seconds + 2] {
        ways.push(slip(other.to_string(), M::TimestampDiffers, OTHER));
    }
    ways.push(slip(format!("{seconds}.0"), M::TimestampDiffers, DECIMALS));
    let millis = if thoroughly { 0..1000 } else { 0..1 };
    ways.extend(millis.map(|ms| slip((seconds * 1000 + ms).to_string(), M::TimestampDiffers, MILLIS)));
    ways
}

/// The pre-hash, and what languages make of it by accident.
fn wrapped(prehash: &str) -> [Way<String>; 4] {
    const BYTES: &str = "the text that is signed is Python's b'…' of the bytes: sign the bytes themselves";
    [
        right(prehash.to_owned()),
        slip(format!("b'{prehash}'"), M::Prehash, BYTES),
        slip(format!("{prehash}\n"), M::Prehash, "a line break is signed behind the text"),
        slip(format!("\"{prehash}\""), M::Prehash, "quotes are signed around the text"),
    ]
}

/// What is signed beside the time.
pub(super) struct Contents {
    before: String,
    after: String,
}

impl Contents {
    fn after(text: String) -> Self {
        Self { before: String::new(), after: text }
    }

    fn with(&self, timestamp: &str) -> String {
        format!("{}{timestamp}{}", self.before, self.after)
    }
}

const REST: &str = "it is signed by REST's recipe (method and path), and a WebSocket signs channel and products";
const VERIFY: &str = "it is signed by the Exchange's recipe, GET/users/self/verify";

/// As many products as a hand-written message has.
const MANY: usize = 30;

/// What a subscribe may have been signed over.
pub(super) fn of_subscribe(venue: &Venue, channel: &str, products: &[String]) -> Vec<Way<Contents>> {
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
    add("GET/users/self/verify".to_owned(), M::OtherRecipe, VERIFY);
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

/// What a request may have been signed over.
pub(super) fn of_request(venue: &Venue, asked: &Asked) -> Vec<Way<Contents>> {
    let (request, _) = Request::parse(&asked.method, &asked.target, &asked.body);
    let (target, path) = (request.target(), request.path.as_str());
    let host = venue.rest.url.trim_start_matches("https://");
    let methods = [
        right(request.method.clone()),
        slip(request.method.to_lowercase(), M::Uri, "the method is signed in small letters, and must be in capitals"),
        slip(String::new(), M::Prehash, "the method is left out of what is signed"),
    ];
    let mut paths = vec![
        right(path.to_owned()),
        slip(path.trim_start_matches('/').to_owned(), M::Uri, "the path is signed without the slash it begins with"),
        slip(format!("{}{path}", venue.rest.url), M::Uri, "scheme and host are signed before the path"),
        slip(format!("{host}{path}"), M::Uri, "the host is signed before the path"),
        slip(format!("{path}/"), M::Uri, "the path is signed with a slash behind it"),
        slip(path.trim_end_matches('/').to_owned(), M::Uri, "the path is signed without its last slash"),
        slip(
            path.trim_start_matches("/api/v3/brokerage").to_owned(),
            M::Uri,
            "the path is signed without /api/v3/brokerage",
        ),
        slip(path.trim_start_matches("/api/v3").to_owned(), M::Uri, "the path is signed without /api/v3"),
    ];
    if request.query.is_some() {
        let what = "the query is signed with the path, and must not be";
        paths.push(slip(target.clone(), M::QueryInPath, what));
        let mut whole = slip(format!("{}{target}", venue.rest.url), M::QueryInPath, what);
        whole.slips.push((M::Uri, "scheme and host are signed before the path"));
        paths.push(whole);
    }
    let mut bodies = vec![right(asked.body.clone())];
    if asked.body.is_empty() {
        bodies.push(slip("{}".to_owned(), M::Prehash, "a body is signed where none is sent"));
        bodies.push(slip("None".to_owned(), M::Prehash, "Python's None is signed for a body"));
        bodies.push(slip("null".to_owned(), M::Prehash, "null is signed for a body"));
    } else {
        bodies.push(slip(String::new(), M::Prehash, "the body is left out of what is signed"));
        let value = serde_json::from_str::<serde_json::Value>(&asked.body).ok();
        for respaced in value.iter().flat_map(respaced) {
            bodies.push(slip(respaced, M::Prehash, "the body is signed with other blanks than it is sent with"));
        }
    }
    let mut ways = Vec::new();
    for method in &methods {
        for path in &paths {
            for body in &bodies {
                let slips = [&method.slips[..], &path.slips, &body.slips].concat();
                ways.push(Way { part: Contents::after(format!("{}{}{}", method.part, path.part, body.part)), slips });
            }
        }
    }
    ways.push(slip(Contents::after("GET/users/self/verify".to_owned()), M::OtherRecipe, VERIFY));
    let method = &request.method;
    ways.push(slip(
        Contents { before: method.clone(), after: path.to_owned() },
        M::Prehash,
        "the time is not signed first",
    ));
    ways.push(slip(Contents::after(format!("{path}{method}")), M::Prehash, "the path is signed before the method"));
    for channel in venue.channels {
        let what = "it is signed by the WebSocket's recipe (channel and products), and REST signs method and path";
        // Which products, a request does not tell: those of the documentation's examples are tried.
        for products in ["", "BTC-USD", "ETH-USD", "BTC-USD,ETH-USD", "ETH-USD,BTC-USD", "ETH-USD,ETH-EUR"] {
            ways.push(slip(Contents::after(format!("{}{products}", channel.name)), M::OtherRecipe, what));
        }
    }
    ways
}

/// JSON as compact as it gets, and as Python writes it.
fn respaced(value: &serde_json::Value) -> [String; 2] {
    let compact = value.to_string();
    // Between tokens only: inside a text there may be the same characters.
    let (mut spaced, mut text, mut escaped) = (String::with_capacity(compact.len()), false, false);
    for c in compact.chars() {
        spaced.push(c);
        match c {
            '"' if !escaped => text = !text,
            ',' | ':' if !text => spaced.push(' '),
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    [compact, spaced]
}
