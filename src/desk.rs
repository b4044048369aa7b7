//! The signing desk: signs what can be sent, when it can be sent, and no pre-hash twice.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, UNIX_EPOCH},
};

use tokio::sync::watch;

use crate::{
    auth::{Credentials, Ledger, Stamp},
    clock::{Clock, Reading},
    random::Random,
    venue::{Channel, Hmac, Offset, Proof, Reason, Request, Rest, Subscribe, Venue},
    verdict::{Evidence, RestSaid, SchemeUsed, Standing},
};

/// Signs with one set of credentials, for every connection that uses them.
pub struct Desk {
    credentials: Arc<Credentials>,
    ledger: Mutex<Ledger>,
    standing: Mutex<Standing>,
    known: Mutex<Known>,
    /// Counts refusals, for whoever looks into them.
    doubts: watch::Sender<u64>,
}

/// What is known beside the venue's words when it refuses.
#[derive(Clone, Debug, Default)]
struct Known {
    clock: Option<Measured>,
    /// What its REST interface said of the key since it was refused.
    rest: Option<RestSaid>,
    /// The feeds of which it was told what is known of the refusal as it stands.
    told: Vec<Arc<str>>,
    /// It was told at all, so that its end will be.
    owed: bool,
    /// How often the venue took the key: what was asked before it did says nothing of the next refusal.
    incident: u64,
}

/// An offset, and when it was measured.
#[derive(Clone, Copy, Debug)]
struct Measured {
    offset: Offset,
    at: Reading,
}

