//! Why a venue would refuse. It says little, and each has its own words; this says what they mean.

use std::fmt;

/// A timestamp that is further in the future, in seconds, was written in milliseconds: three thousand years.
const MILLIS: i64 = 100_000_000_000;

/// Why a message or a REST request is refused: what the venue says is its own affair, `Display` says what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not JSON, or not a subscribe.
    Unreadable(String),
    /// The message names no channel.
    NoChannels,
    /// This channel is not known.
    UnknownChannel(String),
    /// This channel wants products and none is named.
    NoProducts(&'static str),
    /// This channel wants accounts and none is named.
    NoAccounts(&'static str),
    /// Products stand beside the channels.
    ProductsAtRoot,
    /// This product is not traded.
    UnknownProduct(String),
    /// More messages than a second may have.
    TooFast,
    /// So many level2 products on one connection.
    TooManyBooks(usize),
    /// What is asked for is private and nothing is signed.
    Unsigned,
    /// What belongs to a signature is missing: this.
    Incomplete(&'static str),
    /// `timestamp` is a JSON number.
    NumericTimestamp,
    /// `timestamp` is not seconds.
    OddTimestamp,
    /// `timestamp` is so many seconds from our clock; negative is the past.
    Stale(i64),
    /// The signature is not 64 lower-case hex digits.
    NotHex,
    /// The signature is not base64 of 32 bytes.
    NotBase64,
    /// The passphrase is not the key's.
    Passphrase,
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
            Self::Unreadable(why) => write!(f, "not a message as this venue reads it: {why}"),
            Self::NoChannels => {
                f.write_str("it names no channel: \"channels\" is a list of names, or of objects that have one")
            }
            Self::UnknownChannel(name) => write!(f, "the venue has no channel \"{name}\""),
            Self::NoProducts(channel) => write!(f, "{channel} wants product_ids"),
            Self::NoAccounts(channel) => write!(f, "{channel} wants account_ids"),
            Self::ProductsAtRoot => f.write_str("product_ids stand beside the channels; each channel has its own"),
            Self::UnknownProduct(id) => write!(f, "{id} is not traded here; --product says what is"),
            Self::TooFast => f.write_str("more messages a second than the venue takes"),
            Self::TooManyBooks(count) => write!(f, "{count} level2 products on one connection; 30 are allowed"),
            Self::Unsigned => f.write_str("what is asked for is private and nothing is signed"),
            Self::Incomplete(part) => write!(f, "the {part} is missing"),
            Self::NumericTimestamp => f.write_str("timestamp must be a JSON string, not a number"),
            Self::OddTimestamp => f.write_str("timestamp must be seconds since 1970"),
            Self::Stale(off) if *off > MILLIS => f.write_str("timestamp is in milliseconds; it must be seconds"),
            Self::Stale(off) => write!(f, "timestamp is {off} s off; 30 are allowed"),
            Self::NotHex => f.write_str("the signature must be 64 lower-case hex digits"),
            Self::NotBase64 => {
                f.write_str("the signature must be base64 of 32 bytes: 44 characters, the last of them =")
            }
            Self::Passphrase => f.write_str("the passphrase is not the key's"),
            Self::UnknownKey => f.write_str("the key is not known here, or is of another scheme"),
            Self::WrongSignature => f.write_str("the signature is not this key's over this message"),
            Self::NotAToken => f.write_str("what should be a token is none"),
            Self::Claim(what) => write!(f, "the token's {what}"),
            Self::Recipe(which) => write!(f, "the signature is this key's, but it was made {which}"),
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
