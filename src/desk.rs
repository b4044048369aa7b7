//! The signing desk: signs what can be sent, when it can be sent, and no pre-hash twice.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, UNIX_EPOCH},
};

use tokio::sync::watch;

use crate::{
    auth::{Credentials, Ledger, Stamp},
    clock::Clock,
    random::Random,
    venue::{Channel, Offset, Proof, Reason, Request, Rest, Subscribe, Venue},
    verdict::{Evidence, RestSaid, SchemeUsed, Standing},
};

/// Signs with one set of credentials, for every connection that uses them.
pub struct Desk {
    credentials: Arc<Credentials>,
    ledger: Mutex<Ledger>,
    standing: Mutex<Standing>,
    evidence: Mutex<Known>,
    /// Counts refusals, for whoever looks into them.
    doubts: watch::Sender<u64>,
}

/// What is known beside the venue's words when it refuses.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// How far its clock is from ours.
    pub offset: Option<Offset>,
    /// What its REST interface said of the key since it was refused.
    pub rest: Option<RestSaid>,
    /// What is known of the refusal as it stands has been told.
    told: bool,
}

impl Known {
    /// What REST says of the key; another answer than before is worth telling again.
    pub fn heard(&mut self, said: RestSaid) {
        self.told &= self.rest.as_ref() == Some(&said);
        self.rest = Some(said);
    }

    /// Whether there is something that nobody was told yet; now it is told.
    pub fn take_news(&mut self) -> bool {
        !std::mem::replace(&mut self.told, true)
    }
}

/// An equal pre-hash was signed within this second: HMAC counts in whole seconds, so this one waits for the next.
#[derive(Debug, PartialEq, Eq)]
pub struct Wait(pub Duration);

impl Desk {
    /// A desk that has signed nothing yet.
    #[must_use]
    pub fn new(credentials: Arc<Credentials>) -> Self {
        Self {
            credentials,
            ledger: Mutex::default(),
            standing: Mutex::default(),
            evidence: Mutex::default(),
            doubts: watch::Sender::default(),
        }
    }

    /// The text of a subscribe with a signature that was never used before, stamped now. It goes to the socket at once and
    /// nowhere else.
    ///
    /// # Errors
    /// How long to wait, where the same was signed within this second.
    pub fn sign(&self, venue: &Venue, subscribe: &Subscribe, clock: &Clock, random: &Random) -> Result<String, Wait> {
        let (now, stamp) = self.stamp(clock, random);
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
        let (now, stamp) = self.stamp(clock, random);
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
        self.doubts.send_modify(|doubts| *doubts += 1);
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).refused(now)
    }

    /// The venue took what was signed here.
    pub fn accepted(&self) {
        self.known(|known| (known.rest, known.told) = (None, false));
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).accepted();
    }

    /// Refused at least five times over at least a minute, and never once accepted.
    #[must_use]
    pub fn is_hopeless(&self, now: Instant) -> bool {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).is_hopeless(now)
    }

    /// Who signs here.
    #[must_use]
    pub fn credentials(&self) -> &Arc<Credentials> {
        &self.credentials
    }

    /// Changes when the venue has refused what was signed here.
    #[must_use]
    pub fn doubts(&self) -> watch::Receiver<u64> {
        self.doubts.subscribe()
    }

    /// What was found out about the key or the clock is noted. From then on, a clock that is wrong is set right in what is
    /// signed.
    pub fn known<T>(&self, note: impl FnOnce(&mut Known) -> T) -> T {
        note(&mut self.evidence.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is known of a refusal of what was signed here.
    #[must_use]
    pub fn evidence(&self, channel: Option<&'static Channel>, reason: Reason, confirmed: bool) -> Evidence {
        let Known { offset, rest, .. } = self.known(|known| known.clone());
        // A clock that is known to be wrong is set right in what is signed, and explains nothing any more.
        let offset = offset.map(|offset| if offset.is_notable() { Offset { ms: 0, ..offset } } else { offset });
        let signed = Some(SchemeUsed::of(&self.credentials));
        Evidence { channel, reason, signed, confirmed, offset, rest }
    }

    /// One reading of the clock: since 1970, and as it is signed. Where ours is wrong the venue's counts.
    fn stamp(&self, clock: &Clock, random: &Random) -> (Duration, Stamp) {
        let wrong = self.known(|known| known.offset).filter(Offset::is_notable);
        let clock = wrong.map_or_else(|| clock.clone(), |offset| clock.clone().off_by(offset.ms));
        let now = clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        (now, Stamp { unix: now.as_secs(), nonce: random.bytes() })
    }
}
