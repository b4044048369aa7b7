//! Faults on request, written `[connN:]FAULT[@WHEN]`, each the same again with the same seed.

mod spelling;

pub use spelling::FaultError;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use super::dice::Dice;

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
#[derive(Clone, Copy, Debug, PartialEq)]
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
    /// A message lost: the next number is skipped.
    Hole,
    /// As `Hole`, before each message with this probability.
    Holes(f64),
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

/// What goes wrong on one connection.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own, and any of them may come together")]
pub struct Plan {
    /// The upgrade is answered with this instead.
    pub upgrade: Option<Fault>,
    /// Acks and nothing else.
    pub mute: bool,
    /// Data without acks.
    pub no_ack: bool,
    /// Heartbeats are never sent.
    pub no_heartbeats: bool,
    /// Fragments, pings and cut writes.
    pub fragment: bool,
    /// The probability of a hole before a message.
    pub holes: f64,
    moments: Vec<(When, Fault)>,
    refusals: Vec<Arc<AtomicU32>>,
    /// Random faults a minute.
    rate: f64,
    dice: Dice,
}

impl Faults {
    /// Reads faults as they are typed.
    ///
    /// # Errors
    /// When one is not known or not possible: which, and what there is.
    pub fn parse(texts: &[String]) -> Result<Self, FaultError> {
        texts.iter().map(|text| text.parse()).collect::<Result<_, _>>().map(Self)
    }

    /// What goes wrong on the connection counted `connection`.
    #[must_use]
    pub fn plan(&self, connection: u64, seed: u64) -> Plan {
        let mut plan = Plan::healthy(Dice::new(seed, connection));
        for rule in self.0.iter().filter(|rule| rule.connection.is_none_or(|only| only == connection)) {
            match rule.fault {
                Fault::TooMany(_) | Fault::Unavailable(_) => plan.upgrade = Some(rule.fault),
                Fault::Mute => plan.mute = true,
                Fault::NoAck => plan.no_ack = true,
                Fault::NoHeartbeats => plan.no_heartbeats = true,
                Fault::Fragment => plan.fragment = true,
                Fault::Holes(probability) => plan.holes = probability,
                Fault::Refuse(_) => plan.refusals.push(Arc::clone(&rule.left)),
                Fault::Random(rate) => plan.rate = rate,
                Fault::RefuseRest(_) | Fault::Revoke { .. } | Fault::Clock(_) => {}
                momentary => plan.moments.push((rule.when, momentary)),
            }
        }
        if plan.rate > 0.0 {
            plan.draw_upgrade();
            plan.draw_moment(Duration::ZERO);
        }
        plan
    }

    /// Whether signatures are refused, so long `after` the exchange has opened.
    #[must_use]
    pub fn revokes(&self, after: Duration) -> bool {
        let revokes =
            |rule: &Rule| matches!(rule.fault, Fault::Revoke { from, until } if (from..until).contains(&after));
        self.0.iter().any(revokes)
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

impl When {
    fn is_reached(self, after: Duration, messages: u64) -> bool {
        match self {
            Self::After(at) => at <= after,
            Self::Messages(count) => count <= messages,
        }
    }
}

impl Plan {
    fn healthy(dice: Dice) -> Self {
        Self {
            upgrade: None,
            mute: false,
            no_ack: false,
            no_heartbeats: false,
            fragment: false,
            holes: 0.0,
            moments: Vec::new(),
            refusals: Vec::new(),
            rate: 0.0,
            dice,
        }
    }

    /// When the next fault is due by the clock, counted from the upgrade.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        let after = |(when, _): &(When, Fault)| match when {
            When::After(after) => Some(*after),
            When::Messages(_) => None,
        };
        self.moments.iter().filter_map(after).min()
    }

    /// Whether a fault is due `after` the upgrade and after `messages`.
    #[must_use]
    pub fn is_due(&self, after: Duration, messages: u64) -> bool {
        self.moments.iter().any(|(when, _)| when.is_reached(after, messages))
    }

    /// The fault that is due `after` the upgrade and after `messages`; each comes once.
    pub fn take(&mut self, after: Duration, messages: u64) -> Option<Fault> {
        let place = self.moments.iter().position(|(when, _)| when.is_reached(after, messages))?;
        let (_, fault) = self.moments.remove(place);
        if self.rate > 0.0 && self.moments.is_empty() {
            self.draw_moment(after);
        }
        Some(fault)
    }

