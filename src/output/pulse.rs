//! Where the writer is, for those who watch it.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
};

/// Where the writer is, for those who watch it.
#[derive(Debug, Default)]
pub struct Pulse {
    state: AtomicU8,
    batches: AtomicU64,
    bytes: AtomicU64,
    trouble: Mutex<Option<String>>,
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

    pub(super) fn took(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn turned(&self) {
        self.batches.fetch_add(1, Relaxed);
    }

    /// Why nothing is written, while a disk takes nothing.
    #[must_use]
    pub fn why_not(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    pub(super) fn is(&self, state: u8) {
        self.state.store(state, Relaxed);
    }
}
