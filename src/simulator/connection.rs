//! One client's connection: reads and writes at the same time, so that a client who reads slowly is still heard, and
//! holds no more for it than one turn's messages.

mod ending;
mod hearing;
mod playing;

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, sleep_until},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, Utf8Bytes},
};
use tracing::info;

use super::{
    Ending, Observed, Simulator,
    counterpart::{Letter, Sends, Session},
    dice::Dice,
    faults::{Fault, Plan},
    mishaps::{Fate, Mishaps},
    outbox::Outbox,
    wire::Wire,
};
use playing::Player;

/// The venue closes what has not subscribed by then.
const SUBSCRIBE_WITHIN: Duration = Duration::from_secs(5);
/// A reader that takes nothing for so long is cut off: the venue's `ErrSlowConsume`.
const SLOW: Duration = Duration::from_secs(30);
/// The venue closes after 60 to 90 s without an update; heartbeats keep a connection.
const IDLE: Duration = Duration::from_secs(75);
/// A recording starts when no further subscribe came for this long: clients keep to 8 a second.
const GATHERED: Duration = Duration::from_millis(500);
/// For the client's half of a closing handshake.
const GOODBYE: Duration = Duration::from_secs(5);
/// While so many messages wait for a slow reader, it is not asked what else it wants.
const WAITING: usize = 64;

/// One connection after its upgrade.
pub(super) struct Connection<'a, S> {
    number: u64,
    simulator: &'a Simulator,
    socket: WebSocketStream<Wire<S>>,
    session: Box<dyn Session>,
    plan: Plan,
    mishaps: Mishaps,
    outbox: Outbox,
    role: Role,
    born: Instant,
    subscribed: bool,
    /// Complete messages given to the socket.
    sent: u64,
    last_sent: Instant,
    flushed: bool,
}

/// Where what it sends comes from.
enum Role {
    /// The synthetic market.
    Market,
    /// A recording, once there were subscribes and no further one came; this is when the last came.
    Gathering(Option<Instant>),
    /// A recording.
    Playing(Box<Player>),
    /// Nowhere: a fault.
    Silent,
}

/// What a connection waits for.
enum Turn {
    Heard(Message),
    Gone(Ending),
    Due,
}

