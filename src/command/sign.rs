//! `tickerd sign`: what is hashed, the signature, and what to send. Nothing is sent here, and the secret is never told.

mod shown;

use std::{
    io::{self, Write},
    path::Path,
};

use serde_json::Value;
use shown::{Shown, ToSend};

use super::{keep_out_of_core_files, no_credentials, said};
use crate::{
    auth::{Signer, Stamp, jwt::Claims},
    cli::{self, Cli, Sign},
    clock::Clock,
    config::{Chosen, HMAC_EXPIRED, Surroundings, choose, read},
    exit::{Failure, Status},
    random::Random,
    venue::{self, Channel, Product, Products, Request, Subscribe, Venue},
};

/// The venue takes a timestamp that is this far from its clock, in seconds.
const TAKEN_WITHIN: u64 = 30;

/// The longest body that is signed: no request of any venue has more than a few kB.
const LONGEST_BODY: u64 = 1 << 20;

/// Signs one message or one request, and prints it.
///
/// # Errors
/// When there are no credentials, what is to be signed is none of the venue's, or `out` takes no more.
pub fn run(cli: &Cli, options: &Sign, around: &Surroundings, out: &mut impl Write) -> Result<(), Failure> {
    keep_out_of_core_files();
    let signing = options.signing();
    let choice = signing.which.choice(cli.config.clone());
    let chosen = choose(&choice, around).map_err(no_credentials)?;
    let venue = venue(signing.venue.as_deref(), &chosen)?;
    let now = Clock::system().unix();
    let stamp = Stamp { unix: signing.at.unwrap_or(now), millis: 0, nonce: Random::system().bytes() };
    let (mut shown, mended) = match options {
        Sign::Ws(ws) => message(ws, venue, &chosen, &stamp)?,
        Sign::Rest(rest) => request(rest, venue, &chosen, &stamp, around)?,
    };
    shown.mended = mended;
    for line in &shown.mended {
        let _ = writeln!(io::stderr(), "tickerd: mended: {line}");
    }
    if let Signer::Hmac(_) = chosen.origin.credentials.signer() {
        let _ = writeln!(io::stderr(), "tickerd: warning: {HMAC_EXPIRED}");
    }
    if !(shown.from..=shown.until).contains(&now) {
        let _ = writeln!(io::stderr(), "tickerd: warning: signed as at --at, not as now: the venue refuses it");
    }
    said(if signing.json { shown.print_json(out) } else { shown.print(out) })
}

/// The one that is named, else the one of the feed that signs with these credentials.
fn venue(named: Option<&str>, chosen: &Chosen) -> Result<&'static Venue, Failure> {
    let Some(name) = named else { return Ok(chosen.feed().map_or(venue::ALL[0], |feed| feed.venue)) };
    Venue::named(name).ok_or_else(|| {
        let known: Vec<_> = venue::ALL.iter().map(|venue| venue.name).collect();
        Failure::new(Status::Usage, format!("--venue: \"{name}\" is no venue; there is {}", known.join(", ")))
    })
}

/// A subscribe as `run` sends it.
fn message(options: &cli::Ws, venue: &Venue, chosen: &Chosen, stamp: &Stamp) -> Result<(Shown, Vec<String>), Failure> {
    let mut mended = Vec::new();
    let channel = channel(&options.channel, venue, &mut mended)?;
    let products = products(&options.product, channel, &mut mended)?;
    let subscribe = Subscribe { channels: vec![channel], products, accounts: Vec::new(), unsubscribes: false };
    let credentials = &chosen.origin.credentials;
    let message = (venue.write)(&subscribe, Some((credentials, stamp)));
    let text: Value = serde_json::from_str(&message.text).unwrap_or_default();
    let member = |name: &str| text.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let shown = match message.prehash {
        Some(prehash) => {
            let products: Vec<_> = subscribe.products.iter().map(Product::as_str).collect();
            let parts = vec![
                ("timestamp", stamp.unix.to_string()),
                ("channel", channel.name.to_owned()),
                ("products", products.join(",")),
            ];
            hmac(chosen, stamp, prehash, parts, member("signature"), ToSend::Message(message.text))
        }
        None => token(chosen, stamp, member("jwt"), ToSend::Message(message.text)),
    };
    Ok((shown, mended))
}

fn channel(given: &str, venue: &Venue, mended: &mut Vec<String>) -> Result<&'static Channel, Failure> {
    if let Some(channel) = venue.channel(given) {
        return Ok(channel);
    }
    if let Some(meant) = venue.channel_meant(given) {
        mended.push(format!("\"{given}\" is subscribed to as \"{}\"", meant.name));
        return Ok(meant);
    }
    let known: Vec<_> = venue.channels.iter().map(|channel| channel.name).collect();
    let what = format!("--channel: {} has no \"{given}\"; there is {}", venue.name, known.join(", "));
    Err(Failure::new(Status::Usage, what))
}

