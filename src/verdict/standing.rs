//! When credentials that the venue refuses are given up.

use std::time::{Duration, Instant};

/// Refusals before a daemon that a person started gives up...
const HOPELESS_REFUSALS: u32 = 5;

/// ...and the time over which they must have come: a venue that is itself in trouble refuses everybody for a few seconds
/// (`coinbase-advanced-py#19`: refused in one run, fine six seconds later).
const HOPELESS_AFTER: Duration = Duration::from_secs(60);

/// What became of one set of credentials since the process began.
#[derive(Debug, Default)]
pub struct Standing {
    refused: u32,
    in_a_row: u32,
    /// Since when it has not taken them.
    since: Option<Instant>,
    first_refusal: Option<Instant>,
    accepted: bool,
}

impl Standing {
    /// The venue refused them; how often it has since it last took them.
    pub fn refused(&mut self, now: Instant) -> u32 {
        self.refused = self.refused.saturating_add(1);
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.first_refusal.get_or_insert(now);
        self.since.get_or_insert(now);
        self.in_a_row
    }

    /// The venue took them; they were good at least once, and may be again. For how long it had refused them, if it had.
    pub fn accepted(&mut self, now: Instant) -> Option<Duration> {
        self.accepted = true;
        self.in_a_row = 0;
        self.since.take().map(|since| now.duration_since(since))
    }

    /// Whether the venue takes them, by its last word; None before it has had any to say.
    #[must_use]
    pub fn is_accepted(&self) -> Option<bool> {
        (self.accepted || self.refused > 0).then_some(self.in_a_row == 0)
    }

    /// How often the venue has refused them.
    #[must_use]
    pub fn refusals(&self) -> u32 {
        self.refused
    }

    /// Refused at least five times over at least a minute, and never once accepted.
    #[must_use]
    pub fn is_hopeless(&self, now: Instant) -> bool {
        !self.accepted
            && self.refused >= HOPELESS_REFUSALS
            && self.first_refusal.is_some_and(|first| now.duration_since(first) >= HOPELESS_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_refusals_over_a_minute_are_hopeless_unless_ever_accepted() {
        let (start, minute) = (Instant::now(), Duration::from_secs(60));
        let mut standing = Standing::default();
        for second in 0..5 {
            standing.refused(start + Duration::from_secs(second));
        }
        assert!(!standing.is_hopeless(start + minute / 2), "five within seconds may be the venue's own trouble");
        assert!(standing.is_hopeless(start + minute));
        assert_eq!(standing.accepted(start + minute), Some(minute));
        assert_eq!(standing.accepted(start + minute), None);
        assert!(!standing.is_hopeless(start + minute));
    }
}
