//! What `status.json` holds: one type for the daemon that writes it and for `tickerd status`, which reads it.

use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::{Board, Leg, REFUSES_ALL, State};
use crate::{account::Totals, session::Cause, venue::Offset};

/// One daemon at one moment. Times are the daemon's wall clock's, durations its monotonic clock's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The form of this file.
    pub v: u32,
    /// The daemon's version.
    pub tickerd: String,
    /// Its process.
    pub pid: u32,
    /// The random id of its run, as in `conn` of its records.
    pub run: String,
    /// A service manager runs it.
    pub supervised: bool,
    /// When it began.
    #[serde(with = "crate::record::time")]
    pub started: SystemTime,
    /// When this was written.
    #[serde(with = "crate::record::time")]
    pub written: SystemTime,
    /// How far its machine's clock is from the venue's, in milliseconds, where it is wrong; more than 0 where it is behind.
    pub clock_offset_ms: Option<i64>,
    /// Its feeds.
    pub feeds: Vec<FeedReport>,
    /// Its files; None where records do not go to files.
    #[serde(default)]
    pub output: Option<OutputReport>,
}

/// The files that records go to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputReport {
    /// As the configuration has it.
    pub path: String,
    /// The judgement.
    pub health: Health,
    /// What is written a day, in bytes, at the pace of the last hour; None in the first minute.
    pub bytes_a_day: Option<u64>,
    /// About how much of that stays on the disk a day once it is compressed, in bytes.
    pub stored_a_day: Option<u64>,
    /// What is free on the disk, in bytes.
    pub free: Option<u64>,
    /// When the disk is full at this pace; None where it can not be told, or `keep` sees to it that it is not.
    pub full_in_ms: Option<u64>,
    /// The same in words, or that `keep` sees to it.
    pub outlook: Option<String>,
    /// Why it is not well, or what to do.
    pub why: Option<String>,
}

/// One feed, the worst of its connections speaking for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedReport {
    /// Its name.
    pub name: String,
    /// Its venue.
    #[serde(default)]
    pub venue: String,
    /// The credentials that it is to sign with, by name; None where it subscribes unsigned, as public channels may.
    #[serde(default)]
    pub credentials: Option<String>,
    /// The judgement.
    pub health: Health,
    /// How it is...
    pub state: Condition,
    /// ...for how long...
    pub for_ms: u64,
    /// ...and why, where that is to be said.
    pub why: Option<String>,
    /// The credentials are refused, and public channels go on without them.
    pub unsigned: bool,
    /// The channels that were asked for and are not delivered.
    pub missing: Vec<String>,
    /// On how many channels a product is missing, since the venue does not know it: `subscribed` in the record names them.
    pub left_out: u64,
    /// Over how many connections it is spread...
    pub connections: u64,
    /// ...how many of them deliver...
    pub delivering: u64,
    /// ...and how many were made since the start.
    pub connected: u64,
    /// Messages that came off the sockets since the start.
    pub received: u64,
    /// Of these, written.
    pub written: u64,
    /// Of these, lost and owned up to.
    pub dropped: u64,
    /// Holes in what came.
    pub gaps: u64,
    /// How long ago data came last: heartbeats and answers are none.
    pub last_ms: Option<u64>,
    /// How long ago a message was lost last, as far as the daemon's looks at its counts tell.
    pub last_drop_ms: Option<u64>,
}

/// How a feed is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// Not yet connected since the start.
    Starting,
    /// It waits for the venue's list of products.
    Waiting,
    /// The venue delivers.
    Recording,
    /// Nothing is delivered on one connection at least.
    Down,
    /// The reader of the output takes nothing.
    Stalled,
}

/// What becomes of it, in the order of how bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// All that was asked for is recorded.
    Well,
    /// Less than that, or with a doubt.
    Degraded,
    /// Nothing is.
    Down,
}

impl Report {
    /// The form that is written here, and the only one that is read.
    pub const V: u32 = 1;
}

impl FeedReport {
    /// A drop counts as one of now for so long.
    const DROPPING: Duration = Duration::from_secs(10);

    /// Messages are being lost.
    #[must_use]
    pub fn is_dropping(&self) -> bool {
        self.last_drop_ms.is_some_and(|ago| u128::from(ago) < Self::DROPPING.as_millis())
    }

    /// Adds what was counted, and how long ago a drop was seen last, which is judged too.
    pub(crate) fn count(&mut self, connected: u64, totals: Totals, last_drop: Option<Duration>) {
        self.connected = connected;
        Totals { received: self.received, written: self.written, dropped: self.dropped, gaps: self.gaps } = totals;
        self.last_drop_ms = last_drop.map(milliseconds);
        if self.is_dropping() {
            self.health = self.health.max(Health::Degraded);
        }
    }
}

