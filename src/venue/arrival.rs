//! What a venue's message says of itself.

use super::Channel;

/// What the session must know of one message. Whatever it says, the message is recorded.
#[derive(Debug, PartialEq, Eq)]
pub struct Arrival<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its number on the connection, where the venue counts so.
    pub sequence: Option<u64>,
    /// Its numbers by product, where the venue counts so; its channel says what they promise.
    pub counted: Option<Counted<'a>>,
}

/// The numbers that a message has among those of its product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted<'a> {
    /// Whose they are.
    pub product: &'a str,
    /// The matching engine's count.
    pub sequence: Option<u64>,
    /// The trade that it tells of, or that was the last.
    pub trade: Option<u64>,
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
    /// Something, of which nothing is known.
    pub const UNREADABLE: Self = Self { kind: Kind::Data(None), sequence: None, counted: None };
}
