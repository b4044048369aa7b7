//! Raw records: the venue's own numbers are all there is, and nothing says over which connection a message came.

use std::collections::HashMap;

use super::{connection::name, stamp::Stamp};

/// As many counts are kept side by side: where a file mixes more connections than this, that it mixes them is known long before.
const COUNTS: usize = 64;

/// What a `sequence_num` says among raw records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is the next.
    On,
    /// Those from the first up to before the second are missing.
    Hole(u64, u64),
    /// The count begins anew: another connection.
    Anew,
    /// It was there: the same number again, or one before.
    Back,
}

/// Counts of raw records.
#[derive(Debug, Default)]
pub struct Raw {
    /// The next number of each count, the one that was used last at the end.
    counts: Vec<u64>,
    /// How often it went on with another count than the last.
    pub switches: u64,
    /// How many connections began.
    pub connections: u64,
    /// Connections that stand, as events among the lines say, and how many messages came while it stood alone.
    open: HashMap<(u32, u64), Standing>,
    /// Messages that were received and not written, as events say: any that are missing may be these.
    pub dropped: u64,
    /// When the last line was.
    pub last: Option<Stamp>,
}

#[derive(Debug)]
struct Standing {
    messages: u64,
    /// Another stood beside it, so that nobody can say whose a message is.
    shared: bool,
}

impl Raw {
    /// A message with this number of its connection came.
    pub fn count(&mut self, sequence: u64) -> Step {
        let behind = sequence.saturating_add(1);
        let Some(due) = self.counts.last().copied() else {
            self.counts.push(behind);
            self.connections += 1;
            return Step::On;
        };
        if sequence == due {
            self.goes_on(behind);
            return Step::On;
        }
        if let Some(at) = self.counts.iter().rposition(|next| *next == sequence)
            && sequence > 0
        {
            self.counts.remove(at);
            self.counts.push(behind);
            self.switches += 1;
            return Step::On;
        }
        if sequence == 0 {
            self.connections += 1;
            if self.counts.len() == COUNTS {
                self.counts.remove(0);
            }
            self.counts.push(behind);
            return Step::Anew;
        }
        if sequence < due {
            return Step::Back;
        }
        self.goes_on(behind);
        Step::Hole(due, sequence)
    }

    fn goes_on(&mut self, next: u64) {
        if let Some(last) = self.counts.last_mut() {
            *last = next;
        }
    }

    /// A message came; it belongs to the connection that stands alone.
    #[inline]
    pub fn message(&mut self) {
        if self.open.len() == 1 {
            for standing in self.open.values_mut() {
                standing.messages += 1;
            }
        }
    }

    /// `connected`.
    pub fn opens(&mut self, conn: (u32, u64)) {
        /// Those of which nobody said that they ended: a kill each.
        const MOST: usize = 1_024;
        // A recorder that was killed left its connections open.
        self.open.retain(|(run, _), _| *run == conn.0);
        if self.open.len() >= MOST {
            self.open.clear();
        }
        let shared = !self.open.is_empty();
        for standing in self.open.values_mut() {
            standing.shared = true;
        }
        self.open.insert(conn, Standing { messages: 0, shared });
    }

    /// `disconnected`: what it wrote, and whether that is there. Why not, if not.
    pub fn closes(&mut self, conn: (u32, u64), written: u64) -> Option<(u64, String)> {
        let standing = self.open.remove(&conn)?;
        if standing.shared || standing.messages == written {
            return None;
        }
        let text = format!(
            "{}: {written} messages were written, as `disconnected` says, and {} are there",
            name(conn),
            standing.messages
        );
        Some((standing.messages.abs_diff(written), text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(numbers: &[u64]) -> (Vec<Step>, u64, u64) {
        let mut raw = Raw::default();
        let steps = numbers.iter().map(|number| raw.count(*number)).collect();
        (steps, raw.switches, raw.connections)
    }

    #[test]
    fn one_connection_after_another_is_told_from_two_at_once() {
        use Step::{Anew, Back, Hole, On};
        assert_eq!(steps(&[0, 1, 2, 0, 1, 2, 3]), (vec![On, On, On, Anew, On, On, On], 0, 2));
        assert_eq!(steps(&[5, 6, 8, 8, 9]), (vec![On, On, Hole(7, 8), Back, On], 0, 1));
        let (found, switches, _) = steps(&[0, 0, 1, 1, 2, 2, 3, 3]);
        assert!(switches == 3 && !found.iter().any(|step| matches!(step, Hole(..) | Back)), "{found:?}");
    }
}
