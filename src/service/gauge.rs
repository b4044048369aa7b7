//! How fast the output grows, and for how long there is room.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    config::{Destination, Output},
    output::{End, Forecast, Keeper, Pulse, Stock},
    status::{Health, OutputReport},
};

/// The pace is that of the last hour: long enough for bursts to count as what they are, short enough to follow a market.
const WINDOW: Duration = Duration::from_secs(3600);

/// How often it is noted, and how long it takes before there is a pace at all.
const EVERY: Duration = Duration::from_secs(60);

/// With less than this left somebody has to be told.
const SOON: Duration = Duration::from_secs(24 * 3600);

/// What is known of the files that are written to.
pub(super) struct Gauge {
    output: Output,
    pulse: Arc<Pulse>,
    keeper: Option<Keeper>,
    pace: Pace,
}

/// How many bytes had been written when, the oldest first.
#[derive(Default)]
struct Pace(VecDeque<(Instant, u64)>);

impl Gauge {
    pub fn new(output: Output, pulse: Arc<Pulse>, keeper: Option<Keeper>) -> Self {
        Self { output, pulse, keeper, pace: Pace::default() }
    }

    /// Why the output takes nothing, while it does not.
    pub fn trouble(&self) -> Option<String> {
        self.pulse.why_not()
    }

    /// What was seen last on the disk of the files.
    pub fn stock(&self) -> Option<Stock> {
        self.keeper.as_ref().and_then(Keeper::stock)
    }

    /// What is to be said of it now; None where records do not go to files. It does not wait for the disk.
    pub fn read(&mut self, now: Instant) -> Option<OutputReport> {
        let Destination::File(path) = &self.output.path else { return None };
        let bytes_a_day = self.pace.note(now, self.pulse.bytes());
        let stock = self.stock();
        let report = OutputReport { path: path.display().to_string(), ..report(&self.output, bytes_a_day, stock) };
        Some(match self.pulse.why_not() {
            Some(why) => OutputReport { health: Health::Degraded, why: Some(why), ..report },
            None => report,
        })
    }
}

fn report(output: &Output, bytes_a_day: Option<u64>, stock: Option<Stock>) -> OutputReport {
    let forecast = bytes_a_day.zip(stock).map(|(pace, stock)| Forecast::of(output, pace, stock));
    let full_in = forecast.and_then(|forecast| match forecast.end {
        End::Full(after) => Some(after),
        End::Held(_) | End::Freed => None,
    });
    let soon = full_in.is_some_and(|after| after < SOON);
    OutputReport {
        path: String::new(),
        health: if soon { Health::Degraded } else { Health::Well },
        bytes_a_day,
        stored_a_day: forecast.map(|forecast| forecast.stored_a_day),
        free: stock.map(|stock| stock.space.free),
        full_in_ms: full_in.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
        outlook: forecast.map(|forecast| forecast.end.words()),
        why: soon.then(|| "make room, or set output.keep".to_owned()),
    }
}

impl Pace {
    /// Bytes a day, where that can be told yet.
    fn note(&mut self, now: Instant, bytes: u64) -> Option<u64> {
        if self.0.back().is_none_or(|(at, _)| now.duration_since(*at) >= EVERY) {
            self.0.push_back((now, bytes));
        }
        // The one that is just older than the window stays: the pace is always over all of it.
        while self.0.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW) {
            self.0.pop_front();
        }
        let (since, then) = *self.0.front()?;
        let took = now.duration_since(since);
        let a_day = u128::from(bytes - then) * Duration::from_secs(24 * 3600).as_millis() / took.as_millis().max(1);
        (took >= EVERY).then(|| u64::try_from(a_day).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Events, Form, Keep, Packing, Rotate, Sync, WhenSlow},
        output::Space,
    };

    #[test]
    fn the_pace_is_that_of_the_last_hour() {
        let (mut pace, begun) = (Pace::default(), Instant::now());
        let at = |second| begun + Duration::from_secs(second);
        assert_eq!(pace.note(at(0), 500), None);
        assert_eq!(pace.note(at(59), 559), None, "less than a minute says nothing");
        assert_eq!(pace.note(at(60), 560), Some(86_400));
        for second in 61..20_000 {
            let bytes = if second <= 10_000 { 500 + second } else { 10_500 };
            let told = pace.note(at(second), bytes).expect("a pace");
            match second {
                ..=10_000 => assert_eq!(told, 86_400),
                13_661.. => assert_eq!(told, 0, "{second}"),
                _ => assert!(told < 86_400, "{second}"),
            }
        }
        assert!(pace.0.len() <= 62, "memory is bounded");
    }

    #[test]
    fn less_than_a_day_is_not_well() {
        let output = Output {
            path: Destination::File("/data/tape.ndjson".into()),
            record: Form::Envelope,
            events: Events::Inline,
            sync: Sync::Never,
            queue: 1 << 20,
            when_slow: WhenSlow::Block,
            rotate: Rotate { every: Some(WINDOW), size: None },
            compress: Packing::None,
            keep: Keep::default(),
        };
        let stock = |free| Some(Stock { space: Space { free, total: 1000 }, bytes: 0 });
        assert_eq!(report(&output, Some(100), stock(99)).health, Health::Degraded);
        assert_eq!(report(&output, Some(100), stock(100)).health, Health::Well);
        assert_eq!(report(&output, None, stock(0)).health, Health::Well, "nobody knows yet");
        let keep = Keep { free: Some(50), ..Keep::default() };
        let held = report(&Output { keep, ..output }, Some(100), stock(50));
        assert_eq!((held.health, held.full_in_ms), (Health::Well, None));
    }
}
