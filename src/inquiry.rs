//! What no WebSocket says, asked by REST: the venue's time at start and each hour, what it trades where a feed names
//! patterns, and, when it refuses a key, what else it has against it.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::{BoxFuture, FutureExt, join, join3, pending, select_all};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    backoff::Backoff,
    clock::{Clock, Reading},
    desk::Desk,
    output::Recorder,
    random::Random,
    record::{Event, Origin},
    rest::{Client, RestError},
    shutdown::Stopping,
    status::Board,
    venue::{Listed, Offset, Rest},
    verdict::RestSaid,
};

/// A clock drifts by seconds a day at worst, and products are listed some a week.
const EVERY: Duration = Duration::from_secs(3600);

/// Between two looks at whether the clock was set: receive times are wrong unsaid for no longer.
const LOOK: Duration = Duration::from_secs(10);

/// The first try after one that failed; each later one after twice as long, up to [`EVERY`].
const AGAIN: Duration = Duration::from_secs(10);

/// Between two looks into refusals: fifty connections with one key are refused within a second, and mean one thing.
const BETWEEN_DOUBTS: Duration = Duration::from_secs(5);

/// A list that lacks so many of what was listed before, and more than a tenth of it, is believed when it comes twice: a venue
/// delists some products a week, and an answer that was cut off lacks hundreds.
const MANY: usize = 10;

/// What is known of what the venue trades.
#[derive(Clone, Debug, Default)]
pub enum List {
    /// It has not been told yet.
    #[default]
    Awaited,
    /// It could not be had, and why; it is asked again.
    Failed(String),
    /// As the venue told it last.
    Known(Arc<[Listed]>),
}

/// What a measurement of our clock brings.
#[derive(Clone, Copy, PartialEq, Eq)]
enum News {
    Wrong,
    Moved,
    StillWrong,
    Right,
    None,
}

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
    board: Board,
    random: Random,
    /// What was recorded of our clock last.
    recorded: Mutex<Option<Offset>>,
}

