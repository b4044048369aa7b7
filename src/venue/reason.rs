//! What a refusal is about.

/// The class of a venue's words: who is to blame, and so what is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The key, its signature or its rights; some venues say so of an unknown channel as well.
    Credentials,
    /// The venue does not know the key.
    Key,
    /// The signature is not the key's.
    Signature,
    /// The timestamp is too far from the venue's clock.
    Expired,
    /// The key is bound to other IP addresses.
    Address,
    /// The passphrase is not the key's.
    Passphrase,
    /// What is asked for wants a signature.
    Unsigned,
    /// A product that the venue does not trade, or not under that name.
    Product,
    /// The message lacks something, or has what the venue does not know.
    Malformed,
    /// What is asked for, and not a word of what it is about that.
    Subscribe,
    /// Too many messages in too short a time.
    TooFast,
    /// We read more slowly than it sends.
    TooSlow,
    /// More than one connection, or one account, may carry.
    TooMuch,
    /// The message is longer than it reads.
    TooLong,
    /// None of the words known.
    Unknown,
}

impl Reason {
    /// Whether it is the credentials, and not what is asked for with them, that the venue refuses.
    #[must_use]
    pub fn is_of_credentials(self) -> bool {
        matches!(
            self,
            Self::Credentials
                | Self::Key
                | Self::Signature
                | Self::Expired
                | Self::Address
                | Self::Passphrase
                | Self::Unsigned
        )
    }
}
