//! One connection from its handshake to its end, as a conversation without hands: told what arrives and what time it is,
//! it says what to sign and send, what to tell, and when to give the connection up. Pure.
//!
//! The order of calls: after every `handle_…`, `sent` or `shift`, drain [`Session::poll`] until it is silent, then wait
//! for a message or for [`Session::deadline`], whichever comes first.

mod action;
mod answer;
mod cadence;
mod change;
mod count;
mod coverage;
mod ending;
mod gap;
mod liveness;
mod numbers;
mod parts;
mod refusal;
mod renewal;
mod stance;
mod standing;
mod subscription;

pub use action::{Action, Ask, Told};
pub use coverage::Coverage;
pub use ending::{Cause, Ending};
pub use gap::{Found, Gap};
pub use stance::{Approach, IfRefused, Part, Signing, Stance};

use std::{
    collections::VecDeque,
    time::{Duration, Instant, SystemTime},
};

use self::{
    cadence::Cadences,
    count::Count,
    liveness::Liveness,
    subscription::{State, Subscription},
};
use crate::venue::{Arrival, Kind, Reason, Subscribe, Venue};

/// How long after a refusal the same is asked once more, with a new signature: a refusal that heals does so within
/// seconds, and a stale stamp can not be twice the reason.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Refused twice, a channel or the credentials are asked again after this, then after twice as long, ...
const FIRST_PROBE: Duration = Duration::from_secs(10);

/// ...up to this: a key that was enabled again is found within ten minutes, at 144 questions a day.
const LONGEST_PROBE: Duration = Duration::from_secs(600);

/// One connection's conversation.
pub struct Session {
    venue: &'static Venue,
    if_refused: IfRefused,
    stance: Stance,
    subscriptions: Vec<Subscription>,
    /// What it is to carry instead, as soon as nothing is pending.
    change: Option<Vec<Subscribe>>,
    /// The subscribe that the edge has in hand, not yet on the wire.
    in_hand: Option<Ask>,
    /// The question whether the credentials are good again, out on the wire since.
    probing: Option<Instant>,
    liveness: Liveness,
    cadences: Cadences,
    /// The count of the connection, at a venue that has one: it begins with 0.
    count: Count,
    /// When a message came last.
    recv: Option<SystemTime>,
    told: VecDeque<Told>,
    subscribed_told: bool,
    signed_accepted: bool,
    /// When the credentials were refused last, where that counted.
    refused: Option<Instant>,
    last_sequence: Option<u64>,
    /// The channels for whose silence it is given up.
    dead: Vec<&'static str>,
    /// What the venue said against the connection, and not of a subscribe, and when.
    complaint: Option<(Instant, String)>,
    over: Option<Cause>,
}

impl Session {
    /// A conversation that begins at `now`, the end of the handshake.
    #[must_use]
    pub fn new(
        venue: &'static Venue,
        leg: &[Subscribe],
        if_refused: IfRefused,
        mut stance: Stance,
        now: Instant,
    ) -> Self {
        stance.coverage.begin();
        let channels = leg.iter().flat_map(|subscribe| subscribe.channels.iter().copied());
        let mut session = Self {
            venue,
            if_refused,
            subscriptions: parts::of(leg, &stance, now),
            cadences: Cadences::new(channels, &stance.in_vain),
            stance,
            change: None,
            in_hand: None,
            probing: None,
            liveness: Liveness::new(now),
            count: Count::from(0),
            recv: None,
            told: VecDeque::new(),
            subscribed_told: false,
            signed_accepted: false,
            refused: None,
            last_sequence: None,
            dead: Vec::new(),
            complaint: None,
            over: None,
        };
        session.forget_coverage();
        session
    }

    /// The subscribe that an [`Ask`] means.
    #[must_use]
    pub fn subscribe(&self, ask: &Ask) -> &Subscribe {
        &self.subscriptions[ask.index].subscribe
    }

    /// How it asks by now.
    #[must_use]
    pub fn stance(&self) -> &Stance {
        &self.stance
    }

    /// What the next connection should know.
    #[must_use]
    pub fn into_stance(mut self) -> Stance {
        if self.venue.wholesale {
            self.fold();
            self.stance.parts = self.subscriptions.into_iter().filter_map(Subscription::into_part).collect();
        }
        self.stance
    }

    /// The venue's number of the last message that had one.
    #[must_use]
    pub fn last_sequence(&self) -> Option<u64> {
        self.last_sequence
    }