impl Inquiry {
    /// Asks for nobody yet, at `base`, by the machine's `clock`; the board shows a clock that is wrong.
    #[must_use]
    pub fn new(client: Client, rest: &'static Rest, base: &str, clock: Clock, random: Random, board: Board) -> Self {
        Self {
            client,
            rest,
            base: base.to_owned(),
            clock,
            desks: Vec::new(),
            feeds: Vec::new(),
            list: watch::Sender::default(),
            lists: false,
            board,
            random,
            recorded: Mutex::default(),
        }
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

    /// Asks until told to stop. One question that is not answered holds no other up.
    pub async fn keep(self, mut stopping: Stopping) {
        tokio::select! {
            () = join3(self.keep_clock(), self.keep_list(), self.keep_keys()).map(drop) => {}
            () = stopping.stopped() => {}
        }
    }

    async fn keep_clock(&self) {
        let mut wait = AGAIN;
        loop {
            let next = match self.look_at_clock(true).await {
                Ok(_) => {
                    wait = AGAIN;
                    EVERY
                }
                Err(error) => again(&mut wait, &error),
            };
            let _ = timeout(next, self.step()).await;
        }
    }

    /// Until the wall clock is set: what is received from then on has other times, and what signs nothing would not see it.
    async fn step(&self) {
        let reading = Reading::of(&self.clock);
        while !reading.has_stepped(self.clock.now()) {
            sleep(LOOK).await;
        }
    }

    /// While no list is known feeds stand still for it, and it is asked for as connections are; later there is time.
    async fn keep_list(&self) {
        if !self.lists {
            return pending().await;
        }
        let (mut backoff, mut wait, mut lacking) = (Backoff::default(), AGAIN, false);
        loop {
            let known = match &*self.list.borrow() {
                List::Known(listed) => Some(listed.clone()),
                List::Awaited | List::Failed(_) => None,
            };
            let next = match (self.client.products(self.rest, &self.base, None).await, known) {
                (Ok(listed), Some(known)) if !lacking && lacks_many(&known, &listed) => {
                    let (now, before) = (listed.len(), known.len());
                    tracing::warn!(
                        now,
                        before,
                        "the venue lists far fewer products: none is let go until it says so again"
                    );
                    lacking = true;
                    AGAIN
                }
                (Ok(listed), _) => {
                    tracing::debug!(products = listed.len(), "the venue told what it trades");
                    self.list.send_replace(List::Known(listed.into()));
                    (wait, lacking) = (AGAIN, false);
                    EVERY
                }
                (Err(error), None) => {
                    let next = backoff.next(self.random.fraction(), error.retry_after());
                    self.list.send_replace(List::Failed(format!("the venue's list of products: {error}")));
                    next
                }
                (Err(error), Some(_)) => {
                    if wait == AGAIN {
                        tracing::warn!("the venue's list of products can not be had: {error}; the last one holds");
                    }
                    again(&mut wait, &error)
                }
            };
            sleep(next).await;
        }
    }

    async fn keep_keys(&self) {
        let mut doubts: Vec<_> = self.desks.iter().map(|desk| (&**desk, desk.doubts())).collect();
        loop {
            let index = doubted(&mut doubts).await;
            self.look_into(doubts[index].0).await;
            sleep(BETWEEN_DOUBTS).await;
            // Whoever was looked into stands last then: one in endless doubt keeps nobody from being heard.
            let (desk, doubt) = doubts.remove(index);
            doubts.push((desk, doubt));
        }
    }

    /// Measures. A clock that has become wrong, or right, is said and recorded; one that is still wrong each hour. Whether it
    /// has become wrong, or wrong by another amount.
    async fn look_at_clock(&self, hourly: bool) -> Result<bool, RestError> {
        let measured = self.client.time(self.rest, &self.base).await;
        let offset = measured.inspect_err(|error| tracing::debug!("the venue's clock can not be asked: {error}"))?;
        for desk in &self.desks {
            desk.heard_clock(offset, &self.clock);
        }
        self.board.measured(offset);
        self.board.clock(offset.is_notable().then_some(offset));
        let (event, offset_ms, base) = ("clock", offset.ms, &self.base);
        let signed = if self.desks.is_empty() { "" } else { "signatures are made by the venue's clock, and " };
        let news = self.compare(offset, hourly);
        match news {
            News::Wrong => tracing::warn!(
                %event, offset_ms,
                "this machine's clock is {offset}, by {base}: {signed}receive times are wrong by as much; `timedatectl` says \
                 whether it is synchronised"
            ),
            News::Moved => tracing::warn!(%event, offset_ms, "this machine's clock is {offset} now, by {base}"),
            News::StillWrong => tracing::warn!(%event, offset_ms, "this machine's clock is still {offset}, by {base}"),
            News::Right => {
                tracing::info!(%event, offset_ms, "this machine's clock is right again: {offset}, by {base}");
            }
            News::None => tracing::debug!(%event, offset_ms, "this machine's clock is {offset}, by {base}"),
        }
        if news != News::None {
            self.record(offset).await;
        }
        Ok(matches!(news, News::Wrong | News::Moved))
    }

    /// What is new of it since it was recorded last. Whoever sets receive times right by the record must find there by how much.
    fn compare(&self, offset: Offset, hourly: bool) -> News {
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        let before = recorded.filter(Offset::is_notable);
        let news = match (before, offset.is_notable()) {
            (None, true) => News::Wrong,
            (Some(before), true) if offset.differs(&before) => News::Moved,
            (Some(_), true) if hourly => News::StillWrong,
            (Some(_), false) => News::Right,
            _ => News::None,
        };
        if news != News::None {
            *recorded = Some(offset);
        }
        news
    }

    async fn record(&self, offset: Offset) {
        for (origin, recorder) in &self.feeds {
            let event = Event::Clock { offset, signing: offset.is_notable() && !self.desks.is_empty() };
            // An output that is gone is told of by the writer; there is nobody left to read this.
            let _ = recorder.event(origin, origin.account.totals().received, self.clock.now(), event, || ()).await;
        }
    }

    /// A key was refused: is it the clock, and does REST refuse it too?
    async fn look_into(&self, desk: &Desk) {
        let incident = desk.incident();
        let permissions = || self.client.permissions(self.rest, &self.base, desk);
        // The next signature goes out within a second, and what is found out is to be there by then.
        let (clock, mut answer) = join(self.look_at_clock(false), permissions()).await;
        if matches!(clock, Ok(true)) && answer.is_err() {
            // That was signed by the wrong clock.
            answer = permissions().await;
        }
        let said = RestSaid::from(answer);
        tracing::debug!(credentials = desk.credentials().name(), "asked by REST, the venue says of the key: {said}");
        desk.heard_rest(said, incident);
    }
}

/// How long to wait after this failure, and that twice as long the next time; what the venue asks for is kept, up to an hour.
fn again(wait: &mut Duration, error: &RestError) -> Duration {
    let next = (*wait).max(error.retry_after().unwrap_or_default());
    *wait = (*wait * 2).min(EVERY);
    next.min(EVERY)
}

/// Whether so much of what is known is missing that the list may have been cut off.
fn lacks_many(known: &[Listed], listed: &[Listed]) -> bool {
    let there: HashSet<_> = listed.iter().map(|listed| &listed.id).collect();
    let gone = known.iter().filter(|known| !there.contains(&known.id)).count();
    gone > MANY && gone * 10 > known.len()
}

/// Which of them is in doubt.
async fn doubted(doubts: &mut [(&Desk, watch::Receiver<u64>)]) -> usize {
    let changes: Vec<BoxFuture<'_, _>> = doubts.iter_mut().map(|(_, doubt)| doubt.changed().boxed()).collect();
    if changes.is_empty() {
        return pending().await;
    }
    // A desk lives as long as its inquiry, so that none is ever closed.
    let (_, index, _) = select_all(changes).await;
    index
}
