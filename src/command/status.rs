//! `tickerd status`: how each feed of the running daemons is, from the files that they write. It reads no configuration, opens
//! no port, and believes no file whose daemon is gone.

mod verdict;
mod words;

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    time::Duration,
};

use serde_json::json;
use tokio::time::{Instant, sleep_until};

use self::verdict::{Daemon, Life};
use super::{block_on, said};
use crate::{
    cli,
    clock::Clock,
    config::Surroundings,
    exit::{Failure, Status},
    service::Signals,
    status::{Folders, Health, Looked},
};

/// As often as daemons write.
const EVERY: Duration = Duration::from_secs(1);

/// Looks and tells.
///
/// # Errors
/// 1 where something is not well, 2 where nothing is recorded, which has been said then; 74 when `out` can not be written to.
pub fn run(typed: &cli::Status, around: &Surroundings, out: &mut impl Write) -> Result<(), Failure> {
    let folders = match &typed.runtime {
        Some(folder) => vec![folder.clone()],
        None => Folders::new(around).all(),
    };
    let clock = Clock::system();
    if typed.watch {
        return block_on(watch(typed, &folders, &clock, out))?;
    }
    let look = Look::take(&folders, typed.feed.as_deref(), &clock);
    said(look.print(typed.json, out).and_then(|()| out.flush()))?;
    look.end()
}

/// Looks each second until told to stop, or until nobody reads any more.
async fn watch(typed: &cli::Status, folders: &[PathBuf], clock: &Clock, out: &mut impl Write) -> Result<(), Failure> {
    let mut signals = Signals::listen().map_err(|error| Failure::new(Status::Bug, format!("no signals: {error}")))?;
    let on_screen = !typed.json && io::stdout().is_terminal();
    let mut next = Instant::now();
    loop {
        let look = Look::take(folders, typed.feed.as_deref(), clock);
        let mut block = Vec::new();
        if on_screen {
            // To the corner, and nothing of before below it.
            block.extend_from_slice(b"\x1b[H\x1b[J");
        }
        said(look.print(typed.json, &mut block))?;
        if !on_screen && !typed.json {
            block.push(b'\n');
        }
        let written = out.write_all(&block).and_then(|()| out.flush());
        let nobody_reads = written.is_err();
        said(written)?;
        if nobody_reads {
            return look.end();
        }
        next += EVERY;
        tokio::select! {
            () = signals.stop() => return look.end(),
            () = sleep_until(next) => {}
        }
    }
}

/// What was found at one moment.
struct Look<'a> {
    folders: &'a [PathBuf],
    feed: Option<&'a str>,
    daemons: Vec<Daemon>,
    closed: Vec<(PathBuf, io::Error)>,
}

impl<'a> Look<'a> {
    fn take(folders: &'a [PathBuf], feed: Option<&'a str>, clock: &Clock) -> Self {
        let Looked { found, closed } = Looked::at(folders);
        let now = clock.now();
        let mut daemons: Vec<_> = found.into_iter().map(|found| Daemon::judge(found, now, verdict::is_there)).collect();
        // One that ended as it was told to took its file with it, maybe since we read it.
        daemons.retain(|daemon| daemon.life != Life::Gone || daemon.path.exists());
        Self { folders, feed, daemons, closed }
    }

    fn is_asked_for(&self, name: &str) -> bool {
        self.feed.is_none_or(|feed| feed == name)
    }

    /// All that was asked about: each feed of each daemon, and each file that nothing can be told from.
    fn healths(&self) -> Vec<Health> {
        self.daemons.iter().flat_map(|daemon| daemon.healths(|name| self.is_asked_for(name))).collect()
    }

    fn status(&self) -> Option<Status> {
        let all = self.healths();
        if self.daemons.is_empty() && !self.closed.is_empty() {
            // There may be one, and it may be well.
            return Some(Status::Unreachable);
        }
        if all.iter().all(|health| *health == Health::Down) {
            return Some(Status::Dead);
        }
        all.iter().any(|health| *health != Health::Well).then_some(Status::Degraded)
    }

    /// What is wrong has been said, in as many words as it takes.
    fn end(&self) -> Result<(), Failure> {
        self.status().map_or(Ok(()), |status| Err(Failure { status, message: String::new() }))
    }

    fn print(&self, json: bool, out: &mut impl Write) -> io::Result<()> {
        if json {
            return writeln!(out, "{}", self.json());
        }
        let alone = self.daemons.len() == 1;
        let lines: Vec<_> = self
            .daemons
            .iter()
            .flat_map(|daemon| words::lines(daemon, alone, |name| self.is_asked_for(name)))
            .collect();
        let width = |column: fn(&words::Line) -> &String| {
            lines.iter().map(|line| column(line).chars().count()).max().unwrap_or_default()
        };
        let (name, state) = (width(|line| &line.name), width(|line| &line.state));
        for line in &lines {
            writeln!(out, "{:name$}  {:state$}  {}", line.name, line.state, line.detail)?;
        }
        if lines.is_empty() && (self.closed.is_empty() || !self.daemons.is_empty()) {
            writeln!(out, "{}", words::nothing(self.folders, self.feed, &self.daemons))?;
        }
        for (folder, error) in &self.closed {
            writeln!(out, "{}", words::closed(folder, error))?;
        }
        Ok(())
    }

    fn json(&self) -> serde_json::Value {
        let mut daemons = Vec::new();
        for daemon in &self.daemons {
            let mut report = daemon.report.clone();
            if let Some(report) = &mut report {
                report.feeds.retain(|feed| self.is_asked_for(&feed.name));
            }
            daemons.push(json!({
                "file": daemon.path, "life": daemon.life.name(), "why": words::why_not(daemon),
                "age_ms": u64::try_from(daemon.age.as_millis()).unwrap_or(u64::MAX), "report": report,
            }));
        }
        json!({
            "v": 1, "exit": self.status().map_or(0, |status| status as u8), "looked_in": self.folders,
            "closed": self.closed.iter().map(|(folder, _)| folder).collect::<Vec<_>>(), "daemons": daemons,
        })
    }
}

#[cfg(test)]
mod tests;
