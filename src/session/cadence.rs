//! Whether each channel lives: heartbeats prove the transport, and nothing of what it is to carry.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::Cause;
use crate::venue::{Channel, Counted, Follows};

/// The promise of contract.md: what was accepted and brings nothing is noticed within 15 s.
const DATA_WITHIN: Duration = Duration::from_secs(15);

/// Snapshots stand before their ack, which comes within 0.2 s; a heartbeat's count and what it counts come within one of each
/// other.
const SNAPSHOT_WITHIN: Duration = Duration::from_secs(5);

/// A quiet product costs one snapshot in this time, 288 a day.
const PROBE_EVERY: Duration = Duration::from_secs(300);

/// Where two connections in a row have not helped, it is not the connection: the venue is in maintenance. The next are
/// given this.
const PATIENCE: Duration = Duration::from_secs(600);

/// As many connections as are replaced before patience sets in.
const REPLACED: u32 = 2;

/// A heartbeat and what it counts come on ways of their own, and one may be a second behind the other: what goes on in the
/// third heartbeat after the last message goes on without the channel.
const BEATS: u32 = 2;

/// Books that are asked for anew for a hole in the count: thirty snapshots are 150 MB, and a venue that counts wrongly must
/// not be asked for them all day.
const MEND_EVERY: Duration = Duration::from_secs(60);

/// How long to wait for what so many connections have not brought, where that is longer than usual.
pub(super) fn patience_after(in_vain: Option<u32>) -> Option<Duration> {
    in_vain.filter(|vain| *vain >= REPLACED).map(|_| PATIENCE)
}

/// The channels of one connection that are judged.
pub(super) struct Cadences(Vec<Beat>);

/// One channel.
struct Beat {
    channel: &'static Channel,
    state: State,
    /// Not asked for anew before this.
    probe_from: Option<Instant>,
    /// A subscribe to it has left: a snapshot may be on its way, ack or no ack.
    asked: bool,
    /// When the venue accepted it.
    accepted: Option<Instant>,
    /// A hole was seen, and its book is wrong until it is asked for anew.
    broken: bool,
    mended: Option<Instant>,
    /// How long it may be silent from the start.
    patience: Duration,
    /// The products that the venue took for it, whose heartbeats count what it brings: the venue may take a product's heartbeat
    /// and not its orders.
    followed: BTreeMap<String, Followed>,
}

/// One product's count.
#[derive(Default)]
struct Followed {
    /// As its heartbeat told it last.
    number: Option<u64>,
    /// Since when it has gone on without anything from the channel.
    behind: Option<Instant>,
    /// Heartbeats since the channel brought something of it: the first of them may count what came before.
    beats: u32,
}

#[derive(Clone, Copy)]
enum State {
    /// The venue has not accepted it.
    Asked,
    /// It has, and nothing came yet.
    Awaited { since: Instant },
    /// It delivers.
    Delivers { last: Instant },
    /// It is to be asked for anew.
    Probing { last: Instant },
    /// It was asked for anew, and nothing came yet.
    Probed { since: Instant, last: Instant },
}

impl Cadences {
    /// Of these channels; `in_vain` says how many connections were replaced for the silence of each.
    pub(super) fn new(channels: impl Iterator<Item = &'static Channel>, in_vain: &BTreeMap<&'static str, u32>) -> Self {
        let mut beats: Vec<Beat> = Vec::new();
        for channel in channels.filter(|channel| !channel.heartbeat) {
            if beats.iter().all(|beat| beat.channel != channel) {
                let patience = patience_after(in_vain.get(channel.name).copied()).unwrap_or(DATA_WITHIN);
                beats.push(Beat {
                    channel,
                    state: State::Asked,
                    probe_from: None,
                    asked: false,
                    accepted: None,
                    broken: false,
                    mended: None,
                    patience,
                    followed: BTreeMap::new(),
                });
            }
        }
        Self(beats)
    }

