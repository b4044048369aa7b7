//! The signing desk: signs what can be sent, when it can be sent, and no pre-hash twice.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, UNIX_EPOCH},
};

use crate::{
    auth::{Credentials, Ledger, Stamp},
    clock::Clock,
    random::Random,
    venue::{Proof, Request, Rest, Subscribe, Venue},
    verdict::Standing,
};

/// Signs with one set of credentials, for every connection that uses them.
pub struct Desk {
    credentials: Arc<Credentials>,
    ledger: Mutex<Ledger>,
    standing: Mutex<Standing>,
}

/// An equal pre-hash was signed within this second: HMAC counts in whole seconds, so this one waits for the next.
#[derive(Debug, PartialEq, Eq)]
pub struct Wait(pub Duration);

impl Desk {
    /// A desk that has signed nothing yet.
    #[must_use]
    pub fn new(credentials: Arc<Credentials>) -> Self {
        Self { credentials, ledger: Mutex::default(), standing: Mutex::default() }
    }

    /// The text of a subscribe with a signature that was never used before, stamped now. It goes to the socket at once and
    /// nowhere else.
    ///
    /// # Errors
    /// How long to wait, where the same was signed within this second.
    pub fn sign(&self, venue: &Venue, subscribe: &Subscribe, clock: &Clock, random: &Random) -> Result<String, Wait> {
        let (now, stamp) = stamp(clock, random);
        let message = (venue.write)(subscribe, Some((&self.credentials, &stamp)));
        self.admit(now, message.prehash.as_deref())?;
        Ok(message.text)
    }

    /// The proof of one REST request, as fresh and as new as that of a subscribe. An equal request is signed with an equal
    /// pre-hash, so the second of one second waits as well.
    ///
    /// # Errors
    /// How long to wait, where the same was signed within this second.
    pub fn sign_request(&self, rest: &Rest, request: &Request, clock: &Clock, random: &Random) -> Result<Proof, Wait> {
        let (now, stamp) = stamp(clock, random);
        let proof = (rest.sign)(request, &self.credentials, &stamp);
        // Only a token has a `uri`, and with its nonce no token is ever signed twice.
        self.admit(now, proof.uri.is_none().then_some(&proof.signed))?;
        Ok(proof)
    }

    /// Only what makes equal signatures has a pre-hash.
    fn admit(&self, now: Duration, prehash: Option<&str>) -> Result<(), Wait> {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        match prehash {
            Some(prehash) if !ledger.admit(now.as_secs(), prehash) => {
                Err(Wait(Duration::from_nanos((1_000_000_000 - now.subsec_nanos()).into())))
            }
            _ => Ok(()),
        }
    }

    /// The venue refused what was signed here; how often it has since it last took it.
    pub fn refused(&self, now: Instant) -> u32 {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).refused(now)
    }

    /// The venue took what was signed here.
    pub fn accepted(&self) {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).accepted();
    }

    /// Refused at least five times over at least a minute, and never once accepted.
    #[must_use]
    pub fn is_hopeless(&self, now: Instant) -> bool {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).is_hopeless(now)
    }
}

/// One reading of the clock: since 1970, and as it is signed.
fn stamp(clock: &Clock, random: &Random) -> (Duration, Stamp) {
    let now = clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (now, Stamp { unix: now.as_secs(), nonce: random.bytes() })
}
