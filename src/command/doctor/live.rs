//! What we believe of a venue, held against a real connection for a while: the way in which people can tell us where we are
//! wrong about it. The report holds no secret and is made to be pasted.

mod advanced_trade;
mod exchange;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::asking::{Answer, Asking};
use crate::{
    desk::Desk,
    venue::{Arrival, Channel, Counts, Kind, Subscribe, Venue},
};

/// What we believe, and what was seen.
pub(super) struct Belief {
    /// What we believe.
    pub what: &'static str,
    /// Whether it held; None where nothing was seen of it.
    pub holds: Option<bool>,
    /// It did not hold, since the venue refused the credentials: that is no difference.
    pub refused: bool,
    /// What was seen.
    pub seen: String,
}

/// Subscribes to all of `leg` and listens for `span`; a connection that ends before has told something as well.
pub(super) async fn watch(asking: &mut Asking<'_>, leg: &[Subscribe], desk: Option<&Desk>, span: Duration) -> Seen {
    let mut watch = Watch::of(asking.venue);
    let begun = Instant::now();
    if let Err(ended) = watch.listen(asking, leg, desk, span).await {
        watch.ended = Some(format!("{ended}, after {} ms", begun.elapsed().as_millis()));
    }
    Seen { refused: watch.is_refused(), beliefs: watch.beliefs(leg) }
}

/// What came of it.
pub(super) struct Seen {
    /// What we believe, each with whether it held.
    pub beliefs: Vec<Belief>,
    /// The venue refused the credentials.
    pub refused: bool,
}

