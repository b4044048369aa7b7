//! Randomness as a value, so that tests draw the same again.

use std::sync::{Arc, Mutex, PoisonError};

use rustix::{
    io::retry_on_intr,
    rand::{GetRandomFlags, getrandom},
};

/// Where nonces, run ids and jitter come from.
#[derive(Clone)]
pub struct Random(Source);

#[derive(Clone)]
enum Source {
    System,
    Seeded(Arc<Mutex<u64>>),
}

impl Random {
    /// The system's own, fit for secrets.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// The same sequence for the same seed; for tests and simulations.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Arc::new(Mutex::new(seed))))
    }

    /// Sixteen bytes.
    ///
    /// # Panics
    /// When the system has no randomness: nothing can be signed then.
    #[must_use]
    pub fn bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        match &self.0 {
            // The kernel's, asked for: a generator in the process would first gather entropy of its own, for 25 ms of CPU.
            Source::System => {
                let given = retry_on_intr(|| getrandom(&mut bytes, GetRandomFlags::empty()));
                let given = given.expect("the system gives random bytes");
                assert_eq!(given, bytes.len(), "the system gives up to 256 bytes at once");
            }
            Source::Seeded(state) => {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                for half in bytes.chunks_mut(8) {
                    half.copy_from_slice(&split_mix(&mut state).to_le_bytes());
                }
            }
        }
        bytes
    }

    /// From 0 up to 1.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        let [a, b, c, d, ..] = self.bytes();
        f64::from(u32::from_le_bytes([a, b, c, d])) / (f64::from(u32::MAX) + 1.0)
    }
}

/// The next number of the `SplitMix64` sequence (Steele, Lea and Flood, 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
