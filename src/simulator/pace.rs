//! How market time runs beside real time.

use std::{
    fmt,
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

/// Above this a timer of one millisecond is a second of the market, and cadences fall together.
const FASTEST: f64 = 1_000.0;
const SLOWEST: f64 = 0.001;

/// How fast the market's time runs; deadlines and faults keep to real time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many times real pace.
    Times(f64),
    /// As fast as the socket takes it.
    Max,
}

impl Speed {
    /// How long `market` lasts by a real clock.
    #[must_use]
    pub fn real(self, market: Duration) -> Duration {
        match self {
            Self::Times(times) => Duration::try_from_secs_f64(market.as_secs_f64() / times).unwrap_or(Duration::MAX),
            Self::Max => Duration::ZERO,
        }
    }

    /// How far the market comes in `real` time; as fast as it can there is no other time than its own.
    #[must_use]
    pub fn market(self, real: Duration) -> Duration {
        match self {
            Self::Times(times) => Duration::try_from_secs_f64(real.as_secs_f64() * times).unwrap_or(Duration::MAX),
            Self::Max => real,
        }
    }
}

/// A speed that can not be had.
#[derive(Debug, PartialEq, Eq)]
pub struct SpeedError(String);

impl FromStr for Speed {
    type Err = SpeedError;

    fn from_str(text: &str) -> Result<Self, SpeedError> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let possible = |times: &f64| (SLOWEST..=FASTEST).contains(times);
        text.parse().ok().filter(possible).map(Self::Times).ok_or_else(|| SpeedError(text.to_owned()))
    }
}

impl fmt::Display for SpeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no such speed \"{}\": a number from {SLOWEST} to {FASTEST}, or max", self.0)
    }
}

impl std::error::Error for SpeedError {}

/// The one market time that all connections share, counted from the opening.
pub(super) struct Pace {
    speed: Speed,
    opened: Instant,
    /// At full speed: how far the fastest connection has come, in nanoseconds.
    reached: AtomicU64,
}

impl Pace {
    pub fn new(speed: Speed) -> Self {
        Self { speed, opened: Instant::now(), reached: AtomicU64::new(0) }
    }

    /// The market's time now.
    pub fn now(&self) -> Duration {
        match self.speed {
            Speed::Times(_) => self.speed.market(self.opened.elapsed()),
            Speed::Max => Duration::from_nanos(self.reached.load(Ordering::Relaxed)),
        }
    }

    /// When it will be `market`; at full speed that is now.
    pub fn when(&self, market: Duration) -> Instant {
        match self.speed {
            Speed::Times(_) => self.opened + self.speed.real(market),
            Speed::Max => self.opened,
        }
    }

    /// What is due at `market` is done now: at full speed this is what moves time on.
    pub fn reach(&self, market: Duration) -> Duration {
        if self.speed == Speed::Max {
            let nanos = u64::try_from(market.as_nanos()).unwrap_or(u64::MAX);
            self.reached.fetch_max(nanos, Ordering::Relaxed);
        }
        self.now().max(market)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_read_or_refused() {
        assert_eq!("max".parse(), Ok(Speed::Max));
        assert_eq!("0.5".parse(), Ok(Speed::Times(0.5)));
        for odd in ["0", "-1", "NaN", "inf", "fast", "1e9", ""] {
            assert!(odd.parse::<Speed>().is_err(), "{odd}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn market_time_runs_as_many_times_faster() {
        let pace = Pace::new(Speed::Times(10.0));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(pace.now(), Duration::from_secs(20));
        assert_eq!(pace.when(Duration::from_secs(30)) - Instant::now(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn at_full_speed_what_is_due_moves_time() {
        let pace = Pace::new(Speed::Max);
        assert_eq!(pace.reach(Duration::from_secs(5)), Duration::from_secs(5));
        assert_eq!(pace.reach(Duration::from_secs(3)), Duration::from_secs(5));
        assert!(pace.when(Duration::from_secs(9)) <= Instant::now());
    }
}
