//! What a slow reader of the output costs, time or messages: said when it begins and, of messages, when it is over; not for
//! each.

use std::time::{Duration, Instant};

use bytesize::ByteSize;

use crate::config::{Output, WhenSlow};

/// A stall of this long is said. A reader that pages or compresses takes a second or two at times.
const STALL_SAID_AFTER: Duration = Duration::from_secs(5);

/// So long after the last message lost, the reader keeps up again. One that takes what there is each second does not.
const OVER_AFTER: Duration = Duration::from_secs(10);

/// Watches what the reader of the output costs.
#[derive(Debug, Default)]
pub(super) struct Slow {
    stall_said: bool,
    losses: Losses,
}

impl Slow {
    /// Says what has become worth saying: how long the leg has been blocked that has been so longest, and how many messages
    /// have been lost so far.
    pub fn tell(&mut self, stalled: Option<Duration>, lost: u64, output: &Output, now: Instant) {
        let stalled = stalled.filter(|stalled| *stalled >= STALL_SAID_AFTER);
        // Once a stall: the one who can end it is the reader of the output.
        if let Some(stalled) = stalled
            && !self.stall_said
        {
            let costs = match output.when_slow {
                WhenSlow::Block => {
                    "the queue is full and the socket is not read; nothing is dropped, but the venue may close"
                }
                WhenSlow::Drop => {
                    "the queue is full of events, which are not dropped, and the connections wait with theirs"
                }
            };
            tracing::warn!("the reader of the output has taken nothing for {} s: {costs}", stalled.as_secs());
        }
        self.stall_said = stalled.is_some();
        match self.losses.look(lost, now) {
            Some(News::Begin(lost)) => tracing::error!(
                event = %"dropped",
                "the reader of the output is too slow, and messages are lost, the oldest first: {lost} so far. Read faster, \
                 set output.queue to more than {}, output.when_slow to \"block\", or output.path to a file",
                ByteSize::b(output.queue).display().iec()
            ),
            Some(News::Over(lost, lasted)) => tracing::warn!(
                event = %"dropped",
                "the reader of the output keeps up again: {lost} messages were lost in {}",
                humantime::format_duration(Duration::from_secs(lasted.as_secs().max(1)))
            ),
            None => {}
        }
    }
}

/// The count of messages lost, and its last run.
#[derive(Debug, Default)]
struct Losses {
    lost: u64,
    looked: Option<Instant>,
    run: Option<Run>,
}

#[derive(Debug)]
struct Run {
    before: u64,
    began: Instant,
    last: Instant,
}

/// What there is to say of losses.
#[derive(Debug, PartialEq, Eq)]
enum News {
    /// Messages are being lost, so many so far.
    Begin(u64),
    /// No more are; so many were, over so long.
    Over(u64, Duration),
}

impl Losses {
    /// Takes in how many have been lost so far.
    fn look(&mut self, lost: u64, now: Instant) -> Option<News> {
        let before = std::mem::replace(&mut self.lost, lost);
        let looked = self.looked.replace(now).unwrap_or(now);
        match &mut self.run {
            Some(run) if lost > before => run.last = now,
            Some(run) if now.duration_since(run.last) >= OVER_AFTER => {
                let news = News::Over(lost - run.before, run.last.duration_since(run.began));
                self.run = None;
                return Some(news);
            }
            None if lost > before => {
                self.run = Some(Run { before, began: looked, last: now });
                return Some(News::Begin(lost - before));
            }
            Some(_) | None => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// hummingbot dropped what its reader had not taken within a second, and never said a word.
    #[test]
    fn a_run_of_losses_is_said_twice_with_its_count_and_length() {
        let (mut losses, begun) = (Losses::default(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(losses.look(0, at(0)), None);
        assert_eq!(losses.look(7, at(1)), Some(News::Begin(7)));
        assert_eq!(losses.look(9, at(2)), None);
        assert_eq!(losses.look(9, at(11)), None, "it may go on");
        assert_eq!(losses.look(12, at(11)), None, "and does");
        assert_eq!(losses.look(12, at(20)), None);
        assert_eq!(losses.look(12, at(21)), Some(News::Over(12, Duration::from_secs(11))));
        assert_eq!(losses.look(12, at(60)), None);
        assert_eq!(losses.look(13, at(61)), Some(News::Begin(1)), "another run has its own count");
    }
}
