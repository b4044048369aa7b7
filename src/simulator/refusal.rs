//! Why a venue would refuse. It says little, and each has its own words; this says what they mean.

use std::fmt;

/// A timestamp that is further in the future, in seconds, was written in milliseconds: three thousand years.
const MILLIS: i64 = 100_000_000_000;

/// Why a message or a REST request is refused: what the venue says is its own affair, `Display` says what it means.
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
    /// REST has nothing there.
    NoSuchResource,
    /// REST is only read here.
    NotAGet,
    /// A fault wanted it so.
    Fault,
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
            Self::NoSuchResource => f.write_str("there is nothing at this path"),
            Self::NotAGet => f.write_str("only GET is answered"),
            Self::Fault => f.write_str("a fault that was asked for"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_told_from_an_old_signature() {
        let off = |seconds| Refusal::Stale(seconds).to_string();
        assert!(off(1_786_307_761_690_452).contains("milliseconds"));
        assert_eq!(off(-31), "timestamp is -31 s off; 30 are allowed");
    }
}
