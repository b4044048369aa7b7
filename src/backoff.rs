//! How long to wait before the next try. Pure: randomness is an argument.

use std::time::Duration;

/// The ceiling of the first wait: short, since most losses are a venue's deploy, over in a moment.
pub const FIRST: Duration = Duration::from_millis(250);

/// The ceiling of every later wait. At 30 s a venue that comes back is met within 15 s on average, and a thousand clients
/// that wait for it make 67 connects a second between them.
pub const LONGEST: Duration = Duration::from_secs(30);

/// How long a connection that delivers must stand to have been one: by then each subscribe is acked, and data and heartbeats
/// come, or it will be given up for that. A server that delivers a snapshot and closes is one in trouble.
pub const STEADY: Duration = Duration::from_secs(10);

/// A venue that asks for more patience than this is asked again nevertheless: a recorder that stays away for an hour
/// because of one header has lost the hour.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);

/// Full jitter: each wait is drawn from zero up to a ceiling that doubles.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    tries: u32,
}

impl Backoff {
    /// The next wait. `random` is from 0 up to 1; `retry_after` is what the venue asked for, if it did.
    pub fn next(&mut self, random: f64, retry_after: Option<Duration>) -> Duration {
        let ceiling = FIRST.saturating_mul(1 << self.tries.min(16)).min(LONGEST);
        self.tries = self.tries.saturating_add(1);
        let wait = ceiling.mul_f64(random.clamp(0.0, 1.0));
        wait.max(retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER))
    }

    /// Begins anew after a connection that delivered and `lasted` for [`STEADY`] or more. One that was merely opened, or
    /// subscribed on, proves nothing: a server that accepts and closes would be asked in a tight loop (barter-rs, cryptofeed).
    pub fn delivered(&mut self, lasted: Duration) {
        if lasted >= STEADY {
            self.tries = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn stays_below_a_ceiling_that_doubles_to_30_s(draws in prop::collection::vec(0.0..1.0f64, 1..60)) {
            let mut backoff = Backoff::default();
            for (i, random) in draws.into_iter().enumerate() {
                let ceiling = FIRST.saturating_mul(1 << i.min(16)).min(LONGEST);
                prop_assert!(backoff.next(random, None) <= ceiling);
            }
        }

        #[test]
        fn waits_as_long_as_asked_but_five_minutes_at_most(asked in 0u64..100_000, random in 0.0..1.0f64) {
            let asked = Duration::from_secs(asked);
            let wait = Backoff::default().next(random, Some(asked));
            prop_assert!(wait >= asked.min(LONGEST_RETRY_AFTER) && wait <= LONGEST_RETRY_AFTER);
        }
    }

    #[test]
    fn begins_anew_after_a_connection_that_stood() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next(1.0, None), FIRST);
        backoff.delivered(STEADY / 2);
        assert_eq!(backoff.next(1.0, None), FIRST * 2);
        backoff.delivered(STEADY);
        assert_eq!(backoff.next(1.0, None), FIRST);
    }
}
