//! For how long there is room.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::Stock;
use crate::{
    config::{Output, Rotate},
    segment::Packing,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What is to be expected of an output that grows at some pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// How much lies on the disk more each day, in bytes: about, where segments are compressed.
    pub stored_a_day: u64,
    /// What that comes to.
    pub end: End,
}

/// What growing comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The disk is full after so long.
    Full(Duration),
    /// It is not: `keep` holds the recording to about so many bytes.
    Held(u64),
    /// It is not: `keep` removes the oldest for as much to be free as it says.
    Freed,
}

impl Forecast {
    /// What becomes of an output that so many bytes a day are written to, where this is on its disk now.
    #[must_use]
    pub fn of(output: &Output, bytes_a_day: u64, stock: Stock) -> Self {
        let seals = output.rotate != Rotate::default();
        let stored_a_day = if seals { bytes_a_day / shrinks_to_one(output.compress) } else { bytes_a_day };
        let (free, keep) = (stock.space.free, output.keep);
        let held = held_to(output, bytes_a_day, stored_a_day).filter(|held| *held <= stock.bytes.saturating_add(free));
        let end = match held {
            Some(held) => End::Held(held),
            None if seals && keep.free.is_some_and(|least| stock.space.has(least)) => End::Freed,
            None => End::Full(after(free, stored_a_day)),
        };
        Self { stored_a_day, end }
    }
}

impl Stock {
    /// What is on the disk of the tapes that an output has for these feeds, or will have; None where the system does not say.
    #[must_use]
    pub fn of<'a>(path: &Path, feeds: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut tapes: Vec<_> =
            feeds.map(|feed| PathBuf::from(path.to_string_lossy().replace("{feed}", feed))).collect();
        tapes.sort();
        tapes.dedup();
        Self::of_tapes(&tapes)
    }
}

/// What so many bytes are one of when they are compressed: recorded sessions became a twelfth (Advanced Trade) and an eighth
/// (Exchange), by either.
#[must_use]
pub fn shrinks_to_one(packing: Packing) -> u64 {
    match packing {
        Packing::None => 1,
        Packing::Zstd | Packing::Gzip => 10,
    }
}

/// How much there is at most of what age and size keep, with the segment that grows; None where neither is said, or nothing is sealed.
fn held_to(output: &Output, bytes_a_day: u64, stored_a_day: u64) -> Option<u64> {
    let Rotate { every, size } = output.rotate;
    let growing = [every.map(|every| during(bytes_a_day, every)), size].into_iter().flatten().min()?;
    let kept = [output.keep.age.map(|age| during(stored_a_day, age)), output.keep.size].into_iter().flatten().min()?;
    Some(kept.saturating_add(growing))
}

fn during(a_day: u64, time: Duration) -> u64 {
    let bytes = u128::from(a_day) * time.as_millis() / DAY.as_millis();
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// How long it takes for so many bytes to be used up.
fn after(bytes: u64, a_day: u64) -> Duration {
    let seconds = u128::from(bytes) * u128::from(DAY.as_secs()) / u128::from(a_day.max(1));
    Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX))
}

impl End {
    /// In words that follow "so much is free".
    #[must_use]
    pub fn words(self) -> String {
        let day = DAY.as_secs();
        match self {
            Self::Full(after) if after < 2 * DAY => format!("full in about {} hours", after.as_secs() / 3600),
            Self::Full(after) if after.as_secs() < 3650 * day => {
                format!("full in about {} days", after.as_secs() / day)
            }
            Self::Full(_) => "full in more than ten years".to_owned(),
            Self::Held(most) => {
                format!("output.keep holds the recording to about {}", bytesize::ByteSize::b(most).display().si())
            }
            Self::Freed => "output.keep removes the oldest before it is full".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Destination, Events, Form, Keep, Sync, WhenSlow},
        output::Space,
    };

    const GB: u64 = 1_000_000_000;

    fn output(rotate: Rotate, compress: Packing, keep: Keep) -> Output {
        Output {
            path: Destination::File("/data/tape.ndjson".into()),
            record: Form::Envelope,
            events: Events::Inline,
            sync: Sync::Never,
            queue: 1 << 20,
            when_slow: WhenSlow::Block,
            rotate,
            compress,
            keep,
        }
    }

    fn stock(free: u64, bytes: u64) -> Stock {
        Stock { space: Space { free, total: 1000 * GB }, bytes }
    }

    #[test]
    fn a_file_that_only_grows_fills_the_disk_whatever_else_is_said() {
        let days = |days| End::Full(DAY * days);
        let keep = Keep { size: Some(GB), free: Some(GB), ..Keep::default() };
        for output in
            [output(Rotate::default(), Packing::None, Keep::default()), output(Rotate::default(), Packing::Zstd, keep)]
        {
            assert_eq!(Forecast::of(&output, 10 * GB, stock(100 * GB, 0)).end, days(10));
        }
        let hourly = Rotate { every: Some(DAY / 24), size: None };
        let forecast = Forecast::of(&output(hourly, Packing::Zstd, Keep::default()), 10 * GB, stock(100 * GB, 0));
        assert_eq!((forecast.stored_a_day, forecast.end), (GB, days(100)));
    }

    #[test]
    fn what_is_kept_holds_it_where_there_is_room_for_that() {
        let hourly = Rotate { every: Some(DAY / 24), size: Some(GB) };
        let of = |keep, free, bytes| {
            Forecast::of(&output(hourly, Packing::None, keep), 48 * GB, stock(free * GB, bytes * GB)).end
        };
        let month = Keep { age: Some(DAY * 30), ..Keep::default() };
        assert_eq!(of(month, 2000, 0), End::Held(1441 * GB), "thirty days, and what grows");
        assert_eq!(of(month, 480, 0), End::Full(DAY * 10));
        assert_eq!(of(month, 480, 961), End::Held(1441 * GB), "most of it is there already");
        assert_eq!(of(Keep { size: Some(99 * GB), ..month }, 480, 0), End::Held(100 * GB));
        assert_eq!(of(Keep { free: Some(GB), ..month }, 480, 0), End::Freed);
        assert_eq!(of(Keep { free: Some(1000 * GB), ..month }, 480, 0), End::Full(DAY * 10), "it is never so free");
    }

    #[test]
    fn nothing_a_day_lasts() {
        let output = output(Rotate::default(), Packing::None, Keep::default());
        assert_eq!(Forecast::of(&output, 0, stock(u64::MAX, 0)).end.words(), "full in more than ten years");
        assert_eq!(Forecast::of(&output, u64::MAX, stock(GB, 0)).end.words(), "full in about 0 hours");
    }
}
