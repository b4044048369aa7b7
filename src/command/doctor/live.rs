//! What we believe of a venue, held against a real connection for a while: the way in which people can tell us where we are
//! wrong about it. The report holds no secret and is made to be pasted.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::asking::{Answer, Asking};
use crate::{
    desk::Desk,
    venue::{Kind, Subscribe, Venue},
};

/// What we believe, and what was seen.
pub(super) struct Belief {
    /// What we believe.
    pub what: &'static str,
    /// Whether it held; None where nothing was seen of it.
    pub holds: Option<bool>,
    /// What was seen.
    pub seen: String,
}

/// Subscribes to all of `leg` and listens for `span`; a connection that ends before has told something as well.
pub(super) async fn watch(asking: &mut Asking<'_>, leg: &[Subscribe], desk: Option<&Desk>, span: Duration) -> Seen {
    let mut watch = Watch { venue: Some(asking.venue), ..Watch::default() };
    let begun = Instant::now();
    if let Err(ended) = watch.listen(asking, leg, desk, span).await {
        watch.ended = Some(format!("{ended}, after {} ms", begun.elapsed().as_millis()));
    }
    Seen { refusals: watch.refusals.clone(), beliefs: watch.beliefs(leg) }
}

/// What came of it.
pub(super) struct Seen {
    /// What we believe, each with whether it held.
    pub beliefs: Vec<Belief>,
    /// The venue's own words, where it refused.
    pub refusals: Vec<String>,
}

/// What was seen up to now.
#[derive(Default)]
struct Watch {
    venue: Option<&'static Venue>,
    /// How the connection ended, if it did.
    ended: Option<String>,
    asked: usize,
    messages: u64,
    longest: usize,
    acks: usize,
    before_ack: usize,
    refusals: Vec<String>,
    first: Option<u64>,
    last: Option<u64>,
    holes: Vec<(u64, u64)>,
    unnumbered: u64,
    beats: Vec<Instant>,
    counters: Vec<Option<u64>>,
    orders: BTreeSet<String>,
    unknown: BTreeSet<String>,
    by_channel: BTreeMap<&'static str, u64>,
    line_breaks: u64,
    no_json: u64,
    stamps: u64,
    bad_stamps: u64,
    /// Ours minus the venue's, in milliseconds.
    lags: Vec<i64>,
}

impl Watch {
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

    fn see(&mut self, message: &[u8], at: Instant, ours: Option<Timestamp>) {
        self.messages += 1;
        self.longest = self.longest.max(message.len());
        self.line_breaks += u64::from(memchr::memchr2(b'\n', b'\r', message).is_some());
        let Ok(Value::Object(object)) = serde_json::from_slice(message) else {
            self.no_json += 1;
            return;
        };
        let Some(arrival) = self.venue.map(|venue| (venue.read)(message)) else { return };
        match &arrival.kind {
            Kind::Refusal(words) => return self.refusals.push(words.clone()),
            Kind::Ack(_) => self.acks += 1,
            Kind::Heartbeat => {
                self.beats.push(at);
                self.counters.push(object["events"][0]["heartbeat_counter"].as_u64());
            }
            Kind::Data(Some(channel)) => {
                self.before_ack += usize::from(self.acks == 0);
                *self.by_channel.entry(channel.name).or_default() += 1;
            }
            Kind::Data(None) => {
                self.unknown.insert(object.get("channel").map_or_else(|| "none".to_owned(), Value::to_string));
            }
        }
        self.number(arrival.sequence);
        let order: Vec<_> = object.keys().map(String::as_str).collect();
        self.orders.insert(order.join(", "));
        self.stamp(object.get("timestamp").and_then(Value::as_str), ours);
    }

    fn number(&mut self, sequence: Option<u64>) {
        let Some(sequence) = sequence else {
            self.unnumbered += 1;
            return;
        };
        self.first.get_or_insert(sequence);
        if let Some(last) = self.last.filter(|last| last + 1 != sequence) {
            self.holes.push((last, sequence));
        }
        self.last = Some(sequence);
    }

