//! Faults on request, written `[connN:]FAULT[@WHEN]`, each the same again with the same seed.

mod plan;
mod spelling;

pub use plan::Plan;
pub use spelling::FaultError;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use super::{Speed, market::Calendar};
use crate::venue::Product;

/// What is to go wrong; nothing by default.
#[derive(Clone, Debug, Default)]
pub struct Faults(Vec<Rule>);

/// One fault, where and when.
#[derive(Clone, Debug)]
struct Rule {
    /// Which connection, counted from 1; None hits each.
    connection: Option<u64>,
    fault: Fault,
    when: When,
    /// How many subscribes `refuse` has still to refuse, over all connections that it hits; requests, for `refuse-rest`.
    left: Arc<AtomicU32>,
}

/// What can go wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// A close frame of this code, and the polite end.
    Close(u16),
    /// A TCP reset; a stream that has none is just gone.
    Reset,
    /// The end in the middle of a frame.
    Cut,
    /// No further message, but pongs.
    Silence,
    /// No further message, no pong, nothing; the connection stays open.
    Dead,
    /// A text that is no JSON, and a binary message.
    Garbage,
    /// From now on so many bytes a second.
    Drip(u32),
    /// The next message that has a number is made and not sent; at Advanced Trade acks and heartbeats have one as well.
    Hole,
    /// As `Hole`, each message with this probability.
    Holes(f64),
    /// The next message that has a number is sent behind the one after it.
    Late,
    /// Before the next message that has a number the count steps back by so many, and goes on from there.
    Back(u32),
    /// The channel of this name is acked and sends nothing, whatever is asked of it; the others go on.
    DeadChannel(&'static str),
    /// The first N subscribes are refused, whatever they are.
    Refuse(u32),
    /// So many signed REST requests are refused that are in order.
    RefuseRest(u32),
    /// Every signature made meanwhile is refused, counted from the exchange's opening; connections stand.
    Revoke {
        /// From then on.
        from: Duration,
        /// Until then.
        until: Duration,
    },
    /// Nothing of the market is told or traded meanwhile, no snapshot either, counted from the exchange's opening; acks and
    /// heartbeats go on, connections stand, and afterwards it all goes on where it was.
    Maintenance {
        /// From then on.
        from: Duration,
        /// Until then.
        until: Duration,
    },
    /// The venue does not know a product of its market meanwhile, counted from the exchange's opening.
    Unlisted {
        /// Which.
        product: Product,
        /// From then on.
        from: Duration,
        /// Until then.
        until: Duration,
    },
    /// The venue's clock is off by so many milliseconds.
    Clock(i64),
    /// 429 at the upgrade; Retry-After says so many seconds.
    TooMany(u32),
    /// 503 at the upgrade, with Retry-After as well.
    Unavailable(u32),
    /// Acks and nothing else.
    Mute,
    /// Data without acks.
    NoAck,
    /// Heartbeats are acked and never sent.
    NoHeartbeats,
    /// Acks and heartbeats, and nothing of the market.
    OnlyHeartbeats,
    /// On a healthy stream: messages in fragments, pings between them, TCP writes cut at random.
    Fragment,
    /// So many of the momentary ones a minute, on average, at random; refusals and upgrades among them.
    Random(f64),
}

/// The moment of a fault, on each connection anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// So long after the upgrade, by a real clock whatever the market's speed.
    After(Duration),
    /// After so many messages.
    Messages(u64),
}

impl Faults {
    /// All that there are, as they are typed.
    pub const KNOWN: &str = spelling::KNOWN;

    /// Reads faults as they are typed.
    ///
    /// # Errors
    /// When one is not known or not possible: which, and what there is.
    pub fn parse(texts: &[String]) -> Result<Self, FaultError> {
        texts.iter().map(|text| text.parse()).collect::<Result<_, _>>().map(Self)
    }

    /// Whether signatures are refused, so long `after` the exchange has opened.
    #[must_use]
    pub fn revokes(&self, after: Duration) -> bool {
        let revokes =
            |rule: &Rule| matches!(rule.fault, Fault::Revoke { from, until } if (from..until).contains(&after));
        self.0.iter().any(revokes)
    }

