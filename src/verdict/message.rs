//! A pasted message, taken apart against the configured secret: which field is wrong, and how.

mod advanced_trade;
mod exchange;
mod headers;
mod meant;

pub use meant::venue_meant;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    Certainty, Finding, Mistake as M, credentials,
    paste::{self, NotAMessage, Pasted, plain},
    recipe::{self, Maker},
};
use crate::{
    auth::{Credentials, Secret, Signer, key},
    venue::{Encoding, Venue},
};

/// A time above this is in milliseconds: as seconds it lies in the year 5138.
pub(super) const MILLIS: u64 = 100_000_000_000;

/// How far a signature's time may be from the venue's, in seconds.
const WINDOW: u64 = 30;

/// What is wrong with a pasted subscribe or a pasted set of headers, likeliest first; what needs the secret is judged where
/// there are credentials.
///
/// # Errors
/// When the text is neither.
pub fn message(
    text: &str,
    venue: &Venue,
    credentials: Option<&Credentials>,
    now: u64,
) -> Result<Vec<Finding>, NotAMessage> {
    let examination = Examination { venue, credentials, now };
    let pasted = paste::read(text)?;
    let mut found = match &pasted {
        Pasted::Subscribe(message) if recipe::signs_path(venue) => exchange::subscribe(&examination, message),
        Pasted::Subscribe(message) => advanced_trade::subscribe(&examination, message),
        Pasted::Headers(headers, asked) => headers::examine(&examination, headers, asked.as_ref()),
    };
    if credentials.is_some_and(|own| credentials::are_told(own, &sent(&pasted))) {
        let what = "the secret stands in the message, for everybody to read: make a new key";
        found.insert(0, Finding::wrong(M::Swapped, what));
    }
    // What was pasted is always old: that is worth a word where nothing else explains.
    let explained = found.iter().any(|finding| finding.certainty != Certainty::Noted);
    if explained {
        found.retain(|finding| finding.certainty != Certainty::Noted || finding.mistake != M::Stale);
    }
    for finding in found.iter_mut().filter(|finding| finding.mistake == M::Stale && !explained) {
        finding.certainty = Certainty::Possible;
    }
    found.sort_by_key(|finding| finding.certainty as u8);
    Ok(found)
}

/// All that goes over the line.
fn sent(pasted: &Pasted) -> Zeroizing<String> {
    Zeroizing::new(match pasted {
        Pasted::Subscribe(message) => json!(message).to_string(),
        Pasted::Headers(headers, asked) => {
            let values = headers.iter().map(|(_, value)| value);
            let asked = asked.iter().flat_map(|asked| [&asked.target, &asked.body]);
            values.chain(asked).fold(String::new(), |all, text| all + text + "\n")
        }
    })
}

struct Examination<'a> {
    venue: &'a Venue,
    credentials: Option<&'a Credentials>,
    now: u64,
}

/// An HMAC signature and what came with it.
struct Given {
    key: Option<String>,
    /// What the field is called that the key belongs in.
    key_field: &'static str,
    timestamp: Option<Value>,
    signature: String,
}

impl Given {
    /// A number is not the text that was signed. Advanced Trade's documentation has a text alone; the Exchange's sandbox was
    /// seen to refuse what its production took (coinbase-pro-node#376, #377), and tardis-node sends a number.
    fn number(&self, venue: &Venue) -> Option<Finding> {
        self.timestamp.as_ref().filter(|timestamp| timestamp.is_number())?;
        let sent = "the timestamp is sent as a number";
        Some(if recipe::signs_path(venue) {
            let what = format!("{sent}, which was refused to some: send it in quotes, \"1660838876\"");
            Finding::possible(M::TimestampDiffers, what)
        } else {
            let what = format!("{sent}, and a text was signed: send it in quotes, \"1660838876\"");
            Finding::wrong(M::TimestampDiffers, what)
        })
    }
}

