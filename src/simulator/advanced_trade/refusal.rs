//! Why the venue would refuse: it says little, and this says what it means.

use std::fmt;

/// A timestamp that is further in the future, in seconds, was written in milliseconds: three thousand years.
const MILLIS: i64 = 100_000_000_000;

/// Why a message or a REST request is refused: the venue says little, `Display` says what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not JSON, or not a subscribe.
    Unreadable(String),
    /// The channel is not known.
    UnknownChannel,
    /// The channel wants products and none is named.
    NoProducts,
    /// More unsigned messages than a second may have.
    TooFast,
    /// So many level2 products on one connection.
    TooManyBooks(usize),
    /// What is asked for is private and nothing is signed.
    Unsigned,
    /// One of `api_key`, `timestamp` and `signature` is missing.
    Incomplete,
    /// `timestamp` is a JSON number.
    NumericTimestamp,
    /// `timestamp` is not whole seconds.
    OddTimestamp,
    /// `timestamp` is so many seconds from our clock; negative is the past.
    Stale(i64),
    /// The signature is not 64 lower-case hex digits.
    NotHex,
    /// The key is none of ours, or of another scheme.
    UnknownKey,
    /// It was not made by this key over this message.
    WrongSignature,
    /// `jwt` can not be read.
    NotAToken,
    /// A claim or header of the token is wrong.
    Claim(&'static str),
    /// It is this key's, by a recipe that is not this one's: by which.
    Recipe(&'static str),
    /// The key was revoked.
    Revoked,
    /// The key may not view.
    MayNotView,
    /// It was used before.
    Used,
    /// A fault wanted it so.
    Fault,
}

impl Refusal {
    /// The venue's own words.
    #[must_use]
    pub fn said(&self) -> &'static str {
        match self {
            Self::Unreadable(_) | Self::NoProducts => "failure to subscribe",
            Self::TooFast => "rate limit exceeded",
            Self::TooManyBooks(_) => "too many L2 streams requested in a single session",
            _ => "authentication failure",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => {
                write!(
                    f,
                    "not a message of the form {{\"type\":\"subscribe\",\"product_ids\":[…],\"channel\":\"…\"}}: {why}"
                )
            }
            Self::UnknownChannel => f.write_str("the venue has no such channel"),
            Self::NoProducts => f.write_str("the channel wants product_ids"),
            Self::TooFast => f.write_str("more than 8 unsigned messages a second"),
            Self::TooManyBooks(count) => write!(f, "{count} level2 products on one connection; 30 are allowed"),
            Self::Unsigned => f.write_str("what is asked for is private and nothing is signed"),
            Self::Incomplete => f.write_str("one of key, timestamp and signature is missing"),
            Self::NumericTimestamp => f.write_str("timestamp must be a JSON string, not a number"),
            Self::OddTimestamp => f.write_str("timestamp must be whole seconds since 1970"),
            Self::Stale(off) if *off > MILLIS => f.write_str("timestamp is in milliseconds; it must be seconds"),
            Self::Stale(off) => write!(f, "timestamp is {off} s off; 30 are allowed"),
            Self::NotHex => f.write_str("the signature must be 64 lower-case hex digits"),
            Self::UnknownKey => f.write_str("the key is not known here, or is of another scheme"),
            Self::WrongSignature => f.write_str("the signature is not this key's over this message"),
            Self::NotAToken => f.write_str("what should be a token is none"),
            Self::Claim(what) => write!(f, "the token's {what}"),
            Self::Recipe(which) => write!(f, "the signature is this key's, but it was made over {which}"),
            Self::Revoked => f.write_str("the key was revoked"),
            Self::MayNotView => f.write_str("the key may not view"),
            Self::Used => f.write_str("the signature or token was used before"),
            Self::Fault => f.write_str("a fault that was asked for"),
        }
    }
}
