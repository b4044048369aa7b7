//! Who may subscribe: reads what a client sends and checks its signature as the venue would.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::{
    auth::{Credentials, Signer, jwt::Claims},
    venue::{Channel, Products, advanced_trade::MARKET},
};

/// A signed timestamp may be this far from the venue's clock, either way.
const FRESH: u64 = 30;
/// A token lives no longer than this, in seconds.
const LIFE: u64 = 120;
/// Unsigned messages a second and address; all that connect here have the same.
const UNSIGNED_A_SECOND: f64 = 8.0;
/// Signatures that are remembered, so that none is taken twice: far more than a client signs within `LIFE`.
const REMEMBERED: usize = 100_000;

/// A subscribe or an unsubscribe, as far as it can be read.
#[derive(Debug)]
pub struct Request {
    /// It subscribes; else it unsubscribes.
    pub subscribe: bool,
    /// To what.
    pub channel: &'static Channel,
    /// Of which products, as the client wrote them.
    pub products: Vec<String>,
    proof: Proof,
}

/// `Debug` must not show a token or a signature.
enum Proof {
    None,
    Jwt(String),
    Hmac { key: Option<String>, timestamp: Option<Value>, signature: Option<String> },
}

/// Why a message is refused: the venue says little, `Display` says what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not JSON, or not a subscribe.
    Unreadable(String),
    /// The channel is not known.
    UnknownChannel,
    /// The channel wants products and none is named.
    NoProducts,
    /// More unsigned messages than a second may have.
    TooFast,
    /// So many level2 products on one connection.
    TooManyBooks(usize),
    /// The channel is private and the message unsigned.
    Unsigned,
    /// One of `api_key`, `timestamp` and `signature` is missing.
    Incomplete,
    /// `timestamp` is a JSON number.
    NumericTimestamp,
    /// `timestamp` is not whole seconds.
    OddTimestamp,
    /// `timestamp` is so many seconds from our clock; negative is the past.
    Stale(i64),
    /// The signature is not 64 lower-case hex digits.
    NotHex,
    /// The key is none of ours, or of another scheme.
    UnknownKey,
    /// It was not made by this key over this message.
    WrongSignature,
    /// `jwt` can not be read.
    NotAToken,
    /// A claim or header of the token is wrong.
    Claim(&'static str),
    /// It was used before.
    Used,
    /// A fault wanted it so.
    Fault,
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

/// Lets requests in. One gate for all connections: a signature used on one is used on all.
pub struct Gate {
    credentials: Vec<Arc<Credentials>>,
    used: HashSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
    unsigned: Bucket,
}

impl Gate {
    /// One that knows `credentials`; where there are none, form and freshness must do.
    #[must_use]
    pub fn new(credentials: Vec<Arc<Credentials>>) -> Self {
        Self { credentials, used: HashSet::new(), order: VecDeque::new(), unsigned: Bucket::full() }
    }

    /// Checks one request, at `unix` seconds since 1970.
    ///
    /// # Errors
    /// When the venue would refuse it.
    pub fn check(&mut self, request: &Request, unix: u64) -> Result<(), Refusal> {
        match &request.proof {
            Proof::None => {
                self.unsigned.take()?;
                if request.channel.private { Err(Refusal::Unsigned) } else { Ok(()) }
            }
            Proof::Jwt(token) => self.check_token(token, unix),
            Proof::Hmac { key: Some(key), timestamp: Some(timestamp), signature: Some(signature) } => {
                self.check_hmac(request, key, timestamp, signature, unix)
            }
            Proof::Hmac { .. } => Err(Refusal::Incomplete),
        }
    }

    fn check_hmac(
        &mut self,
        request: &Request,
        key: &str,
        timestamp: &Value,
        signature: &str,
        unix: u64,
    ) -> Result<(), Refusal> {
        let timestamp = match timestamp {
            Value::String(text) => text,
            Value::Number(_) => return Err(Refusal::NumericTimestamp),
            _ => return Err(Refusal::OddTimestamp),
        };
        let signed: u64 = timestamp.parse().map_err(|_| Refusal::OddTimestamp)?;
        if signed.abs_diff(unix) > FRESH {
            return Err(Refusal::Stale(i64::try_from(i128::from(signed) - i128::from(unix)).unwrap_or(i64::MAX)));
        }
        let hex = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
        if signature.len() != 64 || !signature.bytes().all(hex) {
            return Err(Refusal::NotHex);
        }
        if !self.credentials.is_empty() {
            let known = self.credentials.iter().find(|known| known.key() == key).ok_or(Refusal::UnknownKey)?;
            let Signer::Hmac(secret) = known.signer() else { return Err(Refusal::UnknownKey) };
            let prehash = format!("{timestamp}{}{}", request.channel.name, request.products.join(","));
            if hex::encode(secret.sign(&prehash)) != signature {
                return Err(Refusal::WrongSignature);
            }
        }
        self.use_up(signature)
    }

    fn check_token(&mut self, token: &str, unix: u64) -> Result<(), Refusal> {
        let claims = Claims::read(token).ok_or(Refusal::NotAToken)?;
        if let Some(claim) = wrong_claim(&claims, unix) {
            return Err(Refusal::Claim(claim));
        }
        if !self.credentials.is_empty() {
            let known = self.credentials.iter().find(|known| known.key() == claims.kid).ok_or(Refusal::UnknownKey)?;
            let Signer::Jwt(key) = known.signer() else { return Err(Refusal::UnknownKey) };
            if !key.verifies(token) {
                return Err(Refusal::WrongSignature);
            }
        }
        self.use_up(token)
    }

    fn use_up(&mut self, signature: &str) -> Result<(), Refusal> {
        let digest: [u8; 32] = Sha256::digest(signature).into();
        if !self.used.insert(digest) {
            return Err(Refusal::Used);
        }
        self.order.push_back(digest);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.used.remove(&oldest);
        }
        Ok(())
    }
}

