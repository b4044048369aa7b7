//! The wall clock as a value, so that tests move it. Monotonic time is tokio's, which tests pause.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;

/// A machine that was asleep, or whose clock was set, has a wall clock that went further or less far than its monotonic one.
/// NTP slews by 1.8 s an hour at most, and no reading is held to for longer than an hour.
const STEPPED: Duration = Duration::from_secs(3);

/// What the wall clock said, and the monotonic one beside it.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    wall: SystemTime,
    monotonic: Instant,
}

/// Tells the time of day. Signatures and receive times come from here and from nowhere else.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// The machine's own.
    #[must_use]
    pub fn system() -> Self {
        #[allow(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
        Self(Arc::new(SystemTime::now))
    }

    /// One that `read` tells.
    #[must_use]
    pub fn told(read: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// One that starts at `start` and runs with tokio's time, paused or not.
    #[must_use]
    pub fn from(start: SystemTime) -> Self {
        let begun = Instant::now();
        Self::told(move || start + begun.elapsed())
    }

    /// This one, off by so many milliseconds.
    #[must_use]
    pub fn off_by(self, ms: i64) -> Self {
        let off = Duration::from_millis(ms.unsigned_abs());
        Self::told(move || if ms < 0 { self.now() - off } else { self.now() + off })
    }

    /// What it says now.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        (self.0)()
    }

    /// Whole seconds since 1970; 0 before.
    #[must_use]
    pub fn unix(&self) -> u64 {
        self.now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }
}

impl Reading {
    /// Both clocks, read now.
    #[must_use]
    pub fn of(clock: &Clock) -> Self {
        Self { wall: clock.now(), monotonic: Instant::now() }
    }

    /// Whether the wall clock, which says `wall` now, was set since, or the machine slept: what was known of it holds no more.
    #[must_use]
    pub fn has_stepped(&self, wall: SystemTime) -> bool {
        let expected = self.wall + self.monotonic.elapsed();
        wall.duration_since(expected).unwrap_or_else(|before| before.duration()) > STEPPED
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({:?})", self.now())
    }
}
