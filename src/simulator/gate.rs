//! Who is let in: checks a signature as the venue would, of a subscribe and of a REST request alike. What was used, whom
//! nobody believes any more and how much was sent is remembered alike for every venue.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{
    counterpart::{Counterpart, Request},
    refusal::Refusal,
    rest::Call,
};
use crate::auth::{Credentials, Signer, hmac, jwt::Claims};

/// A signed timestamp may be this far from the venue's clock, either way.
const FRESH: u64 = 30;
/// A token lives no longer than this, in seconds.
const LIFE: u64 = 120;
/// Signatures that are remembered, so that none is taken twice: far more than a client signs within `LIFE`.
const REMEMBERED: usize = 100_000;

/// What proves who asks; `Debug` must not show a token or a signature.
pub enum Proof {
    /// Nothing does.
    None,
    /// A token.
    Jwt(String),
    /// A signature, with what it takes to check it: as it was sent, where it was.
    Hmac {
        /// Whose it is.
        key: Option<String>,
        /// When it was made.
        timestamp: Option<Value>,
        /// The signature.
        signature: Option<String>,
        /// What goes with it at some venues.
        passphrase: Option<String>,
    },
}

/// What can be signed for: each has its own recipe, and what is signed by another's is told so.
pub trait Signed {
    /// Reads a timestamp: its text as it is signed, and its whole seconds since 1970.
    ///
    /// # Errors
    /// When it is none.
    fn timestamp(&self, sent: &Value) -> Result<(String, u64), Refusal>;
    /// Looks at the form of a signature.
    ///
    /// # Errors
    /// When nothing that the venue takes looks so.
    fn look_at(&self, signature: &str) -> Result<(), Refusal>;
    /// The signature that `key` makes.
    fn signature(&self, key: &hmac::Key, timestamp: &str) -> String;
    /// Those that it makes by mistake, and what each is made over or by.
    fn mistaken(&self, key: &hmac::Key, timestamp: &str) -> Vec<(String, &'static str)>;
    /// What is wrong with a token's `uri` claim.
    fn wrong_uri(&self, uri: Option<&str>) -> Option<&'static str>;
}

/// How much a client may send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allowance {
    /// So many messages at once.
    pub burst: f64,
    /// So many a second from then on.
    pub a_second: f64,
    /// Those that are signed are counted as well.
    pub signed_too: bool,
}

/// Lets subscribes and REST requests in. One gate for all connections: a signature used on one is used on all.
pub struct Gate {
    counterpart: &'static dyn Counterpart,
    credentials: Vec<Arc<Credentials>>,
    used: HashSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
    allowance: Bucket,
    revoked: HashSet<String>,
}

impl Gate {
    /// One of this venue that knows `credentials`; where there are none, form and freshness must do.
    #[must_use]
    pub fn new(counterpart: &'static dyn Counterpart, credentials: Vec<Arc<Credentials>>) -> Self {
        let allowance = Bucket::full(counterpart.allowance());
        let (used, order, revoked) = (HashSet::new(), VecDeque::new(), HashSet::new());
        Self { counterpart, credentials, used, order, allowance, revoked }
    }

    /// From now on nothing that `key` signs is taken.
    pub fn revoke(&mut self, key: &str) {
        self.revoked.insert(key.to_owned());
    }

    /// What `key` signs is taken again.
    pub fn restore(&mut self, key: &str) {
        self.revoked.remove(key);
    }

    /// Checks one subscribe or unsubscribe, at `unix` seconds since 1970.
    ///
    /// # Errors
    /// When the venue would refuse it.
    pub fn check(&mut self, request: &Request, unix: u64) -> Result<(), Refusal> {
        if !request.is_signed() || self.allowance.signed_too() {
            self.allowance.take()?;
        }
        if !request.is_signed() && !request.is_private() {
            return Ok(());
        }
        self.check_proof(&request.proof, &*self.counterpart.subscribing(request), unix)
    }

    /// Checks one signed REST request, at `unix` seconds since 1970.
    ///
    /// # Errors
    /// When the venue would refuse it.
    pub fn check_call(&mut self, call: &Call, unix: u64) -> Result<(), Refusal> {
        self.check_proof(&call.proof, &*self.counterpart.calling(call), unix)
    }

