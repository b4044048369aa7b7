//! What was signed already. HMAC counts in whole seconds, or in milliseconds: two equal subscribes within one have one
//! signature, and a venue takes a signature once.

use std::collections::VecDeque;

use sha2::{Digest, Sha256};

/// How many uses are remembered. The venue allows eight messages a second, so these are the last 128 seconds of a process
/// that does nothing else: four times the 30 s within which the venue takes a signature at all. At 40 bytes each they
/// are 40 KiB.
const REMEMBERED: usize = 1024;

/// Which pre-hashes were signed in which second. One of them serves every connection that signs with the same key.
///
/// It forgets by number and not by age: after a clock has stepped forth and back, age would have wiped what the old
/// seconds had used, and the same signature would go out twice.
#[derive(Debug, Default)]
pub struct Ledger {
    used: VecDeque<(u64, [u8; 32])>,
}

impl Ledger {
    /// Whether `prehash` may be signed in the second `unix`; if so, it has been. Where not, it can be in the next one.
    #[must_use]
    pub fn admit(&mut self, unix: u64, prehash: &str) -> bool {
        let entry = (unix, Sha256::digest(prehash.as_bytes()).into());
        if self.used.contains(&entry) {
            return false;
        }
        if self.used.len() == REMEMBERED {
            self.used.pop_front();
        }
        self.used.push_back(entry);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn prehash(unix: u64, channel: &str) -> String {
        format!("{unix}{channel}BTC-USD")
    }

    #[test]
    fn an_equal_prehash_waits_for_the_next_second() {
        let mut ledger = Ledger::default();
        assert!(ledger.admit(NOW, &prehash(NOW, "ticker")));
        assert!(!ledger.admit(NOW, &prehash(NOW, "ticker")));
        assert!(ledger.admit(NOW, &prehash(NOW, "level2")), "another one may go at once");
        assert!(ledger.admit(NOW + 1, &prehash(NOW + 1, "ticker")));
    }

    #[test]
    fn a_clock_that_steps_back_admits_nothing_twice() {
        let mut ledger = Ledger::default();
        for step in 0..60 {
            assert!(ledger.admit(NOW + step, &prehash(NOW + step, "ticker")));
        }
        let far = NOW + 365 * 86_400;
        assert!(ledger.admit(far, &prehash(far, "ticker")));
        for step in 0..60 {
            assert!(!ledger.admit(NOW + step, &prehash(NOW + step, "ticker")), "second {step} again");
        }
    }

    #[test]
    fn memory_is_bounded_and_two_minutes_at_the_full_rate_are_kept() {
        let mut ledger = Ledger::default();
        for step in 0..1000 {
            for message in 0..8 {
                assert!(ledger.admit(NOW + step, &prehash(NOW + step, &message.to_string())));
            }
        }
        assert_eq!(ledger.used.len(), REMEMBERED);
        assert!(!ledger.admit(NOW + 1000 - 120, &prehash(NOW + 1000 - 120, "0")));
    }
}
