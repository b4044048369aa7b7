//! What whoever scrapes is told, and under which names. Nothing is counted here: it is read where it is counted anyway.

mod feeds;
mod output;
mod page;
mod process;
mod vitals;

pub use vitals::{STALE, Seen, Vitals};

use std::{fmt, sync::Arc, time::SystemTime};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, prometheus_text, text},
    registry::{Registry, Unit},
};

use self::page::{Named, Page, flag, real};
use crate::{
    config::Feed,
    desk::Desk,
    feed::Run,
    output::{Pulse, Queue},
    status::Board,
};

/// Where all of it is counted.
pub struct Sources {
    /// The feeds, as they were asked for.
    pub feeds: Vec<Feed>,
    /// What they brought.
    pub run: Arc<Run>,
    /// How they are.
    pub board: Board,
    /// The clockwork.
    pub vitals: Arc<Vitals>,
    /// Who signs, each once.
    pub desks: Vec<Arc<Desk>>,
    /// What waits to be written...
    pub queue: Arc<Queue>,
    /// ...what that may cost, in bytes...
    pub limit: u64,
    /// ...and whoever writes it.
    pub pulse: Arc<Pulse>,
    /// When the run began, by the wall clock.
    pub started: SystemTime,
}

/// All that is told.
#[derive(Debug)]
pub struct Metrics(Registry);

/// How it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `OpenMetrics` 1.0.
    OpenMetrics,
    /// The text format of Prometheus, 0.0.4.
    Prometheus,
}

impl Metrics {
    /// Of these.
    #[must_use]
    pub fn new(sources: Sources) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Shown(sources)));
        Self(registry)
    }

    /// All of it as it is now.
    ///
    /// # Panics
    /// Never: a string takes everything.
    #[must_use]
    pub fn write(&self, form: Form) -> String {
        let mut page = String::new();
        let written = match form {
            Form::OpenMetrics => text::encode(&mut page, &self.0),
            Form::Prometheus => prometheus_text::encode(&mut page, &self.0),
        };
        written.expect("a string takes everything");
        page
    }
}

impl Form {
    /// What a scraper accepts that sends this `Accept`: who does not name `OpenMetrics` gets what everybody reads.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// As `Content-Type` calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The sources, shown to the library.
struct Shown(Sources);

impl std::ops::Deref for Shown {
    type Target = Sources;

    fn deref(&self) -> &Sources {
        &self.0
    }
}

impl Collector for Shown {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let page = &mut Page(encoder);
        let seen = self.vitals.seen();
        let reports = seen.as_ref().map_or(&[][..], |seen| &seen.report.feeds);
        process::write(self, page)?;
        feeds::write(self, reports, page)?;
        output::write(self, seen.as_deref(), page)?;
        self.write_rest(page)
    }
}

impl Shown {
    fn write_rest(&self, page: &mut Page<'_>) -> fmt::Result {
        let offset = self.board.offset();
        let seconds =
            |ms: i64| if ms < 0 { -real(ms.unsigned_abs()) / 1000.0 } else { real(ms.unsigned_abs()) / 1000.0 };
        let named = "How far this machine's clock is behind the venue's, less than 0 where it is ahead, by the last measurement.";
        let samples = offset.map(|offset| (vec![], seconds(offset.ms)));
        page.gauge(Named("tickerd_clock_offset", named), Some(&Unit::Seconds), samples)?;
        let named = Named(
            "tickerd_clock_wrong",
            "1 while that is more than a healthy clock has, and the measurement explains.",
        );
        page.gauge(named, None, offset.map(|offset| (vec![], flag(offset.is_notable()))))?;
        let desks =
            || self.desks.iter().map(|desk| (vec![("credentials", desk.credentials().name())], desk.standing()));
        let accepted = desks().filter_map(|(labels, (accepted, _))| Some((labels, flag(accepted?))));
        let named =
            "1 where the venue took what they signed last, 0 where it refused it; absent before it has said either.";
        page.gauge(Named("tickerd_credentials_accepted", named), None, accepted)?;
        let refusals = desks().map(|(labels, (_, refusals))| (labels, u64::from(refusals)));
        page.counter(Named("tickerd_credentials_refusals", "How often the venue has refused them."), None, refusals)
    }
}

/// Desks hold what must not be seen.
impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").finish_non_exhaustive()
    }
}
