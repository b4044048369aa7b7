//! The reader of the output that takes nothing, and what it may have cost.

use std::time::{Duration, Instant};

/// Stalls that follow each other within this are one, and an end of the connection within this after them is their work:
/// the venue closes on slow readers, but what it sent before lies in the socket and is read first.
const MEMORY: Duration = Duration::from_secs(10);

/// A stall shorter than this costs no connection.
const WORTH_SAYING: Duration = Duration::from_secs(1);

/// The last run of stalls, and how long all of them were.
#[derive(Default)]
pub(super) struct Stall {
    last: Option<Run>,
    total: Duration,
}

struct Run {
    lasted: Duration,
    until: Instant,
}

impl Stall {
    /// Nothing was taken for `lasted`, up to now. Whether that, with what went before, has become worth saying.
    pub(super) fn note(&mut self, lasted: Duration, now: Instant) -> bool {
        self.total += lasted;
        let before = match self.last.take() {
            Some(run) if now.duration_since(run.until) <= lasted + MEMORY => run.lasted,
            _ => Duration::ZERO,
        };
        self.last = Some(Run { lasted: before + lasted, until: now });
        before < WORTH_SAYING && before + lasted >= WORTH_SAYING
    }

    /// How long nothing was taken, since the connection began.
    pub(super) fn total(&self) -> Duration {
        self.total
    }

    /// Whether a connection that ends now may have ended of it.
    pub(super) fn is_to_blame(&self, now: Instant) -> bool {
        self.last.as_ref().is_some_and(|run| run.lasted >= WORTH_SAYING && now.duration_since(run.until) <= MEMORY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_stalls_add_up_and_are_forgotten() {
        let (mut stall, begun) = (Stall::default(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert!(!stall.note(Duration::from_millis(600), at(1)));
        assert!(!stall.is_to_blame(at(1)));
        assert!(stall.note(Duration::from_millis(600), at(5)), "together they are worth saying");
        assert!(!stall.note(Duration::from_millis(600), at(6)), "once");
        assert!(stall.is_to_blame(at(16)) && !stall.is_to_blame(at(17)));
        assert!(!stall.note(Duration::from_millis(600), at(60)), "those of a minute ago do not count");
        assert_eq!(stall.total(), Duration::from_millis(4 * 600));
    }
}