impl Board {
    /// How each feed is, without what is known elsewhere, its counts and its configuration, and the clock where it is wrong.
    #[must_use]
    pub(crate) fn report(&self, now: Instant) -> (Vec<FeedReport>, Option<Offset>) {
        let mut board = self.lock();
        for leg in &mut board.legs {
            leg.since.get_or_insert(now);
        }
        let feeds = board.legs.chunk_by(|a, b| a.feed == b.feed);
        (feeds.filter_map(|legs| report(legs, board.clock.is_some(), now)).collect(), board.clock)
    }
}

fn report(legs: &[Leg], clock_is_wrong: bool, now: Instant) -> Option<FeedReport> {
    let since = |leg: &Leg| match &leg.state {
        State::Down { since, .. } | State::Stalled { since } => *since,
        _ => leg.since.unwrap_or(now),
    };
    // Of several that are as bad, the one that has been so for longest.
    let worst = legs.iter().max_by_key(|leg| (leg.state.badness(), now.saturating_duration_since(since(leg))))?;
    let delivering = legs.iter().filter(|leg| matches!(leg.state, State::Recording { .. })).count() as u64;
    let mut missing = Vec::<String>::new();
    let (mut unsigned, mut left_out) = (false, 0);
    for leg in legs {
        let State::Recording { unsigned: goes_unsigned, missing: lacks, left_out: without } = &leg.state else {
            continue;
        };
        left_out += *without as u64;
        unsigned |= goes_unsigned;
        missing.extend(lacks.iter().map(|channel| (*channel).to_owned()));
    }
    missing.sort();
    missing.dedup();
    let state = match worst.state {
        State::Starting => Condition::Starting,
        State::Waiting => Condition::Waiting,
        State::Recording { .. } => Condition::Recording,
        State::Down { .. } => Condition::Down,
        State::Stalled { .. } => Condition::Stalled,
    };
    let health = match &worst.state {
        State::Recording { .. } if worst.state.badness() == 0 && !clock_is_wrong => Health::Well,
        State::Down { .. } if delivering == 0 => Health::Down,
        _ => Health::Degraded,
    };
    Some(FeedReport {
        name: worst.feed.to_string(),
        venue: String::new(),
        credentials: None,
        health,
        state,
        for_ms: milliseconds(now.saturating_duration_since(since(worst))),
        why: why(worst),
        unsigned,
        missing,
        left_out,
        connections: legs.len() as u64,
        delivering,
        connected: 0,
        received: 0,
        written: 0,
        dropped: 0,
        gaps: 0,
        last_ms: legs
            .iter()
            .filter_map(|leg| leg.data_at)
            .max()
            .map(|at| milliseconds(now.saturating_duration_since(at))),
        last_drop_ms: None,
    })
}