    /// A whole message came at `recv`, by the wall clock; it is recorded already.
    pub fn handle_message(&mut self, arrival: &Arrival<'_>, length: usize, recv: SystemTime, now: Instant) {
        self.handle_noise(length, now);
        self.count(arrival, recv, now);
        match &arrival.kind {
            Kind::Ack(accepted) => self.handle_ack(accepted, recv, now),
            Kind::Refusal(message) => self.handle_refusal(message.clone(), now),
            Kind::Heartbeat => self.liveness.handle_heartbeat(now),
            // Of whatever channel, and were it one that we do not know (JKorf/Bitfinex.Net#183).
            Kind::Data(_) => self.liveness.handle_delivery(),
        }
    }

    /// Something of `length` bytes came that is no JSON: a proxy's error page, a complaint in plain words. The other side lives,
    /// and nothing was delivered.
    pub fn handle_noise(&mut self, length: usize, now: Instant) {
        if self.liveness.handle_message(length, now) {
            self.excuse(now);
        }
    }

    /// The venue closed the connection, with this code, in these words.
    pub fn handle_close(&mut self, code: Option<u16>, words: &str) {
        /// RFC 6455, 7.4.1: a message that is too big to process; some servers leave it at that, without a word.
        const TOO_BIG: u16 = 1009;
        if code == Some(TOO_BIG) || self.venue.reason(words) == Reason::TooLong {
            self.shorten();
        }
    }

    /// Bytes came off the socket, `total` since the handshake; they may be in the middle of a message.
    pub fn handle_bytes(&mut self, total: u64, now: Instant) {
        if self.liveness.handle_bytes(total, now) {
            self.excuse(now);
        }
    }

    /// The other side answered a ping.
    pub fn handle_pong(&mut self, now: Instant) {
        self.liveness.handle_pong(now);
    }

