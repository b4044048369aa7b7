//! Why the venue refused: what the evidence rules out, and what remains.

use std::fmt;

use super::{Finding, Mistake as M};
use crate::{
    auth::{Credentials, Signer, jwt},
    venue::{Channel, Offset, Permissions, Reason, Venue},
};

/// How the refused message was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemeUsed {
    /// A shared secret.
    Hmac,
    /// A CDP token.
    Jwt,
}

impl SchemeUsed {
    /// What these credentials sign by.
    #[must_use]
    pub fn of(credentials: &Credentials) -> Self {
        match credentials.signer() {
            Signer::Hmac(_) => Self::Hmac,
            Signer::Jwt(_) => Self::Jwt,
        }
    }
}

/// What the venue's REST interface said of the same credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestSaid {
    /// It took the key, which may do this.
    Took(Permissions),
    /// 401, in its words.
    Unauthorized(String),
    /// 403, in its words.
    Forbidden(String),
    /// No answer, and why.
    Unreachable(String),
}

impl fmt::Display for RestSaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Took(_) => f.write_str("it takes it"),
            Self::Unauthorized(words) => write!(f, "401 {words:?}"),
            Self::Forbidden(words) => write!(f, "403 {words:?}"),
            Self::Unreachable(why) => write!(f, "no answer: {why}"),
        }
    }
}

/// What is known of one refusal.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Who refused.
    pub venue: &'static Venue,
    /// What was subscribed to, where that is known.
    pub channel: Option<&'static Channel>,
    /// What the venue's words mean.
    pub reason: Reason,
    /// How it was signed; None where it was not.
    pub signed: Option<SchemeUsed>,
    /// Whether a second signature was refused as well.
    pub confirmed: bool,
    /// How far what was signed is from the venue's clock.
    pub offset: Option<Offset>,
    /// What REST said of the key.
    pub rest: Option<RestSaid>,
}

impl Evidence {
    /// Of a message that was not signed.
    #[must_use]
    pub fn unsigned(venue: &'static Venue, channel: Option<&'static Channel>, reason: Reason) -> Self {
        Self { venue, channel, reason, signed: None, confirmed: true, offset: None, rest: None }
    }
}

/// The causes that the evidence leaves, likeliest first. Those that it does not tell apart are all possible, together.
#[must_use]
pub fn causes(evidence: &Evidence) -> Vec<Finding> {
    match evidence.reason {
        Reason::TooFast => vec![Finding::wrong(
            M::RateLimit,
            "the venue says that it is asked too fast; it will be asked again more slowly",
        )],
        Reason::TooMuch => {
            let what = evidence.channel.and_then(|channel| Some((channel.name, channel.per_connection?))).map_or_else(
                || "the venue says that this is more than one connection may carry".to_owned(),
                |(name, most)| format!("{name} takes {most} products a connection"),
            );
            vec![Finding::wrong(M::TooMany, what)]
        }
        Reason::TooSlow => vec![Finding::wrong(
            M::TooSlow,
            "the venue says that its messages are taken more slowly than it sends them, and ends the connection",
        )],
        Reason::TooLong => vec![Finding::wrong(M::TooLong, "the venue says that the message is too long")],
        Reason::Product => vec![Finding::wrong(
            M::ProductSpelling,
            "a product is not traded there, or not under that name, and the venue refuses all that was asked with it",
        )],
        Reason::Malformed => vec![Finding::wrong(
            M::ChannelsPlural,
            "the venue misses something in the message, or does not know a part of it: its words say what",
        )],
        Reason::Subscribe => of_subscribe(evidence.channel),
        reason if !reason.is_of_credentials() => Vec::new(),
        _ if evidence.signed.is_some() => of_signed(evidence),
        _ => of_unsigned(evidence),
    }
}

/// The venue says that it is the subscribe, and not the credentials; of what in it, nothing.
fn of_subscribe(channel: Option<&Channel>) -> Vec<Finding> {
    let mut found = vec![Finding::possible(
        M::ProductSpelling,
        "the venue does not say what it dislikes: a product may not be traded there, or not under that name",
    )];
    if let Some((name, most)) = channel.and_then(|channel| Some((channel.name, channel.per_connection?))) {
        let what = format!("more than {most} products of {name} may have been asked for over this connection");
        found.push(Finding::possible(M::TooMany, what));
    } else if channel.is_none() {
        found.push(Finding::possible(M::TooMany, "more may have been asked for than one connection may carry"));
    }
    let what = match channel {
        Some(channel) => format!("the venue may no longer know the channel {}", channel.name),
        None => "the venue may not know the channel's name".to_owned(),
    };
    found.push(Finding::possible(M::ChannelName, what));
    found
}