fn products(given: &[String], channel: &Channel, mended: &mut Vec<String>) -> Result<Vec<Product>, Failure> {
    let usage = |what: String| Failure::new(Status::Usage, format!("--product: {what}"));
    let mut products = Vec::new();
    for text in given.iter().map(|text| text.trim()) {
        let product = match Product::parse(text) {
            Ok(product) => product,
            Err(misspelt) => match misspelt.meant {
                Some(meant) => {
                    mended.push(format!("\"{text}\" is spelt \"{meant}\""));
                    meant
                }
                None => return Err(usage(misspelt.to_string())),
            },
        };
        if products.contains(&product) {
            mended.push(format!("\"{product}\" was there twice"));
        } else {
            products.push(product);
        }
    }
    match channel.products {
        Products::Required if products.is_empty() => {
            Err(usage(format!("\"{}\" must be told of which; name some, as in BTC-USD,ETH-USD", channel.name)))
        }
        Products::None if !products.is_empty() => {
            mended.push(format!("\"{}\" has no products: they are left out", channel.name));
            Ok(Vec::new())
        }
        _ => Ok(products),
    }
}

/// A request with its proof.
fn request(
    options: &cli::Rest,
    venue: &Venue,
    chosen: &Chosen,
    stamp: &Stamp,
    around: &Surroundings,
) -> Result<(Shown, Vec<String>), Failure> {
    let body = body(options, around)?;
    let (request, respelt) = Request::parse(&options.method, &options.target, &body);
    let mut mended: Vec<_> = respelt.iter().map(ToString::to_string).collect();
    if request.query.is_some() {
        mended.push("the query is sent and not signed: the path alone is".to_owned());
    }
    let proof = (venue.rest.sign)(&request, &chosen.origin.credentials, stamp);
    let url = chosen.feed().filter(|feed| feed.venue.name == venue.name).map_or(venue.rest.url, |feed| &feed.rest);
    let curl = shown::curl(url, &request, &proof);
    let to_send = ToSend::Request { headers: proof.headers, curl };
    let shown = match chosen.origin.credentials.signer() {
        Signer::Hmac(_) => {
            let timestamp = stamp.unix.to_string();
            let parts = vec![
                ("timestamp", timestamp),
                ("method", request.method),
                ("path", request.path),
                ("body", request.body),
            ];
            hmac(chosen, stamp, proof.signed, parts, proof.signature, to_send)
        }
        Signer::Jwt(_) => token(chosen, stamp, proof.signature, to_send),
    };
    Ok((shown, mended))
}

fn body(options: &cli::Rest, around: &Surroundings) -> Result<String, Failure> {
    let Some(path) = &options.body else { return Ok(String::new()) };
    let path = if path.as_os_str() == "-" { Path::new("/dev/stdin") } else { path };
    read(&around.directory.join(path), LONGEST_BODY)
        .map_err(|error| Failure::new(Status::Usage, format!("--body: {} can not be read: {error}", path.display())))
}

fn hmac(
    chosen: &Chosen,
    stamp: &Stamp,
    prehash: String,
    parts: Vec<(&'static str, String)>,
    signature: String,
    to_send: ToSend,
) -> Shown {
    // What some other venue hashes is not told in parts that are not its own.
    let is_whole = parts.iter().map(|(_, part)| part.as_str()).collect::<String>() == prehash;
    Shown {
        scheme: "hmac",
        algorithm: chosen.origin.credentials.algorithm(),
        key: chosen.origin.credentials.key().to_owned(),
        parts: if is_whole { parts } else { Vec::new() },
        prehash,
        signature,
        timestamp: stamp.unix,
        from: stamp.unix.saturating_sub(TAKEN_WITHIN),
        until: stamp.unix.saturating_add(TAKEN_WITHIN),
        to_send,
        mended: Vec::new(),
    }
}

fn token(chosen: &Chosen, stamp: &Stamp, token: String, to_send: ToSend) -> Shown {
    let claims = Claims::read(&token);
    let prehash = token.rsplit_once('.').map_or_else(String::new, |(signed, _)| signed.to_owned());
    let parts = prehash.split('.').zip(["header", "claims"]).map(|(part, name)| (name, shown::decoded(part))).collect();
    Shown {
        scheme: "jwt",
        algorithm: chosen.origin.credentials.algorithm(),
        key: chosen.origin.credentials.key().to_owned(),
        parts,
        prehash,
        signature: token,
        timestamp: stamp.unix,
        from: claims.as_ref().map_or(stamp.unix, |claims| claims.nbf),
        until: claims.as_ref().map_or(stamp.unix, |claims| claims.exp),
        to_send,
        mended: Vec::new(),
    }
}
