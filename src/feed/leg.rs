//! Keeps one leg of a feed alive: dial, converse, back off, again, until told to stop or nothing is left to carry.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{sync::watch, time::sleep};

use super::{
    Context,
    connection::Connection,
    now,
    outage::{Outage, Told},
};
use crate::{
    backoff::Backoff,
    net::{self, DIAL_WITHIN, DialError, Dialled},
    record::{Event, Origin},
    session::{Cause, Ending, IfRefused, Session, Stance},
    status::{Place, State},
    venue::Subscribe,
};

/// With credentials refused and `if_refused = "wait"`, the first wait; it doubles...
const REFUSED_FIRST: Duration = Duration::from_secs(10);

/// ...up to this: a key that was enabled again is found within ten minutes.
const REFUSED_LONGEST: Duration = Duration::from_secs(600);

/// Keeps one leg alive until told to stop, or until what it is to carry is empty.
pub(super) async fn keep_alive(context: Arc<Context>, mut carries: watch::Receiver<Vec<Subscribe>>, place: Place) {
    let mut stopping = context.stopping.clone();
    let mut leg = Leg {
        carries: carries.clone(),
        stance: Stance::new(context.desk.is_some()),
        backoff: Backoff::default(),
        refused_wait: REFUSED_FIRST,
        astray: false,
        outage: Outage::new(&context.feed.name, now()),
        last: None,
        context: &context,
        place: &place,
    };
    while !stopping.is_stopping() && !carries.borrow().is_empty() {
        let dialled = tokio::select! {
            biased;
            dialled = leg.dial() => dialled,
            () = stopping.stopped() => break,
            () = emptied(&mut carries) => break,
        };
        let wait = match dialled {
            Ok(dialled) => leg.converse(dialled).await,
            Err(error) => leg.give_up(&error),
        };
        place.heard_by(now() + wait);
        tokio::select! {
            biased;
            () = sleep(wait) => {}
            () = stopping.stopped() => {}
            () = emptied(&mut carries) => {}
        }
    }
    if stopping.is_stopping() {
        leg.tell_what_is_open().await;
        place.retire();
    } else {
        place.leave();
    }
}

/// Until nothing is left to carry.
async fn emptied(carries: &mut watch::Receiver<Vec<Subscribe>>) {
    if carries.wait_for(Vec::is_empty).await.is_err() {
        // Whoever could change it is gone.
        std::future::pending::<()>().await;
    }
}

/// One leg over all of its connections.
struct Leg<'a> {
    carries: watch::Receiver<Vec<Subscribe>>,
    stance: Stance,
    backoff: Backoff,
    refused_wait: Duration,
    /// The next try is at the failover.
    astray: bool,
    outage: Outage,
    /// The last connection, and whether it stood until it was told to stop.
    last: Option<(Arc<Origin>, bool)>,
    context: &'a Context,
    place: &'a Place,
}

impl Leg<'_> {
    async fn dial(&mut self) -> Result<Dialled, DialError> {
        self.place.heard_by(now() + DIAL_WITHIN);
        self.outage.attempt();
        self.context.connects.pass(false).await;
        self.place.heard_by(now() + DIAL_WITHIN);
        net::dial(&*self.context.dial, self.url()).await
    }

    fn url(&self) -> &str {
        let feed = &self.context.feed;
        feed.failover.as_ref().filter(|_| self.astray).unwrap_or(&feed.url)
    }

    /// No connection: how long to wait before the next try.
    fn give_up(&mut self, error: &DialError) -> Duration {
        let wait = self.backoff.next(self.context.random.fraction(), error.retry_after());
        self.astray = !self.astray;
        self.context.run.annals(&self.context.feed.name).0.failed();
        self.down(&error.to_string(), None, None);
        wait
    }

    /// One connection from the end of its handshake to its own end: how long to wait before the next.
    async fn converse(&mut self, dialled: Dialled) -> Duration {
        let Context { feed, run, .. } = self.context;
        // What changes from here on the connection hears of, however long its first event waits for room.
        let carried = self.carries.borrow_and_update().clone();
        if carried.is_empty() {
            // It was emptied while the way was being opened, and nothing is said on it.
            return Duration::ZERO;
        }
        let origin = Arc::new(run.connect(&feed.name));
        tracing::debug!(feed = %feed.name, conn = %origin, event = %"connected", peer = dialled.peer);
        let url = self.url().to_owned();
        if self.astray && feed.failover.is_some() {
            tracing::info!(feed = %feed.name, conn = %origin, "{} did not carry it: its failover {url} does, until this connection ends", feed.url);
        }
        let connected = Event::Connected { url, peer: dialled.peer, attempt: self.outage.attempts() };
        self.record(&origin, connected).await;

        // A queue that was full is no time that the venue had.
        let begun = now();
        let session = Session::new(feed.venue, &carried, feed.if_refused, self.stance.clone(), begun);
        let changes = self.carries.clone();
        let connection = Connection::new(dialled.socket, session, origin.clone(), self.context, self.place, changes);
        let (ending, session) = connection.run(&mut self.outage).await;

        let lasted = now().duration_since(begun);
        let delivered = session.has_delivered();
        let disconnected =
            Event::Disconnected { ending: ending.clone(), last_sequence: session.last_sequence(), lasted };
        self.record(&origin, disconnected.clone()).await;
        self.stance = session.into_stance();
        self.last = Some((origin.clone(), ending.cause == Cause::Stopped));
        if ending.cause != Cause::Stopped {
            let data = || Value::Object(disconnected.data(&origin.account)).to_string();
            let told = Told { name: disconnected.name(), data: self.context.recorder.records_events().then(data) };
            self.down(&ending.to_string(), Some(&origin), Some(told));
        }
        // What works is kept while it does; then the first choice is tried again, and the other where that brings nothing.
        self.astray = !delivered && !self.astray;
        if delivered {
            self.backoff.delivered(lasted);
            self.refused_wait = REFUSED_FIRST;
        }
        self.wait_after(&ending)
    }

    /// What has not gone on since a connection ended was missed until now, or may have been.
    async fn tell_what_is_open(&self) {
        let Some((origin, stood)) = &self.last else { return };
        for gap in self.stance.coverage.open(*stood) {
            origin.gap();
            self.record(origin, Event::Gap(gap)).await;
        }
    }

    async fn record(&self, origin: &Arc<Origin>, event: Event) {
        let Context { clock, recorder, .. } = self.context;
        let mut before = None;
        let stalling = || before = Some(self.place.stalls(now()));
        // An output that is gone is told of by the writer; there is nobody left to read this.
        let n = origin.account.totals().received;
        let _ = recorder.event(origin, n, clock.now(), event, stalling).await;
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

    fn down(&mut self, why: &str, of: Option<&Origin>, event: Option<Told>) {
        let since = self.outage.begins(why, of, event, now());
        self.place.is(State::Down { since, why: why.to_owned() });
    }
}
