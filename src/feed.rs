//! Keeps one leg of a feed alive: dial, run, back off, again, for ever.

mod connection;
mod outage;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::time::sleep;

use self::{connection::Connection, outage::Outage};
use crate::{
    account::Account,
    backoff::Backoff,
    clock::Clock,
    config::Feed,
    desk::Desk,
    net::{self, DIAL_WITHIN, Dial, DialError, Dialled},
    output::Recorder,
    pace::Pace,
    random::Random,
    record::{Event, Origin},
    session::{Cause, Ending, IfRefused, Session, Stance},
    shutdown::Stopping,
    status::{Place, State},
    venue::Subscribe,
};

/// With credentials refused and `if_refused = "wait"`, the first wait; it doubles...
const REFUSED_FIRST: Duration = Duration::from_secs(10);

/// ...up to this: a key that was enabled again is found within ten minutes.
const REFUSED_LONGEST: Duration = Duration::from_secs(600);

/// What the legs of one feed share.
pub struct Context {
    /// What is to be kept alive.
    pub feed: Feed,
    /// Who signs for it.
    pub desk: Option<Arc<Desk>>,
    /// Who opens connections.
    pub dial: Arc<dyn Dial>,
    /// Where messages go.
    pub recorder: Recorder,
    /// The rate of connects, over the process.
    pub connects: Arc<Pace>,
    /// The rate of subscribes, over the process.
    pub subscribes: Arc<Pace>,
    /// The time of day.
    pub clock: Clock,
    /// Nonces and jitter.
    pub random: Random,
    /// This run, over all feeds.
    pub run: Arc<Run>,
    /// When to stop.
    pub stopping: Stopping,
}

/// One run of the process.
#[derive(Debug)]
pub struct Run {
    /// Its random id.
    pub id: u32,
    /// Connections made so far.
    pub connections: AtomicU64,
    /// What all of them received, and what became of it.
    pub account: Arc<Account>,
}

impl Run {
    /// A run that has made no connection yet.
    #[must_use]
    pub fn new(random: &Random) -> Self {
        let [a, b, c, d, ..] = random.bytes();
        Self { id: u32::from_le_bytes([a, b, c, d]), connections: AtomicU64::new(0), account: Arc::default() }
    }

    fn connect(&self, feed: &str) -> Origin {
        Origin {
            feed: feed.into(),
            run: self.id,
            count: self.connections.fetch_add(1, Relaxed) + 1,
            account: Account::default(),
            run_account: self.account.clone(),
        }
    }
}

/// Keeps one leg alive until told to stop.
pub async fn keep_alive(context: Arc<Context>, leg: Vec<Subscribe>, place: Place) {
    let mut stopping = context.stopping.clone();
    let mut leg = Leg {
        subscribes: leg,
        stance: Stance::new(context.desk.is_some()),
        backoff: Backoff::default(),
        refused_wait: REFUSED_FIRST,
        outage: Outage::new(&context.feed.name, now()),
        context: &context,
        place: &place,
    };
    while !stopping.is_stopping() {
        let dialled = tokio::select! {
            dialled = leg.dial() => dialled,
            () = stopping.stopped() => break,
        };
        let wait = match dialled {
            Ok(dialled) => leg.converse(dialled).await,
            Err(error) => leg.give_up(&error),
        };
        place.heard_by(now() + wait);
        tokio::select! {
            () = sleep(wait) => {}
            () = stopping.stopped() => {}
        }
    }
    place.retire();
}

/// One leg over all of its connections.
struct Leg<'a> {
    subscribes: Vec<Subscribe>,
    stance: Stance,
    backoff: Backoff,
    refused_wait: Duration,
    outage: Outage,
    context: &'a Context,
    place: &'a Place,
}

impl Leg<'_> {
    async fn dial(&mut self) -> Result<Dialled, DialError> {
        self.place.heard_by(now() + DIAL_WITHIN);
        self.outage.attempt();
        self.context.connects.pass(false).await;
        self.place.heard_by(now() + DIAL_WITHIN);
        net::dial(&*self.context.dial, &self.context.feed.url).await
    }

    /// No connection: how long to wait before the next try.
    fn give_up(&mut self, error: &DialError) -> Duration {
        let wait = self.backoff.next(self.context.random.fraction(), error.retry_after());
        self.down(&error.to_string(), None);
        wait
    }

    /// One connection from the end of its handshake to its own end: how long to wait before the next.
    async fn converse(&mut self, dialled: Dialled) -> Duration {
        let Context { feed, run, .. } = self.context;
        let origin = Arc::new(run.connect(&feed.name));
        tracing::debug!(feed = %feed.name, conn = %origin, event = %"connected", peer = dialled.peer);
        let connected = Event::Connected { url: feed.url.clone(), peer: dialled.peer, attempt: self.outage.attempts() };
        self.record(&origin, connected).await;

        // A queue that was full is no time that the venue had.
        let begun = now();
        let session = Session::new(feed.venue, &self.subscribes, feed.if_refused, self.stance.clone(), begun);
        let connection = Connection::new(dialled.socket, session, origin.clone(), self.context, self.place);
        let outage = &mut self.outage;
        let (ending, session) = connection.run(|missing| outage.over(&origin, missing, now())).await;

        let lasted = now().duration_since(begun);
        let delivered = session.has_delivered();
        let disconnected =
            Event::Disconnected { ending: ending.clone(), last_sequence: session.last_sequence(), lasted };
        self.record(&origin, disconnected.clone()).await;
        self.stance = session.stance().clone();
        if ending.cause != Cause::Stopped {
            self.down(&ending.to_string(), Some((&origin, &disconnected)));
        }
        if delivered {
            self.backoff.reset();
            self.refused_wait = REFUSED_FIRST;
        }
        self.wait_after(&ending)
    }

    async fn record(&self, origin: &Arc<Origin>, event: Event) {
        let Context { clock, recorder, .. } = self.context;
        let mut before = None;
        let stalling = || before = Some(self.place.stalls(now()));
        // An output that is gone is told of by the writer; there is nobody left to read this.
        let _ = recorder.event(origin, clock.now(), event, stalling).await;
        if let Some(before) = before {
            self.place.is(before);
        }
    }

    fn wait_after(&mut self, ending: &Ending) -> Duration {
        if self.context.feed.if_refused == IfRefused::Wait && self.stance.is_refused() && ending.cause != Cause::Stopped
        {
            // The next connection signs again: asking is how it is found out.
            self.stance.sign_again();
            let wait = self.refused_wait;
            self.refused_wait = (wait * 2).min(REFUSED_LONGEST);
            return wait;
        }
        self.backoff.next(self.context.random.fraction(), None)
    }

    fn down(&mut self, why: &str, of: Option<(&Origin, &Event)>) {
        let since = self.outage.begins(why, of, now());
        self.place.is(State::Down { since, why: why.to_owned() });
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
