//! How each leg of each feed is, in one place: for the line that the service manager shows, for its watchdog, and for the
//! report that `tickerd status` reads.

mod folder;
mod report;
mod sheet;

pub use folder::{Folders, Found, Looked, Unfit};
pub use report::{Condition, FeedReport, Health, OutputReport, Report};
pub use sheet::Sheet;

use std::{
    fmt::Write as _,
    mem::discriminant,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::venue::Offset;

/// A leg that promised to be heard of and was not is given this much more: the machine may be busy.
const SLACK: Duration = Duration::from_secs(5);

/// Why nothing is recorded though the venue answers.
pub const REFUSES_ALL: &str = "the venue refuses all that this feed asks for";

/// All legs, each beside those of its feed, in the order in which the feeds came.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<Written>>);

/// One leg's line on the board.
#[derive(Clone, Debug)]
pub struct Place {
    board: Board,
    id: u64,
}

#[derive(Debug, Default)]
struct Written {
    legs: Vec<Leg>,
    next_id: u64,
    /// Our clock, where it is wrong...
    clock: Option<Offset>,
    /// ...and as it was measured last, right or wrong.
    measured: Option<Offset>,
}

#[derive(Debug)]
struct Leg {
    id: u64,
    feed: Arc<str>,
    state: State,
    /// By when it will be heard of again; None while the output blocks it.
    heard_by: Option<Instant>,
    /// Since when it is how it is, as far as somebody has looked since.
    since: Option<Instant>,
    /// When data came last, on whichever connection.
    data_at: Option<Instant>,
    /// What the venue's last refusal means, while something is missing.
    refused: Option<String>,
}

/// How a leg is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Not yet connected since the start.
    Starting,
    /// Which products it is to record is not known before the venue has listed them.
    Waiting,
    /// The venue delivers.
    Recording {
        /// The credentials are refused and public channels go on without them.
        unsigned: bool,
        /// The channels that were asked for and are not delivered.
        missing: Vec<&'static str>,
        /// On how many channels a product is missing, since the venue does not know it.
        left_out: usize,
    },
    /// Nothing is delivered.
    Down {
        /// Since when.
        since: Instant,
        /// Why, in a few words.
        why: String,
    },
    /// The reader of the output takes nothing, and so do we.
    Stalled {
        /// Since when.
        since: Instant,
    },
}

impl Board {
    /// Adds a leg.
    #[must_use]
    pub fn place(&self, feed: Arc<str>, now: Instant) -> Place {
        let mut board = self.lock();
        let id = board.next_id;
        board.next_id += 1;
        let at = board.legs.iter().rposition(|leg| leg.feed == feed).map_or(board.legs.len(), |last| last + 1);
        let (state, heard_by) = (State::Starting, Some(now));
        board.legs.insert(at, Leg { id, feed, state, heard_by, since: Some(now), data_at: None, refused: None });
        Place { board: self.clone(), id }
    }

    /// Whether every leg was heard of when it said it would be, or is blocked by the output and says so.
    #[must_use]
    pub fn is_alive(&self, now: Instant) -> bool {
        self.lock().legs.iter().all(|leg| leg.heard_by.is_none_or(|by| now <= by + SLACK))
    }

    /// Whether every leg delivers all that was asked for.
    #[must_use]
    pub fn is_delivering(&self) -> bool {
        self.lock().legs.iter().all(|leg| matches!(&leg.state, State::Recording { missing, .. } if missing.is_empty()))
    }

    /// How long the output has blocked the leg that it has blocked longest, if it blocks one.
    #[must_use]
    pub fn stalled(&self, now: Instant) -> Option<Duration> {
        let since = |leg: &Leg| match leg.state {
            State::Stalled { since } => Some(now.duration_since(since)),
            _ => None,
        };
        self.lock().legs.iter().filter_map(since).max()
    }

    /// The clock was measured.
    pub fn measured(&self, offset: Offset) {
        self.lock().measured = Some(offset);
    }

    /// The clock as it was measured last; None before it was.
    #[must_use]
    pub fn offset(&self) -> Option<Offset> {
        self.lock().measured
    }

    /// Shows a clock that is wrong, or no longer.
    pub fn clock(&self, wrong: Option<Offset>) {
        self.lock().clock = wrong;
    }

