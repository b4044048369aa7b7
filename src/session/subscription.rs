//! One subscribe, from due to answered.

use std::time::{Duration, Instant};

use super::Part;
use crate::venue::{Channel, Products, Subscribe};

/// How long a subscribe may go without an answer. The venue's come within 0.2 s, but behind the channel's snapshots, and
/// each of those begins the wait anew.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(30);

pub(super) struct Subscription {
    pub(super) subscribe: Subscribe,
    pub(super) state: State,
    /// The venue wants this one without a signature, whatever it thinks of the others.
    pub(super) goes_unsigned: bool,
    /// Products that the ack left out, not told yet.
    pub(super) omitted: Vec<(&'static str, String)>,
    /// Channels that the ack does not name.
    absent: Vec<&'static str>,
    pub(super) errand: Errand,
    /// The venue had listed them, and lists them no longer.
    pub(super) has_vanished: bool,
    /// A message is missing that may have been its answer: where none comes, it is asked again then.
    pub(super) again: Option<Instant>,
    refusals: u32,
}

/// Why it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    /// It is what the leg carries.
    Plain,
    /// It was accepted before, and is asked for anew to see whether it lives.
    Renewed,
    /// The venue left its products out of an ack: it is asked for alone, and seldom.
    LeftOut,
}

#[derive(Debug)]
pub(super) enum State {
    /// To be asked, not before this.
    Due { at: Instant },
    /// Asked and not answered; `since` moves with every snapshot that holds answers back.
    Asked { since: Instant, signed: bool },
    /// In the venue's own list.
    Accepted,
}

impl Subscription {
    pub(super) fn new(subscribe: Subscribe, now: Instant) -> Self {
        let state = State::Due { at: now };
        Self {
            subscribe,
            state,
            goes_unsigned: false,
            omitted: Vec::new(),
            absent: Vec::new(),
            errand: Errand::Plain,
            has_vanished: false,
            again: None,
            refusals: 0,
        }
    }

    /// What it leaves to the next connection; what was to be taken away is not asked for there.
    pub(super) fn into_part(self) -> Option<Part> {
        let put_off = match self.state {
            State::Due { at } if self.refusals >= 2 => Some((at, self.refusals)),
            _ => None,
        };
        (!self.subscribe.unsubscribes).then_some(Part { subscribe: self.subscribe, put_off })
    }

    /// One that was refused for itself before.
    pub(super) fn put_off(subscribe: Subscribe, at: Instant, refusals: u32) -> Self {
        Self { refusals, state: State::Due { at }, ..Self::new(subscribe, at) }
    }

    /// The venue knows of none of its products; later it may.
    pub(super) fn leave_out(&mut self, until: Instant) {
        self.refusals = 2;
        self.errand = Errand::LeftOut;
        self.state = State::Due { at: until };
    }

    pub(super) fn is_private(&self) -> bool {
        self.subscribe.channels.iter().any(|channel| channel.private)
    }

    pub(super) fn has_heartbeat(&self) -> bool {
        self.subscribe.channels.iter().any(|channel| channel.heartbeat)
    }

    /// It carries nothing but heartbeats.
    pub(super) fn is_heartbeat_alone(&self) -> bool {
        self.subscribe.channels.iter().all(|channel| channel.heartbeat)
    }

    pub(super) fn is_pending(&self) -> bool {
        matches!(self.state, State::Asked { .. })
    }

    pub(super) fn is_accepted(&self) -> bool {
        matches!(self.state, State::Accepted)
    }

    pub(super) fn is_left_out(&self) -> bool {
        self.errand == Errand::LeftOut
    }

    pub(super) fn is_renewed(&self) -> bool {
        self.errand == Errand::Renewed
    }

    /// Accepted, or only asked for anew.
    pub(super) fn is_in_force(&self) -> bool {
        self.is_accepted() || self.is_renewed()
    }

    /// Accepted, or refused more than once and put off.
    pub(super) fn is_answered(&self) -> bool {
        self.is_accepted() || (self.refusals >= 2 && matches!(self.state, State::Due { .. }))
    }

    pub(super) fn is_signed(&self) -> bool {
        matches!(self.state, State::Asked { signed: true, .. })
    }

