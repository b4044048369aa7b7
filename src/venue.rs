//! What differs between venues, as values. A venue is one file below this one: where it is, what it calls its channels,
//! what it allows, how a subscribe is written and signed, and how an arriving message is read. Pure.

pub mod advanced_trade;
mod arrival;
mod channel;
pub mod exchange;
mod hmac;
mod leg;
mod product;
mod reason;
mod request;
mod rest;
mod selection;
mod subscribe;
mod unfit;

pub use arrival::{Arrival, Counted, Kind};
pub use channel::{Cadence, Channel, Counts, Follows, MendedBy, Products};
pub use hmac::{Encoding, Hmac};
pub use product::{Misspelt, Product};
pub use reason::Reason;
pub use request::{Proof, Request, Respelt};
pub use rest::{Listed, Offset, Page, Permissions, Rest, Trade, Trades};
pub use selection::{Selection, Unselectable};
pub use subscribe::{Message, Subscribe};
pub use unfit::Unfit;

use std::time::Duration;

use crate::auth::{Credentials, Signer, Stamp};

/// Every venue that tickerd knows, in the order in which they are told to people.
pub const ALL: &[&Venue] = &[&advanced_trade::MARKET, &advanced_trade::USER, &exchange::EXCHANGE];

/// A place that one connects to.
#[derive(Debug)]
pub struct Venue {
    /// As the configuration calls it.
    pub name: &'static str,
    /// Its own WebSocket address.
    pub url: &'static str,
    /// Its REST interface.
    pub rest: &'static Rest,
    /// Where else it can be reached, by names of its own.
    pub endpoints: &'static [Endpoint],
    /// How it wants HMAC made.
    pub hmac: &'static Hmac,
    /// It takes CDP tokens.
    pub tokens: bool,
    /// An ack of a signed subscribe also signs what the connection had been given unsigned.
    pub resigns: bool,
    /// It refuses all that one message asks for where it dislikes a part of it.
    pub wholesale: bool,
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
    /// What HMAC signs of a subscribe that is stamped with this text.
    pub prehash: fn(&str, &Subscribe) -> String,
    /// Reads what the session must know of an arriving message.
    pub read: fn(&str) -> Arrival<'_>,
    /// The words in which it refuses, in lower case, and what they mean; the first that is contained counts.
    pub words: &'static [(&'static str, Reason)],
}

/// Another address of the same venue.
#[derive(Debug)]
pub struct Endpoint {
    /// As the configuration calls it.
    pub name: &'static str,
    /// Its WebSocket.
    pub url: &'static str,
    /// The REST interface that goes with it.
    pub rest: &'static str,
    /// Where to go while it can not be reached.
    pub failover: Option<&'static str>,
    /// It answers signed subscribes only.
    pub signed: bool,
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

    /// Whether these credentials can sign here.
    ///
    /// # Errors
    /// What they lack or have too much of, and what to do.
    pub fn fits(&self, credentials: &Credentials) -> Result<(), Unfit> {
        let has_passphrase = credentials.passphrase().is_some();
        match credentials.signer() {
            Signer::Jwt(_) if self.tokens => Ok(()),
            Signer::Jwt(_) => Err(Unfit::Token(self.name)),
            Signer::Hmac(key) if self.hmac.decoded && key.sign_decoded("").is_none() => {
                Err(Unfit::NotBase64(self.name))
            }
            Signer::Hmac(key)
                if credentials.passphrase().is_some_and(|passphrase| passphrase.expose() == key.expose()) =>
            {
                Err(Unfit::SecretSent(self.name))
            }
            Signer::Hmac(_) if self.hmac.passphrase && !has_passphrase => Err(Unfit::NoPassphrase(self.name)),
            Signer::Hmac(_) if !self.hmac.passphrase && has_passphrase => Err(Unfit::Passphrase(self.name)),
            Signer::Hmac(_) => Ok(()),
        }
    }

    /// The endpoint that the configuration calls `name`.
    #[must_use]
    pub fn endpoint(&self, name: &str) -> Option<&'static Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.name == name)
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
