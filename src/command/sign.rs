//! `tickerd sign`: what is hashed, the signature, and what to send. Nothing is sent here, and the secret is never told.

mod shown;

use std::{
    io::{self, Write},
    path::Path,
};

use serde_json::Value;
use shown::{Shown, ToSend};

use super::{keep_out_of_core_files, no_credentials, said, venue_named, venue_of};
use crate::{
    auth::{Signer, Stamp, jwt::Claims},
    cli::{self, Cli, Sign},
    clock::Clock,
    config::{Chosen, HMAC_EXPIRED, Surroundings, choose, hint, read},
    exit::{Failure, Status},
    random::Random,
    venue::{Channel, Product, Products, Request, Subscribe, Venue},
};

/// The venue takes a timestamp that is this far from its clock, in seconds.
const TAKEN_WITHIN: u64 = 30;

/// What a request can be made by.
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"];

/// The longest body that is signed: no request of any venue has more than a few kB.
const LONGEST_BODY: u64 = 1 << 20;

/// Signs one message or one request, and prints it.
///
/// # Errors
/// When there are no credentials, what is to be signed is none of the venue's, or `out` takes no more.
pub fn run(cli: &Cli, options: &Sign, around: &Surroundings, out: &mut impl Write) -> Result<(), Failure> {
    keep_out_of_core_files();
    if let Sign::Rest(rest) = options {
        is_method(rest)?;
    }
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
    // Where tokens are taken, they are what is left.
    if venue.tokens && matches!(chosen.origin.credentials.signer(), Signer::Hmac(_)) {
        let _ = writeln!(io::stderr(), "tickerd: warning: {HMAC_EXPIRED}");
    }
    if !(shown.from..=shown.until).contains(&now) {
        let _ = writeln!(io::stderr(), "tickerd: warning: signed as at --at, not as now: the venue refuses it");
    }
    said(if signing.json { shown.print_json(out) } else { shown.print(out) })
}

/// The one that is named, else the one of the feed that signs with these credentials, else the one that takes them.
fn venue(named: Option<&str>, chosen: &Chosen) -> Result<&'static Venue, Failure> {
    let credentials = &chosen.origin.credentials;
    let venue = match (named, chosen.feed()) {
        (Some(name), _) => venue_named(name)?,
        (None, Some(feed)) => feed.venue,
        (None, None) => venue_of(credentials),
    };
    venue.fits(credentials).map_err(|unfit| {
        let what = format!("credentials \"{}\" can not sign for {}: {unfit}", credentials.name(), venue.name);
        Failure::new(Status::Config, what)
    })?;
    Ok(venue)
}

/// A subscribe as `run` sends it.
fn message(options: &cli::Ws, venue: &Venue, chosen: &Chosen, stamp: &Stamp) -> Result<(Shown, Vec<String>), Failure> {
    let mut mended = Vec::new();
    let channels = channels(&options.channel, venue, &mut mended)?;
    let products = products(&options.product, &channels, &mut mended)?;
    let accounts = accounts(&options.account, &channels, &mut mended)?;
    let names: Vec<_> = channels.iter().map(|channel| channel.name).collect();
    let subscribe = Subscribe { channels, products, accounts, unsubscribes: false };
    let credentials = &chosen.origin.credentials;
    let message = (venue.write)(&subscribe, Some((credentials, stamp)));
    let text: Value = serde_json::from_str(&message.text).unwrap_or_default();
    let member = |name: &str| text.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let shown = match message.prehash {
        Some(prehash) => {
            let products: Vec<_> = subscribe.products.iter().map(Product::as_str).collect();
            let timestamp = || ("timestamp", venue.hmac.timestamp(stamp));
            // As a request would be that has no contents of its own.
            let parts = match prehash.find("GET/") {
                Some(at) => {
                    let path = prehash[at + "GET".len()..].to_owned();
                    vec![timestamp(), ("method", "GET".to_owned()), ("path", path)]
                }
                None => vec![timestamp(), ("channel", names.join(",")), ("products", products.join(","))],
            };
            hmac(chosen, stamp, prehash, parts, member("signature"), ToSend::Message(message.text))
        }
        None => token(chosen, stamp, member("jwt"), ToSend::Message(message.text)),
    };
    Ok((shown, mended))
}

