//! Why credentials are refused, or would be. Pure; the running daemon asks it as well as people do.

use std::time::{Duration, Instant};

use crate::venue::Reason;

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
    first_refusal: Option<Instant>,
    accepted: bool,
}

impl Standing {
    /// The venue refused them; how often it has since it last took them.
    pub fn refused(&mut self, now: Instant) -> u32 {
        self.refused = self.refused.saturating_add(1);
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.first_refusal.get_or_insert(now);
        self.in_a_row
    }

    /// The venue took them; they were good at least once, and may be again.
    pub fn accepted(&mut self) {
        self.accepted = true;
        self.in_a_row = 0;
    }

    /// Refused at least five times over at least a minute, and never once accepted.
    #[must_use]
    pub fn is_hopeless(&self, now: Instant) -> bool {
        !self.accepted
            && self.refused >= HOPELESS_REFUSALS
            && self.first_refusal.is_some_and(|first| now.duration_since(first) >= HOPELESS_AFTER)
    }
}

/// What the refusal of one subscribe means, in a sentence for the log and the record. Causes that the venue's words do
/// not tell apart are named together.
#[must_use]
pub fn of(reason: Reason, signed: bool, confirmed: bool) -> &'static str {
    match (reason, signed, confirmed) {
        (Reason::Credentials, true, false) => "refused once with a locally valid signature: tried again with a new one",
        (Reason::Credentials, true, true) => {
            "the venue refuses the credentials: the key is unknown, expired, disabled or bound to other IP addresses, \
             or this machine's clock is off by more than 30 s"
        }
        (Reason::Credentials, false, _) => "this channel wants credentials, or the venue does not know its name",
        (Reason::TooFast, ..) => "asked too fast: tried again more slowly",
        (Reason::TooMuch, ..) => "more than the venue allows on one connection: fewer products a feed",
        (Reason::Unknown, ..) => "the venue's own words are all that is known: asked again later",
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
        standing.accepted();
        assert!(!standing.is_hopeless(start + minute));
    }
}
