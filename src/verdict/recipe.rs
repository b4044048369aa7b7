//! By which recipe an HMAC signature was made: the right one, or which of the wrong ones that people use. Every part of it
//! is varied (what was signed, at which time, with which key), and the combination with the fewest slips is the answer.
//! What is right at one venue is the slip at another.

mod encoding;
mod request;
mod secret;
mod subscribe;

pub(super) use encoding::{decoded, other_hash};
pub(super) use request::of_request;
pub(super) use subscribe::{of_contents, of_path};

use super::{Finding, Mistake as M};
use crate::{
    auth::hmac,
    venue::{Hmac, Subscribe, Venue},
};

/// One way to make a part of the recipe; what is wrong with it, if anything is.
pub(super) struct Way<T> {
    part: T,
    slips: Vec<(M, &'static str)>,
}

impl<T> Way<T> {
    /// What is wrong with it.
    pub(super) fn slips(&self) -> impl Iterator<Item = Finding> {
        self.slips.iter().map(|(mistake, what)| Finding::wrong(*mistake, *what))
    }
}

fn right<T>(part: T) -> Way<T> {
    Way { part, slips: Vec::new() }
}

fn slip<T>(part: T, mistake: M, what: &'static str) -> Way<T> {
    Way { part, slips: vec![(mistake, what)] }
}

/// What a signature was made with, as far as it is known.
pub(super) struct Maker<'a> {
    pub key: &'a str,
    pub secret: &'a str,
    pub passphrase: Option<&'a str>,
    pub timestamp: &'a str,
    /// How the venue wants it made.
    pub hmac: &'a Hmac,
}

/// The slips by which `signature` comes out of what is known; none for a good one. None where no known recipe makes it.
pub(super) fn of(signature: &str, maker: &Maker<'_>, contents: &[Way<Contents>]) -> Option<Vec<Finding>> {
    let given = decoded(signature, maker.hmac.encoding)?;
    let secrets = secret::keys(maker);
    let mut best: Option<Vec<(M, &'static str)>> = None;
    for contents in contents {
        // Contents with as many slips as all of the best has can not make a better one.
        if best.as_ref().is_some_and(|best| best.len() <= contents.slips.len()) {
            continue;
        }
        for timestamp in times(maker, contents.slips.is_empty()) {
            if best.as_ref().is_some_and(Vec::is_empty) {
                break;
            }
            let prehash = contents.part.with(&timestamp.part);
            for prehash in wrapped(&prehash) {
                for secret in &secrets {
                    for swapped in [false, true] {
                        let (key, message) = (&secret.part[..], prehash.part.as_bytes());
                        let made = if swapped { hmac::raw(message, key) } else { hmac::raw(key, message) };
                        if made != given.part {
                            continue;
                        }
                        let mut slips = contents.slips.clone();
                        slips.extend(&timestamp.slips);
                        slips.extend(&prehash.slips);
                        slips.extend(&secret.slips);
                        slips.extend(swapped.then_some((M::Prehash, SWAPPED)));
                        if best.as_ref().is_none_or(|best| slips.len() < best.len()) {
                            best = Some(slips);
                        }
                    }
                }
            }
        }
    }
    let mut slips = best?;
    slips.extend(&given.slips);
    Some(slips.into_iter().map(|(mistake, what)| Finding::wrong(mistake, what)).collect())
}

const SWAPPED: &str = "the HMAC's arguments are swapped: the secret is the key, and the pre-hash is the message";

/// The times that may have been signed where `sent` was sent; the many milliseconds of one second only `thoroughly`.
fn times(maker: &Maker<'_>, thoroughly: bool) -> Vec<Way<String>> {
    const OTHER: &str =
        "the time that was signed is a second or two off the one that was sent: the clock was read twice";
    const TWICE: &str =
        "the time that was signed has other decimals than the one that was sent: the clock was read twice";
    const MILLIS: &str = "the time was signed in milliseconds and sent in seconds";
    const SECONDS: &str = "the time was signed in whole seconds and sent otherwise";
    const DECIMALS: &str = "the time was signed with decimals and sent without";
    let sent = maker.timestamp;
    let mut ways = vec![right(sent.to_owned())];
    let Some(seconds) = sent.split('.').next().and_then(|whole| whole.parse::<u64>().ok()) else { return ways };
    if seconds > super::message::MILLIS {
        ways.push(slip((seconds / 1000).to_string(), M::TimestampDiffers, SECONDS));
        return ways;
    }
    if sent.contains('.') {
        ways.push(slip(seconds.to_string(), M::TimestampDiffers, SECONDS));
    }
    for other in [seconds.saturating_sub(1), seconds + 1, seconds.saturating_sub(2), seconds + 2] {
        ways.push(slip(other.to_string(), M::TimestampDiffers, OTHER));
    }
    ways.push(slip(format!("{seconds}.0"), M::TimestampDiffers, DECIMALS));
    let millis = if thoroughly { 0..1000 } else { 0..1 };
    ways.extend(millis.clone().map(|ms| slip((seconds * 1000 + ms).to_string(), M::TimestampDiffers, MILLIS)));
    if maker.hmac.decimals {
        ways.extend(millis.map(|ms| slip(format!("{seconds}.{ms:03}"), M::TimestampDiffers, TWICE)));
    }
    ways
}

/// The pre-hash, and what languages make of it by accident.
fn wrapped(prehash: &str) -> [Way<String>; 4] {
    const BYTES: &str = "the text that is signed is Python's b'…' of the bytes: sign the bytes themselves";
    [
        right(prehash.to_owned()),
        slip(format!("b'{prehash}'"), M::Prehash, BYTES),
        slip(format!("{prehash}\n"), M::Prehash, "a line break is signed behind the text"),
        slip(format!("\"{prehash}\""), M::Prehash, "quotes are signed around the text"),
    ]
}

/// What is signed beside the time.
pub(super) struct Contents {
    before: String,
    after: String,
}

impl Contents {
    fn after(text: String) -> Self {
        Self { before: String::new(), after: text }
    }

    fn with(&self, timestamp: &str) -> String {
        format!("{}{timestamp}{}", self.before, self.after)
    }
}

/// What the Exchange signs of every subscribe, as if it were a request.
const VERIFY: &str = "GET/users/self/verify";

/// Whether the venue signs each subscribe as a request to that path, and not what is subscribed to.
pub(super) fn signs_path(venue: &Venue) -> bool {
    let channels = venue.channels.iter().take(1).collect();
    let any = Subscribe { unsubscribes: false, channels, products: Vec::new(), accounts: Vec::new() };
    (venue.prehash)("", &any) == VERIFY
}
