//! Trades that were missed are asked for by REST, and recorded as recovered: of all that a venue sends, they alone are both
//! numbered and kept.

mod gathering;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use self::gathering::{Found, Gathering};
use crate::{
    clock::Clock,
    config::Feed,
    output::Recorder,
    random::Random,
    record::{Event, Form, Origin},
    rest::Client,
    shutdown::Stopping,
    venue::Rest,
};

/// Gaps that wait for their turn. One connection that comes back has a gap for each of its products, and the venue lists some
/// eight hundred; each takes a quarter of a kilobyte here.
const WAITING: usize = 1_024;

/// What was traded a moment ago is not yet told by REST: the venue answers everybody out of what it looked up a second before.
const SETTLED: Duration = Duration::from_secs(2);

const TOO_MANY_GAPS: &str = "too many gaps at once: REST is asked for those that came before";

const STOPPED: &str = "tickerd was stopped before they were all asked for";

/// Takes what is missing from whoever notices it, and keeps nobody waiting.
#[derive(Clone, Debug)]
pub struct Refiller {
    waiting: mpsc::Sender<Waiting>,
    clock: Clock,
}

/// The one who asks.
pub struct Refilling {
    waiting: mpsc::Receiver<Waiting>,
    gathering: Gathering,
    clock: Clock,
}

/// Trades of one product that did not come.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// On which connection that was noticed.
    pub origin: Arc<Origin>,
    /// Of which channel.
    pub channel: &'static str,
    /// Of which product.
    pub product: String,
    /// The first number that is missing...
    pub expected: u64,
    /// ...and the first above it that is not.
    pub got: u64,
    /// When the last message before came, by our clock...
    pub from: SystemTime,
    /// ...and the first after.
    pub until: SystemTime,
    /// Where what is recovered goes.
    pub recorder: Recorder,
}

#[derive(Debug)]
struct Waiting {
    wanted: Wanted,
    since: Instant,
}

/// Whether missed trades of a feed can be asked for, and be told apart from what the socket brought: raw lines have no room for
/// a mark.
#[must_use]
pub fn serves(feed: &Feed, form: Form) -> bool {
    let told = feed.venue.rest.trades.as_ref().map(|trades| trades.channel);
    form == Form::Envelope && feed.channels.iter().any(|channel| Some(channel.name) == told)
}

impl Refiller {
    /// One who takes, and the one who asks at `base`; none where the venue does not tell its trades.
    #[must_use]
    pub fn new(
        client: Client,
        rest: &'static Rest,
        base: &str,
        clock: Clock,
        random: Random,
    ) -> Option<(Self, Refilling)> {
        rest.trades.as_ref()?;
        let (sender, waiting) = mpsc::channel(WAITING);
        let gathering = Gathering::new(client, rest, base, random);
        Some((Self { waiting: sender, clock: clock.clone() }, Refilling { waiting, gathering, clock }))
    }

    /// These are wanted. It returns at once: what there is no room for is told as missing, in the log, and in the record if the
    /// output has room.
    pub fn wants(&self, wanted: Wanted) {
        if wanted.missed() == 0 {
            return;
        }
        let refused = self.waiting.try_send(Waiting { wanted, since: Instant::now() });
        let (Waiting { wanted, .. }, why) = match refused {
            Ok(()) => return,
            Err(mpsc::error::TrySendError::Full(waiting)) => (waiting, TOO_MANY_GAPS),
            Err(mpsc::error::TrySendError::Closed(waiting)) => (waiting, STOPPED),
        };
        let event = wanted.settle(0, why);
        if !wanted.recorder.event_at_once(&wanted.origin, self.clock.now(), event) {
            tracing::debug!(feed = %wanted.origin.feed, conn = %wanted.origin, "the output has no room for that event");
        }
    }
}

impl Refilling {
    /// Asks for one gap after another, until told to stop or until nobody is left who could want any. What has not been asked
    /// for by then is told as missing.
    pub async fn keep(mut self, mut stopping: Stopping) {
        loop {
            let waiting = tokio::select! {
                biased;
                () = stopping.stopped() => break,
                waiting = self.waiting.recv() => waiting,
            };
            let Some(Waiting { wanted, since }) = waiting else { return };
            let mut found = Found::default();
            let why = tokio::select! {
                biased;
                () = stopping.stopped() => STOPPED.to_owned(),
                why = async {
                    sleep_until(since + SETTLED).await;
                    self.gathering.gather(&wanted, &mut found).await
                } => why,
            };
            self.record(&wanted, found, &why).await;
        }
        self.waiting.close();
        while let Some(Waiting { wanted, .. }) = self.waiting.recv().await {
            self.record(&wanted, Found::default(), STOPPED).await;
        }
    }

    /// In the order of their numbers; behind them what they are, and what is still missing.
    async fn record(&self, wanted: &Wanted, found: Found, why: &str) {
        let Wanted { origin, recorder, .. } = wanted;
        let (recv, mut recovered) = (self.clock.now(), 0);
        for line in found.into_values() {
            // An output that is gone is told of by the writer; there is nobody left to read this.
            if recorder.recovered(origin, recv, line).await.is_err() {
                return;
            }
            recovered += 1;
        }
        let event = wanted.settle(recovered, why);
        let _ = recorder.event(origin, origin.account.totals().received, self.clock.now(), event, || ()).await;
    }
}

impl Wanted {
    fn missed(&self) -> u64 {
        self.got.saturating_sub(self.expected)
    }

    /// Says in the log how it went, and makes the event of it; `why` is why some are missing, if some are.
    fn settle(&self, recovered: u64, why: &str) -> Event {
        let (feed, conn, event) = (&self.origin.feed, &self.origin, "refilled");
        let Self { channel, ref product, expected, got, .. } = *self;
        let missed = self.missed();
        let missing = missed - recovered;
        if missing == 0 {
            tracing::info!(%feed, %conn, %event, "{channel} {product}: {recovered} of {missed} missed trades recovered by REST");
        } else {
            tracing::warn!(
                %feed, %conn, %event,
                "{channel} {product}: {recovered} of {missed} missed trades recovered by REST, {missing} are lost: {why}"
            );
        }
        let why = (missing > 0).then(|| why.to_owned());
        Event::Refilled { channel, product: product.clone(), expected, got, recovered, missing, why }
    }
}