/// An equal pre-hash was signed at this time: HMAC counts in whole seconds, or in milliseconds where the venue takes those,
/// so this one waits for the next.
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
            known: Mutex::default(),
            doubts: watch::Sender::default(),
        }
    }

    /// The text of a subscribe with a signature that was never used before, stamped now. It goes to the socket at once and
    /// nowhere else.
    ///
    /// # Errors
    /// How long to wait, where the same was signed at this time.
    pub fn sign(&self, venue: &Venue, subscribe: &Subscribe, clock: &Clock, random: &Random) -> Result<String, Wait> {
        let (now, stamp) = self.stamp(clock, random);
        let message = (venue.write)(subscribe, Some((&self.credentials, &stamp)));
        self.admit(now, message.prehash.as_deref(), venue.hmac)?;
        Ok(message.text)
    }

    /// The proof of one REST request, as fresh and as new as that of a subscribe. An equal request is signed with an equal
    /// pre-hash, so the second of one second waits as well.
    ///
    /// # Errors
    /// How long to wait, where the same was signed at this time.
    pub fn sign_request(&self, rest: &Rest, request: &Request, clock: &Clock, random: &Random) -> Result<Proof, Wait> {
        let (now, stamp) = self.stamp(clock, random);
        let proof = (rest.sign)(request, &self.credentials, &stamp);
        // Only a token has a `uri`, and with its nonce no token is ever signed twice.
        self.admit(now, proof.uri.is_none().then_some(&proof.signed), rest.hmac)?;
        Ok(proof)
    }

    /// Only what makes equal signatures has a pre-hash.
    fn admit(&self, now: Duration, prehash: Option<&str>, hmac: &Hmac) -> Result<(), Wait> {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        match prehash {
            Some(prehash) if !ledger.admit(now.as_secs(), prehash) => {
                // A second is a whole number of every tick.
                let (tick, into) = (hmac.tick(), Duration::from_nanos(now.subsec_nanos().into()));
                let over = into.as_nanos() % tick.as_nanos();
                Err(Wait(tick.saturating_sub(Duration::from_nanos(u64::try_from(over).unwrap_or_default()))))
            }
            _ => Ok(()),
        }
    }

    /// The venue refused what was signed here; how often it has since it last took it.
    pub fn refused(&self, now: Instant) -> u32 {
        self.doubts.send_modify(|doubts| *doubts += 1);
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).refused(now)
    }

    /// The venue took what was signed here; for how long it had not, if that was told of.
    pub fn accepted(&self, now: Instant) -> Option<Duration> {
        let owed = self.known(|known| {
            known.rest = None;
            known.told.clear();
            known.incident += 1;
            std::mem::take(&mut known.owed)
        });
        let refused_for = self.standing.lock().unwrap_or_else(PoisonError::into_inner).accepted(now);
        refused_for.filter(|_| owed)
    }

    /// Refused at least five times over at least a minute, and never once accepted.
    #[must_use]
    pub fn is_hopeless(&self, now: Instant) -> bool {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).is_hopeless(now)
    }

    /// Whether the venue takes what is signed here, by its last word, and how often it has refused it.
    #[must_use]
    pub fn standing(&self) -> (Option<bool>, u32) {
        let standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        (standing.is_accepted(), standing.refusals())
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

    /// The venue's clock was measured; where ours is wrong, what is signed goes by the venue's from now on.
    pub fn heard_clock(&self, offset: Offset, clock: &Clock) {
        let measured = Measured { offset, at: Reading::of(clock) };
        self.known(|known| known.clock = Some(measured));
    }

    /// Which refusal it is that is looked into, for [`Desk::heard_rest`].
    #[must_use]
    pub fn incident(&self) -> u64 {
        self.known(|known| known.incident)
    }

    /// What REST says of the key, asked in `incident`. No answer does not outweigh one.
    pub fn heard_rest(&self, said: RestSaid, incident: u64) {
        self.known(|known| {
            let is_less = known.rest.is_some() && matches!(said, RestSaid::Unreachable(_));
            if known.incident == incident && !is_less {
                if known.rest.as_ref() != Some(&said) {
                    known.told.clear();
                }
                known.rest = Some(said);
            }
        });
    }

    /// Whether something is known of the refusal that was not told yet of this feed; now it is.
    #[must_use]
    pub fn take_news(&self, feed: &Arc<str>) -> bool {
        self.known(|known| {
            let is_news = !known.told.contains(feed);
            if is_news {
                known.told.push(feed.clone());
                known.owed = true;
            }
            is_news
        })
    }

    fn known<T>(&self, note: impl FnOnce(&mut Known) -> T) -> T {
        note(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is known of a refusal of what was signed here.
    #[must_use]
    pub fn evidence(
        &self,
        venue: &'static Venue,
        channel: Option<&'static Channel>,
        reason: Reason,
        confirmed: bool,
    ) -> Evidence {
        let Known { clock, rest, .. } = self.known(|known| known.clone());
        // A clock that is known to be wrong is set right in what is signed, and explains nothing any more.
        let set_right = |offset: Offset| if offset.is_notable() { Offset { ms: 0, ..offset } } else { offset };
        let offset = clock.map(|clock| set_right(clock.offset));
        let signed = Some(SchemeUsed::of(&self.credentials));
        Evidence { venue, channel, reason, signed, confirmed, offset, rest }
    }

    /// What REST said of the key, if it was asked since the venue took it last.
    #[must_use]
    pub fn rest_said(&self) -> Option<RestSaid> {
        self.known(|known| known.rest.clone())
    }

    /// One reading of the clock: since 1970, and as it is signed. Where ours is wrong the venue's counts, until ours is set.
    fn stamp(&self, clock: &Clock, random: &Random) -> (Duration, Stamp) {
        let mut time = clock.now();
        if let Some(measured) = self.known(|known| known.clock) {
            let offset = measured.offset;
            if measured.at.has_stepped(time) {
                self.known(|known| known.clock = None);
                self.doubts.send_modify(|doubts| *doubts += 1);
            } else if offset.is_notable() {
                time = clock.clone().off_by(offset.ms).now();
            }
        }
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = u16::try_from(since.subsec_millis()).unwrap_or_default();
        (since, Stamp { unix: since.as_secs(), millis, nonce: random.bytes() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Scheme, Secret};

    #[test]
    fn the_end_of_a_refusal_is_told_though_rest_took_the_key_before() {
        let secret = Secret::new("M4009eFnOoPwhNoMwJlsAHgIgleGVFPl".to_owned());
        let credentials = Credentials::new("main", Scheme::Hmac, "kVlJUIsXUFIGCVuV", &secret).expect("a secret");
        let (desk, start) = (Desk::new(Arc::new(credentials)), Instant::now());
        let (tickers, orders): (Arc<str>, Arc<str>) = ("tickers".into(), "orders".into());
        desk.refused(start);
        desk.heard_rest(RestSaid::Unauthorized("Unauthorized".into()), desk.incident());
        assert!(desk.take_news(&tickers) && desk.take_news(&orders), "each feed says what becomes of it");
        assert!(!desk.take_news(&tickers), "once");
        desk.heard_rest(RestSaid::Unreachable("late".into()), desk.incident());
        assert!(!desk.take_news(&tickers), "no answer is no news");
        desk.heard_rest(RestSaid::Forbidden("view".into()), desk.incident());
        assert!(desk.take_news(&tickers), "another answer is");
        let before = desk.incident();
        let minute = Duration::from_secs(60);
        assert_eq!(desk.accepted(start + minute), Some(minute));
        assert_eq!(desk.accepted(start + minute), None, "told once");
        desk.heard_rest(RestSaid::Unauthorized("Unauthorized".into()), before);
        assert_eq!(desk.rest_said(), None, "what was asked before it healed says nothing of the next time");
    }
}