    /// The channel, where there is only one.
    pub(super) fn channel(&self) -> Option<&'static str> {
        match self.subscribe.channels[..] {
            [Channel { name, .. }] => Some(name),
            _ => None,
        }
    }

    /// When it is to be asked; `signs` None: not at all for now.
    pub(super) fn due_at(&self, signs: Option<bool>) -> Option<Instant> {
        match self.state {
            State::Due { at } if signs.is_some() => Some(at),
            _ => None,
        }
    }

    /// When it will have waited too long for its answer; `patience` replaces the usual wait.
    pub(super) fn overdue_at(&self, patience: Option<Duration>) -> Option<Instant> {
        match self.state {
            State::Asked { since, .. } => Some(since + patience.unwrap_or(ANSWER_WITHIN)),
            State::Due { .. } | State::Accepted => None,
        }
    }

    pub(super) fn ask(&mut self, signed: bool, now: Instant) {
        self.again = None;
        self.state = State::Asked { since: now, signed };
    }

    pub(super) fn ask_at(&mut self, at: Instant) {
        self.state = State::Due { at };
    }

    /// Not before this, if it is to be asked at all.
    pub(super) fn wait_until(&mut self, earliest: Instant) {
        if let State::Due { at } = &mut self.state {
            *at = earliest.max(*at);
        }
    }

    /// Asked again at once, whatever became of it before.
    pub(super) fn ask_anew(&mut self, now: Instant) {
        self.refusals = 0;
        self.goes_unsigned = false;
        self.ask_at(now);
    }

    /// Refused for itself, and no doubt about it: one such refusal counts as two.
    pub(super) fn refuse_for_good(&mut self) -> u32 {
        self.refusals = self.refusals.max(1);
        self.refuse()
    }

    /// Counts a refusal; how many there have been.
    pub(super) fn refuse(&mut self) -> u32 {
        if self.is_renewed() {
            self.errand = Errand::Plain;
        }
        self.refusals = self.refusals.saturating_add(1);
        self.refusals
    }

    /// Not asked again, whatever the venue said.
    pub(super) fn let_be(&mut self) {
        self.state = State::Accepted;
    }

    pub(super) fn excuse(&mut self, now: Instant) {
        if let State::Asked { since, .. } = &mut self.state {
            *since = now.max(*since);
        }
    }

    pub(super) fn shift(&mut self, by: Duration) {
        match &mut self.state {
            State::Due { at } | State::Asked { since: at, .. } => *at += by,
            State::Accepted => {}
        }
        if let Some(again) = &mut self.again {
            *again += by;
        }
    }

    /// Its channels that the venue has accepted, or those that it has not.
    pub(super) fn channels(&self, accepted: bool) -> impl Iterator<Item = &'static Channel> {
        let is_in =
            move |channel: &&'static Channel| (self.is_in_force() && !self.absent.contains(&channel.name)) == accepted;
        self.subscribe.channels.iter().copied().filter(is_in)
    }

    /// An answer that does not name all of what is asked for: what it leaves out is not traded, or not subscribed. Whether it
    /// was signed.
    pub(super) fn accept_as_it_is(&mut self, list: &[(String, Vec<String>)]) -> Option<bool> {
        let State::Asked { signed, .. } = self.state else { return None };
        self.omitted.extend(self.subscribe.left_out(list));
        let unnamed = |channel: &&&Channel| !list.iter().any(|(name, _)| name == channel.name);
        self.absent = self.subscribe.channels.iter().filter(unnamed).map(|channel| channel.name).collect();
        self.state = State::Accepted;
        (self.refusals, self.errand) = (0, Errand::Plain);
        Some(signed)
    }

    /// A later list may name a channel that was absent from the answer. Whether it does.
    pub(super) fn find_absent(&mut self, list: &[(String, Vec<String>)]) -> bool {
        let before = self.absent.len();
        self.absent.retain(|channel| !list.iter().any(|(name, _)| name == channel));
        self.absent.len() < before
    }

    /// Whether the venue may leave all of it out of its answer.
    pub(super) fn is_of_products(&self) -> bool {
        self.subscribe.channels.iter().all(|channel| channel.products == Products::Required)
    }

    pub(super) fn asked_since(&self) -> Option<Instant> {
        match self.state {
            State::Asked { since, .. } => Some(since),
            State::Due { .. } | State::Accepted => None,
        }
    }

    /// What was accepted, and is not in the venue's list any more.
    pub(super) fn vanish(&mut self, list: &[(String, Vec<String>)]) -> bool {
        if !self.is_accepted() || self.subscribe.unsubscribes {
            return false;
        }
        let gone = self.subscribe.left_out(list).into_iter().filter(|(channel, _)| !self.absent.contains(channel));
        let gone: Vec<_> = gone.collect();
        self.has_vanished = !gone.is_empty();
        self.omitted.extend(gone);
        self.has_vanished
    }

    /// Compares with the venue's list. Whether it was signed, if the list is the answer to it.
    pub(super) fn accept(&mut self, list: &[(String, Vec<String>)]) -> Option<bool> {
        let State::Asked { signed, .. } = self.state else { return None };
        if self.subscribe.unsubscribes {
            self.state = State::Accepted;
            return Some(signed);
        }
        // With products of its own: others of the channel may have been accepted before.
        let answered = |channel: &&Channel| {
            let own = |listed: &Vec<String>| {
                channel.products != Products::Required
                    || self.subscribe.products.iter().any(|product| listed.iter().any(|id| product.answers_to(id)))
            };
            list.iter().any(|(name, listed)| name == channel.name && own(listed))
        };
        if !self.subscribe.channels.iter().all(answered) {
            return None;
        }
        self.omitted.extend(self.subscribe.left_out(list));
        self.absent.clear();
        self.state = State::Accepted;
        (self.refusals, self.errand) = (0, Errand::Plain);
        Some(signed)
    }
}
