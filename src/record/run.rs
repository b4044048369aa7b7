//! Messages that came together, of one connection and in their order: what a read brings is handled as one where it can be.

use std::collections::VecDeque;

use super::{Line, cost_of};

/// More than a read brings: a run is a write.
const MOST: usize = 128 * 1024;

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
    text: Vec<u8>,
    begin: usize,
    /// Where each line ends, its line break included.
    ends: VecDeque<usize>,
    cost: u64,
}

/// The memory of runs that are written, for those that are to come.
#[derive(Debug)]
pub struct Spare {
    /// The longest run that is made of it, in bytes.
    most: usize,
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
            Lines::Many(many) => &many.text[many.begin..],
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

    /// Moves out of the buffer that it was read into, unless it is about all that is in there.
    pub fn settle(&mut self, spare: &mut Spare) {
        if let Lines::One(line) = &self.0
            && line.as_bytes().len() <= spare.most / 2
        {
            let mut many = spare.used.pop().unwrap_or_default();
            many.put(line.as_bytes());
            self.0 = Lines::Many(many);
        }
    }

    /// Takes later lines in, if they are few enough.
    pub fn join(&mut self, later: &Self, spare: &Spare) -> bool {
        let Lines::Many(many) = &mut self.0 else { return false };
        let fits = many.text.len() + later.text().len() < spare.most;
        if fits {
            later.lines().for_each(|line| many.put(line));
        }
        fits
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
    fn put(&mut self, line: &[u8]) {
        // It grows with what is in it: of slow feeds each line is a run, and thousands of them may wait.
        self.text.reserve(line.len() + 1);
        self.cost += cost_of(line.len());
        self.text.extend_from_slice(line);
        self.text.push(b'\n');
        self.ends.push_back(self.text.len());
    }

    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(self.begin).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, end)| &self.text[begin..end - 1])
    }
}

impl Spare {
    /// For runs of a queue that holds so many bytes: a run is a small part of it.
    #[must_use]
    pub fn of_queue(limit: u64) -> Self {
        Self { most: usize::try_from(limit / 16).map_or(MOST, |part| part.min(MOST)), used: Vec::new() }
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

    fn run(text: &str) -> Run {
        Line::from_text(format!("[{text}]").into()).into()
    }

    fn shown(run: &Run) -> Vec<&str> {
        run.lines().map(|line| std::str::from_utf8(line).expect("UTF-8")).collect()
    }

    #[test]
    fn lines_join_up_to_a_length_and_part_again() {
        let mut spare = Spare::of_queue(16 * 16);
        let mut all = run("1");
        assert_eq!((all.text(), all.count()), (&b"[1]"[..], 1));
        assert!(!all.join(&run("22"), &spare), "it lies where it was read");
        all.settle(&mut spare);
        assert!(all.join(&run("22"), &spare) && all.join(&run("3"), &spare));
        assert!(!all.join(&run("4"), &spare), "16 bytes are the most");
        assert_eq!((all.text(), all.count()), (&b"[1]\n[22]\n[3]\n"[..], 3));
        assert_eq!(shown(&all), ["[1]", "[22]", "[3]"]);
        assert_eq!(all.split_first(), Some(run("1")));
        assert_eq!((all.text(), shown(&all)), (&b"[22]\n[3]\n"[..], vec!["[22]", "[3]"]));
        assert_eq!(all.cost(), run("22").cost() + run("3").cost());
        assert_eq!(all.split_first(), Some(run("22")));
        assert_eq!((all.split_first(), shown(&all)), (None, vec!["[3]"]));
    }

    #[test]
    fn memory_is_used_again_and_not_for_ever_more() {
        let mut spare = Spare::of_queue(u64::MAX);
        let pair = |spare: &mut Spare| {
            let mut pair = run("1");
            pair.settle(spare);
            assert!(pair.join(&run("2"), spare));
            pair
        };
        let first = pair(&mut spare);
        let place = first.text().as_ptr();
        spare.give(first);
        let second = pair(&mut spare);
        assert_eq!((second.text().as_ptr(), shown(&second)), (place, vec!["[1]", "[2]"]));
        let many: Vec<_> = (0..100).map(|_| pair(&mut spare)).collect();
        for run in many {
            spare.give(run);
        }
        assert_eq!(spare.used.len(), SPARE);
    }
}