    /// Whether the subscribe that just came is to be refused.
    pub fn refuses(&self) -> bool {
        self.refusals.iter().any(|left| take_one(left))
    }

    /// The dice of this connection, for whatever else is left to chance on it.
    pub fn dice(&mut self) -> &mut Dice {
        &mut self.dice
    }

    fn draw_upgrade(&mut self) {
        match self.dice.below(20) {
            0 => self.upgrade = Some(Fault::TooMany(1)),
            1 => self.upgrade = Some(Fault::Unavailable(1)),
            2 => self.refusals.push(Arc::new(AtomicU32::new(1))),
            3 => self.fragment = true,
            _ => {}
        }
    }

    /// Waits between faults are exponential, so that none knows of the one before.
    fn draw_moment(&mut self, from: Duration) {
        const DRAWN: [Fault; 9] = [
            Fault::Close(1000),
            Fault::Close(1001),
            Fault::Close(1011),
            Fault::Reset,
            Fault::Cut,
            Fault::Silence,
            Fault::Dead,
            Fault::Garbage,
            Fault::Hole,
        ];
        let wait = -(1.0 - self.dice.share()).ln() * 60.0 / self.rate;
        let wait = Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX);
        let fault = DRAWN[self.dice.index(DRAWN.len())];
        self.moments.push((When::After(from.saturating_add(wait)), fault));
    }
}

impl Fault {
    /// It is the whole exchange's, and of no connection.
    fn is_everywhere(self) -> bool {
        matches!(self, Self::RefuseRest(_) | Self::Revoke { .. } | Self::Clock(_))
    }

    /// It comes at a moment; else it holds from the start.
    fn is_momentary(self) -> bool {
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
    fn moments_come_once_each_and_in_their_time() {
        let mut plan = faults(&["close:1001@3s", "garbage@n50", "conn2:reset@1s"]).expect("known").plan(1, 0);
        assert_eq!(plan.next(), Some(Duration::from_secs(3)));
        assert_eq!(plan.take(Duration::from_secs(2), 49), None);
        assert_eq!(plan.take(Duration::from_secs(2), 50), Some(Fault::Garbage));
        assert_eq!(plan.take(Duration::from_secs(3), 50), Some(Fault::Close(1001)));
        assert_eq!(plan.take(Duration::from_secs(300), 5_000), None);
    }

    #[test]
    fn a_fault_of_one_connection_spares_the_others() {
        let faults = faults(&["conn1:429:7", "conn2:mute", "conn2:holes:0.5"]).expect("known");
        assert_eq!(faults.plan(1, 0).upgrade, Some(Fault::TooMany(7)));
        let second = faults.plan(2, 0);
        assert!(second.upgrade.is_none() && second.mute && second.holes > 0.4);
        assert!(!faults.plan(3, 0).mute);
    }

    #[test]
    fn refusals_are_counted_over_all_connections() {
        let faults = faults(&["refuse:2"]).expect("known");
        assert!(faults.plan(1, 0).refuses());
        assert!(faults.plan(2, 0).refuses());
        assert!(!faults.plan(3, 0).refuses());
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
    fn the_same_seed_draws_the_same_faults() {
        let faults = faults(&["random:6"]).expect("known");
        let draw = |seed| {
            let mut plan = faults.plan(4, seed);
            (plan.next(), plan.take(Duration::MAX, 0))
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let mean =
            (1..500).filter_map(|conn| faults.plan(conn, 1).next()).map(|at| at.as_secs_f64()).sum::<f64>() / 499.0;
        assert!((8.0..12.0).contains(&mean), "six a minute are ten seconds apart: {mean}");
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
        ] {
            let error = faults(&[odd]).expect_err(odd).to_string();
            assert!(error.starts_with(&format!("no such fault \"{odd}\"")), "{error}");
        }
        assert!(faults(&["nope"]).expect_err("unknown").to_string().contains("no-heartbeats"));
    }

    #[test]
    fn without_a_when_it_comes_at_once() {
        let mut plan = faults(&["close"]).expect("known").plan(1, 0);
        assert_eq!(plan.take(Duration::ZERO, 0), Some(Fault::Close(1000)));
    }
}
