//! How much came when, in a bounded number of spans: their width grows with what was seen.

use super::stamp::{SECOND, Stamp};

/// A month of hours, and a day of hours at a width that a screen and a picture can show: at 4 bytes each 3 KiB a row.
const SPANS: u64 = 768;

/// Each is a multiple of the one before, so that spans can be put together: up to 980 days each, and 2060 years in all.
const WIDTHS: &[u64] =
    &[1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400, 7 * 86_400, 28 * 86_400, 196 * 86_400, 980 * 86_400];

/// The spans that all rows share.
#[derive(Clone, Debug, Default)]
pub struct Grid {
    level: usize,
    /// The first span and the last, counted from 1970; None before anything was seen.
    seen: Option<(u64, u64)>,
    /// Where the span begins that was seen last, and where it ends: most often the next time is in it too.
    last: (Stamp, Stamp, u64),
}

/// What came of one thing.
#[derive(Clone, Debug, Default)]
pub struct Row {
    level: usize,
    /// The span of the first count.
    first: u64,
    counts: Vec<u32>,
}

impl Grid {
    /// The span of a time.
    #[inline]
    pub fn see(&mut self, at: Stamp) -> u64 {
        if (self.last.0..self.last.1).contains(&at) {
            return self.last.2;
        }
        self.see_another(at)
    }

    fn see_another(&mut self, at: Stamp) -> u64 {
        loop {
            let width = self.width();
            let span = at / width;
            let (first, last) = self.seen.map_or((span, span), |(first, last)| (first.min(span), last.max(span)));
            if last - first < SPANS || self.level + 1 == WIDTHS.len() {
                self.seen = Some((first, last));
                self.last = (span * width, span.saturating_add(1).saturating_mul(width), span);
                return span;
            }
            let factor = WIDTHS[self.level + 1] / WIDTHS[self.level];
            self.seen = self.seen.map(|(first, last)| (first / factor, last / factor));
            self.level += 1;
        }
    }

    /// How wide a span is.
    #[must_use]
    pub fn width(&self) -> Stamp {
        WIDTHS[self.level] * SECOND
    }

    /// Where the first span begins, and the last one ends.
    #[must_use]
    pub fn bounds(&self) -> Option<(Stamp, Stamp)> {
        let (first, last) = self.seen?;
        Some((first * self.width(), (last + 1) * self.width()))
    }

    /// What of a row lies in each of as many equal parts of the whole as there are columns, by their order. Where columns are narrower
    /// than spans, each shows the span that it lies in.
    #[must_use]
    pub fn columns(&self, row: &Row, columns: usize) -> Vec<u64> {
        let mut parts = vec![0; columns];
        let Some((first, last)) = self.seen else { return parts };
        let (spans, all) = (last - first + 1, columns as u64);
        for (at, count) in self.spans(row) {
            let span = at / self.width() - first;
            let from = span * all / spans;
            // Behind the last whole one that it reaches, at least one.
            let until = if spans < all { (span + 1) * all / spans } else { from + 1 };
            for part in from..until {
                if let Some(sum) = usize::try_from(part).ok().and_then(|part| parts.get_mut(part)) {
                    *sum += count;
                }
            }
        }
        parts
    }

    /// What came in each of a row's spans that has any, by where the span begins.
    pub fn spans(&self, row: &Row) -> impl Iterator<Item = (Stamp, u64)> {
        let mut row = row.clone();
        row.widen(self.level);
        let (first, width) = (row.first, self.width());
        let counts = row.counts.into_iter().enumerate().filter(|(_, count)| *count > 0);
        counts.map(move |(index, count)| ((first + index as u64) * width, u64::from(count)))
    }
}

impl Row {
    /// One more came in this span of the grid.
    #[inline]
    pub fn add(&mut self, grid: &Grid, span: u64) {
        if self.level == grid.level
            && let Some(count) =
                span.checked_sub(self.first).and_then(|at| self.counts.get_mut(usize::try_from(at).ok()?))
        {
            *count = count.saturating_add(1);
            return;
        }
        self.add_another(grid, span);
    }

    fn add_another(&mut self, grid: &Grid, span: u64) {
        self.widen(grid.level);
        if self.counts.is_empty() {
            self.first = span;
        }
        if span < self.first {
            let missing = usize::try_from(self.first - span).unwrap_or(0);
            self.counts.splice(..0, std::iter::repeat_n(0, missing));
            self.first = span;
        }
        let at = usize::try_from(span - self.first).unwrap_or(0);
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] = self.counts[at].saturating_add(1);
    }

    fn widen(&mut self, level: usize) {
        while self.level < level {
            let factor = WIDTHS[self.level + 1] / WIDTHS[self.level];
            let first = self.first / factor;
            let mut counts: Vec<u32> = Vec::new();
            for (index, count) in self.counts.iter().enumerate() {
                let at = usize::try_from((self.first + index as u64) / factor - first).unwrap_or(0);
                if at >= counts.len() {
                    counts.resize(at + 1, 0);
                }
                counts[at] = counts[at].saturating_add(*count);
            }
            (self.first, self.counts, self.level) = (first, counts, self.level + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_grows(times in prop::collection::vec(0u64..4_000_000_000, 1..200), columns in 1usize..99) {
            let (mut grid, mut row) = (Grid::default(), Row::default());
            for second in &times {
                let span = grid.see(second * SECOND);
                row.add(&grid, span);
                prop_assert!(row.counts.len() as u64 <= SPANS);
            }
            let sum = grid.spans(&row).map(|(_, count)| count).sum::<u64>();
            prop_assert_eq!(sum, times.len() as u64);
            let shown: u64 = grid.columns(&row, columns).iter().sum();
            let (from, until) = grid.bounds().expect("seen");
            prop_assert!(shown == sum || shown > sum && ((until - from) / grid.width()) < columns as u64);
            for second in &times {
                prop_assert!((from..until).contains(&(second * SECOND)));
            }
        }
    }

    #[test]
    fn a_month_is_shown_by_the_hour() {
        let mut grid = Grid::default();
        grid.see(0);
        grid.see(31 * 86_400 * SECOND);
        assert_eq!(grid.width(), 3_600 * SECOND);
    }
}
