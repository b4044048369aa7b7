//! A number that goes up by one with each message.

/// Which number comes next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count {
    next: u64,
    /// The last hole: from the number that was to come, up to the one that came.
    hole: Option<(u64, u64)>,
    /// What was to come before a message of that hole came late: behind messages that changed places it goes on from there.
    before: Option<u64>,
}

/// What a number says of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// None is missing.
    On,
    /// The one that was to come, and those behind it, are.
    Hole(u64),
    /// It is less than the one that was to come.
    Back(u64),
}

impl Count {
    /// The first number will be this.
    pub(super) fn from(next: u64) -> Self {
        Self { next, hole: None, before: None }
    }

    /// The number that is to come.
    pub(super) fn next(self) -> u64 {
        self.next
    }

    /// What comes now is late: it stands before what came already.
    pub(super) fn is_behind(self) -> bool {
        self.before.is_some()
    }

    /// The numbers from `lowest` to `highest` came, in one message.
    pub(super) fn step(&mut self, lowest: u64, highest: u64) -> Step {
        let (due, before) = (self.next, self.before);
        self.next = highest.saturating_add(1);
        self.before = before.filter(|before| highest < *before);
        if lowest == due || before == Some(lowest) {
            Step::On
        } else if lowest > due {
            self.hole = Some((due, lowest));
            Step::Hole(due)
        } else {
            let is_late = self.hole.is_some_and(|(from, to)| (from..to).contains(&lowest));
            self.before = if is_late { self.before.max(Some(due)) } else { None };
            Step::Back(due)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(numbers: &[u64]) -> Vec<Step> {
        let mut count = Count::from(5);
        numbers.iter().map(|number| count.step(*number, *number)).collect()
    }

    #[test]
    fn holes_and_steps_back_are_told_once() {
        use Step::{Back, Hole, On};
        assert_eq!(steps(&[5, 6, 7]), [On, On, On]);
        assert_eq!(steps(&[5, 9, 10]), [On, Hole(6), On]);
        // Two that changed places: one hole, one step back, and then it goes on.
        assert_eq!(steps(&[5, 7, 6, 8, 9]), [On, Hole(6), Back(8), On, On]);
        assert_eq!(steps(&[5, 8, 6, 7, 9, 10]), [On, Hole(6), Back(9), On, On, On]);
        // SockTrader/SockTrader#49: the venue began anew.
        assert_eq!(steps(&[5, 6, 0, 1, 2]), [On, On, Back(7), On, On]);
        assert_eq!(steps(&[5, 5, 6]), [On, Back(6), On], "the same twice");
        assert_eq!(
            steps(&[5, 6, 7, 4, 5, 7]),
            [On, On, On, Back(8), On, Hole(6)],
            "what comes behind a step back counts anew, and may have a hole of its own"
        );
        assert_eq!(steps(&[5, 6, 7, 4, 5, 6, 8]), [On, On, On, Back(8), On, On, Hole(7)]);
    }
}
