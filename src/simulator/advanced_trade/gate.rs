//! Who is let in: checks a signature as the venue would, of a subscribe and of a REST request alike.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{refusal::Refusal, request::Request};
use crate::auth::{Credentials, Signer, jwt::Claims};

/// A signed timestamp may be this far from the venue's clock, either way.
const FRESH: u64 = 30;
/// A token lives no longer than this, in seconds.
const LIFE: u64 = 120;
/// Unsigned messages a second and address; all that connect here have the same.
const UNSIGNED_A_SECOND: f64 = 8.0;
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
    },
}

/// What can be signed for: each has its own recipe, and what is signed by another's is told so.
pub trait Signed {
    /// What HMAC is made over.
    fn prehash(&self, timestamp: &str) -> String;
    /// What it is made over by mistake, and how that is called.
    fn mistaken(&self, timestamp: &str) -> Vec<(String, &'static str)>;
    /// What is wrong with a token's `uri` claim.
    fn wrong_uri(&self, uri: Option<&str>) -> Option<&'static str>;
}

/// Lets subscribes and REST requests in. One gate for all connections: a signature used on one is used on all.
pub struct Gate {
    credentials: Vec<Arc<Credentials>>,
    used: HashSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
    unsigned: Bucket,
    revoked: HashSet<String>,
}

impl Gate {
    /// One that knows `credentials`; where there are none, form and freshness must do.
    #[must_use]
    pub fn new(credentials: Vec<Arc<Credentials>>) -> Self {
        let unsigned = Bucket::full();
        Self { credentials, used: HashSet::new(), order: VecDeque::new(), unsigned, revoked: HashSet::new() }
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
        if !request.is_signed() {
            self.unsigned.take()?;
            if !request.channel.private {
                return Ok(());
            }
        }
        self.check_proof(&request.proof, request, unix)
    }

    /// Checks who says that they signed `what`.
    ///
    /// # Errors
    /// When the venue would not believe it.
    pub fn check_proof(&mut self, proof: &Proof, what: &dyn Signed, unix: u64) -> Result<(), Refusal> {
        match proof {
            Proof::None => Err(Refusal::Unsigned),
            Proof::Jwt(token) => self.check_token(token, what, unix),
            Proof::Hmac { key: Some(key), timestamp: Some(timestamp), signature: Some(signature) } => {
                self.check_hmac(what, key, timestamp, signature, unix)
            }
            Proof::Hmac { .. } => Err(Refusal::Incomplete),
        }
    }

    fn check_hmac(
        &mut self,
        what: &dyn Signed,
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
            let is_over = |prehash: &str| hex::encode(secret.sign(prehash)) == signature;
            if !is_over(&what.prehash(timestamp)) {
                let mistaken = what.mistaken(timestamp).into_iter().find(|(prehash, _)| is_over(prehash));
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

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "unsigned",
            Self::Jwt(_) => "a token",
            Self::Hmac { .. } => "a signature",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auth::{Scheme, Secret},
        simulator::advanced_trade::api::Call,
        venue,
    };

    const NOW: u64 = 1_786_309_548;

    /// What the venue says is the same each time; whoever reads the exchange's log is to learn more.
    #[test]
    fn a_signature_by_another_recipe_is_told_by_which() {
        let secret = "M4009eFnOoPwhNoMwJlsAHgIgleGVFPl";
        let known = Credentials::new("main", Scheme::Hmac, "k", &Secret::new(secret.to_owned())).expect("a key");
        let mut gate = Gate::new(vec![Arc::new(known)]);
        let over = |prehash: &str| Proof::Hmac {
            key: Some("k".to_owned()),
            timestamp: Some(Value::String(NOW.to_string())),
            signature: Some(hex::encode(crate::auth::hmac::Key::new(secret).sign(&format!("{NOW}{prehash}")))),
        };
        let call = Call {
            request: venue::Request::get("/api/v3/brokerage/accounts?limit=1"),
            host: String::new(),
            proof: Proof::None,
        };
        let subscribe = r#"{"type":"subscribe","channel":"ticker","product_ids":["ETH-USD","BTC-USD"]}"#;
        let subscribe = Request::read(subscribe).expect("a subscribe");
        let cases: [(&dyn Signed, &str, &str); 7] = [
            (&call, "GET/api/v3/brokerage/accounts?limit=1", "query"),
            (&call, "get/api/v3/brokerage/accounts", "small letters"),
            (&call, "GEThttps://api.coinbase.com/api/v3/brokerage/accounts", "host"),
            (&subscribe, "GET/users/self/verify", "a REST request"),
            (&subscribe, "tickerBTC-USD,ETH-USD", "another order"),
            (&subscribe, "tickerETH-USD, BTC-USD", "blanks"),
            (&subscribe, "ticker", "without its products"),
        ];
        for (what, prehash, named) in cases {
            let refusal = gate.check_proof(&over(prehash), what, NOW).expect_err(prehash);
            assert!(matches!(refusal, Refusal::Recipe(recipe) if recipe.contains(named)), "{prehash}: {refusal}");
        }
        assert_eq!(gate.check_proof(&over("nonsense"), &call, NOW), Err(Refusal::WrongSignature));
        assert_eq!(gate.check_proof(&over("GET/api/v3/brokerage/accounts"), &call, NOW), Ok(()));
    }

    #[test]
    fn milliseconds_are_told_from_an_old_signature() {
        let off = |seconds| Refusal::Stale(seconds).to_string();
        assert!(off(1_786_307_761_690_452).contains("milliseconds"));
        assert_eq!(off(-31), "timestamp is -31 s off; 30 are allowed");
    }
}