    /// Checks who says that they signed `what`.
    ///
    /// # Errors
    /// When the venue would not believe it.
    pub fn check_proof(&mut self, proof: &Proof, what: &dyn Signed, unix: u64) -> Result<(), Refusal> {
        match proof {
            Proof::None => Err(Refusal::Unsigned),
            Proof::Jwt(token) => self.check_token(token, what, unix),
            Proof::Hmac { key, timestamp, signature, passphrase } => {
                let key = key.as_ref().ok_or(Refusal::Incomplete("key"))?;
                let signature = signature.as_ref().ok_or(Refusal::Incomplete("signature"))?;
                let timestamp = timestamp.as_ref().ok_or(Refusal::Incomplete("timestamp"))?;
                if self.counterpart.venue().hmac.passphrase && passphrase.is_none() {
                    return Err(Refusal::Incomplete("passphrase"));
                }
                self.check_hmac(what, key, timestamp, signature, passphrase.as_deref(), unix)
            }
        }
    }

    fn check_hmac(
        &mut self,
        what: &dyn Signed,
        key: &str,
        timestamp: &Value,
        signature: &str,
        passphrase: Option<&str>,
        unix: u64,
    ) -> Result<(), Refusal> {
        let (timestamp, signed) = what.timestamp(timestamp)?;
        if signed.abs_diff(unix) > FRESH {
            return Err(Refusal::Stale(i64::try_from(i128::from(signed) - i128::from(unix)).unwrap_or(i64::MAX)));
        }
        what.look_at(signature)?;
        if !self.credentials.is_empty() {
            let known = self.credentials.iter().find(|known| known.key() == key).ok_or(Refusal::UnknownKey)?;
            let Signer::Hmac(secret) = known.signer() else { return Err(Refusal::UnknownKey) };
            if known.passphrase().is_some_and(|known| Some(known.expose()) != passphrase) {
                return Err(Refusal::Passphrase);
            }
            if what.signature(secret, &timestamp) != signature {
                let mistaken =
                    what.mistaken(secret, &timestamp).into_iter().find(|(mistaken, _)| mistaken == signature);
                return Err(mistaken.map_or(Refusal::WrongSignature, |(_, recipe)| Refusal::Recipe(recipe)));
            }
        }
        if self.revoked.contains(key) {
            return Err(Refusal::Revoked);
        }
        self.use_up(signature)
    }

    fn check_token(&mut self, token: &str, what: &dyn Signed, unix: u64) -> Result<(), Refusal> {
        let claims = Claims::read(token).ok_or(Refusal::NotAToken)?;
        if let Some(claim) = wrong_claim(&claims, unix).or_else(|| what.wrong_uri(claims.uri.as_deref())) {
            return Err(Refusal::Claim(claim));
        }
        if !self.credentials.is_empty() {
            let known = self.credentials.iter().find(|known| known.key() == claims.kid).ok_or(Refusal::UnknownKey)?;
            let Signer::Jwt(key) = known.signer() else { return Err(Refusal::UnknownKey) };
            if !key.verifies(token) {
                return Err(Refusal::WrongSignature);
            }
        }
        if self.revoked.contains(&claims.kid) {
            return Err(Refusal::Revoked);
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
        (claims.nbf > unix, "nbf is in the future: not valid yet"),
        (claims.exp <= unix, "exp is past: expired"),
        (claims.exp.saturating_sub(claims.nbf) > LIFE, "exp is more than 120 s after nbf"),
    ];
    wrong.iter().find(|(wrong, _)| *wrong).map(|(_, what)| *what)
}

/// What is left of an allowance.
struct Bucket {
    of: Allowance,
    left: f64,
    filled: Instant,
}

impl Bucket {
    fn full(of: Allowance) -> Self {
        Self { of, left: of.burst, filled: Instant::now() }
    }

    fn signed_too(&self) -> bool {
        self.of.signed_too
    }

    fn take(&mut self) -> Result<(), Refusal> {
        let passed: Duration = std::mem::replace(&mut self.filled, Instant::now()).elapsed();
        self.left = (self.left + passed.as_secs_f64() * self.of.a_second).min(self.of.burst);
        if self.left < 1.0 {
            return Err(Refusal::TooFast);
        }
        self.left -= 1.0;
        Ok(())
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