fn channels(given: &[String], venue: &Venue, mended: &mut Vec<String>) -> Result<Vec<&'static Channel>, Failure> {
    let mut channels = Vec::new();
    for name in given {
        let channel = channel(name.trim(), venue, mended)?;
        if channels.contains(&channel) {
            mended.push(format!("\"{}\" was there twice", channel.name));
        } else {
            channels.push(channel);
        }
    }
    // What it makes one message of by itself, it takes as one.
    let alike = venue.channels.iter().find(|channel| channel.heartbeat).map_or(Vec::new(), |channel| vec![channel; 2]);
    if channels.len() > 1 && (venue.messages)(&alike, &[]).len() > 1 {
        let what = format!("--channel: {} takes one channel a message: sign them one after the other", venue.name);
        return Err(Failure::new(Status::Usage, what));
    }
    Ok(channels)
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
    let what = format!("--channel: {} has no \"{given}\"; {}", venue.name, hint(given, &known, '"'));
    Err(Failure::new(Status::Usage, what))
}

fn products(given: &[String], channels: &[&Channel], mended: &mut Vec<String>) -> Result<Vec<Product>, Failure> {
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
    if let Some(channel) = channels.iter().find(|channel| channel.products == Products::Required && products.is_empty())
    {
        return Err(usage(format!("\"{}\" must be told of which; name some, as in BTC-USD,ETH-USD", channel.name)));
    }
    if !products.is_empty() && !channels.iter().any(|channel| channel.has_products()) {
        mended.push(format!("\"{}\" has no products: they are left out", channels[0].name));
        products.clear();
    }
    Ok(products)
}

fn accounts(given: &[String], channels: &[&Channel], mended: &mut Vec<String>) -> Result<Vec<String>, Failure> {
    let wants = channels.iter().find(|channel| channel.products == Products::Accounts);
    match (wants, given) {
        (Some(channel), []) => {
            let what = format!("--account: \"{}\" must be told of which accounts", channel.name);
            Err(Failure::new(Status::Usage, what))
        }
        (None, [_, ..]) => {
            mended.push(format!("\"{}\" has no accounts: they are left out", channels[0].name));
            Ok(Vec::new())
        }
        _ => Ok(given.to_vec()),
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
    let hmac_of_all = venue.rest.hmac.query && matches!(chosen.origin.credentials.signer(), Signer::Hmac(_));
    if request.query.is_some() && !hmac_of_all {
        mended.push("the query is sent and not signed: the path alone is".to_owned());
    }
    let proof = (venue.rest.sign)(&request, &chosen.origin.credentials, stamp);
    let url = chosen.feed().filter(|feed| feed.venue.name == venue.name).map_or(venue.rest.url, |feed| &feed.rest);
    let curl = shown::curl(url, &request, &proof);
    let to_send = ToSend::Request { headers: proof.headers, curl };
    let shown = match chosen.origin.credentials.signer() {
        Signer::Hmac(_) => {
            let path = if hmac_of_all { request.target() } else { request.path };
            let parts = vec![
                ("timestamp", venue.rest.hmac.timestamp(stamp)),
                ("method", request.method),
                ("path", path),
                ("body", request.body),
            ];
            hmac(chosen, stamp, proof.signed, parts, proof.signature, to_send)
        }
        Signer::Jwt(_) => token(chosen, stamp, proof.signature, to_send),
    };
    Ok((shown, mended))
}

/// A signature over something else is one that no venue takes, and nobody would see it.
fn is_method(options: &cli::Rest) -> Result<(), Failure> {
    let method = |text: &str| METHODS.into_iter().find(|method| method.eq_ignore_ascii_case(text.trim()));
    if method(&options.method).is_some() {
        return Ok(());
    }
    let what = match method(&options.target) {
        Some(second) => format!("the method comes first: tickerd sign rest {second} {}", options.method),
        None => format!(
            "there is no such method, of {}, and the method comes first: tickerd sign rest GET {}",
            METHODS.join(", "),
            options.target
        ),
    };
    Err(Failure::new(Status::Usage, what))
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
