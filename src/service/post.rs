//! Keeps `status.json` up to date.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Instant, SystemTime},
};

use super::gauge::Gauge;
use crate::{
    clock::Clock,
    config,
    feed::Run,
    metrics::{Seen, Vitals},
    notify::Manager,
    status::{Board, Report, Sheet},
};

/// Writes what is known of each feed to this daemon's sheet, if it has one, and shows it to whoever asks over HTTP.
pub(super) struct Post {
    sheet: Option<Sheet>,
    run: Arc<Run>,
    clock: Clock,
    gauge: Gauge,
    vitals: Option<Arc<Vitals>>,
    started: SystemTime,
    feeds: Vec<config::Feed>,
    /// How many messages each feed had lost, and when that was seen to become more.
    drops: HashMap<String, (u64, Option<Instant>)>,
}

impl Post {
    pub(super) fn new(sheet: Option<Sheet>, run: Arc<Run>, clock: Clock, gauge: Gauge, feeds: &[config::Feed]) -> Self {
        let started = clock.now();
        Self { sheet, run, clock, gauge, vitals: None, started, feeds: feeds.to_vec(), drops: HashMap::new() }
    }

    /// From now on it is shown there as well.
    pub(super) fn show_to(&mut self, vitals: Arc<Vitals>) {
        self.vitals = Some(vitals);
    }

    /// Writes it where it is due, and shows it each time that the clockwork turns.
    pub(super) fn tell(&mut self, board: &Board, now: Instant) {
        let sheet = self.sheet.take_if(|sheet| sheet.is_due(now));
        if sheet.is_none() && self.vitals.is_none() {
            return;
        }
        let report = self.report(board, now);
        if let Some(mut sheet) = sheet {
            sheet.write(&report, now);
            self.sheet = Some(sheet);
        }
        if let Some(vitals) = &self.vitals {
            vitals.turned(now.into());
            vitals.show(Seen { report, stock: self.gauge.stock(), trouble: self.gauge.trouble() });
        }
    }

    fn report(&mut self, board: &Board, now: Instant) -> Report {
        let (mut feeds, clock) = board.report(now);
        for feed in &mut feeds {
            if let Some(asked) = self.feeds.iter().find(|asked| asked.name == feed.name) {
                asked.venue.name.clone_into(&mut feed.venue);
                feed.credentials = asked.credentials.as_ref().map(|credentials| credentials.name().to_owned());
            }
            let tally = self.run.tally(&feed.name);
            let seen = self.drops.entry(feed.name.clone()).or_default();
            if tally.totals.dropped > seen.0 {
                *seen = (tally.totals.dropped, Some(now));
            }
            let last_drop = seen.1.map(|at| now.saturating_duration_since(at));
            feed.count(tally.connections, tally.totals, last_drop);
        }
        Report {
            v: Report::V,
            tickerd: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            run: format!("{:08x}", self.run.id),
            supervised: Manager::is_present(),
            started: self.started,
            written: self.clock.now(),
            clock_offset_ms: clock.map(|offset| offset.ms),
            feeds,
            output: self.gauge.read(now),
        }
    }
}
