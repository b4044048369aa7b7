//! Where the writer is, and how long writes and syncs take, for those who watch it.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::segment::State;

/// Where the writer is, for those who watch it.
#[derive(Debug)]
pub struct Pulse {
    state: AtomicU8,
    batches: AtomicU64,
    bytes: AtomicU64,
    trouble: Mutex<Option<String>>,
    /// From when `blocked_since` counts.
    begun: Instant,
    /// Since when the writer waits for the system, in nanoseconds from `begun` and one more; 0 while it does not.
    blocked_since: AtomicU64,
    writes: Timing,
    syncs: Timing,
    sync_failures: AtomicU64,
    /// By [`State`].
    sealed: [AtomicU64; 3],
    removed: AtomicU64,
}

/// How long something took, how often.
#[derive(Debug, Default)]
pub struct Timing {
    /// By [`Timing::BOUNDS`]; the last is for what took longer.
    counts: [AtomicU64; Self::BOUNDS.len() + 1],
    /// Nanoseconds.
    sum: AtomicU64,
}

pub(super) const IDLE: u8 = 0;
pub(super) const WORKING: u8 = 1;
pub(super) const IN_SINK: u8 = 2;

impl Pulse {
    /// Batches written, a number that moves as long as there is work and the writer does it.
    #[must_use]
    pub fn batches(&self) -> u64 {
        self.batches.load(Relaxed)
    }

    /// Waiting for records.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.state.load(Relaxed) == IDLE
    }

    /// Inside the system's write or sync: if for long, the reader of the output stalls, not we.
    #[must_use]
    pub fn is_in_sink(&self) -> bool {
        self.state.load(Relaxed) == IN_SINK
    }

    /// Bytes that the system took, over all targets.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// For how long the write or sync has lasted that the writer is in; zero while it is in none. A disk that takes nothing
    /// is one long write, however often that is tried.
    #[must_use]
    pub fn blocked(&self) -> Duration {
        match self.blocked_since.load(Relaxed) {
            0 => Duration::ZERO,
            since => self.begun.elapsed().saturating_sub(Duration::from_nanos(since - 1)),
        }
    }

    /// Writes, from the first try until all was taken.
    #[must_use]
    pub fn writes(&self) -> &Timing {
        &self.writes
    }

    /// Syncs of files to which something had been written.
    #[must_use]
    pub fn syncs(&self) -> &Timing {
        &self.syncs
    }

    /// Syncs that failed.
    #[must_use]
    pub fn sync_failures(&self) -> u64 {
        self.sync_failures.load(Relaxed)
    }

    /// Segments that were sealed by the writer in this state.
    #[must_use]
    pub fn sealed(&self, state: State) -> u64 {
        self.sealed[state as usize].load(Relaxed)
    }

    /// Messages that were written, and whose file was removed while it grew.
    #[must_use]
    pub fn removed(&self) -> u64 {
        self.removed.load(Relaxed)
    }

    /// Why nothing is written, while a disk takes nothing.
    #[must_use]
    pub fn why_not(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn took(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn turned(&self) {
        self.batches.fetch_add(1, Relaxed);
    }

    pub(super) fn sync_failed(&self) {
        self.sync_failures.fetch_add(1, Relaxed);
    }

    pub(super) fn seals(&self, state: State) {
        self.sealed[state as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn lost_a_file(&self, messages: u64) {
        self.removed.fetch_add(messages, Relaxed);
    }

    pub(super) fn trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    pub(super) fn is(&self, state: u8) {
        self.state.store(state, Relaxed);
    }

    /// Does what may take long in the system, and says meanwhile since when.
    pub(super) fn waits<T>(&self, act: impl FnOnce() -> T) -> (T, Duration) {
        let begun = Instant::now();
        self.blocked_since.store(nanoseconds(begun.duration_since(self.begun)).saturating_add(1), Relaxed);
        let done = act();
        self.blocked_since.store(0, Relaxed);
        (done, begun.elapsed())
    }
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            state: AtomicU8::default(),
            batches: AtomicU64::default(),
            bytes: AtomicU64::default(),
            trouble: Mutex::default(),
            begun: Instant::now(),
            blocked_since: AtomicU64::default(),
            writes: Timing::default(),
            syncs: Timing::default(),
            sync_failures: AtomicU64::default(),
            sealed: Default::default(),
            removed: AtomicU64::default(),
        }
    }
}

impl Timing {
    /// In seconds: a write into memory takes less than the first, a sync of a slow disk some of the middle, and whoever reads
    /// a pipe and stalls goes beyond the last.
    pub const BOUNDS: [f64; 9] = [0.0001, 0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0];

    /// One more took so long.
    pub fn note(&self, took: Duration) {
        let place = Self::BOUNDS.iter().position(|bound| took.as_secs_f64() <= *bound).unwrap_or(Self::BOUNDS.len());
        self.counts[place].fetch_add(1, Relaxed);
        self.sum.fetch_add(nanoseconds(took), Relaxed);
    }

    /// How long all of them took.
    #[must_use]
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum.load(Relaxed))
    }

    /// How many took no longer than each bound, and than the one before; the last took longer than any.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = Self::BOUNDS.into_iter().chain([f64::MAX]);
        bounds.zip(&self.counts).map(|(bound, count)| (bound, count.load(Relaxed)))
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_long_is_counted_behind_its_bound() {
        let timing = Timing::default();
        for millis in [0, 1, 3_600_000] {
            timing.note(Duration::from_millis(millis));
        }
        let counts: Vec<_> = timing.buckets().map(|(_, count)| count).collect();
        assert_eq!(counts, [1, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(timing.sum(), Duration::from_millis(3_600_001));
    }

    #[test]
    fn nobody_is_blocked_once_it_is_over() {
        let pulse = Pulse::default();
        assert_eq!(pulse.blocked(), Duration::ZERO);
        let (blocked, _) = pulse.waits(|| pulse.blocked_since.load(Relaxed));
        assert_ne!(blocked, 0);
        assert_eq!(pulse.blocked(), Duration::ZERO);
    }
}