/// What one venue's messages alone can show.
trait Eyes {
    /// One more message that is no refusal, at this time of ours.
    fn see(&mut self, message: &Map<String, Value>, arrival: &Arrival<'_>, at: Instant);
    /// In which member a message has the time at which it was made.
    fn stamp(&self) -> &'static str;
    /// As what other channels' the messages of one are counted, since they do not say that they are its own.
    fn said_as(&self, channel: &str) -> &'static [&'static str];
    /// What is believed of them, where these channels were asked for.
    fn beliefs(&self, asked: &[&'static Channel]) -> Vec<Belief>;
}

/// What was seen up to now.
struct Watch {
    venue: &'static Venue,
    eyes: Box<dyn Eyes>,
    /// How the connection ended, if it did.
    ended: Option<String>,
    asked: usize,
    messages: u64,
    longest: usize,
    acks: usize,
    before_ack: usize,
    refusals: Vec<String>,
    unknown: BTreeSet<String>,
    by_channel: BTreeMap<&'static str, u64>,
    line_breaks: u64,
    no_json: u64,
    stamps: Stamps,
}

/// The times that messages say they were made at.
#[derive(Default)]
struct Stamps {
    good: u64,
    bad: u64,
    /// Ours minus the venue's, in milliseconds.
    lags: Vec<i64>,
}

impl Watch {
    fn of(venue: &'static Venue) -> Self {
        let counts = venue.channels.iter().any(|channel| channel.counts == Counts::Connection);
        let eyes: Box<dyn Eyes> =
            if counts { Box::<advanced_trade::Numbers>::default() } else { Box::<exchange::Products>::default() };
        Self {
            venue,
            eyes,
            ended: None,
            asked: 0,
            messages: 0,
            longest: 0,
            acks: 0,
            before_ack: 0,
            refusals: Vec::new(),
            unknown: BTreeSet::new(),
            by_channel: BTreeMap::new(),
            line_breaks: 0,
            no_json: 0,
            stamps: Stamps::default(),
        }
    }

    async fn listen(
        &mut self,
        asking: &mut Asking<'_>,
        leg: &[Subscribe],
        desk: Option<&Desk>,
        span: Duration,
    ) -> Result<(), Answer> {
        for subscribe in leg {
            asking.send(subscribe, desk).await?;
            self.asked += 1;
        }
        let end = Instant::now() + span;
        while let Some(message) = asking.next(end).await? {
            self.see(&message, Instant::now(), asking.clock.now().try_into().ok());
        }
        Ok(())
    }

    fn see(&mut self, message: &str, at: Instant, ours: Option<Timestamp>) {
        self.messages += 1;
        self.longest = self.longest.max(message.len());
        self.line_breaks += u64::from(message.contains(['\n', '\r']));
        let arrival = (self.venue.read)(message);
        let object = match (serde_json::from_str(message), &arrival.kind) {
            (Ok(Value::Object(object)), _) => object,
            // level3 of the Exchange comes as lists.
            (Ok(Value::Array(_)), Kind::Data(Some(channel))) => return self.count(channel.name),
            _ => {
                self.no_json += 1;
                return;
            }
        };
        match &arrival.kind {
            Kind::Refusal(words) => return self.refusals.push(words.clone()),
            Kind::Ack(_) => self.acks += 1,
            Kind::Heartbeat => {}
            Kind::Data(Some(channel)) => self.count(channel.name),
            Kind::Data(None) => {
                let name = object.get("channel").or_else(|| object.get("type"));
                self.unknown.insert(name.map_or_else(|| "none".to_owned(), Value::to_string));
            }
        }
        self.eyes.see(&object, &arrival, at);
        // Not every message of every venue has one; where one is, it is to be read.
        if let Some(stamp) = object.get(self.eyes.stamp()) {
            self.stamps.see(stamp.as_str(), ours);
        }
    }

    fn count(&mut self, channel: &'static str) {
        self.before_ack += usize::from(self.acks == 0);
        *self.by_channel.entry(channel).or_default() += 1;
    }

    fn is_refused(&self) -> bool {
        self.refusals.iter().any(|words| self.venue.reason(words).is_of_credentials())
    }

    fn beliefs(mut self, leg: &[Subscribe]) -> Vec<Belief> {
        let refused = self.is_refused();
        let mut beliefs = vec![
            belief("the connection stands", Some(self.ended.is_none()), option(self.ended.as_ref())),
            belief("subscribes are not refused", Some(self.refusals.is_empty()), list(&self.refusals)),
            belief(
                "each subscribe has its ack",
                Some(self.acks == self.asked),
                format!("{} of {}", self.acks, self.asked),
            ),
            belief(
                "data may come before the first ack",
                (self.before_ack > 0).then_some(true),
                format!("{} messages did", self.before_ack),
            ),
        ];
        let asked: Vec<_> = leg.iter().flat_map(|subscribe| subscribe.channels.iter().copied()).collect();
        let mut channels = self.channels(&asked);
        // Whom a venue refuses it sends nothing, and may send away.
        for belief in beliefs.iter_mut().chain(&mut channels) {
            belief.refused = refused && belief.holds == Some(false);
        }
        beliefs.extend(self.eyes.beliefs(&asked));
        beliefs.extend(channels);
        beliefs.push(belief(
            "no message is of a channel that we do not know",
            Some(self.unknown.is_empty()),
            list(&self.unknown),
        ));
        beliefs.push(self.stamps.belief());
        let whole = self.line_breaks == 0 && self.no_json == 0;
        let seen = format!("{} with a line break, {} no JSON", self.line_breaks, self.no_json);
        beliefs.push(belief("each message is one piece of JSON without a line break", Some(whole), seen));
        let limit = crate::net::LARGEST_MESSAGE;
        let seen = format!("{} messages, the longest of {} bytes", self.messages, self.longest);
        beliefs.push(belief("messages are far below our limit of 64 MiB", Some(self.longest < limit / 2), seen));
        beliefs
    }

    fn channels(&self, asked: &[&'static Channel]) -> Vec<Belief> {
        let count = |name: &str| self.by_channel.get(name).copied().unwrap_or(0);
        let is_asked = |name: &str| asked.iter().any(|channel| channel.name == name);
        asked
            .iter()
            .filter(|channel| !channel.heartbeat)
            .map(|channel| {
                let (shared, others): (Vec<_>, Vec<_>) =
                    self.eyes.said_as(channel.name).iter().copied().partition(|other| is_asked(other));
                let own = count(channel.name) + others.into_iter().map(count).sum::<u64>();
                // A quiet account sends nothing of its own, and of what came by one name for two nobody can tell whose it is.
                let holds = (own > 0 || !channel.private && shared.is_empty()).then_some(own > 0);
                let seen = match shared.first() {
                    Some(other) if own == 0 => format!("its messages can not be told from those of {other}"),
                    _ => format!("{own} messages"),
                };
                belief(channel.name, holds, seen)
            })
            .collect()
    }
}

impl Stamps {
    fn see(&mut self, stamp: Option<&str>, ours: Option<Timestamp>) {
        match stamp.and_then(|stamp| stamp.parse::<Timestamp>().ok()) {
            None => self.bad += 1,
            Some(theirs) => {
                self.good += 1;
                self.lags.extend(ours.map(|ours| ours.as_millisecond() - theirs.as_millisecond()));
            }
        }
    }

    fn belief(&mut self) -> Belief {
        self.lags.sort_unstable();
        let all = self.good + self.bad;
        let stamps = format!("{} of {all}", self.good);
        let seen = match self.lags.get(self.lags.len() / 2) {
            Some(lag) => format!("{stamps}; ours is later by {lag} ms at the median"),
            None => stamps,
        };
        belief("the time of a message is RFC 3339", (all > 0).then_some(self.bad == 0), seen)
    }
}

/// A heartbeat each second, of those that came at these times.
fn each_second(beats: &[Instant]) -> (Option<bool>, String) {
    let apart: Vec<_> = beats.windows(2).map(|two| two[1].duration_since(two[0])).collect();
    let (Some(first), Some(last)) = (beats.first(), beats.last()) else { return (None, String::new()) };
    let seconds = last.duration_since(*first).as_secs_f64();
    // The first and the last may come late or early by as much as the line is slow.
    let rate = f64::from(u32::try_from(apart.len()).unwrap_or(u32::MAX)) / seconds.max(0.001);
    let longest = apart.iter().max().map_or(0, Duration::as_millis);
    let seen = format!("{} in {seconds:.1} s, {longest} ms apart at most", beats.len());
    ((seconds > 3.0).then_some((0.8..1.25).contains(&rate)), seen)
}

fn belief(what: &'static str, holds: Option<bool>, seen: impl Into<String>) -> Belief {
    Belief { what, holds, refused: false, seen: seen.into() }
}

fn option(value: Option<impl fmt::Display>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}

/// The venue's words, as they can be shown on a terminal.
fn list<'a>(words: impl IntoIterator<Item = &'a String>) -> String {
    let words: Vec<_> = words.into_iter().map(|words| format!("{words:?}")).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(" | ") }
}

#[cfg(test)]
mod tests;
