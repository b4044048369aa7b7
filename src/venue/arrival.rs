//! What a venue's message says of itself.

use smallvec::SmallVec;

use super::Channel;

/// What the session must know of one message. Whatever it says, the message is recorded.
#[derive(Debug, PartialEq, Eq)]
pub struct Arrival<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its number on the connection, where the venue counts so.
    pub sequence: Option<u64>,
    /// The products that it is of, most often one, with its numbers among theirs.
    pub counted: SmallVec<[Counted<'a>; 1]>,
}

/// The numbers that a message has among those of its product; its channel says what they promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted<'a> {
    /// Whose they are.
    pub product: &'a str,
    /// The matching engine's count.
    pub sequence: Option<u64>,
    /// The trades that it tells of, from the lowest to the highest; of a heartbeat the last one.
    pub trades: Option<(u64, u64)>,
}

/// The kinds of message that matter to the conversation.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// The connection's whole set of subscriptions, by channel name: what was accepted up to now.
    Ack(Vec<(String, Vec<String>)>),
    /// The venue's refusal, in its own words. It does not say of what.
    Refusal(String),
    /// The transport and the venue behind it live.
    Heartbeat,
    /// Data of a channel, by the name that one subscribes to; None where it is of no channel known.
    Data(Option<&'static Channel>),
}

impl Arrival<'_> {
    /// Of no product and without a number.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { kind, sequence: None, counted: SmallVec::new() }
    }

    /// Something, of which nothing is known.
    #[must_use]
    pub fn unreadable() -> Self {
        Self::new(Kind::Data(None))
    }
}

impl<'a> Counted<'a> {
    /// Of a product, without a number.
    #[must_use]
    pub fn of(product: &'a str) -> Self {
        Self { product, sequence: None, trades: None }
    }
}