fn of_unsigned(evidence: &Evidence) -> Vec<Finding> {
    match evidence.channel {
        None if evidence.reason == Reason::Unsigned => {
            vec![Finding::wrong(M::PrivateChannel, "a channel is private, and the subscribe was not signed")]
        }
        Some(channel) if channel.private || evidence.reason == Reason::Unsigned => vec![Finding::wrong(
            M::PrivateChannel,
            format!("{} is private, and the subscribe was not signed", channel.name),
        )],
        Some(channel) => vec![Finding::possible(
            M::ChannelName,
            format!(
                "{} wants no credentials as far as is known; the venue may have renamed or closed it",
                channel.name
            ),
        )],
        None => vec![
            Finding::possible(M::PrivateChannel, "the channel may want credentials, and the subscribe was not signed"),
            Finding::possible(M::ChannelName, "the venue may not know the channel's name"),
        ],
    }
}

fn of_signed(evidence: &Evidence) -> Vec<Finding> {
    // Whoever took the key knows it: what is said of expired, unknown or bound keys is then ruled out.
    let took = matches!(evidence.rest, Some(RestSaid::Took(_)));
    if let Some(found) = of_plain_words(evidence, took) {
        return found;
    }
    let mut found = Vec::new();
    if let Some(offset) = evidence.offset.filter(Offset::is_notable) {
        found.push(clock(evidence.signed, offset));
    }
    if evidence.signed == Some(SchemeUsed::Hmac) && evidence.venue.tokens && !took {
        found.push(Finding::wrong(
            M::LegacyKey,
            "this is an HMAC key: Coinbase expired those of Advanced Trade in February 2025",
        ));
    }
    match &evidence.rest {
        Some(RestSaid::Took(may)) if !may.can_view => {
            found.push(Finding::wrong(M::Permission, "REST takes the key and says that it may not view"));
        }
        Some(RestSaid::Took(_)) => found.extend(taken_by_rest(evidence)),
        Some(RestSaid::Forbidden(words)) => {
            found.push(Finding::wrong(M::Permission, format!("REST answers 403 {words:?}")));
            found.push(Finding::possible(M::AllowedIps, "the key may be bound to other IP addresses"));
        }
        Some(RestSaid::Unauthorized(words)) => {
            let what = format!("REST refuses it as well, with 401 {words:?}");
            found.push(Finding::possible(
                M::KeyState,
                format!("{what}: the key is unknown, disabled, deleted or too new, or the secret is another key's"),
            ));
            found.push(Finding::possible(
                M::AllowedIps,
                "the key may be bound to other IP addresses than this machine's",
            ));
        }
        Some(RestSaid::Unreachable(_)) | None => {
            found.push(Finding::possible(M::KeyState, "the key is unknown, expired, disabled, deleted or too new"));
            if evidence.venue.hmac.passphrase {
                found.push(Finding::possible(M::Passphrase, "the passphrase is not the key's"));
            }
            found.push(Finding::possible(M::AllowedIps, "it is bound to other IP addresses"));
            if evidence.channel.is_none_or(|channel| channel.private) {
                found.push(Finding::possible(M::Permission, "it may not view, or is of another portfolio"));
            }
            if evidence.offset.is_none() {
                found.push(Finding::possible(M::Clock, "this machine's clock is off by more than 30 s"));
            }
        }
    }
    found
}

/// What a venue that says plainly what it dislikes leaves no doubt of, by the WebSocket or by REST.
fn of_plain_words(evidence: &Evidence, took: bool) -> Option<Vec<Finding>> {
    // By REST it may say more: that it does not know the key, of which the WebSocket says that the signature is wrong.
    let vague = matches!(evidence.reason, Reason::Credentials | Reason::Signature);
    let plainer = match &evidence.rest {
        Some(RestSaid::Unauthorized(words) | RestSaid::Forbidden(words)) if vague => Some(evidence.venue.reason(words)),
        _ => None,
    };
    let reason = plainer.filter(|by_rest| by_rest.is_of_credentials() && *by_rest != Reason::Credentials);
    let reason = reason.unwrap_or(evidence.reason);
    let found = match reason {
        Reason::Expired => vec![Finding::wrong(M::Clock, of_expired(evidence.offset))],
        Reason::Address => {
            vec![Finding::wrong(
                M::AllowedIps,
                "the venue says that the key is bound to other addresses than this machine's",
            )]
        }
        Reason::Passphrase if !took => {
            vec![Finding::wrong(M::Passphrase, "the venue says that the passphrase is not the key's")]
        }
        Reason::Key if !took => vec![Finding::wrong(M::KeyState, "the venue says that it does not know the key")],
        Reason::Signature if !took => vec![
            Finding::wrong(M::Swapped, "the venue does not find the signature to be by the key's secret"),
            Finding::possible(M::KeyState, "the key is unknown, disabled or deleted, of which it may say the same"),
            Finding::possible(
                M::SecretDecoding,
                "the secret was decoded, or encoded once more, before it was stored: it is kept as the venue shows it",
            ),
        ],
        Reason::Unsigned => vec![Finding::wrong(
            M::PrivateChannel,
            "the subscribe was signed, and the venue says that it was not: this connection began unsigned, or the key does \
             not reach so far",
        )],
        _ => return None,
    };
    Some(found)
}

