//! What one connection received, and what became of it: counters that must add up.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// received = written + dropped, once everything queued has been written. Counted where it happens, never derived.
#[derive(Debug, Default)]
pub struct Account {
    received: AtomicU64,
    written: AtomicU64,
    dropped: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Messages that came off the socket.
    pub received: u64,
    /// Of these, handed to the output.
    pub written: u64,
    /// Of these, lost and owned up to.
    pub dropped: u64,
}

impl Account {
    /// Counts a message off the socket; its number, from 0.
    pub fn receive(&self) -> u64 {
        self.received.fetch_add(1, Relaxed)
    }

    /// Counts a message handed to the output.
    pub fn write(&self) {
        self.written.fetch_add(1, Relaxed);
    }

    /// Counts a message lost.
    pub fn drop_one(&self) {
        self.dropped.fetch_add(1, Relaxed);
    }

    /// The counters now.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals {
            received: self.received.load(Relaxed),
            written: self.written.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
        }
    }
}
