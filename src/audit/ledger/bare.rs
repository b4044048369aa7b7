//! Raw records: what can be told without an envelope.

use super::{Fate, Ledger};
use crate::audit::{
    finding::{Kind, Weight},
    hole::{Count, Hole, Scope},
    message::{self, Told},
    raw::Step,
    stamp::{self, SECOND, Stamp},
};

impl Ledger {
    /// A line that is in no envelope.
    pub(super) fn bare(&mut self, line: &[u8]) -> Fate {
        let Some(told) = message::read(line) else {
            self.count(|counts| counts.unknown += 1);
            if self.lines.unknown == 1 {
                self.tell(
                    Weight::Note,
                    Kind::Unknown,
                    1,
                    "JSON of nobody that is known; it is counted, and not judged",
                );
            }
            return Fate::Keep;
        };
        self.count(|counts| counts.raw += 1);
        self.raw.message();
        let feed = self.feed(b"");
        let before = self.raw.last;
        let at = self.time(&told);
        let span = at.map_or(0, |at| self.came(at));
        if let Some(sequence) = told.sequence {
            match self.raw.count(sequence) {
                Step::On => {}
                Step::Anew => self.begins_anew(feed, before, told.time),
                Step::Hole(from, to) => {
                    self.feeds[feed].losses += 1;
                    let scope = Scope { count: Count::SequenceNum, conn: None, products: Vec::new() };
                    let (place, what) = (self.place(), "raw records".to_owned());
                    let hole = Hole { scope, missing: vec![(from, to)], excused: 0, place, span: (before, at), what };
                    self.holes.found(hole, &mut self.findings);
                }
                Step::Back => {
                    let text =
                        format!("sequence_num {sequence} stands behind a higher one: it is there twice, or misplaced");
                    self.tell(Weight::Fault, Kind::Duplicate, 1, text);
                }
            }
        }
        // What a product's numbers lack over a kill is the kill's, which is told; also where two came before the next of them.
        let conn = (u32::try_from(self.kills.len()).unwrap_or(u32::MAX), self.raw.connections);
        self.of_channel(feed, &told, line, (at, span), conn);
        Fate::Keep
    }

    /// Raw records say when they were sent, most of them; and what tells of a trade long past says nothing of now.
    fn time(&mut self, told: &Told<'_>) -> Option<Stamp> {
        /// Behind so many lines that tell of trades alone there is nothing better.
        const ONLY_TRADES: u32 = 256;
        let given = match told.time {
            Some(time) if told.exact => {
                self.exact = true;
                Some(time)
            }
            Some(time) if told.channel == "ticker" => {
                self.inexact = self.inexact.saturating_add(1);
                let usable = self.raw.last.is_some_and(|last| time > last) || self.inexact > ONLY_TRADES && !self.exact;
                usable.then(|| self.raw.last.map_or(time, |last| last.max(time)))
            }
            _ => None,
        };
        self.raw.last = given.or(self.raw.last);
        self.raw.last
    }

    /// The count begins at 0: there is another connection. Where its time is before that of the one before, the file tells something twice.
    fn begins_anew(&mut self, feed: usize, before: Option<Stamp>, time: Option<Stamp>) {
        /// Clocks of the venue's machines do not agree to the microsecond.
        const AGREE: Stamp = 5 * SECOND;
        let (Some(before), Some(time)) = (before, time) else { return };
        if time + AGREE < before {
            let text = format!(
                "a connection of {} stands behind one of {}: the same again, or misplaced",
                stamp::second(time),
                stamp::second(before)
            );
            self.tell(Weight::Fault, Kind::Misplaced, 1, text);
            return;
        }
        self.feeds[feed].outages.add(before, time);
        let text = format!(
            "one connection ended and another began, at {}: what the venue sent between them is not here",
            stamp::second(time)
        );
        self.tell(Weight::Loss, Kind::Outage, time.saturating_sub(before).div_ceil(SECOND), text);
    }
}
