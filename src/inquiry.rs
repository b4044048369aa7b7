//! What no WebSocket says, asked by REST: the venue's time at start and each hour, what it trades where a feed names
//! patterns, and, when it refuses a key, what else it has against it.

use std::{sync::Arc, time::Duration};

use futures::future::{BoxFuture, FutureExt, join, pending, select_all};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{
    clock::Clock,
    desk::Desk,
    output::Recorder,
    record::{Event, Origin},
    rest::{Client, RestError},
    shutdown::Stopping,
    venue::{Listed, Offset, Rest},
    verdict::RestSaid,
};

/// A clock drifts by seconds a day at worst, and products are listed some a week.
const EVERY: Duration = Duration::from_secs(3600);

/// The first try after one that failed; each later one after twice as long, up to [`EVERY`].
const AGAIN: Duration = Duration::from_secs(10);

/// Between two looks into refusals: fifty connections with one key are refused within a second, and mean one thing.
const BETWEEN_DOUBTS: Duration = Duration::from_secs(5);

/// What the venue trades, as it told last; None while it has not told yet.
pub type List = Option<Arc<[Listed]>>;

/// Whoever asks one REST interface, on behalf of every feed that has it.
pub struct Inquiry {
    client: Client,
    rest: &'static Rest,
    base: String,
    clock: Clock,
    desks: Vec<Arc<Desk>>,
    /// In their records a wrong clock is noted, as of no connection.
    feeds: Vec<(Arc<Origin>, Recorder)>,
    list: watch::Sender<List>,
    /// Some feed has patterns.
    lists: bool,
}

impl Inquiry {
    /// Asks for nobody yet, at `base`, by the machine's `clock`.
    #[must_use]
    pub fn new(client: Client, rest: &'static Rest, base: &str, clock: Clock) -> Self {
        let list = watch::Sender::default();
        Self { client, rest, base: base.to_owned(), clock, desks: Vec::new(), feeds: Vec::new(), list, lists: false }
    }

    /// Where it asks.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Asks on behalf of one more feed, in whose records it notes what concerns them; a feed with patterns hears by what is
    /// returned what the venue trades.
    pub fn add(
        &mut self,
        origin: Origin,
        recorder: Recorder,
        desk: Option<&Arc<Desk>>,
        patterns: bool,
    ) -> watch::Receiver<List> {
        self.feeds.push((Arc::new(origin), recorder));
        let new = |desk: &&Arc<Desk>| !self.desks.iter().any(|known| Arc::ptr_eq(known, desk));
        self.desks.extend(desk.filter(new).cloned());
        self.lists |= patterns;
        self.list.subscribe()
    }

    /// Asks until told to stop.
    pub async fn keep(self, mut stopping: Stopping) {
        tokio::select! {
            () = self.ask_for_ever() => {}
            () = stopping.stopped() => {}
        }
    }

    async fn ask_for_ever(self) {
        let mut doubts: Vec<_> = self.desks.iter().map(|desk| desk.doubts()).collect();
        let (mut wait, mut wrong) = (AGAIN, false);
        loop {
            let asked = self.look_at_clock(&mut wrong).await.and(self.look_at_products().await);
            let next = Instant::now() + if asked.is_ok() { EVERY } else { wait };
            wait = if asked.is_ok() { AGAIN } else { (wait * 2).min(EVERY) };
            loop {
                let index = tokio::select! {
                    () = sleep_until(next) => break,
                    index = doubted(&mut doubts) => index,
                };
                self.look_into(&self.desks[index], &mut wrong).await;
                sleep_until(Instant::now() + BETWEEN_DOUBTS).await;
            }
        }
    }

    /// Measures; a clock that is wrong is said and recorded each time, and one that is right again is too.
    async fn look_at_clock(&self, wrong: &mut bool) -> Result<(), RestError> {
        let measured = self.client.time(self.rest, &self.base).await;
        let offset = match measured {
            Ok(offset) => offset,
            Err(error) => {
                tracing::debug!("the venue's clock can not be asked: {error}");
                return Err(error);
            }
        };
        for desk in &self.desks {
            desk.known(|known| known.offset = Some(offset));
        }
        let was = std::mem::replace(wrong, offset.is_notable());
        let (event, offset_ms, base) = ("clock", offset.ms, &self.base);
        match (was, *wrong) {
            (_, true) => tracing::warn!(
                %event, offset_ms,
                "this machine's clock is {offset}, by {base}: signatures are made by the venue's clock, and receive times are \
                 wrong by as much; `timedatectl` says whether it is synchronised"
            ),
            (true, false) => {
                tracing::info!(%event, offset_ms, "this machine's clock is right again: {offset}, by {base}");
            }
            (false, false) => tracing::debug!(%event, offset_ms, "this machine's clock is {offset}, by {base}"),
        }
        if was || *wrong {
            self.record(offset).await;
        }
        Ok(())
    }

    async fn record(&self, offset: Offset) {
        for (origin, recorder) in &self.feeds {
            let event = Event::Clock { offset, signing: offset.is_notable() && !self.desks.is_empty() };
            // An output that is gone is told of by the writer; there is nobody left to read this.
            let _ = recorder.event(origin, self.clock.now(), event, || ()).await;
        }
    }

    async fn look_at_products(&self) -> Result<(), RestError> {
        if !self.lists {
            return Ok(());
        }
        match self.client.products(self.rest, &self.base, None).await {
            Ok(products) => {
                tracing::debug!(products = products.len(), "the venue told what it trades");
                self.list.send_replace(Some(products.into()));
                Ok(())
            }
            Err(error) => {
                let known = self.list.borrow().is_some();
                let then = if known { "the last one holds" } else { "feeds with patterns wait for it" };
                tracing::warn!("the venue's list of products can not be had: {error}; {then}, and it is asked again");
                Err(error)
            }
        }
    }

    /// A key was refused: is it the clock, and does REST refuse it too?
    async fn look_into(&self, desk: &Desk, wrong: &mut bool) {
        // The next signature goes out within a second, and what is found out is to be there by then.
        let (_, answer) = join(self.look_at_clock(wrong), self.client.permissions(self.rest, &self.base, desk)).await;
        let said = RestSaid::from(answer);
        tracing::debug!(credentials = desk.credentials().name(), "asked by REST, the venue says of the key: {said}");
        desk.known(|known| known.heard(said));
    }
}

/// Which of them was refused.
async fn doubted(doubts: &mut [watch::Receiver<u64>]) -> usize {
    let changes: Vec<BoxFuture<'_, _>> = doubts.iter_mut().map(|doubt| doubt.changed().boxed()).collect();
    if changes.is_empty() {
        return pending().await;
    }
    // A desk lives as long as its inquiry, so that none is ever closed.
    let (_, index, _) = select_all(changes).await;
    index
}