    /// The clock has moved.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.over.is_some() {
            return;
        }
        for subscription in &mut self.subscriptions {
            if subscription.is_pending() && subscription.again.is_some_and(|at| at <= now) {
                subscription.again = None;
                subscription.ask_at(now);
            }
        }
        self.over = self.liveness.overdue(now, self.expects_heartbeats());
        let unanswered = self.unanswered_at().chain(self.probe_overdue_at()).any(|at| at <= now);
        if self.over.is_none() && unanswered {
            // Heartbeats live: it may be the venue's maintenance.
            let pending = self.subscriptions.iter().filter(|subscription| subscription.is_pending());
            for channel in pending.flat_map(|subscription| &subscription.subscribe.channels) {
                *self.stance.in_vain.entry(channel.name).or_default() += 1;
            }
            self.over = Some(Cause::NoAck);
        }
        if self.over.is_none()
            && let Some((cause, channel)) = self.cadences.overdue(now)
        {
            self.dead.push(channel.name);
            for also in self.cadences.silent(now).chain(self.cadences.awaited()) {
                if !self.dead.contains(&also.name) {
                    self.dead.push(also.name);
                }
            }
            for name in &self.dead {
                *self.stance.in_vain.entry(name).or_default() += 1;
            }
            self.over = Some(cause);
        }
    }

    /// The edge did not read for a while: what did not come in that time can not be held against the venue.
    pub fn shift(&mut self, by: Duration) {
        self.liveness.shift(by);
        self.cadences.shift(by);
        for subscription in &mut self.subscriptions {
            subscription.shift(by);
        }
        if let Some(since) = &mut self.probing {
            *since += by;
        }
    }

    /// The subscribe in hand is on the wire.
    pub fn sent(&mut self, now: Instant) {
        let Some(ask) = self.in_hand.take() else { return };
        self.liveness.handle_subscribed(self.subscriptions[ask.index].has_heartbeat(), now);
        if ask.probe {
            self.probing = Some(now);
        } else {
            let subscribe = &self.subscriptions[ask.index].subscribe;
            if !subscribe.unsubscribes {
                subscribe.channels.iter().for_each(|channel| self.cadences.sent(channel, now));
            }
            self.subscriptions[ask.index].ask(ask.signed, now);
        }
    }

    /// The next thing to do, if any is due.
    pub fn poll(&mut self, now: Instant) -> Option<Action> {
        if self.in_hand.is_none() {
            self.take_change(now);
            self.take_renewals(now);
        }
        if let Some(told) = self.told() {
            return Some(Action::Tell(told));
        }
        if let Some(cause) = self.over {
            return Some(Action::End(cause));
        }
        if self.liveness.ping_due(now) {
            return Some(Action::Ping);
        }
        if self.in_hand.is_none() {
            self.in_hand = self.next_ask(now);
            return self.in_hand.map(Action::Ask);
        }
        None
    }

    /// What is to be told of the message that just came: right behind it, before the next.
    pub fn told(&mut self) -> Option<Told> {
        self.told.pop_front()
    }

    /// When to call again though nothing came.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        let due = self.subscriptions.iter().filter(|_| self.in_hand.is_none() && self.may_ask());
        let probe = match self.stance.signing {
            Signing::Refused { probe, .. } if self.pending() == 0 && self.in_hand.is_none() => Some(probe),
            _ => None,
        };
        due.filter_map(|subscription| subscription.due_at(self.signs(subscription)))
            .chain(self.unanswered_at())
            .chain(self.subscriptions.iter().filter(|s| s.is_pending()).filter_map(|s| s.again))
            .chain(self.probe_overdue_at())
            .chain(probe)
            .chain(self.cadences.deadline(self.may_renew()))
            .fold(self.liveness.deadline(self.expects_heartbeats()), Instant::min)
    }

    fn next_ask(&self, now: Instant) -> Option<Ask> {
        if !self.may_ask() {
            return None;
        }
        let first = !self.liveness.has_asked();
        for (index, subscription) in self.subscriptions.iter().enumerate() {
            let signed = self.signs(subscription);
            if subscription.due_at(signed).is_some_and(|at| at <= now) {
                return Some(Ask { index, signed: signed == Some(true), first, probe: false });
            }
        }
        match self.stance.signing {
            Signing::Refused { probe, .. } if probe <= now && self.pending() == 0 => {
                Some(Ask { index: self.probe_index(), signed: true, first, probe: true })
            }
            _ => None,
        }
    }

    /// One by one, or while a probe is out, nothing else is asked: the answer would not say whom it means. Where a part spoils
    /// the whole, that is worth a round trip a message from the first.
    fn may_ask(&self) -> bool {
        let together = self.stance.approach == Approach::Together && !self.venue.wholesale;
        self.probing.is_none() && (together || self.pending() == 0)
    }

    /// Whether a subscription would be signed; None while it can not be asked at all.
    fn signs(&self, subscription: &Subscription) -> Option<bool> {
        match self.stance.signing {
            Signing::None => Some(false),
            Signing::Every => Some(!subscription.goes_unsigned),
            Signing::Refused { .. } => (!subscription.is_private()).then_some(false),
        }
    }

    /// A private channel is the honest probe, if not of what was refused for itself; where there is none, the heartbeats.
    fn probe_index(&self) -> usize {
        let honest = |subscription: &Subscription| subscription.is_private() && !subscription.subscribe.unsubscribes;
        let fresh = |subscription: &Subscription| honest(subscription) && !subscription.is_answered();
        let all = &self.subscriptions;
        all.iter().position(fresh).or_else(|| all.iter().position(honest)).unwrap_or(0)
    }

    fn pending(&self) -> usize {
        self.subscriptions.iter().filter(|subscription| subscription.is_pending()).count()
            + usize::from(self.probing.is_some())
    }

    fn expects_heartbeats(&self) -> bool {
        self.subscriptions
            .iter()
            .any(|subscription| subscription.has_heartbeat() && !matches!(subscription.state, State::Due { .. }))
    }

    /// When each subscribe that is out will have waited too long for its answer.
    fn unanswered_at(&self) -> impl Iterator<Item = Instant> {
        self.subscriptions.iter().filter_map(|subscription| {
            let channels = subscription.subscribe.channels.iter();
            let in_vain = channels.filter_map(|channel| self.stance.in_vain.get(channel.name)).max();
            subscription.overdue_at(cadence::patience_after(in_vain.copied()))
        })
    }

    fn probe_overdue_at(&self) -> Option<Instant> {
        self.probing.map(|since| since + subscription::ANSWER_WITHIN)
    }

    /// Answers wait behind a snapshot.
    fn excuse(&mut self, now: Instant) {
        for subscription in &mut self.subscriptions {
            subscription.excuse(now);
        }
        self.cadences.excuse(now);
    }
}

#[cfg(test)]
mod tests;
