//! Where something was typed, and what is wrong with it there.

use std::{
    fmt::{self, Write},
    path::PathBuf,
};

use crate::verdict::{Certainty, Finding, Mistake};

/// Where a value was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of a file, counted from 1.
    Line(PathBuf, usize),
    /// A variable of the environment.
    Variable(String),
    /// An option of the command line.
    Option(String),
}

/// One thing that is wrong: where, with which key, what, and what to do about it. Never a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it was typed.
    pub place: Place,
    /// The key, as in `output.path`; empty where the file is no TOML.
    pub key: String,
    /// What is wrong, and the remedy.
    pub what: String,
    /// Which way of being refused it is, where it is one.
    pub mistake: Option<Mistake>,
    /// The name of the venue that would refuse it, where that is known.
    pub venue: Option<&'static str>,
}

impl Problem {
    /// Something that can not be understood, and that no venue has a say in.
    #[must_use]
    pub fn new(place: Place, key: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place, key: key.into(), what: what.into(), mistake: None, venue: None }
    }

    /// What the doctor says of it, where the venue would refuse it.
    #[must_use]
    pub fn finding(&self) -> Option<Finding> {
        let found = |mistake| Finding { mistake, certainty: Certainty::Wrong, what: self.to_string() };
        self.mistake.map(found)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(file, line) => write!(f, "{}:{line}", file.display()),
            Self::Variable(name) | Self::Option(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let f = &mut Visible(f);
        match &self.place {
            // An option has no key but itself.
            Place::Option(name) => write!(f, "{name}: {}", self.what),
            place if self.key.is_empty() => write!(f, "{place}: {}", self.what),
            place => write!(f, "{place}: {}: {}", self.key, self.what),
        }
    }
}

/// Shows what would be an order to the terminal: what was typed is repeated, and it may be anything.
struct Visible<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Visible<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match c {
            c if c.is_control() && c != '\n' => write!(self.0, "{}", c.escape_default()),
            c => self.0.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_does_nothing_to_the_terminal() {
        let problem = Problem::new(Place::Variable("TICKERD_A__\u{1b}[2J".into()), "a.\r", "no\u{7}\nnor é");
        assert_eq!(problem.to_string(), "TICKERD_A__\\u{1b}[2J: a.\\r: no\\u{7}\nnor é");
    }
}
