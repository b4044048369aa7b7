//! What a venue answers without a WebSocket: its time, what a key may do, what it trades.

use std::fmt;

use super::{Hmac, Proof, Request};
use crate::auth::{Credentials, Stamp};

/// A venue's REST interface, as values.
#[derive(Debug)]
pub struct Rest {
    /// Its own address, without path.
    pub url: &'static str,
    /// Where the venue tells its time; never signed.
    pub time: &'static str,
    /// Where it tells what a key may do; always signed.
    pub permissions: &'static str,
    /// What it trades, for everybody.
    pub products: &'static str,
    /// The same, for whoever signs.
    pub signed_products: &'static str,
    /// Answered to whoever may view, with a query: the proof that a signature is right.
    pub proof: &'static str,
    /// Where it tells what was traded, if each trade names its product.
    pub trades: Option<Trades>,
    /// How HMAC signs a request.
    pub hmac: &'static Hmac,
    /// Signs one request.
    pub sign: fn(&Request, &Credentials, &Stamp) -> Proof,
    /// Reads the answer to `time`: milliseconds since 1970.
    pub read_time: fn(&[u8]) -> Option<u64>,
    /// Reads the answer to `permissions`.
    pub read_permissions: fn(&[u8]) -> Option<Permissions>,
    /// Reads the answer to `products`.
    pub read_products: fn(&[u8]) -> Option<Page>,
}

/// Where a venue tells the trades of a product, to everybody.
#[derive(Debug)]
pub struct Trades {
    /// The channel that tells the same, numbered alike.
    pub channel: &'static str,
    /// The newest trades of a product, as many as are told at once, between two times in seconds since 1970: path and query.
    pub target: fn(&str, u64, u64) -> String,
    /// Reads the answer.
    pub read: fn(&[u8]) -> Option<Vec<Trade>>,
}

/// One trade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Its number among those of its product.
    pub id: u64,
    /// The whole second since 1970 by which it had been made: asking up to there tells it again.
    pub by: u64,
    /// As the venue wrote it.
    pub text: String,
}

/// One page of products, and the query of the next one where there is one.
pub type Page = (Vec<Listed>, Option<String>);

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// Read; all that a recorder needs.
    pub can_view: bool,
    /// Place orders.
    pub can_trade: bool,
    /// Move money.
    pub can_transfer: bool,
}

/// A product as the venue lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// The product in whose book it trades, where that is another one: `BTC-USD` of `BTC-USDC`.
    pub alias: Option<String>,
    /// Whether it is traded.
    pub online: bool,
}

/// How far a venue's clock is from ours, as one request told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// The venue's clock minus ours, in milliseconds: what has to be added to ours. Above 0 ours is behind.
    pub ms: i64,
    /// Half of the round trip, in milliseconds: the offset may be off by this much either way.
    pub uncertainty_ms: u64,
}

impl Offset {
    /// NTP keeps a healthy clock within a fraction of a second; two seconds, beyond what the round trip explains, are no
    /// noise. A token's `nbf` lies five seconds back, so nothing is refused before this is noticed.
    const NOTABLE_MS: u64 = 2_000;

    /// Whether it is another, by more than a healthy clock drifts and the round trips explain.
    #[must_use]
    pub fn differs(&self, other: &Self) -> bool {
        self.ms.abs_diff(other.ms) > Self::NOTABLE_MS + self.uncertainty_ms + other.uncertainty_ms
    }

    /// Whether our clock is wrong by more than a healthy one is.
    #[must_use]
    pub fn is_notable(&self) -> bool {
        self.ms.unsigned_abs() > Self::NOTABLE_MS + self.uncertainty_ms
    }
}

impl fmt::Display for Offset {
    /// "90.0 s behind (±0.1 s)": our clock, seen from the venue.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |ms: u64| format!("{}.{} s", ms / 1000, ms % 1000 / 100);
        let side = if self.ms > 0 { "behind" } else { "ahead" };
        write!(f, "{} {side} (±{})", seconds(self.ms.unsigned_abs()), seconds(self.uncertainty_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_that_the_round_trip_explains_is_none() {
        let offset = |ms, uncertainty_ms| Offset { ms, uncertainty_ms };
        assert!(offset(90_000, 100).is_notable() && offset(-2_101, 100).is_notable());
        assert!(!offset(2_000, 0).is_notable() && !offset(-4_000, 3_000).is_notable());
        assert_eq!(offset(90_049, 120).to_string(), "90.0 s behind (±0.1 s)");
        assert_eq!(offset(-90_000, 0).to_string(), "90.0 s ahead (±0.0 s)");
    }
}