/// Why the connection ended, or why less is recorded than was asked for; what the venue refused explains either.
fn why(leg: &Leg) -> Option<String> {
    let refused = leg.refused.as_ref().map(|verdict| format!("refused: {verdict}"));
    match &leg.state {
        State::Down { why, .. } if why == REFUSES_ALL || why == Cause::Refused.name() => {
            Some(refused.unwrap_or_else(|| why.clone()))
        }
        State::Down { why, .. } => Some(refused.map_or_else(|| why.clone(), |refused| format!("{why}; {refused}"))),
        State::Recording { .. } if leg.state.badness() > 0 => refused,
        _ => None,
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(board: &Board, now: Instant) -> FeedReport {
        let (mut feeds, _) = board.report(now);
        assert_eq!(feeds.len(), 1);
        feeds.remove(0)
    }

    fn recording() -> State {
        State::Recording { unsigned: false, missing: vec![], left_out: 0 }
    }

    fn down(since: Instant, why: &str) -> State {
        State::Down { since, why: why.into() }
    }

    /// `AdamastorX/adamastorx#283`: 29 hours of silence, while each try that came to nothing looked like a start.
    #[test]
    fn a_try_that_comes_to_nothing_does_not_hide_for_how_long_a_feed_is_down() {
        let (board, begun) = (Board::default(), Instant::now());
        let place = board.place("tickers".into(), begun);
        place.is(recording());
        place.is(down(begun, "closed 1001"));
        let later = begun + Duration::from_secs(29 * 3600);
        place.is(State::Starting);
        let feed = one(&board, later);
        assert_eq!((feed.state, feed.for_ms, feed.health), (Condition::Down, 29 * 3_600_000, Health::Down));
        assert_eq!(feed.why.as_deref(), Some("closed 1001"));
        place.is(recording());
        assert_eq!(one(&board, later).health, Health::Well);
    }

    #[test]
    fn what_a_refusal_means_stands_with_what_is_down_until_all_is_recorded() {
        let (board, now) = (Board::default(), Instant::now());
        let place = board.place("user".into(), now);
        place.refused("the key is unknown");
        for why in ["refused", REFUSES_ALL] {
            place.is(down(now, why));
            assert_eq!(one(&board, now).why.as_deref(), Some("refused: the key is unknown"));
        }
        place.is(down(now, "lost"));
        assert_eq!(one(&board, now).why.as_deref(), Some("lost; refused: the key is unknown"));
        place.is(State::Recording { unsigned: true, missing: vec!["user"], left_out: 0 });
        let feed = one(&board, now);
        assert_eq!((feed.health, feed.unsigned, &feed.missing[..]), (Health::Degraded, true, &["user".to_owned()][..]));
        assert_eq!(feed.why.as_deref(), Some("refused: the key is unknown"));
        place.is(recording());
        place.is(down(now, "lost"));
        assert_eq!(one(&board, now).why.as_deref(), Some("lost"), "it is over");
    }

    #[test]
    fn health_is_that_of_the_feed_and_not_of_its_worst_connection_alone() {
        let (board, now) = (Board::default(), Instant::now());
        let (a, b) = (board.place("x".into(), now), board.place("x".into(), now));
        assert_eq!((one(&board, now).state, one(&board, now).health), (Condition::Starting, Health::Degraded));
        a.is(recording());
        b.is(down(now, "lost"));
        let feed = one(&board, now);
        assert_eq!((feed.state, feed.health, feed.delivering), (Condition::Down, Health::Degraded, 1));
        a.is(down(now, "lost"));
        assert_eq!(one(&board, now).health, Health::Down);
        a.is(recording());
        b.is(recording());
        assert_eq!(one(&board, now).health, Health::Well);
        board.clock(Some(Offset { ms: 94_000, uncertainty_ms: 5 }));
        assert_eq!(one(&board, now).health, Health::Degraded, "its receive times are wrong");
        board.clock(None);
        let dropped = |ago| {
            let mut feed = one(&board, now);
            feed.count(1, Totals { dropped: 3, ..Totals::default() }, Some(Duration::from_secs(ago)));
            feed.health
        };
        assert_eq!((dropped(9), dropped(10)), (Health::Degraded, Health::Well));
    }

    #[test]
    fn a_stall_does_not_begin_anew_for_how_long_it_has_recorded() {
        let (board, begun) = (Board::default(), Instant::now());
        let place = board.place("x".into(), begun);
        let at = |seconds| begun + Duration::from_secs(seconds);
        place.is(recording());
        place.data_at(Some(at(1)));
        assert_eq!(one(&board, at(1)).for_ms, 0);
        let before = place.stalls(at(50));
        assert_eq!((one(&board, at(57)).state, one(&board, at(57)).for_ms), (Condition::Stalled, 7_000));
        place.is(before);
        place.data_at(None);
        let feed = one(&board, at(61));
        assert_eq!((feed.for_ms, feed.last_ms), (60_000, Some(60_000)), "a new connection has brought nothing yet");
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let (board, now) = (Board::default(), Instant::now());
        board.place("x".into(), now).is(down(now, "a \"word\"\n"));
        let time = SystemTime::UNIX_EPOCH + Duration::new(1_795_541_462, 123_456_789);
        let report = Report {
            v: Report::V,
            tickerd: "0.1.0".into(),
            pid: 4711,
            run: "00003f2a".into(),
            supervised: true,
            started: time,
            written: time,
            clock_offset_ms: Some(-90_000),
            feeds: board.report(now).0,
            output: Some(OutputReport {
                path: "/data/tape.ndjson".into(),
                health: Health::Well,
                bytes_a_day: Some(1),
                stored_a_day: None,
                free: Some(2),
                full_in_ms: None,
                outlook: None,
                why: None,
            }),
        };
        let text = serde_json::to_string(&report).expect("JSON");
        assert!(text.contains("\"written\":\"2026-11-24T17:31:02.123456789Z\""), "{text}");
        assert_eq!(serde_json::from_str::<Report>(&text).expect("the same"), report);
        let mut older = serde_json::to_value(&report).expect("JSON");
        older.as_object_mut().expect("an object").remove("output");
        assert_eq!(serde_json::from_value::<Report>(older).expect("as version 0.1 had it").output, None);
    }
}