    fn stamp(&mut self, stamp: Option<&str>, ours: Option<Timestamp>) {
        self.stamps += 1;
        match stamp.and_then(|stamp| stamp.parse::<Timestamp>().ok()) {
            None => self.bad_stamps += 1,
            Some(theirs) => self.lags.extend(ours.map(|ours| ours.as_millisecond() - theirs.as_millisecond())),
        }
    }

    fn beliefs(mut self, leg: &[Subscribe]) -> Vec<Belief> {
        self.lags.sort_unstable();
        let mut beliefs = vec![
            belief("the connection stands", Some(self.ended.is_none()), option(self.ended.as_ref())),
            belief("subscribes are not refused", Some(self.refusals.is_empty()), list(&self.refusals)),
            belief("sequence_num begins at 0", self.first.map(|first| first == 0), option(self.first)),
            belief(
                "sequence_num goes up by 1 over all channels, acks and heartbeats among them",
                self.last.map(|_| self.holes.is_empty() && self.unnumbered == 0),
                self.numbers(),
            ),
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
        beliefs.push(self.heartbeats());
        beliefs.push(self.counter());
        beliefs.extend(self.channels(leg));
        beliefs.push(belief(
            "no message is of a channel that we do not know",
            Some(self.unknown.is_empty()),
            list(&self.unknown),
        ));
        let known = ["channel, timestamp, sequence_num, events", "channel, client_id, timestamp, sequence_num, events"];
        let as_known = self.orders.iter().all(|order| known.contains(&order.as_str()));
        let orders: Vec<_> = self.orders.iter().map(String::as_str).collect();
        beliefs.push(belief(
            "fields stand as channel, [client_id,] timestamp, sequence_num, events",
            (!orders.is_empty()).then_some(as_known),
            orders.join(" | "),
        ));
        let stamps = format!("{} of {}", self.stamps - self.bad_stamps, self.stamps);
        beliefs.push(belief(
            "timestamp is RFC 3339",
            (self.stamps > 0).then_some(self.bad_stamps == 0),
            match self.lags.get(self.lags.len() / 2) {
                Some(lag) => format!("{stamps}; ours is later by {lag} ms at the median"),
                None => stamps,
            },
        ));
        let whole = self.line_breaks == 0 && self.no_json == 0;
        let seen = format!("{} with a line break, {} no JSON", self.line_breaks, self.no_json);
        beliefs.push(belief("each message is one JSON object without a line break", Some(whole), seen));
        let limit = crate::net::LARGEST_MESSAGE;
        let seen = format!("{} messages, the longest of {} bytes", self.messages, self.longest);
        beliefs.push(belief("messages are far below our limit of 64 MiB", Some(self.longest < limit / 2), seen));
        beliefs
    }

    fn numbers(&self) -> String {
        let holes: Vec<_> = self.holes.iter().take(5).map(|(from, to)| format!("{from} then {to}")).collect();
        let first = if holes.is_empty() { String::new() } else { format!(" ({})", holes.join(", ")) };
        format!("up to {}, {} jumps{first}, {} messages without", option(self.last), self.holes.len(), self.unnumbered)
    }

    fn heartbeats(&self) -> Belief {
        let apart: Vec<_> = self.beats.windows(2).map(|two| two[1].duration_since(two[0])).collect();
        let (Some(first), Some(last)) = (self.beats.first(), self.beats.last()) else {
            return belief("a heartbeat each second", None, String::new());
        };
        let seconds = last.duration_since(*first).as_secs_f64();
        // The first and the last may come late or early by as much as the line is slow.
        let rate = f64::from(u32::try_from(apart.len()).unwrap_or(u32::MAX)) / seconds.max(0.001);
        let longest = apart.iter().max().map_or(0, Duration::as_millis);
        let seen = format!("{} in {seconds:.1} s, {longest} ms apart at most", self.beats.len());
        belief("a heartbeat each second", (seconds > 3.0).then_some((0.8..1.25).contains(&rate)), seen)
    }

    fn counter(&self) -> Belief {
        let numbers = self.counters.iter().all(Option::is_some);
        let steady = self.counters.windows(2).all(|two| two[0].map(|counter| counter + 1) == two[1]);
        let seen = format!(
            "from {} to {}",
            option(self.counters.first().copied().flatten()),
            option(self.counters.last().copied().flatten())
        );
        belief(
            "heartbeat_counter is a number and goes up by 1",
            (!self.counters.is_empty()).then_some(numbers && steady),
            seen,
        )
    }

    fn channels(&self, leg: &[Subscribe]) -> Vec<Belief> {
        let channels = leg.iter().flat_map(|subscribe| &subscribe.channels).filter(|channel| !channel.heartbeat);
        channels
            .map(|channel| {
                let count = self.by_channel.get(channel.name).copied().unwrap_or(0);
                // A quiet account sends nothing of its own.
                let holds = (count > 0 || !channel.private).then_some(count > 0);
                belief(channel.name, holds, format!("{count} messages"))
            })
            .collect()
    }
}

fn belief(what: &'static str, holds: Option<bool>, seen: impl Into<String>) -> Belief {
    Belief { what, holds, seen: seen.into() }
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
mod tests {
    use super::*;
    use crate::venue::advanced_trade::MARKET;

    fn watched(messages: &[&str]) -> Vec<Belief> {
        let mut watch = Watch { venue: Some(&MARKET), asked: 1, ..Watch::default() };
        let begun = Instant::now();
        for (second, message) in messages.iter().enumerate() {
            watch.see(message.as_bytes(), begun + Duration::from_secs(second as u64), None);
        }
        watch.beliefs(&[])
    }

    fn holds(beliefs: &[Belief], what: &str) -> Option<bool> {
        beliefs.iter().find(|belief| belief.what.starts_with(what)).expect("believed").holds
    }

    fn beat(sequence: u64, counter: &str) -> String {
        format!(
            r#"{{"channel":"heartbeats","timestamp":"2026-08-09T21:05:48.1Z","sequence_num":{sequence},"events":[{{"heartbeat_counter":{counter}}}]}}"#
        )
    }

    const ACK: &str = r#"{"channel":"subscriptions","timestamp":"2026-08-09T21:05:48Z","sequence_num":0,"events":[{"subscriptions":{"heartbeats":["heartbeats"]}}]}"#;

    #[tokio::test(start_paused = true)]
    async fn what_we_believe_holds_of_what_was_recorded() {
        let beats: Vec<_> = (1..=6).map(|n| beat(n, &(41_690 + n).to_string())).collect();
        let all: Vec<_> = std::iter::once(ACK).chain(beats.iter().map(String::as_str)).collect();
        let beliefs = watched(&all);
        for belief in &beliefs {
            assert_ne!(belief.holds, Some(false), "{}: {}", belief.what, belief.seen);
        }
        assert_eq!(holds(&beliefs, "a heartbeat"), Some(true));
    }

    #[tokio::test(start_paused = true)]
    async fn what_differs_is_told() {
        let (fourth, fifth) = (beat(4, "\"7\""), beat(6, "9"));
        let odd = "{\"timestamp\":\"noon\",\n\"channel\":\"novelty\",\"sequence_num\":7,\"events\":[]}";
        let beliefs = watched(&[&fourth, &fifth, odd, r#"{"type":"error","message":"authentication failure"}"#, "[1]"]);
        for what in [
            "subscribes are not refused",
            "sequence_num begins",
            "sequence_num goes up",
            "each subscribe has",
            "heartbeat_counter",
            "no message is of a channel",
            "fields stand",
            "timestamp",
            "each message is one JSON",
        ] {
            assert_eq!(holds(&beliefs, what), Some(false), "{what}");
        }
    }
}
