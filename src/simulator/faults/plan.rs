//! What goes wrong on one connection, and when: the faults that are meant for it, and those that chance adds.

use std::{
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use super::{Fault, Faults, When, spelling::BACK, take_one};
use crate::simulator::dice::Dice;

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
    /// Acks and heartbeats alone.
    pub only_heartbeats: bool,
    /// Fragments, pings and cut writes.
    pub fragment: bool,
    /// The probability that a message is lost.
    pub holes: f64,
    /// The channels that send nothing from the start.
    pub dead: Vec<&'static str>,
    moments: Vec<(When, Fault)>,
    refusals: Vec<Arc<AtomicU32>>,
    /// Random faults a minute.
    rate: f64,
    dice: Dice,
}

impl Faults {
    /// What goes wrong on the connection counted `connection`.
    #[must_use]
    pub fn plan(&self, connection: u64, seed: u64) -> Plan {
        let mut plan = Plan::healthy(Dice::new(seed, connection));
        for rule in self.0.iter().filter(|rule| rule.connection.is_none_or(|only| only == connection)) {
            match &rule.fault {
                Fault::TooMany(_) | Fault::Unavailable(_) => plan.upgrade = Some(rule.fault.clone()),
                Fault::Mute => plan.mute = true,
                Fault::NoAck => plan.no_ack = true,
                Fault::NoHeartbeats => plan.no_heartbeats = true,
                Fault::OnlyHeartbeats => plan.only_heartbeats = true,
                Fault::Fragment => plan.fragment = true,
                Fault::Holes(probability) => plan.holes = *probability,
                // Before the first subscribe, which could be heard before anything that is due.
                Fault::DeadChannel(name) if rule.when == When::After(Duration::ZERO) => plan.dead.push(name),
                Fault::Refuse(_) => plan.refusals.push(Arc::clone(&rule.left)),
                Fault::Random(rate) => plan.rate = *rate,
                everywhere if everywhere.is_everywhere() => {}
                momentary => plan.moments.push((rule.when, momentary.clone())),
            }
        }
        if plan.rate > 0.0 {
            plan.draw_upgrade();
            plan.draw_moment(Duration::ZERO);
        }
        plan
    }
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
            only_heartbeats: false,
            fragment: false,
            holes: 0.0,
            dead: Vec::new(),
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
        const DRAWN: [Fault; 10] = [
            Fault::Close(1000),
            Fault::Close(1001),
            Fault::Close(1011),
            Fault::Reset,
            Fault::Cut,
            Fault::Silence,
            Fault::Dead,
            Fault::Garbage,
            Fault::Hole,
            Fault::Back(BACK),
        ];
        let wait = -(1.0 - self.dice.share()).ln() * 60.0 / self.rate;
        let wait = Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX);
        let fault = DRAWN[self.dice.index(DRAWN.len())].clone();
        self.moments.push((When::After(from.saturating_add(wait)), fault));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(texts: &[&str]) -> Faults {
        Faults::parse(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).expect("known")
    }

    #[test]
    fn moments_come_once_each_and_in_their_time() {
        let mut plan = faults(&["close:1001@3s", "garbage@n50", "conn2:reset@1s"]).plan(1, 0);
        assert_eq!(plan.next(), Some(Duration::from_secs(3)));
        assert_eq!(plan.take(Duration::from_secs(2), 49), None);
        assert_eq!(plan.take(Duration::from_secs(2), 50), Some(Fault::Garbage));
        assert_eq!(plan.take(Duration::from_secs(3), 50), Some(Fault::Close(1001)));
        assert_eq!(plan.take(Duration::from_secs(300), 5_000), None);
    }

    #[test]
    fn a_fault_of_one_connection_spares_the_others() {
        let faults = faults(&["conn1:429:7", "conn2:mute", "conn2:holes:0.5"]);
        assert_eq!(faults.plan(1, 0).upgrade, Some(Fault::TooMany(7)));
        let second = faults.plan(2, 0);
        assert!(second.upgrade.is_none() && second.mute && second.holes > 0.4);
        assert!(!faults.plan(3, 0).mute);
    }

    #[test]
    fn refusals_are_counted_over_all_connections() {
        let faults = faults(&["refuse:2"]);
        assert!(faults.plan(1, 0).refuses());
        assert!(faults.plan(2, 0).refuses());
        assert!(!faults.plan(3, 0).refuses());
    }

    #[test]
    fn the_same_seed_draws_the_same_faults() {
        let faults = faults(&["random:6"]);
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
    fn a_channel_may_be_dead_from_the_start_or_die() {
        let mut plan = faults(&["dead-channel:ticker", "dead-channel:level2@5s"]).plan(1, 0);
        assert_eq!(plan.dead, ["ticker"]);
        assert_eq!(plan.take(Duration::from_secs(5), 0), Some(Fault::DeadChannel("level2")));
    }

    #[test]
    fn without_a_when_it_comes_at_once() {
        let mut plan = faults(&["close"]).plan(1, 0);
        assert_eq!(plan.take(Duration::ZERO, 0), Some(Fault::Close(1000)));
    }
}