    /// All of them.
    pub(super) fn channels(&self) -> impl Iterator<Item = &'static Channel> + Clone {
        self.0.iter().map(|beat| beat.channel)
    }

    /// The venue lists the channel, with some of what was asked for.
    pub(super) fn accept(&mut self, name: &str, listed: &[String], now: Instant) {
        let Some(beat) = self.0.iter_mut().find(|beat| beat.channel.name == name) else { return };
        if let State::Asked = beat.state {
            beat.state = State::Awaited { since: now };
        }
        beat.accepted.get_or_insert(now);
        if beat.channel.cadence.follows.is_some() {
            for product in listed {
                beat.followed(product);
            }
        }
    }

    /// Of what nobody asks for any more nothing is behind.
    pub(super) fn retain(&mut self, mut wanted: impl FnMut(&Channel, &str) -> bool) {
        for Beat { channel, followed, .. } in &mut self.0 {
            followed.retain(|product, _| wanted(channel, product));
        }
    }

    /// A message came of `channel`, or of one that reads as it.
    pub(super) fn deliver(&mut self, channel: &Channel, products: &[Counted<'_>], now: Instant) {
        for beat in self.0.iter_mut().filter(|beat| beat.channel.reads_as(channel)) {
            beat.state = State::Delivers { last: now };
            if beat.lives(now) {
                beat.patience = DATA_WITHIN;
            }
            if beat.channel.cadence.follows.is_some() {
                for counted in products {
                    if let Some(followed) = beat.followed.get_mut(counted.product) {
                        (followed.behind, followed.beats) = (None, 0);
                    }
                }
            }
        }
    }

    /// A product's heartbeat came, with its numbers.
    pub(super) fn count(&mut self, counted: &Counted<'_>, now: Instant) {
        for beat in &mut self.0 {
            let number = match beat.channel.cadence.follows {
                Some(Follows::Trades) => counted.trades.map(|(trade, _)| trade),
                Some(Follows::Sequence) => counted.sequence,
                None => None,
            };
            let Some(number) = number.filter(|_| !matches!(beat.state, State::Asked)) else { continue };
            let Some(followed) = beat.followed.get_mut(counted.product) else { continue };
            let goes_on = followed.number.is_some_and(|last| last < number);
            if goes_on && followed.beats >= BEATS {
                followed.behind.get_or_insert(now);
            }
            followed.beats = followed.beats.saturating_add(1);
            followed.number = followed.number.max(Some(number));
        }
    }

    /// The count of the connection has a hole: what is made good by a snapshot is asked for anew.
    pub(super) fn hole(&mut self) {
        let is_book = |beat: &&mut Beat| beat.channel.is_book() && beat.asked;
        self.0.iter_mut().filter(is_book).for_each(|beat| beat.broken = true);
    }

    /// The next channel that is to be asked for anew now.
    pub(super) fn probe(&mut self, now: Instant) -> Option<&'static Channel> {
        let beat = self.0.iter_mut().find(|beat| beat.probe_at().is_some_and(|at| at <= now))?;
        beat.probe_from = Some(now + PROBE_EVERY);
        if std::mem::take(&mut beat.broken) {
            beat.mended = Some(now);
        }
        if let State::Delivers { last } = beat.state {
            beat.state = State::Probing { last };
        }
        Some(beat.channel)
    }

    /// A subscribe to the channel is on the wire.
    pub(super) fn sent(&mut self, channel: &Channel, now: Instant) {
        let Some(beat) = self.0.iter_mut().find(|beat| beat.channel.name == channel.name) else { return };
        beat.asked = true;
        if let State::Probing { last } = beat.state {
            beat.state = State::Probed { since: now, last };
        }
    }

    /// The venue did not take a subscribe to the channel: that says nothing of it. `is_all`: nothing else of it is asked for.
    pub(super) fn refuse(&mut self, channel: &Channel, is_all: bool) {
        let Some(beat) = self.0.iter_mut().find(|beat| beat.channel.name == channel.name) else { return };
        match beat.state {
            State::Probing { last } | State::Probed { last, .. } => beat.state = State::Delivers { last },
            State::Awaited { .. } if is_all => beat.state = State::Asked,
            State::Asked | State::Awaited { .. } | State::Delivers { .. } => {}
        }
    }

    /// Whether the channel brings more than what a subscribe brings: connections may be replaced again for its silence.
    pub(super) fn lives(&self, channel: &Channel, now: Instant) -> bool {
        self.0.iter().any(|beat| beat.channel.name == channel.name && beat.lives(now))
    }

    /// Whether a channel of which something was to come at once has brought nothing yet; while not all is answered, those count
    /// that the venue has not accepted.
    pub(super) fn awaits(&self, all_answered: bool) -> bool {
        let awaits = |state| match state {
            State::Asked => !all_answered,
            State::Awaited { .. } => true,
            State::Delivers { .. } | State::Probing { .. } | State::Probed { .. } => false,
        };
        self.0.iter().any(|beat| beat.channel.cadence.begins && awaits(beat.state))
    }

    /// Whether any channel has brought anything.
    pub(super) fn has_delivered(&self) -> bool {
        self.0.iter().any(|beat| !matches!(beat.state, State::Asked | State::Awaited { .. }))
    }

    /// Those of which something was to come and nothing has yet: where one of them is given up, all are.
    pub(super) fn awaited(&self) -> impl Iterator<Item = &'static Channel> {
        let awaited = |beat: &&Beat| beat.channel.cadence.begins && matches!(beat.state, State::Awaited { .. });
        self.0.iter().filter(awaited).map(|beat| beat.channel)
    }

    /// The channels that are silent for longer than they should be.
    pub(super) fn silent(&self, now: Instant) -> impl Iterator<Item = &'static Channel> {
        self.0.iter().filter(move |beat| beat.is_silent(now)).map(|beat| beat.channel)
    }

    /// A channel that is dead, and how that was found.
    pub(super) fn overdue(&self, now: Instant) -> Option<(Cause, &'static Channel)> {
        self.0.iter().find_map(|beat| {
            let (at, cause) = beat.dead_at()?;
            (at <= now).then_some((cause, beat.channel))
        })
    }

    /// When the next clock runs out; `asks` says whether anything could be asked for now.
    pub(super) fn deadline(&self, asks: bool) -> Option<Instant> {
        let probes = self.0.iter().filter(|_| asks).filter_map(Beat::probe_at);
        self.0.iter().filter_map(|beat| beat.dead_at().map(|(at, _)| at)).chain(probes).min()
    }

    pub(super) fn shift(&mut self, by: Duration) {
        for beat in &mut self.0 {
            if let Some(accepted) = &mut beat.accepted {
                *accepted += by;
            }
            match &mut beat.state {
                State::Asked => {}
                State::Awaited { since: at } | State::Delivers { last: at } | State::Probing { last: at } => *at += by,
                State::Probed { since, last } => (*since, *last) = (*since + by, *last + by),
            }
            beat.behind().for_each(|since| *since += by);
        }
    }

    /// A snapshot is on its way, and what else is to come waits behind it.
    pub(super) fn excuse(&mut self, now: Instant) {
        for beat in &mut self.0 {
            if let State::Awaited { since } | State::Probed { since, .. } = &mut beat.state {
                *since = now.max(*since);
            }
            beat.behind().for_each(|since| *since = now.max(*since));
        }
    }
}

