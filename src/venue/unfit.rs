//! Why credentials can not sign at a venue, whatever they are good for elsewhere.

use std::fmt;

/// What does not fit; each names the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// They are a CDP key, and the venue takes shared secrets.
    Token(&'static str),
    /// They have no passphrase, and the venue wants one.
    NoPassphrase(&'static str),
    /// They have a passphrase, and the venue knows none.
    Passphrase(&'static str),
    /// Their secret stands where the passphrase belongs, which is sent.
    SecretSent(&'static str),
    /// Their secret is no base64, and the venue's are.
    NotBase64(&'static str),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(venue) => write!(
                f,
                "they are a CDP key, which {venue} does not know: it wants a key with secret and passphrase, made at \
                 https://exchange.coinbase.com/profile/api"
            ),
            Self::NoPassphrase(venue) => write!(
                f,
                "they have no passphrase, and {venue} wants the one that was chosen when the key was made: passphrase = \
                 {{ env = \"…\" }}, {{ file = \"…\" }} or {{ credential = \"…\" }}; of the environment $COINBASE_API_PASSPHRASE"
            ),
            Self::Passphrase(venue) => write!(
                f,
                "they have a passphrase, and {venue}'s keys have none: a key that has one is of Coinbase Exchange (venue = \
                 \"exchange\"); for {venue} make a CDP key at https://portal.cdp.coinbase.com"
            ),
            Self::SecretSent(venue) => write!(
                f,
                "their secret stands in the passphrase's place as well, and a passphrase is sent to {venue} with each message: \
                 put the one that was chosen when the key was made there"
            ),
            Self::NotBase64(venue) => write!(
                f,
                "their secret is no base64, and {venue}'s are, 88 characters that end in ==: copy it again, whole"
            ),
        }
    }
}

impl std::error::Error for Unfit {}