const ACKS_AND_HEARTBEATS: Sends = Sends { acks: true, heartbeats: true, data: false };
const NOTHING: Sends = Sends { acks: false, heartbeats: false, data: false };

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Connection<'a, S> {
    pub fn new(simulator: &'a Simulator, number: u64, mut socket: WebSocketStream<Wire<S>>, mut plan: Plan) -> Self {
        let (role, sends) = match simulator.tape.as_ref() {
            Some(tape) if tape.is_free() => (Role::Gathering(None), NOTHING),
            Some(_) => (Role::Market, ACKS_AND_HEARTBEATS),
            None if plan.mute => (Role::Market, Sends { heartbeats: false, ..ACKS_AND_HEARTBEATS }),
            None if plan.only_heartbeats => (Role::Market, ACKS_AND_HEARTBEATS),
            None => (Role::Market, Sends { acks: !plan.no_ack, heartbeats: !plan.no_heartbeats, data: true }),
        };
        let mut fragments = None;
        if plan.fragment {
            let (wire, messages) = (Dice::new(plan.dice().next(), 1), Dice::new(plan.dice().next(), 2));
            socket.get_mut().cut(wire);
            fragments = Some(messages);
        }
        let dice = Dice::new(plan.dice().next(), 3);
        let mut session = simulator.counterpart.session(sends, simulator.options.seed, dice);
        for channel in &plan.dead {
            session.kill(channel);
        }
        let mishaps = Mishaps::new(plan.holes, Dice::new(plan.dice().next(), 4));
        let born = Instant::now();
        Self {
            number,
            simulator,
            socket,
            session,
            plan,
            mishaps,
            outbox: Outbox::new(fragments),
            role,
            born,
            subscribed: false,
            sent: 0,
            last_sent: born,
            flushed: true,
        }
    }

    /// Serves the client until one of the two ends it.
    pub async fn run(mut self) -> Ending {
        let ending = loop {
            match self.turn().await {
                Turn::Heard(message) => self.hear(&message),
                Turn::Gone(how) => break how,
                Turn::Due => {
                    if let Some(how) = self.act() {
                        break how;
                    }
                }
            }
        };
        self.release_tape();
        self.end(ending).await
    }

    /// Writes what waits, reads what comes and watches the clock, all at once.
    async fn turn(&mut self) -> Turn {
        let mut armed = Instant::now();
        let mut timer = pin!(sleep_until(armed));
        poll_fn(|cx| {
            if let Poll::Ready(turn) = self.poll_write(cx) {
                return Poll::Ready(turn);
            }
            if self.outbox.len() <= WAITING
                && let Poll::Ready(message) = self.socket.poll_next_unpin(cx)
            {
                return Poll::Ready(match message {
                    Some(Ok(message)) => Turn::Heard(message),
                    Some(Err(error)) => Turn::Gone(Ending::Failed(error.to_string())),
                    None => Turn::Gone(Ending::Left),
                });
            }
            // What is due depends on how much the socket has just taken.
            match self.deadline() {
                Some(deadline) if deadline <= Instant::now() => Poll::Ready(Turn::Due),
                Some(deadline) => {
                    if deadline != armed {
                        armed = deadline;
                        timer.as_mut().reset(deadline);
                    }
                    timer.as_mut().poll(cx).map(|()| Turn::Due)
                }
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Pending when the socket takes no more, or when there is no more; ready when the connection is lost or a fault
    /// wants to come after just this message.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        let lost = |error: &dyn std::fmt::Display| Poll::Ready(Turn::Gone(Ending::Failed(error.to_string())));
        while !self.outbox.is_empty() {
            match self.socket.poll_ready_unpin(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return lost(&error),
                Poll::Pending => return Poll::Pending,
            }
            let Some((frame, whole)) = self.outbox.pop() else { break };
            if let Some(message) = &whole {
                self.simulator.tell(&Observed::Sent { conn: self.number, message: message.clone() });
                self.sent += 1;
            }
            if let Err(error) = self.socket.start_send_unpin(frame) {
                return lost(&error);
            }
            self.flushed = false;
            if whole.is_some() && self.plan.is_due(self.born.elapsed(), self.sent) {
                return Poll::Ready(Turn::Due);
            }
        }
        if !self.flushed {
            match self.socket.poll_flush_unpin(cx) {
                Poll::Ready(Ok(())) => (self.flushed, self.last_sent) = (true, Instant::now()),
                Poll::Ready(Err(error)) => return lost(&error),
                Poll::Pending => {}
            }
        }
        Poll::Pending
    }

    /// When there is something to do without the client.
    fn deadline(&self) -> Option<Instant> {
        let mut soonest = self.plan.next().map(|after| self.born + after);
        let mut or = |at: Instant| soonest = Some(soonest.map_or(at, |soonest: Instant| soonest.min(at)));
        if !self.subscribed {
            or(self.born + SUBSCRIBE_WITHIN);
        }
        if let Some(since) = self.socket.get_ref().stalled() {
            or(since + SLOW);
        }
        let idle = self.outbox.is_empty() && self.flushed;
        match &self.role {
            Role::Market if idle => {
                or(self.last_sent + IDLE);
                if let Some(due) = self.session.due() {
                    or(self.simulator.pace.when(due));
                }
            }
            Role::Gathering(Some(last)) if idle => or(*last + GATHERED),
            Role::Playing(player) if idle => or(player.due(self.simulator)),
            Role::Market | Role::Gathering(_) | Role::Playing(_) | Role::Silent => {}
        }
        soonest
    }

    /// Does what is due; an ending when that is one.
    fn act(&mut self) -> Option<Ending> {
        let now = Instant::now();
        if self.socket.get_ref().stalled().is_some_and(|since| since + SLOW <= now) {
            return Some(Ending::Slow);
        }
        if !self.subscribed && self.born + SUBSCRIBE_WITHIN <= now {
            return Some(Ending::Closed(1008));
        }
        if let Some(fault) = self.plan.take(now - self.born, self.sent) {
            return self.fail(&fault);
        }
        if !(self.outbox.is_empty() && self.flushed) {
            return None;
        }
        match &mut self.role {
            Role::Market if self.last_sent + IDLE <= now => return Some(Ending::Closed(1001)),
            Role::Market => return self.tell_news(),
            Role::Gathering(Some(last)) if *last + GATHERED <= now => self.start_playing(),
            Role::Playing(player) if player.due(self.simulator) <= now => return self.play(),
            Role::Gathering(_) | Role::Playing(_) | Role::Silent => {}
        }
        None
    }

    fn tell_news(&mut self) -> Option<Ending> {
        let due = self.session.due()?;
        if self.simulator.pace.when(due) > Instant::now() {
            return None;
        }
        let at = self.simulator.pace.reach(due);
        let mut market = self.simulator.market();
        market.advance(at);
        match self.session.tick(&market, at) {
            Ok(letters) => {
                drop(market);
                self.post(letters);
            }
            Err(_too_late) => return Some(Ending::Slow),
        }
        None
    }

    /// Puts into the outbox what comes through.
    fn post(&mut self, letters: Vec<Letter>) {
        for fate in self.mishaps.befall(letters) {
            match fate {
                Fate::Sent(text) => self.outbox.push_text(text.into()),
                Fate::Lost(text) => {
                    self.simulator.tell(&Observed::Lost { conn: self.number, message: text.into() });
                }
            }
        }
    }

    fn fail(&mut self, fault: &Fault) -> Option<Ending> {
        info!(conn = self.number, %fault, "fault");
        self.simulator.tell(&Observed::Fault { conn: self.number, fault: fault.clone() });
        match fault {
            Fault::Close(code) => Some(Ending::Closed(*code)),
            Fault::Reset => Some(Ending::Reset),
            Fault::Cut => Some(Ending::Cut),
            Fault::Dead => Some(Ending::Dead),
            Fault::Silence => {
                self.outbox.keep_begun();
                self.release_tape();
                self.role = Role::Silent;
                None
            }
            Fault::Garbage => {
                self.outbox.push_text(Utf8Bytes::from_static("<html>\n<body>502 Bad Gateway</body>\n</html>"));
                self.outbox.push_binary(Bytes::from_static(&[0, 0xff, 0xfe, b'\n', b'{', 0x80]));
                None
            }
            Fault::Drip(bytes_a_second) => {
                self.socket.get_mut().drip(*bytes_a_second);
                None
            }
            Fault::Hole => {
                self.mishaps.lose_one();
                None
            }
            Fault::Late => {
                self.mishaps.delay_one();
                None
            }
            Fault::Back(by) => {
                self.session.step_back(*by);
                None
            }
            Fault::DeadChannel(name) => {
                self.session.kill(name);
                None
            }
            // The others hold from the start, and the plan keeps them apart.
            _ => None,
        }
    }
}