    /// One line that says how each feed is, the worst of its legs speaking for it.
    #[must_use]
    pub fn line(&self, now: Instant) -> String {
        let mut line = String::new();
        let board = self.lock();
        for feed in board.legs.chunk_by(|a, b| a.feed == b.feed) {
            if !line.is_empty() {
                line.push_str("; ");
            }
            let Some(worst) = feed.iter().max_by_key(|leg| leg.state.badness()) else { continue };
            let _ = write!(line, "{} {}", worst.feed, worst.state.words(now));
            if feed.len() > 1 {
                let well = feed.iter().filter(|leg| matches!(leg.state, State::Recording { .. })).count();
                let _ = write!(line, " ({well} of {} connections deliver)", feed.len());
            }
        }
        if let Some(offset) = board.clock {
            let _ = write!(line, "; this machine's clock is {offset}");
        }
        line
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Says how the leg is. A try is no change while nothing has come of it: what is down stays so, and since when.
    pub fn is(&self, state: State) {
        self.with(|leg| {
            if matches!((&leg.state, &state), (State::Down { .. }, State::Starting)) {
                return;
            }
            // What was before a stall goes on after it.
            if !matches!(leg.state, State::Stalled { .. }) && discriminant(&leg.state) != discriminant(&state) {
                leg.since = None;
            }
            if state.badness() == 0 {
                leg.refused = None;
            }
            leg.state = state;
        });
    }

    /// Data came last at this time, if any has.
    pub fn data_at(&self, last: Option<Instant>) {
        self.with(|leg| leg.data_at = last.or(leg.data_at));
    }

    /// The venue refused something, and what that means.
    pub fn refused(&self, verdict: &str) {
        self.with(|leg| leg.refused = Some(verdict.to_owned()));
    }

    /// Promises to be heard of again by then.
    pub fn heard_by(&self, at: Instant) {
        self.with(|leg| leg.heard_by = Some(at));
    }

    /// The leg has stopped, as it was told to.
    pub fn retire(&self) {
        self.with(|leg| leg.heard_by = None);
    }

    /// There is no such leg any more, and nobody is to look for it.
    pub fn leave(&self) {
        self.board.lock().legs.retain(|leg| leg.id != self.id);
    }

    /// The output blocks; the state before that.
    #[must_use]
    pub fn stalls(&self, now: Instant) -> State {
        let mut before = State::Starting;
        self.with(|leg| {
            leg.heard_by = None;
            before = std::mem::replace(&mut leg.state, State::Stalled { since: now });
        });
        before
    }

    fn with(&self, change: impl FnOnce(&mut Leg)) {
        if let Some(leg) = self.board.lock().legs.iter_mut().find(|leg| leg.id == self.id) {
            change(leg);
        }
    }
}

impl State {
    fn badness(&self) -> u8 {
        match self {
            Self::Recording { missing, unsigned, left_out } => {
                u8::from(*unsigned || !missing.is_empty() || *left_out > 0)
            }
            Self::Starting | Self::Waiting => 2,
            Self::Stalled { .. } => 3,
            Self::Down { .. } => 4,
        }
    }

    fn words(&self, now: Instant) -> String {
        match self {
            Self::Starting => "connecting".into(),
            Self::Waiting => "waiting until the venue lists a product that matches".into(),
            Self::Recording { unsigned, missing, left_out } => {
                let mut words = "recording".to_owned();
                if *unsigned {
                    words.push_str(" public channels, credentials refused");
                }
                if !missing.is_empty() {
                    let _ = write!(words, ", without {}", missing.join(", "));
                }
                if *left_out > 0 {
                    let _ = write!(words, ", {left_out} left out by the venue");
                }
                words
            }
            Self::Down { since, why } => format!("DOWN {}: {why}", short(now.duration_since(*since))),
            Self::Stalled { since } => {
                format!("blocked {} by a reader of the output that takes nothing", short(now.duration_since(*since)))
            }
        }
    }
}

/// "14 m": a duration in its largest unit.
fn short(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} m", seconds / 60),
        seconds => format!("{} h {} m", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leg_that_is_not_heard_of_is_not_alive_unless_the_output_blocks_it() {
        let (board, now) = (Board::default(), Instant::now());
        let place = board.place("tickers".into(), now);
        place.heard_by(now + Duration::from_secs(10));
        assert!(board.is_alive(now + Duration::from_secs(15)));
        assert!(!board.is_alive(now + Duration::from_secs(16)), "the watchdog must bite");
        let _ = place.stalls(now);
        assert!(board.is_alive(now + Duration::from_secs(3600)), "a reader that stalls is no hang of ours");
        assert_eq!(
            board.line(now + Duration::from_secs(90)),
            "tickers blocked 1 m by a reader of the output that takes nothing"
        );
    }

    #[test]
    fn the_worst_leg_speaks_for_a_feed() {
        let (board, now) = (Board::default(), Instant::now());
        let (a, b, c) = (board.place("x".into(), now), board.place("x".into(), now), board.place("y".into(), now));
        a.is(State::Recording { unsigned: false, missing: vec![], left_out: 0 });
        b.is(State::Down { since: now, why: "lost".into() });
        c.is(State::Recording { unsigned: false, missing: vec![], left_out: 0 });
        let line = board.line(now + Duration::from_secs(840));
        assert_eq!(line, "x DOWN 14 m: lost (1 of 2 connections deliver); y recording");
    }

    #[test]
    fn a_leg_that_left_is_not_looked_for_and_a_new_one_stands_with_its_feed() {
        let (board, now) = (Board::default(), Instant::now());
        let (waits, other) = (board.place("x".into(), now), board.place("y".into(), now));
        waits.is(State::Waiting);
        other.is(State::Recording { unsigned: false, missing: vec![], left_out: 0 });
        assert_eq!(board.line(now), "x waiting until the venue lists a product that matches; y recording");
        let leg = board.place("x".into(), now);
        waits.leave();
        leg.is(State::Recording { unsigned: false, missing: vec![], left_out: 0 });
        waits.is(State::Starting);
        assert_eq!(board.line(now), "x recording; y recording");
        assert!(board.is_delivering());
    }
}
