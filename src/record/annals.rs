//! What happened to one feed since the run began, over all of its connections: counted as it is told, for whoever scrapes.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::Event;
use crate::venue::Channel;

/// Counters that never go back. Those of messages are atomic; what happens rarely stands behind a lock.
#[derive(Debug, Default)]
pub struct Annals {
    bytes: AtomicU64,
    heard: Vec<Heard>,
    deeds: Mutex<Deeds>,
}

/// What happens now and then.
#[derive(Clone, Debug, Default)]
pub struct Deeds {
    /// Connections that were made.
    pub connects: u64,
    /// Tries that came to no connection.
    pub failures: u64,
    /// Connections that are over, by their cause.
    pub disconnects: BTreeMap<&'static str, u64>,
    /// Gaps, by how they were found.
    pub gaps: BTreeMap<&'static str, u64>,
    /// Numbers of the venue's that did not come, by its name for them.
    pub missed: BTreeMap<&'static str, u64>,
    /// Refusals, by the channel.
    pub refusals: BTreeMap<&'static str, u64>,
    /// Of what was missed, recovered by REST...
    pub recovered: u64,
    /// ...and asked for in vain.
    pub unrecovered: u64,
}

impl Deeds {
    /// The channel of a refusal of which the venue does not say what it is of.
    pub const UNKNOWN: &str = "unknown";
}

#[derive(Debug)]
struct Heard {
    channel: &'static Channel,
    /// Nanoseconds since 1970.
    at: AtomicU64,
}

impl Annals {
    /// Those of a feed with these channels, whose silence counts from `since`, the wall clock's time of the start: what has
    /// never been heard of has been silent for as long.
    #[must_use]
    pub fn new(channels: &[&'static Channel], since: SystemTime) -> Self {
        let heard = |channel: &&'static Channel| Heard { channel, at: AtomicU64::new(nanoseconds(since)) };
        let data = channels.iter().filter(|channel| !channel.heartbeat);
        Self { heard: data.map(heard).collect(), ..Self::default() }
    }

    /// Messages of so many bytes came off a socket.
    pub fn took(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
    }

    /// Data came of this channel, or of one that reads as it.
    pub fn heard(&self, channel: &Channel, recv: SystemTime) {
        for heard in self.heard.iter().filter(|heard| heard.channel.reads_as(channel)) {
            heard.at.store(nanoseconds(recv), Relaxed);
        }
    }

    /// A try came to no connection.
    pub fn failed(&self) {
        self.with(|deeds| deeds.failures += 1);
    }

    /// Counts what is told.
    pub fn note(&self, event: &Event) {
        let more = |counts: &mut BTreeMap<_, u64>, name| *counts.entry(name).or_default() += 1;
        self.with(|deeds| match event {
            Event::Connected { .. } => deeds.connects += 1,
            Event::Disconnected { ending, .. } => more(&mut deeds.disconnects, ending.cause.name()),
            Event::Refused { channel, .. } => more(&mut deeds.refusals, channel.unwrap_or(Deeds::UNKNOWN)),
            Event::Gap(gap) => {
                more(&mut deeds.gaps, gap.found.name());
                if let (Some(counted_by), Some(missed)) = (gap.counted_by, gap.missed) {
                    *deeds.missed.entry(counted_by).or_default() += missed;
                }
            }
            Event::Refilled { recovered, missing, .. } => {
                deeds.recovered += recovered;
                deeds.unrecovered += missing;
            }
            Event::Subscribed { .. }
            | Event::Clock { .. }
            | Event::Dropped { .. }
            | Event::Sealed { .. }
            | Event::Recovered { .. } => {}
        });
    }

    /// Bytes of the messages that came off the sockets.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// For each channel when its data came last, as the wall clock had it then; the start, where none has.
    pub fn last_data(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        self.heard.iter().map(|heard| (heard.channel.name, Duration::from_nanos(heard.at.load(Relaxed))))
    }

    /// What happened so far.
    #[must_use]
    pub fn deeds(&self) -> Deeds {
        self.with(|deeds| deeds.clone())
    }

    /// Nothing is done under this lock that can panic half-way, so a poisoned one is still whole.
    fn with<T>(&self, note: impl FnOnce(&mut Deeds) -> T) -> T {
        note(&mut self.deeds.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Since 1970; they fit until 2554.
fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    u64::try_from(since).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        session::{Cause, Found, Gap},
        venue::{MendedBy, advanced_trade::MARKET},
    };

    fn gap(missed: Option<u64>) -> Event {
        Event::Gap(Gap {
            found: Found::Hole,
            counted_by: missed.map(|_| "sequence_num"),
            expected: None,
            got: None,
            missed,
            channels: vec![],
            products: vec![],
            from: None,
            until: None,
            mended_by: MendedBy::Nothing,
        })
    }

    #[test]
    fn what_is_told_is_counted_by_its_kind() {
        let annals = Annals::default();
        for event in [gap(Some(3)), gap(None), gap(Some(4))] {
            annals.note(&event);
        }
        let lasted = Duration::ZERO;
        annals.note(&Event::Disconnected { ending: Cause::Lost.into(), last_sequence: None, lasted });
        let deeds = annals.deeds();
        assert_eq!((deeds.gaps["hole"], deeds.missed["sequence_num"], deeds.disconnects["lost"]), (3, 7, 1));
    }

    #[test]
    fn a_channel_that_never_delivered_is_silent_since_the_start() {
        let at = |second| UNIX_EPOCH + Duration::from_secs(second);
        let channels = ["ticker_batch", "market_trades", "heartbeats"].map(|name| MARKET.channel(name).expect("known"));
        let annals = Annals::new(&channels, at(100));
        annals.heard(channels[1], at(160));
        let seconds: Vec<_> = annals.last_data().map(|(name, at)| (name, at.as_secs())).collect();
        assert_eq!(seconds, [("ticker_batch", 100), ("market_trades", 160)], "heartbeats are no data");
    }
}
