//! A pasted CDP token, taken apart.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{
    Finding, Mistake as M,
    message::MILLIS,
    paste::{Asked, plain},
};
use crate::{
    auth::{Credentials, Signer, jwt},
    venue::{Request, Venue},
};

/// What the token is for.
pub(super) enum For<'a> {
    WebSocket,
    Request(Option<&'a Asked>),
}

pub(super) fn examine(
    text: &str,
    purpose: &For<'_>,
    venue: &Venue,
    credentials: Option<&Credentials>,
    now: u64,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut token = text.trim();
    if let Some(inner) = token.strip_prefix("b'").and_then(|rest| rest.strip_suffix('\'')) {
        found.push(Finding::wrong(
            M::BadToken,
            "the token is Python's b'…' of its bytes: decode it to text before it is sent",
        ));
        token = inner;
    }
    let parts: Vec<_> = token.split('.').collect();
    let object = |part: &str| serde_json::from_slice::<Map<String, Value>>(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
    let [header, claims, signature] = parts[..] else {
        let what = format!(
            "this is no token: it has {} characters in {} parts, and a token has three",
            token.len(),
            parts.len()
        );
        found.push(Finding::wrong(M::BadToken, what));
        return found;
    };
    let (Some(header), Some(claims)) = (object(header), object(claims)) else {
        found.push(Finding::wrong(
            M::BadToken,
            "this is no token: its header or its claims are no base64url of a JSON object",
        ));
        return found;
    };
    let says = |of: &Map<String, Value>, name: &str| of.get(name).map(plain);
    let algorithm = says(&header, "alg").unwrap_or_default();
    of_signature(&algorithm, token, signature, credentials, &mut found);
    for (name, given) in [("kid", says(&header, "kid")), ("sub", says(&claims, "sub"))] {
        match (given, credentials) {
            (None, _) => found.push(Finding::wrong(M::BadToken, format!("{name} is missing: it is the key's name"))),
            (Some(given), Some(credentials)) if given != credentials.key() => {
                let what = format!("{name} is not the configured key's name, {}", credentials.key());
                found.push(Finding::wrong(M::BadToken, what));
            }
            _ => {}
        }
    }
    match says(&claims, "iss").as_deref() {
        Some("cdp") => {}
        Some("coinbase-cloud") => {
            found.push(Finding::wrong(M::OldIssuer, "iss is \"coinbase-cloud\", and must be \"cdp\""));
        }
        _ => found.push(Finding::wrong(M::OldIssuer, "iss must be \"cdp\"")),
    }
    if claims.contains_key("aud") {
        found.push(Finding::wrong(M::OldIssuer, "there is an aud, which tokens had before May 2024: leave it out"));
    }
    let uri = says(&claims, "uri").or_else(|| Some(claims.get("uris")?.get(0).map_or_else(String::new, plain)));
    of_uri(uri.as_deref(), purpose, venue, &mut found);
    of_times(&claims, now, &mut found);
    found
}

fn of_signature(
    algorithm: &str,
    token: &str,
    signature: &str,
    credentials: Option<&Credentials>,
    found: &mut Vec<Finding>,
) {
    /// r and s of P-256, or R and S of Ed25519.
    const LENGTH: usize = 64;
    let bytes = URL_SAFE_NO_PAD.decode(signature);
    let key = credentials.map(Credentials::signer);
    match (key, algorithm) {
        (Some(Signer::Jwt(key)), _) if algorithm != key.algorithm().name() => {
            // Which of the two it is is said; what the token says may be anything.
            let what = format!("the token's alg is not {}, which the configured key signs by", key.algorithm().name());
            found.push(Finding::wrong(M::WrongAlgorithm, what));
            return;
        }
        (_, "ES256" | "EdDSA") => {}
        _ => {
            found.push(Finding::wrong(M::WrongAlgorithm, "the token's alg must be ES256 or EdDSA"));
            return;
        }
    }
    match (bytes, key) {
        (Ok(bytes), _) if algorithm == "ES256" && bytes.len() != LENGTH && bytes.first() == Some(&0x30) => {
            let what = format!("the token's signature is DER, of {} bytes: it must be the 64 bytes r||s", bytes.len());
            found.push(Finding::wrong(M::SignatureForm, what));
        }
        (Ok(bytes), _) if bytes.len() != LENGTH => {
            let what = format!("the token's signature has {} bytes, and must have 64", bytes.len());
            found.push(Finding::wrong(M::SignatureForm, what));
        }
        (Ok(_), Some(Signer::Jwt(key))) if !key.verifies(token) && verifiable(token) => {
            found.push(Finding::wrong(
                M::BadToken,
                "the configured key did not sign this token, or it was changed since",
            ));
        }
        (Ok(_), Some(Signer::Hmac(_))) => {
            found.push(Finding::wrong(M::OtherVenuesKey, "this is a CDP token, and the configured key is an HMAC key"));
        }
        (Ok(_), _) => {}
        (Err(_), _) => found.push(Finding::wrong(M::BadToken, "the token's signature is no base64url without padding")),
    }
}

/// Whether the claims are such as the key's own reading takes: else it can not say who signed, and they are found wanting.
fn verifiable(token: &str) -> bool {
    jwt::Claims::read(token).is_some()
}

fn of_uri(uri: Option<&str>, purpose: &For<'_>, venue: &Venue, found: &mut Vec<Finding>) {
    let host = venue.rest.url.trim_start_matches("https://");
    let mut wrong = |mistake, what: String| found.push(Finding::wrong(mistake, what));
    let asked = match (purpose, uri) {
        (For::WebSocket, Some(_)) => {
            return wrong(M::Uri, "the token has a uri, which is REST's: a WebSocket token has none".to_owned());
        }
        (For::WebSocket, None) => return,
        (For::Request(_), None) => {
            return wrong(
                M::Uri,
                format!("the token has no uri: REST wants one, as in \"GET {host}/api/v3/brokerage/accounts\""),
            );
        }
        (For::Request(asked), Some(_)) => asked,
    };
    let uri = uri.unwrap_or_default();
    let (method, target) = uri.split_once(' ').unwrap_or(("", uri));
    if method != method.to_uppercase() {
        wrong(M::Uri, "the uri's method is in small letters, and must be in capitals".to_owned());
    }
    if target.contains("://") {
        wrong(M::Uri, "the uri has a scheme (https://), and must have none".to_owned());
    }
    if target.contains('?') {
        wrong(M::QueryInPath, "the uri has a query, and must end before the question mark".to_owned());
    }
    let bare = target.split_once("://").map_or(target, |(_, rest)| rest).split('?').next().unwrap_or_default();
    let path = bare.strip_prefix(host);
    if path.is_none() {
        wrong(M::Uri, format!("the uri's host is not {host}"));
    }
    if method.is_empty() {
        wrong(M::Uri, "the uri has no method before the host".to_owned());
    }
    if let (Some(asked), Some(path)) = (asked, path) {
        let (request, _) = Request::parse(&asked.method, &asked.target, &asked.body);
        if path != request.path {
            wrong(M::Uri, format!("the uri's path is not that of the request, {}", request.path));
        }
        if !method.is_empty() && method.to_uppercase() != request.method {
            wrong(M::Uri, format!("the uri's method is not that of the request, {}", request.method));
        }
    }
}

fn of_times(claims: &Map<String, Value>, now: u64, found: &mut Vec<Finding>) {
    // Python's time.time() has decimals; what the venue makes of them is not documented.
    let whole = |value: &Value| value.to_string().split('.').next()?.parse::<u64>().ok();
    let time = |name| claims.get(name).filter(|value| value.is_number()).and_then(whole);
    let (Some(nbf), Some(exp)) = (time("nbf"), time("exp")) else {
        found.push(Finding::wrong(M::BadToken, "nbf or exp is missing, or is no number of seconds"));
        return;
    };
    if nbf.max(exp) > MILLIS {
        found.push(Finding::wrong(M::Milliseconds, "nbf or exp is in milliseconds, and must be in seconds"));
        return;
    }
    if claims["nbf"].is_f64() || claims["exp"].is_f64() {
        let what =
            "nbf or exp has decimals, which the venue may not take; who signed the token was not checked for them";
        found.push(Finding::possible(M::Decimals, what));
    }
    if exp <= nbf {
        found.push(Finding::wrong(M::Stale, "exp is not after nbf: the token was never valid"));
    } else if exp - nbf > jwt::LIFE {
        let what = format!(
            "the token is to live for {} s, and the venue documents {} s: set exp to nbf + 120",
            exp - nbf,
            jwt::LIFE
        );
        found.push(Finding::possible(M::Stale, what));
    }
    if nbf > now {
        let what = format!("nbf is {} s ahead of this machine's clock: one of the two clocks is wrong", nbf - now);
        found.push(Finding::wrong(M::Clock, what));
    } else if exp < now {
        let what = format!(
            "the token expired {} s ago: if it was as old when it was sent, it was refused for that",
            now - exp
        );
        found.push(Finding::noted(M::Stale, what));
    }
}