fn wrong_claim(claims: &Claims, unix: u64) -> Option<&'static str> {
    let wrong = [
        (!matches!(claims.algorithm.as_str(), "ES256" | "EdDSA"), "alg is neither ES256 nor EdDSA"),
        (claims.kid.is_empty(), "kid is empty"),
        (claims.sub != claims.kid, "sub is not kid"),
        (claims.iss != "cdp", "iss is not \"cdp\""),
        (claims.uri.is_some(), "uri is for REST requests only"),
        (claims.nbf > unix, "nbf is in the future: not valid yet"),
        (claims.exp <= unix, "exp is past: expired"),
        (claims.exp.saturating_sub(claims.nbf) > LIFE, "exp is more than 120 s after nbf"),
    ];
    wrong.iter().find(|(wrong, _)| *wrong).map(|(_, what)| *what)
}

/// As many at once as a second may have, and as many a second from then on.
struct Bucket {
    left: f64,
    filled: Instant,
}

impl Bucket {
    fn full() -> Self {
        Self { left: UNSIGNED_A_SECOND, filled: Instant::now() }
    }

    fn take(&mut self) -> Result<(), Refusal> {
        let passed: Duration = std::mem::replace(&mut self.filled, Instant::now()).elapsed();
        self.left = (self.left + passed.as_secs_f64() * UNSIGNED_A_SECOND).min(UNSIGNED_A_SECOND);
        if self.left < 1.0 {
            return Err(Refusal::TooFast);
        }
        self.left -= 1.0;
        Ok(())
    }
}

impl Refusal {
    /// The venue's own words.
    #[must_use]
    pub fn said(&self) -> &'static str {
        match self {
            Self::Unreadable(_) | Self::NoProducts => "failure to subscribe",
            Self::TooFast => "rate limit exceeded",
            Self::TooManyBooks(_) => "too many L2 streams requested in a single session",
            _ => "authentication failure",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => {
                write!(
                    f,
                    "not a message of the form {{\"type\":\"subscribe\",\"product_ids\":[…],\"channel\":\"…\"}}: {why}"
                )
            }
            Self::UnknownChannel => f.write_str("the venue has no such channel"),
            Self::NoProducts => f.write_str("the channel wants product_ids"),
            Self::TooFast => f.write_str("more than 8 unsigned messages a second"),
            Self::TooManyBooks(count) => write!(f, "{count} level2 products on one connection; 30 are allowed"),
            Self::Unsigned => f.write_str("the channel is private and the message is not signed"),
            Self::Incomplete => f.write_str("one of api_key, timestamp and signature is missing"),
            Self::NumericTimestamp => f.write_str("timestamp must be a JSON string, not a number"),
            Self::OddTimestamp => f.write_str("timestamp must be whole seconds since 1970"),
            Self::Stale(off) => write!(f, "timestamp is {off} s off; 30 are allowed"),
            Self::NotHex => f.write_str("the signature must be 64 lower-case hex digits"),
            Self::UnknownKey => f.write_str("the key is not known here, or is of another scheme"),
            Self::WrongSignature => f.write_str("the signature is not this key's over this message"),
            Self::NotAToken => f.write_str("jwt is not a token"),
            Self::Claim(what) => write!(f, "the token's {what}"),
            Self::Used => f.write_str("the signature or token was used before"),
            Self::Fault => f.write_str("a fault that was asked for"),
        }
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "unsigned",
            Self::Jwt(_) => "a token",
            Self::Hmac { .. } => "a signature",
        })
    }
}
