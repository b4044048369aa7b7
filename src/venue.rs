//! What differs between venues, as values. A venue is one file below this one: where it is, what it calls its channels,
//! what it allows, how a subscribe is written and signed, and how an arriving message is read. Pure.

pub mod advanced_trade;
mod leg;
mod product;
mod request;
mod rest;
mod selection;

pub use product::{Misspelt, Product};
pub use request::{Proof, Request, Respelt};
pub use rest::{Listed, Offset, Page, Permissions, Rest};
pub use selection::{Selection, Unselectable};

use std::time::Duration;

use crate::auth::{Credentials, Stamp};

/// Every venue that tickerd knows, in the order in which they are told to people.
pub const ALL: &[&Venue] = &[&advanced_trade::MARKET, &advanced_trade::USER];

/// A place that one connects to.
#[derive(Debug)]
pub struct Venue {
    /// As the configuration calls it.
    pub name: &'static str,
    /// Its own WebSocket address.
    pub url: &'static str,
    /// Its REST interface.
    pub rest: &'static Rest,
    /// Every channel, heartbeats first.
    pub channels: &'static [Channel],
    /// The first subscribe must come within this after the handshake, or the venue closes.
    pub subscribe_within: Duration,
    /// What people call channels who come from elsewhere (the message's own name, the Exchange's, an SDK's), and what they mean.
    pub also_called: &'static [(&'static str, &'static str)],
    /// Puts what one connection is to carry into as few messages as the venue takes, in the order of sending.
    pub messages: fn(&[&'static Channel], &[Product]) -> Vec<Subscribe>,
    /// Writes one subscribe, signed where there are credentials.
    pub write: fn(&Subscribe, Option<(&Credentials, &Stamp)>) -> Message,
    /// Reads what the session must know of an arriving message.
    pub read: fn(&[u8]) -> Arrival,
    /// The words in which it refuses, in lower case, and what they mean; the first that is contained counts.
    pub words: &'static [(&'static str, Reason)],
}

/// What a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The key, its signature or its rights; some venues say so of an unknown channel as well.
    Credentials,
    /// Too many messages in too short a time.
    TooFast,
    /// More than one connection may carry.
    TooMuch,
    /// None of the words known.
    Unknown,
}

/// A stream of messages of one kind.
#[derive(Debug, PartialEq, Eq)]
pub struct Channel {
    /// The name that one subscribes to.
    pub name: &'static str,
    /// Only a signed subscribe is answered.
    pub private: bool,
    /// It proves that the connection lives; it is always subscribed.
    pub heartbeat: bool,
    /// Whether its messages are of products.
    pub products: Products,
    /// How many products of it one connection may carry.
    pub per_connection: Option<usize>,
    /// The longest line seen, in bytes.
    pub longest_line: u64,
    /// What a busy product (or the channel, where it has none) was seen to bring a day, in bytes.
    pub bytes_a_day: u64,
}

/// What a channel wants to know of products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Products {
    /// It must be told which.
    Required,
    /// None means all.
    Optional,
    /// It has none.
    None,
}

/// One message's worth of subscribing: at most venues one channel, at some several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// It takes away instead: an unsubscribe is written and signed alike.
    pub unsubscribes: bool,
    /// What is subscribed to.
    pub channels: Vec<&'static Channel>,
    /// Of which products; empty for channels that have none.
    pub products: Vec<Product>,
}

impl Subscribe {
    /// Channel and product of what is asked for and is not in the venue's `list`; of channels that name no product there is
    /// nothing to miss.
    #[must_use]
    pub fn left_out(&self, list: &[(String, Vec<String>)]) -> Vec<(&'static str, String)> {
        let mut left_out = Vec::new();
        for channel in self.channels.iter().filter(|channel| channel.products == Products::Required) {
            let listed = list.iter().find(|(name, _)| name == channel.name).map_or(&[][..], |(_, products)| products);
            let missing = |product: &&Product| !listed.iter().any(|listed| product.answers_to(listed));
            left_out.extend(self.products.iter().filter(missing).map(|product| (channel.name, product.to_string())));
        }
        left_out
    }
}

/// A subscribe ready to be sent.
pub struct Message {
    /// The text for the wire. It holds a signature: it goes to the socket and nowhere else.
    pub text: String,
    /// What was signed, where equal pre-hashes make equal signatures (HMAC): it must not be used twice.
    pub prehash: Option<String>,
}

/// What the session must know of one message. Whatever it says, the message is recorded.
#[derive(Debug, PartialEq, Eq)]
pub struct Arrival {
    /// What it is.
    pub kind: Kind,
    /// Its number, where the venue numbers.
    pub sequence: Option<u64>,
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

impl Venue {
    /// The venue that the configuration calls `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|venue| venue.name == name).copied()
    }

    /// What the venue's own words mean.
    #[must_use]
    pub fn reason(&self, words: &str) -> Reason {
        let words = words.to_lowercase();
        self.words.iter().find(|(known, _)| words.contains(known)).map_or(Reason::Unknown, |(_, reason)| *reason)
    }

    /// The channel that is meant by a name that the venue does not have, where people from elsewhere call it so.
    #[must_use]
    pub fn channel_meant(&self, given: &str) -> Option<&'static Channel> {
        let given = given.to_lowercase();
        let meant = self.also_called.iter().find(|(other, _)| *other == given).map_or(&*given, |(_, name)| name);
        self.channel(meant)
    }

    /// The channel that one subscribes to as `name`.
    #[must_use]
    pub fn channel(&self, name: &str) -> Option<&'static Channel> {
        self.channels.iter().find(|channel| channel.name == name)
    }
}
