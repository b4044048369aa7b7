//! What the clockwork lets whoever asks over HTTP know of itself. It never waits for them, and they never for it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{output::Stock, status::Report};

/// The clockwork turns each second. One that has not for so long hangs, or its machine slept: `tickerd status` believes no
/// older file, and systemd's watchdog ends such a daemon after as long.
pub const STALE: Duration = Duration::from_secs(10);

/// When the clockwork turned last, and what it saw.
#[derive(Debug)]
pub struct Vitals {
    begun: Instant,
    /// In milliseconds from `begun`.
    turned: AtomicU64,
    /// When reader and writer moved last, or waited for a known reason: what the watchdog hears.
    moved: AtomicU64,
    stopping: AtomicBool,
    seen: Mutex<Option<Arc<Seen>>>,
}

/// What the clockwork saw in one turn.
#[derive(Debug)]
pub struct Seen {
    /// How each feed is: what `status.json` says.
    pub report: Report,
    /// What is on the disk, where records go to files.
    pub stock: Option<Stock>,
    /// Why the output takes nothing, while it does not.
    pub trouble: Option<String>,
}

impl Vitals {
    /// The clockwork has turned.
    pub fn turned(&self, now: Instant) {
        self.turned.store(self.at(now), Relaxed);
    }

    /// Reader and writer move.
    pub fn moved(&self, now: Instant) {
        self.moved.store(self.at(now), Relaxed);
    }

    /// The end has begun.
    pub fn stops(&self) {
        self.stopping.store(true, Relaxed);
    }

    /// Whether the end has begun.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    /// This is how things are.
    pub fn show(&self, seen: Seen) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(seen));
    }

    /// What was seen last, if anything was yet.
    #[must_use]
    pub fn seen(&self) -> Option<Arc<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why this daemon is to be taken for dead, if it is.
    #[must_use]
    pub fn why_dead(&self, now: Instant) -> Option<String> {
        let now = self.at(now);
        let ago = |then: &AtomicU64| Duration::from_millis(now.saturating_sub(then.load(Relaxed)));
        let (turned, moved) = (ago(&self.turned), ago(&self.moved));
        if turned > STALE {
            return Some(format!("the clockwork has not turned for {} s", turned.as_secs()));
        }
        let hangs = moved > STALE && !self.is_stopping();
        hangs.then(|| format!("a connection or the writer hangs: neither has moved for {} s", moved.as_secs()))
    }

    fn at(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.begun).as_millis()).unwrap_or(u64::MAX)
    }
}

impl Default for Vitals {
    fn default() -> Self {
        let (turned, moved) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { begun: Instant::now(), turned, moved, stopping: AtomicBool::new(false), seen: Mutex::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clockwork_that_stands_still_is_dead_and_so_is_one_whose_hands_do_not_move() {
        let vitals = Vitals::default();
        let at = |seconds| vitals.begun + Duration::from_secs(seconds);
        assert_eq!(vitals.why_dead(at(10)), None);
        assert_eq!(vitals.why_dead(at(11)).as_deref(), Some("the clockwork has not turned for 11 s"));
        vitals.turned(at(11));
        assert!(vitals.why_dead(at(12)).is_some_and(|why| why.contains("hangs")));
        vitals.stops();
        assert_eq!(vitals.why_dead(at(12)), None, "at the end the connections stand still");
        vitals.turned(at(30));
        vitals.moved(at(30));
        assert_eq!(vitals.why_dead(at(31)), None);
    }
}
