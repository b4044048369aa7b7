//! The signing desk: signs what can be sent, when it can be sent, and no pre-hash twice.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, UNIX_EPOCH},
};

use crate::{
    auth::{Credentials, Ledger, Stamp},
    clock::Clock,
    random::Random,
    venue::{Subscribe, Venue},
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
        let now = clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let stamp = Stamp { unix: now.as_secs(), nonce: random.bytes() };
        let message = (venue.write)(subscribe, Some((&self.credentials, &stamp)));
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        match &message.prehash {
            Some(prehash) if !ledger.admit(stamp.unix, prehash) => {
                Err(Wait(Duration::from_nanos((1_000_000_000 - now.subsec_nanos()).into())))
            }
            _ => Ok(message.text),
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
