//! How a command ends: the numbers of sysexits.h, which service managers and scripts know, and those of `status` and
//! `audit`, which monitors do.

use std::{fmt, process::ExitCode};

/// Why a command did not do what it was asked, in words and as a number.
#[derive(Debug)]
pub struct Failure {
    /// The number.
    pub status: Status,
    /// What is wrong and what to do, for a person at 3 a.m.; empty where it has been said already.
    pub message: String,
}

/// The numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// `status`: something is not as it is to be, and something is recorded. `audit`: a recording is not whole.
    Degraded = 1,
    /// `status`: nothing is recorded. `audit`: a file could not be read.
    Dead = 2,
    /// The command line is wrong.
    Usage = 64,
    /// Nothing was reachable.
    Unreachable = 69,
    /// A bug of ours, a panic too.
    Bug = 70,
    /// The output failed for good, or `drain` ran out.
    Output = 74,
    /// The venue refuses the credentials.
    Refused = 77,
    /// The configuration, an unusable credential included.
    Config = 78,
}

impl Status {
    /// `audit`: a recording is not whole.
    pub const NOT_WHOLE: Self = Self::Degraded;
    /// `audit`: a file could not be read.
    pub const UNREAD: Self = Self::Dead;
}

impl Failure {
    /// A failure that is said when the process ends.
    #[must_use]
    pub fn new(status: Status, message: impl fmt::Display) -> Self {
        Self { status, message: message.to_string() }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}
