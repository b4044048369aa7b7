//! What differs between venues on their own side. A venue is one file below the simulator, and one line in [`ALL`]; doors,
//! sockets, faults, recordings and the market are the same for each.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{
    advanced_trade::AdvancedTrade,
    dice::Dice,
    exchange::Exchange,
    gate::{Allowance, Proof, Signed},
    market::{Market, TooLate},
    refusal::Refusal,
    rest::{Answer, Call, Resource},
};
use crate::venue::{self, Channel, Listed, Permissions, Venue, advanced_trade};

/// Every venue that can be played.
const ALL: &[&dyn Counterpart] =
    &[&AdvancedTrade(&advanced_trade::MARKET), &AdvancedTrade(&advanced_trade::USER), &Exchange];

/// A venue, as it looks from inside.
pub trait Counterpart: Sync {
    /// Which one it is.
    fn venue(&self) -> &'static Venue;

    /// How much a client may send.
    fn allowance(&self) -> Allowance;

    /// Reads what a client sent by WebSocket.
    ///
    /// # Errors
    /// When it is not a subscribe or unsubscribe, or names what the venue does not have.
    fn read(&self, text: &str) -> Result<Request, Refusal>;

    /// What such a message signs.
    fn subscribing<'a>(&self, request: &'a Request) -> Box<dyn Signed + 'a>;

    /// Begins the conversation on a new connection; `seed` is the exchange's, `dice` are the connection's own.
    fn session(&self, sends: Sends, seed: u64, dice: Dice) -> Box<dyn Session>;

    /// What a client is told by WebSocket that is refused.
    fn refuse(&self, refusal: &Refusal) -> String;

    /// The last word to a client that takes nothing of what it is sent.
    fn too_slow(&self) -> Option<String> {
        None
    }

    /// What is at this path of the REST interface.
    fn resource(&self, path: &str) -> Option<Resource>;

    /// What such a request signs.
    fn calling<'a>(&self, call: &'a Call) -> Box<dyn Signed + 'a>;

    /// What a resource has to tell.
    ///
    /// # Errors
    /// When it is asked for what is not there.
    fn tell(&self, resource: Resource, facts: &Facts<'_>) -> Result<Value, Refusal>;

    /// What a client is told by REST that is refused.
    fn refuse_call(&self, refusal: &Refusal) -> Answer;
}

/// One connection's conversation. It knows no clock: `at` is the market's time, counted from its opening.
pub trait Session: Send {
    /// From now on it sends this.
    fn set_sends(&mut self, sends: Sends);

    /// Before the next message that has a number its count steps back by so many, and goes on from there.
    fn step_back(&mut self, by: u32);

    /// From now on this channel is acked and sends nothing.
    fn kill(&mut self, channel: &'static str);

    /// When there is something to tell again.
    fn due(&self) -> Option<Duration>;

    /// Does what a request that was let in asks for: what is to be sent at once.
    ///
    /// # Errors
    /// When it asks for what can not be had; then nothing changes.
    fn apply(&mut self, request: &Request, market: &Market, at: Duration) -> Result<Vec<Letter>, Refusal>;

    /// Tells what is due.
    ///
    /// # Errors
    /// When the client is so far behind that its book can not be brought up to date.
    fn tick(&mut self, market: &Market, at: Duration) -> Result<Vec<Letter>, TooLate>;

    /// The connection's whole set.
    fn ack(&mut self, market: &Market, at: Duration) -> Letter;
}

/// A message as it is made; what becomes of it on the way is the connection's.
#[derive(Debug)]
pub struct Letter {
    /// Its text.
    pub text: String,
    /// Which of the connection's counts its number is of; None where it has no number, and nobody could miss it.
    pub count: Option<String>,
}

/// What a session sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sends {
    /// Answers to subscribes.
    pub acks: bool,
    /// Heartbeats.
    pub heartbeats: bool,
    /// Anything of the market.
    pub data: bool,
}

/// A subscribe or an unsubscribe, as far as it can be read.
#[derive(Debug)]
pub struct Request {
    /// It subscribes; else it unsubscribes.
    pub subscribe: bool,
    /// What, in the order of the message.
    pub wanted: Vec<Wanted>,
    /// Who says that they sent it.
    pub proof: Proof,
}

/// A channel, with what it is wanted of.
#[derive(Debug)]
pub struct Wanted {
    /// Which.
    pub channel: &'static Channel,
    /// Products, or accounts, as the client wrote them.
    pub of: Vec<String>,
}

/// What REST can tell of.
pub struct Facts<'a> {
    /// The venue's time.
    pub now: Timestamp,
    /// What every key may do.
    pub permissions: Permissions,
    /// What is traded, and what no longer is.
    pub listed: &'a [Listed],
    /// What is asked.
    pub request: &'a venue::Request,
    /// What is traded, with its past.
    pub market: &'a Market,
    /// The market's time is the venue's; at another pace a client can not know it.
    pub real_pace: bool,
}

/// The other side of `venue`.
pub fn of(venue: &'static Venue) -> &'static dyn Counterpart {
    let known = ALL.iter().find(|counterpart| counterpart.venue().name == venue.name);
    *known.expect("a test sees to it that each venue has one")
}

impl Request {
    /// Whether it claims to come from somebody.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        !matches!(self.proof, Proof::None)
    }

    /// Whether some of it is for those only who sign.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.wanted.iter().any(|wanted| wanted.channel.private)
    }

    /// The names of its channels.
    #[must_use]
    pub fn channels(&self) -> String {
        self.wanted.iter().map(|wanted| wanted.channel.name).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_venue_can_be_played() {
        for venue in venue::ALL {
            assert_eq!(of(venue).venue().name, venue.name);
        }
    }
}
