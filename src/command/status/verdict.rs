//! Whether what a file says is of now: its daemon is there, and wrote it within the last seconds.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
};

use crate::status::{Found, Health, Report};

/// It is written each second. A machine that is that busy, or asleep, for ten of them records nothing either; systemd's
/// watchdog ends such a daemon after as long.
const STALE: Duration = Duration::from_secs(10);

/// One daemon, by its file.
pub(super) struct Daemon {
    /// The file.
    pub path: PathBuf,
    /// What it says, where it can be read.
    pub report: Option<Report>,
    /// Whether that is of now.
    pub life: Life,
    /// How old it is.
    pub age: Duration,
}

/// Whether a daemon lives.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// It is there and writes.
    Alive,
    /// There is no such process.
    Gone,
    /// The process is there, or another of its number, and has not written for too long.
    Silent,
    /// It was written later than now: the clock was set back, and nothing was written since.
    Ahead,
    /// It is not believed, and why.
    Unfit(String),
}

impl Daemon {
    /// Judges a file at this time; `is_there` says whether there is a process of a number.
    pub(super) fn judge(found: Found, now: SystemTime, is_there: impl Fn(u32) -> bool) -> Self {
        let path = found.path;
        let report = match found.report {
            Ok(report) => report,
            Err(unfit) => {
                return Self { path, report: None, life: Life::Unfit(unfit.to_string()), age: Duration::ZERO };
            }
        };
        let (age, ahead) = match now.duration_since(report.written) {
            Ok(age) => (age, Duration::ZERO),
            Err(error) => (Duration::ZERO, error.duration()),
        };
        let life = if !is_there(report.pid) {
            Life::Gone
        } else if age > STALE {
            Life::Silent
        } else if ahead > STALE {
            Life::Ahead
        } else {
            Life::Alive
        };
        Self { path, report: Some(report), life, age }
    }

    /// How each feed is that is asked for. A dead daemon records none of them; what can not be read may be anything.
    pub(super) fn healths(&self, is_asked_for: impl Fn(&str) -> bool) -> Vec<Health> {
        let Some(report) = &self.report else { return vec![Health::Down] };
        let alive = self.life == Life::Alive;
        let feeds = report.feeds.iter().filter(|feed| is_asked_for(&feed.name));
        // What is wrong with the files is wrong with each feed that goes there.
        let output = report.output.as_ref().map_or(Health::Well, |output| output.health);
        feeds.map(|feed| if alive { feed.health.max(output) } else { Health::Down }).collect()
    }
}

impl Life {
    /// As JSON has it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Gone => "gone",
            Self::Silent => "silent",
            Self::Ahead => "ahead",
            Self::Unfit(_) => "unfit",
        }
    }
}

/// Whether there is a process of this number, whosoever it is.
pub(super) fn is_there(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let is_known = pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH));
    // One that was killed stays on the list until its parent has looked: it writes nothing more.
    let stat = |pid: Pid| std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    is_known
        && !pid.is_some_and(|pid| {
            stat(pid).is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
        })
}