impl Examination<'_> {
    /// Key and passphrase, where both are known.
    fn own(&self) -> Option<(&str, &str)> {
        self.credentials.and_then(|own| Some((own.key(), own.passphrase()?.expose())))
    }

    fn signature(
        &self,
        given: &Given,
        contents: impl FnOnce() -> Vec<recipe::Way<recipe::Contents>>,
        found: &mut Vec<Finding>,
    ) {
        let hmac = match self.credentials.map(|credentials| (credentials, credentials.signer())) {
            Some((credentials, Signer::Hmac(key))) => Some((credentials.key(), key.expose())),
            Some((_, Signer::Jwt(_))) => {
                let what = if self.venue.tokens {
                    "this is signed with an HMAC key, and the configured key is a CDP key, which signs a jwt"
                } else {
                    "this is signed with an HMAC key, and the configured key is Advanced Trade's, which signs tokens"
                };
                found.push(Finding::wrong(M::OtherVenuesKey, what));
                None
            }
            None => None,
        };
        // The key is public and may be in the secret's place: it is compared, and not shown.
        let swapped = hmac.is_some_and(|(_, secret)| given.key.as_deref() == Some(secret));
        match (&given.key, hmac) {
            (None, _) => {
                let what = format!("there is no `{}` beside the signature", given.key_field);
                found.push(Finding::wrong(M::ChannelsPlural, what));
            }
            (Some(_), Some((key, _))) if swapped => {
                let what = format!("the secret is sent as the key; the key is {key}");
                found.push(Finding::wrong(M::Swapped, what));
            }
            (Some(sent), Some(_)) if self.own().is_some_and(|(_, passphrase)| sent == passphrase) => {
                found.push(Finding::wrong(M::Swapped, "the passphrase is sent as the key"));
            }
            (Some(sent), _) if key::is_placeholder(sent) => {
                found.push(Finding::wrong(
                    M::Placeholder,
                    "the key that is sent is a placeholder that was never filled in",
                ));
            }
            (Some(sent), Some((key, _))) if sent.trim() == key && sent != key => {
                found.push(Finding::wrong(M::StrayWhiteSpace, "there is white space around the key"));
            }
            (Some(sent), Some((key, _))) if sent != key => {
                found.push(Finding::wrong(M::Swapped, format!("the key is not the configured one, {key}")));
            }
            _ => {}
        }
        let timestamp = given.timestamp.as_ref().map(plain).unwrap_or_default();
        self.time(&timestamp, found);
        let Some(way) = recipe::decoded(&given.signature, self.venue.hmac.encoding) else {
            let wanted = match self.venue.hmac.encoding {
                Encoding::Hex => "64 lower-case hex digits",
                Encoding::Base64 => "the 44 of base64",
            };
            let has = match recipe::other_hash(&given.signature) {
                Some(hash) => format!("it is as long as {hash}'s"),
                None => format!("{} characters", given.signature.chars().count()),
            };
            let what = format!("the signature is no HMAC-SHA256: {has}, and not {wanted}");
            found.push(Finding::wrong(M::Encoding, what));
            return;
        };
        let contents = contents();
        let Some((key, secret)) = hmac.filter(|_| !contents.is_empty()) else {
            found.extend(way.slips());
            return;
        };
        let passphrase = self.own().map(|(_, passphrase)| passphrase);
        let maker = Maker { key, secret, passphrase, timestamp: &timestamp, hmac: self.venue.hmac };
        match recipe::of(&given.signature, &maker, &contents) {
            Some(slips) => found.extend(slips),
            None => {
                found.extend(way.slips());
                found.push(Finding::wrong(
                    M::Prehash,
                    "no known recipe makes this signature from the configured secret and this message: it was signed with \
                     another secret, or other contents were signed than are sent",
                ));
                found.push(Finding::possible(M::Swapped, "the secret that signed is not the one that is configured"));
            }
        }
    }

    /// What travels beside the signature, where the venue wants it. It is compared, and not shown.
    fn passphrase(&self, sent: Option<&str>, found: &mut Vec<Finding>) {
        if !self.venue.hmac.passphrase {
            return;
        }
        let mut wrong = |mistake, what: &str| found.push(Finding::wrong(mistake, what));
        let Some(sent) = sent.filter(|sent| !sent.is_empty()) else {
            return wrong(M::Passphrase, "the passphrase is missing beside the signature");
        };
        let Some(credentials) = self.credentials else { return };
        let own = credentials.passphrase().map(Secret::expose);
        match credentials.signer() {
            _ if own == Some(sent) => {}
            Signer::Hmac(secret) if secret.expose() == sent => {
                wrong(M::Swapped, "the secret is sent as the passphrase");
            }
            _ if sent == credentials.key() => wrong(M::Passphrase, "the key is sent as the passphrase"),
            _ if own.is_some_and(|own| own.trim() == sent.trim()) => {
                wrong(M::StrayWhiteSpace, "the passphrase differs from the configured one in white space around it");
            }
            _ if own.is_some() => wrong(M::Passphrase, "the passphrase is not the configured one"),
            _ => {}
        }
    }

    fn time(&self, timestamp: &str, found: &mut Vec<Finding>) {
        let mut wrong = |mistake, what: String| found.push(Finding::wrong(mistake, what));
        if timestamp.is_empty() {
            return wrong(M::ChannelsPlural, "there is no timestamp beside the signature".to_owned());
        }
        // Whatever stands here that is no number is not shown: it may be the signature.
        let whole = timestamp.split('.').next().and_then(|whole| whole.parse::<u64>().ok());
        let Some(seconds) = whole.filter(|_| timestamp.parse::<f64>().is_ok()) else {
            return wrong(M::TimestampDiffers, "the timestamp is no number of seconds since 1970".to_owned());
        };
        if timestamp.contains('.') && !self.venue.hmac.decimals {
            wrong(M::Decimals, format!("the timestamp, {timestamp}, has decimals: it must be whole seconds"));
        }
        if seconds > MILLIS {
            wrong(M::Milliseconds, format!("the timestamp, {timestamp}, is in milliseconds: it must be in seconds"));
        } else if seconds > self.now + WINDOW {
            let ahead = seconds - self.now;
            wrong(
                M::Clock,
                format!("the timestamp is {ahead} s ahead of this machine's clock: one of the two is wrong"),
            );
        } else if seconds + WINDOW < self.now {
            let age = self.now - seconds;
            let what =
                format!("the signature is {age} s old: if it was as old when it was sent, it was refused for that");
            found.push(Finding::noted(M::Stale, what));
        }
    }
}
