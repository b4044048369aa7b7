//! A pasted message, taken apart against the configured secret: which field is wrong, and how.

use serde_json::{Map, Value};

use super::{
    Certainty, Finding, Mistake as M, of_channel, of_product,
    paste::{self, Asked, NotAMessage, Pasted, plain},
    recipe::{self, Maker},
    token::{self, For},
};
use crate::{
    auth::{Credentials, Signer, key},
    venue::{Product, Venue},
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
    let mut found = match paste::read(text)? {
        Pasted::Subscribe(message) => examination.subscribe(&message),
        Pasted::Headers(headers, asked) => examination.headers(&headers, asked.as_ref()),
    };
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

struct Examination<'a> {
    venue: &'a Venue,
    credentials: Option<&'a Credentials>,
    now: u64,
}

/// An HMAC signature and what came with it.
struct Given {
    key: Option<String>,
    timestamp: Option<Value>,
    signature: String,
}

impl Examination<'_> {
    fn subscribe(&self, message: &Map<String, Value>) -> Vec<Finding> {
        let mut found = Vec::new();
        let has = |name: &str| message.contains_key(name);
        if has("passphrase") || (has("key") && has("signature")) {
            let what =
                "there is a `passphrase` or a `key`, which are the Exchange's fields: Advanced Trade has api_key";
            found.push(Finding::wrong(M::OtherVenuesKey, what));
        }
        if has("channels") {
            found.push(Finding::wrong(
                M::ChannelsPlural,
                "`channels` is the Exchange's: write one `channel`, as a text",
            ));
        } else if !message.get("channel").is_some_and(Value::is_string) {
            found.push(Finding::wrong(M::ChannelsPlural, "there is no `channel` that is a text"));
        }
        let channel =
            message.get("channel").and_then(Value::as_str).or_else(|| message.get("channels")?.get(0)?.as_str());
        let channel = channel.unwrap_or_default();
        if !channel.is_empty() {
            found.extend(of_channel(self.venue, channel));
        }
        if !has("type") {
            found.push(Finding::wrong(M::ChannelsPlural, "there is no `type`: it must be \"subscribe\""));
        }
        if has("product_id") || message.get("product_ids").is_some_and(|ids| !ids.is_array()) {
            let what = "products are sent as a list, \"product_ids\": [\"BTC-USD\"]";
            found.push(Finding::wrong(M::ProductSpelling, what));
        }
        if message.keys().any(|name| name.to_lowercase().starts_with("cb-access-")) {
            let what = "there are REST's headers in the message: a WebSocket takes api_key, timestamp and signature";
            found.push(Finding::wrong(M::OtherRecipe, what));
        }
        let products: Vec<_> =
            message.get("product_ids").and_then(Value::as_array).into_iter().flatten().map(plain).collect();
        found.extend(products.iter().filter_map(|id| Product::parse(id).err()).map(|misspelt| of_product(&misspelt)));
        let token = message.get("jwt").map(plain);
        let signature = message.get("signature").map(plain);
        if let Some(token) = &token {
            found.extend(token::examine(token, &For::WebSocket, self.venue, self.credentials, self.now));
        }
        if token.is_some() && (signature.is_some() || has("api_key")) {
            found.push(Finding::wrong(
                M::BadToken,
                "there is a jwt, and a signature or an api_key as well: send one of them",
            ));
        } else if let Some(signature) = signature {
            let key = message.get("api_key").or_else(|| message.get("key")).map(plain);
            let given = Given { key, timestamp: message.get("timestamp").cloned(), signature };
            if given.timestamp.as_ref().is_some_and(Value::is_number) {
                let what = "the timestamp is sent as a number: the documentation has a text, \"1660838876\"";
                found.push(Finding::noted(M::TimestampDiffers, what));
            }
            self.signature(&given, || recipe::of_subscribe(self.venue, channel, &products), &mut found);
        } else if token.is_none() && self.venue.channel(channel).is_some_and(|channel| channel.private) {
            found.push(Finding::wrong(
                M::PrivateChannel,
                format!("{channel} is private, and the message is not signed"),
            ));
        }
        found
    }

    fn headers(&self, headers: &[(String, String)], asked: Option<&Asked>) -> Vec<Finding> {
        let mut found = Vec::new();
        let of = |name: &str| headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.clone());
        if of("cb-access-passphrase").is_some() {
            let what = "there is a CB-ACCESS-PASSPHRASE, which is the Exchange's: Advanced Trade has none";
            found.push(Finding::wrong(M::OtherVenuesKey, what));
        }
        let signature = of("cb-access-sign").or_else(|| of("cb-access-signature"));
        if let Some(authorization) = of("authorization") {
            // HTTP's schemes are the same in any case of their letters.
            let bearer = authorization.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"));
            let token = bearer.map(|(_, token)| token);
            if token.is_none() {
                found.push(Finding::wrong(M::BadToken, "Authorization must be the word Bearer, a blank and the token"));
            }
            let token = token.unwrap_or(&authorization).trim();
            found.extend(token::examine(token, &For::Request(asked), self.venue, self.credentials, self.now));
        } else if let Some(signature) = signature {
            let timestamp = of("cb-access-timestamp").map(Value::String);
            let given = Given { key: of("cb-access-key"), timestamp, signature };
            match asked {
                Some(asked) => self.signature(&given, || recipe::of_request(self.venue, asked), &mut found),
                None => {
                    self.signature(&given, Vec::new, &mut found);
                    let what = "what was signed is not known: paste the request's first line too (GET /api/v3/brokerage/accounts)";
                    found.push(Finding::noted(M::Prehash, what));
                }
            }
        } else {
            found.push(Finding::wrong(
                M::Prehash,
                "there is no CB-ACCESS-SIGN and no Authorization: the request is not signed",
            ));
        }
        found
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
                let what = "this is signed with an HMAC key, and the configured key is a CDP key, which signs a jwt";
                found.push(Finding::wrong(M::OtherVenuesKey, what));
                None
            }
            None => None,
        };
        // The key is public and may be in the secret's place: it is compared, and not shown.
        let swapped = hmac.is_some_and(|(_, secret)| given.key.as_deref() == Some(secret));
        match (&given.key, hmac) {
            (None, _) => found.push(Finding::wrong(M::Swapped, "the key is missing beside the signature")),
            (Some(_), Some((key, _))) if swapped => {
                let what =
                    format!("the secret is sent as the key, for everybody to read: make a new one; the key is {key}");
                found.push(Finding::wrong(M::Swapped, what));
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
        let Some(way) = recipe::decoded(&given.signature) else {
            let length = given.signature.chars().count();
            let what =
                format!("the signature is no HMAC-SHA256: {length} characters, and not 64 lower-case hex digits");
            found.push(Finding::wrong(M::Encoding, what));
            return;
        };
        let contents = contents();
        let Some((key, secret)) = hmac.filter(|_| !contents.is_empty()) else {
            found.extend(way.slips());
            return;
        };
        match recipe::of(&given.signature, &Maker { key, secret, timestamp: &timestamp }, &contents) {
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

    fn time(&self, timestamp: &str, found: &mut Vec<Finding>) {
        let mut wrong = |mistake, what: String| found.push(Finding::wrong(mistake, what));
        if timestamp.is_empty() {
            return wrong(M::TimestampDiffers, "there is no timestamp beside the signature".to_owned());
        }
        // Whatever stands here that is no number is not shown: it may be the signature.
        let whole = timestamp.split('.').next().and_then(|whole| whole.parse::<u64>().ok());
        let Some(seconds) = whole.filter(|_| timestamp.parse::<f64>().is_ok()) else {
            return wrong(M::TimestampDiffers, "the timestamp is no number of seconds since 1970".to_owned());
        };
        if timestamp.contains('.') {
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