    /// When there is no market, or one without some product; a market of this `speed`.
    #[must_use]
    pub(super) fn calendar(&self, speed: Speed) -> Calendar {
        let span = |from: &Duration, until: &Duration| speed.market(*from)..speed.market(*until);
        let mut calendar = Calendar::default();
        for rule in &self.0 {
            match &rule.fault {
                Fault::Maintenance { from, until } => calendar.closed.push(span(from, until)),
                Fault::Unlisted { product, from, until } => {
                    calendar.unlisted.push((product.clone(), span(from, until)));
                }
                _ => {}
            }
        }
        calendar
    }

    /// How far the venue's clock is off, in milliseconds.
    #[must_use]
    pub fn clock_ms(&self) -> i64 {
        let off = |rule: &Rule| if let Fault::Clock(ms) = rule.fault { Some(ms) } else { None };
        self.0.iter().filter_map(off).sum()
    }

    /// Whether the REST request that just came is to be refused.
    #[must_use]
    pub fn refuses_rest(&self) -> bool {
        self.0.iter().any(|rule| matches!(rule.fault, Fault::RefuseRest(_)) && take_one(&rule.left))
    }
}

/// Whether one was left.
fn take_one(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

impl Fault {
    /// It is the whole exchange's, and of no connection.
    fn is_everywhere(&self) -> bool {
        matches!(
            self,
            Self::RefuseRest(_)
                | Self::Revoke { .. }
                | Self::Maintenance { .. }
                | Self::Unlisted { .. }
                | Self::Clock(_)
        )
    }

    /// It comes at a moment; else it holds from the start.
    fn is_momentary(&self) -> bool {
        matches!(
            self,
            Self::Close(_)
                | Self::Reset
                | Self::Cut
                | Self::Silence
                | Self::Dead
                | Self::Garbage
                | Self::Drip(_)
                | Self::Hole
                | Self::Late
                | Self::Back(_)
                | Self::DeadChannel(_)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(texts: &[&str]) -> Result<Faults, FaultError> {
        Faults::parse(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn revocation_and_clock_are_the_whole_exchanges() {
        let faults = faults(&["revoke:10s-40s", "clock:-90s", "refuse-rest:1"]).expect("known");
        let revoked = [9, 10, 39, 40].map(|after| faults.revokes(Duration::from_secs(after)));
        assert_eq!(revoked, [false, true, true, false]);
        assert_eq!(faults.clock_ms(), -90_000);
        assert!(faults.refuses_rest() && !faults.refuses_rest());
        assert_eq!(faults.plan(1, 0).next(), None);
    }

    #[test]
    fn spans_are_of_the_markets_time() {
        let faults = faults(&["maintenance:10s-40s", "unlisted:FOO-USD:0s-1h"]).expect("known");
        let calendar = faults.calendar(Speed::Times(2.0));
        let closed = [19, 20, 79, 80].map(|at| calendar.is_closed(Duration::from_secs(at)));
        assert_eq!(closed, [false, true, true, false]);
        assert!(calendar.is_unlisted("FOO-USD", Duration::from_secs(7_199)));
        assert!(!calendar.is_unlisted("FOO-USD", Duration::from_secs(7_200)));
        assert!(!calendar.is_unlisted("BAR-USD", Duration::ZERO));
    }

    #[test]
    fn what_can_not_be_had_is_said_with_what_there_is() {
        for odd in [
            "",
            "explode",
            "close:1006",
            "close:x",
            "holes:2",
            "mute@3s",
            "reset@soon",
            "connX:reset",
            "holes",
            "revoke",
            "revoke:40s-10s",
            "revoke:10s",
            "clock:90s",
            "clock:+x",
            "conn1:clock:+90s",
            "clock:+1s@3s",
            "back:0",
            "maintenance:1h",
            "conn1:maintenance:1h-2h",
            "unlisted:FOO-USD",
            "unlisted:foo:0s-1h",
            "unlisted:1h-2h",
            "dead-channel",
            "dead-channel:trades",
        ] {
            let error = faults(&[odd]).expect_err(odd).to_string();
            assert!(error.starts_with(&format!("no such fault \"{odd}\"")), "{error}");
        }
        assert!(faults(&["nope"]).expect_err("unknown").to_string().contains("no-heartbeats"));
    }
}
