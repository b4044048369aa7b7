//! Messages that came together, of one connection and in their order: what a read brings is handled as one where it can be.

use std::collections::VecDeque;

use super::{Line, cost_of};

/// More than the 128 KiB of tickers that a read brings cost to hold: a run is a write.
const MOST: u64 = 192 * 1024;

/// Used ones that are kept to be used again: one is filled while another is written, and what a scheduler does between. More
/// of them are needed only where the writer has fallen behind.
const SPARE: usize = 8;

/// One line or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run(Lines);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Lines {
    /// It lies where it was read.
    One(Line),
    /// They lie in memory of their own.
    Many(Many),
}

/// Lines one behind the other, so that they can be written as they lie, and the buffer that they were read into is free again:
/// a system gives memory out by the page, and to take fresh pages for each read costs more than the reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Many {
    /// From `begin` on, each with its line break.
    text: String,
    begin: usize,
    /// Where each line ends, its line break included.
    ends: VecDeque<usize>,
    /// What its messages cost to hold, and how much that may become, in bytes.
    cost: u64,
    most: u64,
}

/// The memory of runs that are written, for those that are to come.
#[derive(Debug)]
pub struct Spare {
    /// What a run that is made of it may cost, in bytes.
    most: u64,
    used: Vec<Many>,
}

impl Run {
    /// How many lines it has, at least one.
    #[must_use]
    pub fn count(&self) -> u64 {
        match &self.0 {
            Lines::One(_) => 1,
            Lines::Many(many) => many.ends.len() as u64,
        }
    }

    /// The one line that lies where it was read.
    #[must_use]
    pub fn lone(&self) -> Option<&Line> {
        match &self.0 {
            Lines::One(line) => Some(line),
            Lines::Many(_) => None,
        }
    }

    /// The lines, without their ends.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let (one, many) = match &self.0 {
            Lines::One(line) => (Some(line.as_bytes()), None),
            Lines::Many(many) => (None, Some(many.lines())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// All of its bytes, lines' ends included, except that one which lies where it was read has none.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        match &self.0 {
            Lines::One(line) => line.as_bytes(),
            Lines::Many(many) => &many.text.as_bytes()[many.begin..],
        }
    }

    /// What its messages cost to hold, in bytes.
    #[must_use]
    pub fn cost(&self) -> u64 {
        match &self.0 {
            Lines::One(line) => cost_of(line.as_bytes().len()),
            Lines::Many(many) => many.cost,
        }
    }

    /// Takes a later line in, if it may be so much.
    pub fn put(&mut self, line: &Line) -> bool {
        match &mut self.0 {
            Lines::One(_) => false,
            Lines::Many(many) => many.put(line.as_str()),
        }
    }

    /// Takes the first line off, where another one is left.
    pub fn split_first(&mut self) -> Option<Self> {
        let Lines::Many(many) = &mut self.0 else { return None };
        if many.ends.len() < 2 {
            return None;
        }
        let end = many.ends.pop_front()?;
        let line = Line::copy_of(&many.text[many.begin..end - 1]);
        many.begin = end;
        many.cost -= cost_of(line.as_bytes().len());
        Some(Self(Lines::One(line)))
    }
}

impl From<Line> for Run {
    fn from(line: Line) -> Self {
        Self(Lines::One(line))
    }
}

impl Many {
    fn put(&mut self, line: &str) -> bool {
        let cost = self.cost + cost_of(line.len());
        if cost > self.most {
            return false;
        }
        self.cost = cost;
        // It grows with what is in it: of slow feeds each line is a run, and thousands of them may wait.
        self.text.reserve(line.len() + 1);
        self.text.push_str(line);
        self.text.push('\n');
        self.ends.push_back(self.text.len());
        true
    }

    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(self.begin).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, end)| &self.text.as_bytes()[begin..end - 1])
    }
}

impl Spare {
    /// For runs of a queue that holds so many bytes: a run is a small part of it.
    #[must_use]
    pub fn of_queue(limit: u64) -> Self {
        Self { most: MOST.min(limit / 16), used: Vec::new() }
    }

    /// A run that begins with this line, which moves out of the buffer that it was read into, unless it is about all that is
    /// in there.
    #[must_use]
    pub fn begin(&mut self, line: &Line) -> Run {
        if cost_of(line.as_bytes().len()) > self.most / 2 {
            return line.clone().into();
        }
        let mut many = Many { most: self.most, ..self.used.pop().unwrap_or_default() };
        many.put(line.as_str());
        Run(Lines::Many(many))
    }

    /// Takes the memory of one that is written.
    pub fn give(&mut self, run: Run) {
        if let Lines::Many(mut many) = run.0
            && self.used.len() < SPARE
        {
            many.text.clear();
            (many.begin, many.cost) = (0, 0);
            many.ends.clear();
            self.used.push(many);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line::from_text(format!("[{text}]").into())
    }

    fn shown(run: &Run) -> Vec<&str> {
        run.lines().map(|line| std::str::from_utf8(line).expect("UTF-8")).collect()
    }

    #[test]
    fn lines_come_together_up_to_a_cost_and_part_again() {
        let cost = Run::from(line("1")).cost();
        let mut spare = Spare::of_queue(3 * cost * 16);
        let mut all = spare.begin(&line("1"));
        assert!(all.put(&line("22")) && all.put(&line("3")));
        assert!(!all.put(&line("4")), "three are the most");
        assert_eq!((all.text(), all.count(), all.cost()), (&b"[1]\n[22]\n[3]\n"[..], 3, 3 * cost));
        assert_eq!(shown(&all), ["[1]", "[22]", "[3]"]);
        assert_eq!(all.split_first(), Some(line("1").into()));
        assert_eq!((all.text(), shown(&all)), (&b"[22]\n[3]\n"[..], vec!["[22]", "[3]"]));
        assert_eq!(all.cost(), 2 * cost);
        assert_eq!(all.split_first(), Some(line("22").into()));
        assert_eq!((all.split_first(), shown(&all)), (None, vec!["[3]"]));
    }

    #[test]
    fn a_line_that_is_most_of_what_was_read_lies_where_it_was_read() {
        let mut spare = Spare::of_queue(u64::MAX);
        let long = line(&"1".repeat(100_000));
        let mut run = spare.begin(&long);
        assert_eq!(run.lone().map(|line| line.as_bytes().as_ptr()), Some(long.as_bytes().as_ptr()));
        assert!(!run.put(&line("2")));
        assert_eq!((run.text(), run.count()), (long.as_bytes(), 1));
    }

    #[test]
    fn memory_is_used_again_and_not_for_ever_more() {
        let mut spare = Spare::of_queue(u64::MAX);
        let first = spare.begin(&line("1"));
        let place = first.text().as_ptr();
        spare.give(first);
        let second = spare.begin(&line("2"));
        assert_eq!((second.text().as_ptr(), shown(&second)), (place, vec!["[2]"]));
        let many: Vec<_> = (0..100).map(|_| spare.begin(&line("3"))).collect();
        for run in many {
            spare.give(run);
        }
        assert_eq!(spare.used.len(), SPARE);
    }
}