impl Beat {
    fn followed(&mut self, product: &str) -> &mut Followed {
        if !self.followed.contains_key(product) {
            self.followed.insert(product.to_owned(), Followed::default());
        }
        self.followed.get_mut(product).expect("put in just now")
    }

    fn lives(&self, now: Instant) -> bool {
        self.accepted.is_some_and(|at| at + DATA_WITHIN <= now) && matches!(self.state, State::Delivers { .. })
    }

    fn behind(&mut self) -> impl Iterator<Item = &mut Instant> {
        self.followed.values_mut().filter_map(|followed| followed.behind.as_mut())
    }

    fn behind_since(&self) -> Option<Instant> {
        self.followed.values().filter_map(|followed| followed.behind).min()
    }

    /// When it is to be asked for anew, if it goes on like this.
    fn probe_at(&self) -> Option<Instant> {
        if self.broken {
            return match (self.state, self.mended) {
                (State::Asked | State::Probing { .. }, _) => None,
                (State::Delivers { last }, None) => Some(last),
                (State::Awaited { since } | State::Probed { since, .. }, None) => Some(since),
                (_, Some(mended)) => Some(mended + MEND_EVERY),
            };
        }
        match self.state {
            // What never came after a subscribe would not come after another one.
            State::Delivers { last } if self.channel.cadence.begins => {
                let silent = last + self.channel.cadence.probe?;
                Some(self.probe_from.map_or(silent, |from| from.max(silent)))
            }
            _ => None,
        }
    }

    /// When it is dead, if nothing comes.
    fn dead_at(&self) -> Option<(Instant, Cause)> {
        let behind = self.behind_since();
        let behind = behind.map(|since| (since + self.patience, Cause::Behind));
        let silent = match self.state {
            State::Awaited { since } if self.channel.cadence.begins => Some((since + self.patience, Cause::NoData)),
            State::Probed { since, .. } => Some((since + self.snapshot_within(), Cause::NoSnapshot)),
            _ => None,
        };
        silent.into_iter().chain(behind).min_by_key(|(at, _)| *at)
    }

    fn snapshot_within(&self) -> Duration {
        if self.patience == PATIENCE { PATIENCE } else { SNAPSHOT_WITHIN }
    }

    fn is_silent(&self, now: Instant) -> bool {
        match self.state {
            // Where connections were replaced for it, it is silent until it is heard.
            State::Awaited { since } => {
                self.channel.cadence.begins && (self.patience == PATIENCE || since + DATA_WITHIN <= now)
            }
            State::Probed { since, .. } => since + SNAPSHOT_WITHIN <= now,
            State::Asked | State::Delivers { .. } | State::Probing { .. } => {
                self.behind_since().is_some_and(|since| since + DATA_WITHIN <= now)
            }
        }
    }
}
