//! Drives one session over one WebSocket: the session's hands. A message is queued for output before the session looks at
//! it, and a connection ends in an [`Ending`], never in `Ok`.

mod answered;
mod closing;
mod reading;
mod stall;
mod taking;
mod telling;

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use futures::SinkExt;
use tokio::{sync::watch, task::unconstrained, time::sleep_until};
use tokio_tungstenite::tungstenite::{self, Message};

use self::{
    answered::Answered,
    stall::Stall,
    telling::{Said, Teller},
};
use crate::{
    feed::{Context, outage::Outage},
    net::Socket,
    record::{Event, Origin},
    session::{Action, Ask, Cause, Ending, Found, Session, Told},
    status::{Place, State},
    venue::{Channel, Subscribe, Venue},
};

/// How long a frame of ours, some tens of kilobytes at most, may take to leave: the limit on every send.
const SEND_WITHIN: Duration = Duration::from_secs(5);

/// A wake-up that is later than this was no doing of the venue's: the process was stopped, or the machine asleep.
const LATE: Duration = Duration::from_secs(1);

/// One open WebSocket with its conversation.
pub(super) struct Connection<'a> {
    socket: Socket,
    session: Session,
    venue: &'static Venue,
    origin: Arc<Origin>,
    context: &'a Context,
    place: &'a Place,
    /// What it is to carry.
    carries: watch::Receiver<Vec<Subscribe>>,
    came: Came,
    ask: Option<Ask>,
    /// A pre-hash that must wait for the next second is not signed before this.
    not_before: Instant,
    /// Since when a frame of ours waits to leave.
    leaving: Option<Leaving>,
    stall: Stall,
    answered: Answered,
    said: Said,
    /// When data came last.
    data_at: Option<Instant>,
}

/// When what is handled now came. A read brings hundreds of messages: clocks are looked at once for all of them.
struct Came {
    /// Bytes since the handshake, these included.
    bytes: u64,
    /// When they came off the socket, by the wall clock...
    recv: SystemTime,
    /// ...and by the other, later where the output stalled since.
    now: Instant,
    /// The channel of the last data among them: the next is most often of the same.
    heard: Option<&'static Channel>,
}

struct Leaving {
    since: Instant,
    subscribe: bool,
}

/// What woke the loop.
enum Turn {
    Message(Option<Result<Message, tungstenite::Error>>),
    Left(Result<(), tungstenite::Error>),
    Paced,
    Clock,
    Changed,
    Stop,
}

impl<'a> Connection<'a> {
    /// Takes a socket whose handshake is done.
    #[must_use]
    pub fn new(
        socket: Socket,
        session: Session,
        origin: Arc<Origin>,
        context: &'a Context,
        place: &'a Place,
        carries: watch::Receiver<Vec<Subscribe>>,
    ) -> Self {
        Self {
            socket,
            session,
            venue: context.feed.venue,
            origin,
            context,
            place,
            carries,
            came: Came { bytes: 0, recv: context.clock.now(), now: now(), heard: None },
            ask: None,
            not_before: now(),
            leaving: None,
            stall: Stall::default(),
            answered: Answered::NotYet,
            said: Said::default(),
            data_at: None,
        }
    }

    /// Runs the conversation to its end. The outage is over when the venue delivers and has answered everything, unless that is
    /// that it refuses all.
    pub async fn run(mut self, outage: &mut Outage) -> (Ending, Session) {
        let ending = loop {
            if let Some(ending) = self.obey().await {
                break ending;
            }
            self.announce(outage);
            if let Some(ending) = self.turn().await {
                break ending;
            }
        };
        let mut ending = unconstrained(self.close(ending)).await;
        if let (Cause::Closed | Cause::Lost, Some(complaint), "") =
            (ending.cause, self.session.complaint(now()), &*ending.detail)
        {
            ending.detail = complaint.replace(char::is_control, " ");
        }
        (self.last_words(ending).await, self.session)
    }

    /// Does all that the session wants done.
    async fn obey(&mut self) -> Option<Ending> {
        self.look_at_clocks();
        let now = self.came.now;
        self.session.handle_timeout(now);
        if self.leaving.as_ref().is_some_and(|leaving| leaving.since + SEND_WITHIN <= now) {
            return Some(Cause::SendTimeout.into());
        }
        while let Some(action) = self.session.poll(now) {
            match action {
                Action::Ask(ask) => self.ask = Some(ask),
                Action::Ping => {
                    if let Err(error) = self.send(Message::Ping(Bytes::new()), false) {
                        return Some(self.ended(error).await);
                    }
                }
                Action::Tell(told) => self.tell(told).await,
                Action::End(cause) => return Some(self.given_up(cause)),
            }
        }
        self.place.heard_by(self.wake_at());
        if let Some(state) = self.state() {
            self.place.is(state);
        }
        self.place.data_at(self.data_at);
        None
    }

    pub(super) fn look_at_clocks(&mut self) {
        let (bytes, last) = self.socket.get_ref().received();
        self.came = Came { bytes, recv: self.context.clock.now(), now: now(), heard: None };
        self.session.handle_bytes(bytes, last.into_std());
    }