/// What the venue finds expired, beside what was measured.
fn of_expired(offset: Option<Offset>) -> String {
    let said = "the venue finds the time that was signed more than 30 s from its own";
    match offset {
        Some(offset) if offset.is_notable() => format!("{said}; by its clock, this machine's is {offset}"),
        Some(_) => format!("{said}, which was right when it was measured last: it is measured again"),
        None => format!("{said}; its clock has not been asked yet"),
    }
}

/// REST takes the key: it is known, enabled, bound to no other address, and the clock was good enough.
fn taken_by_rest(evidence: &Evidence) -> Vec<Finding> {
    let passing = "REST takes the key and lets it view, so the key is good: asked again, more slowly each time";
    let mut found = vec![Finding::possible(M::Passing, passing)];
    // A venue that has words for what it does not understand does not blame the credentials for it.
    let is_vague = !evidence.venue.words.iter().any(|(_, reason)| *reason == Reason::Malformed);
    if let Some(channel) = evidence.channel.filter(|_| is_vague) {
        found.push(Finding::possible(
            M::ChannelName,
            format!("the venue no longer knows the channel {}, of which it says the same", channel.name),
        ));
    }
    found
}

/// A clock that is off explains a refusal only so far as the scheme minds it.
fn clock(scheme: Option<SchemeUsed>, offset: Offset) -> Finding {
    /// A signature counts for so long either way.
    const HMAC_MS: i64 = 30_000;
    /// A token is valid from so long before it was made, by our clock...
    const BEFORE_MS: i64 = jwt::SKEW.cast_signed() * 1_000;
    /// ...until so long after.
    const AFTER_MS: i64 = (jwt::LIFE - jwt::SKEW).cast_signed() * 1_000;
    let what = format!("by the venue's clock, this machine's is {offset}");
    let (ahead, behind) = match scheme {
        Some(SchemeUsed::Hmac) => (HMAC_MS, HMAC_MS),
        _ => (BEFORE_MS, AFTER_MS),
    };
    if offset.ms > behind || -offset.ms > ahead {
        Finding::wrong(M::Clock, what)
    } else {
        Finding::possible(M::Clock, what)
    }
}

/// A clock that is wrong, judged by how the credentials sign; a token where that is not known.
#[must_use]
pub fn of_clock(offset: Offset, scheme: Option<SchemeUsed>) -> Option<Finding> {
    offset.is_notable().then(|| clock(scheme, offset))
}

/// A product that the venue left out of its answer.
#[must_use]
pub fn of_left_out(product: &str) -> Finding {
    let what = format!("{product} is spelt as products are, and the venue does not trade it, or not under that name");
    Finding::wrong(M::ProductSpelling, what)
}

/// The running daemon's one line: the likeliest causes, and what to do.
#[must_use]
pub fn sentence(evidence: &Evidence) -> String {
    /// What fits on a line of the log beside its own fields.
    const LONGEST: usize = 200;
    let found = causes(evidence);
    let Some(first) = found.first() else {
        return "the venue's own words are all that is known: asked again later".to_owned();
    };
    if evidence.reason.is_of_credentials()
        && evidence.signed.is_some()
        && !evidence.confirmed
        && !super::is_refusal(&found)
    {
        return "refused once with a locally valid signature: tried again with a new one".to_owned();
    }
    let good = matches!(evidence.rest, Some(RestSaid::Took(may)) if may.can_view);
    let mut sentence = first.what.clone();
    if super::is_refusal(&found[..1]) {
        let remedy = first.mistake.remedy(evidence.venue);
        if sentence.len() + remedy.len() + 2 <= LONGEST {
            sentence = format!("{sentence}: {remedy}");
        }
    } else if !good {
        for other in &found[1..] {
            let longer = format!("{sentence}; or {}", other.what);
            if longer.len() > LONGEST {
                break;
            }
            sentence = longer;
        }
    }
    sentence
}