    /// Waits for something to happen, and handles it.
    async fn turn(&mut self) -> Option<Ending> {
        let wake = self.wake_at();
        let late = |now: Instant| now.checked_duration_since(wake).filter(|late| *late >= LATE);
        let mut stopping = self.context.stopping.clone();
        let pace = &self.context.subscribes;
        let asks = self.ask.as_ref().filter(|_| self.leaving.is_none() && self.not_before <= now());
        let (may_ask, urgent) = (asks.is_some(), asks.is_some_and(|ask| ask.first));
        let (socket, leaving, carries) = (&mut self.socket, self.leaving.is_some(), &mut self.carries);
        // By rank and not by lot, so that the same hour can be played again. Each of the first is rare and is used up by being
        // heard; the clock is looked at in every turn, whatever woke it.
        let turn = tokio::select! {
            biased;
            () = stopping.stopped() => Turn::Stop,
            Ok(()) = carries.changed() => Turn::Changed,
            () = pace.pass(urgent), if may_ask => Turn::Paced,
            turn = reading::next(socket, leaving) => turn,
            () = sleep_until(wake.into()) => Turn::Clock,
        };
        if let Some(late) = late(now()) {
            self.excuse(late);
        }
        match turn {
            // Tokio's budget, which would say "not yet" after 128 reads, is for those who take no care of it.
            Turn::Message(message) => unconstrained(self.take(message)).await,
            Turn::Left(Ok(())) => {
                if self.leaving.take().is_some_and(|leaving| leaving.subscribe) {
                    self.session.sent(now());
                }
                None
            }
            Turn::Left(Err(error)) => Some(self.ended(error).await),
            Turn::Paced => self.sign_and_send().await,
            Turn::Clock => None,
            Turn::Changed => self.change(),
            Turn::Stop => Some(Cause::Stopped.into()),
        }
    }

    fn wake_at(&self) -> Instant {
        let leaving = self.leaving.as_ref().map(|leaving| leaving.since + SEND_WITHIN);
        let asking = self.ask.map(|_| self.not_before).filter(|at| *at > now());
        [leaving, asking].into_iter().flatten().fold(self.session.deadline(), Instant::min)
    }

    async fn record(&mut self, recv: SystemTime, event: Event) {
        self.record_at(self.origin.account.totals().received, recv, event).await;
    }

    /// An event that stands for the message of this number, or before it.
    async fn record_at(&mut self, n: u64, recv: SystemTime, event: Event) {
        let mut before = None;
        let stalling = || before = Some(self.place.stalls(now()));
        // An output that is gone is told of by the writer; there is nobody left to read this.
        if let Ok(stall) = self.context.recorder.event(&self.origin, n, recv, event, stalling).await {
            self.note_stall(stall, before);
        }
    }

    fn note_stall(&mut self, stall: Duration, before: Option<State>) {
        let Some(before) = before else { return };
        self.came.now = now();
        self.place.is(before);
        self.excuse(stall);
        if self.stall.note(stall, self.came.now) {
            tracing::info!(
                feed = %self.origin.feed, conn = %self.origin,
                "the reader of the output is slower than the feed, which waits for it: the venue may close"
            );
        }
    }

    /// Clocks that ran while we did not read are set on by as much.
    fn excuse(&mut self, by: Duration) {
        self.session.shift(by);
        if let Some(leaving) = &mut self.leaving {
            leaving.since += by;
        }
    }

    /// The leg carries something else from now on. One that has nothing left ends as politely as one that is stopped.
    fn change(&mut self) -> Option<Ending> {
        let leg = self.carries.borrow_and_update().clone();
        if leg.is_empty() {
            return Some(Ending { detail: "none of its products is left".into(), ..Cause::Stopped.into() });
        }
        self.session.change(&leg);
        None
    }

    async fn sign_and_send(&mut self) -> Option<Ending> {
        let ask = self.ask?;
        let subscribe = self.session.subscribe(&ask);
        let text = match (&self.context.desk, ask.signed) {
            (Some(desk), true) => match desk.sign(self.venue, subscribe, &self.context.clock, &self.context.random) {
                Ok(text) => text,
                Err(wait) => {
                    self.not_before = now() + wait.0;
                    return None;
                }
            },
            _ => (self.venue.write)(subscribe, None).text,
        };
        self.ask = None;
        match self.send(Message::text(text), true) {
            Ok(()) => None,
            Err(error) => Some(self.ended(error).await),
        }
    }

    /// Puts a frame on its way; the loop sees it off. A ping that meets one waiting goes with it.
    fn send(&mut self, message: Message, subscribe: bool) -> Result<(), tungstenite::Error> {
        self.socket.start_send_unpin(message)?;
        let waiting = self.leaving.get_or_insert_with(|| Leaving { since: now(), subscribe });
        waiting.subscribe |= subscribe;
        Ok(())
    }

    async fn tell(&mut self, told: Told) {
        let recv = self.came.recv;
        let again = self.said.again(&told, self.came.now);
        let is_hole = matches!(&told, Told::Gap(gap) if matches!(gap.found, Found::Hole | Found::Back));
        let unsaid = self.said.take_unsaid(again || !is_hole);
        let (context, origin, stance) = (self.context, &self.origin, self.session.stance());
        let teller = Teller { context, origin, stance, again, unsaid };
        let Some(event) = teller.tell(told) else { return };
        if let Event::Refused { verdict, .. } = &event {
            self.place.refused(verdict);
        }
        let wanted = teller.wanted(&event);
        self.record(recv, event).await;
        // Behind the gap's own line, whatever becomes of it.
        if let (Some(refill), Some(wanted)) = (&self.context.refill, wanted) {
            refill.wants(wanted);
        }
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
