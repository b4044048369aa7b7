//! Which feed's records go to which target.

use std::{
    collections::BTreeSet,
    io,
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use super::{Left, OpenError, Target, is_journal, sink::probe};
use crate::{
    config::{Destination, Events, Output, Rotate},
    exit::Status,
};

/// The targets, and for each feed the index of the one for its messages and of the one for its events, if any.
#[derive(Debug)]
pub struct Routes {
    /// Everything that is written to.
    pub targets: Vec<Target>,
    /// For each feed, in their order.
    pub feeds: Vec<(usize, Option<usize>)>,
    /// Those of the targets that are files: the ones that grow.
    pub tapes: Vec<PathBuf>,
    /// What predecessors left that came to no good end: at which target.
    pub left: Vec<(usize, Left)>,
}

/// Why there is nowhere to record to.
#[derive(Debug)]
pub enum RouteError {
    /// A file can not be opened.
    Open(OpenError),
    /// stdout can not be used.
    Stdout(io::Error),
    /// stdout is the journal.
    Journal,
}

impl Routes {
    /// Opens what the configuration names, each target once.
    ///
    /// # Errors
    /// When a target can not be opened, or stdout is the journal.
    pub fn open<'a>(output: &Output, feeds: impl Iterator<Item = &'a str>) -> Result<Self, RouteError> {
        let mut routes = Self { targets: Vec::new(), feeds: Vec::new(), tapes: Vec::new(), left: Vec::new() };
        for feed in feeds {
            let messages = match &output.path {
                Destination::Stdout => routes.stdout()?,
                Destination::File(path) => routes.file(path, feed, output.rotate)?,
            };
            let events = match &output.events {
                Events::Inline => Some(messages),
                Events::Log => None,
                // Some lines a day: it is one file for good.
                Events::File(path) => Some(routes.file(path, feed, Rotate::default())?),
            };
            routes.feeds.push((messages, events));
        }
        Ok(routes)
    }

    /// What would keep files from being opened, as far as that is seen without touching anything.
    pub fn obstacles<'a>(output: &Output, feeds: impl Iterator<Item = &'a str>) -> Vec<OpenError> {
        let Destination::File(messages) = &output.path else { return Vec::new() };
        let events = if let Events::File(path) = &output.events { Some(path) } else { None };
        let files = feeds.flat_map(|feed| [Some(messages), events].into_iter().flatten().map(|path| place(path, feed)));
        files.collect::<BTreeSet<_>>().iter().filter_map(|path| probe(path).err()).collect()
    }

    fn stdout(&mut self) -> Result<usize, RouteError> {
        if let Some(index) = self.index("stdout") {
            return Ok(index);
        }
        let stream = std::env::var("JOURNAL_STREAM").ok();
        if is_journal(io::stdout().as_fd(), stream.as_deref()) {
            return Err(RouteError::Journal);
        }
        self.targets.push(Target::stdout().map_err(RouteError::Stdout)?);
        Ok(self.targets.len() - 1)
    }

    fn file(&mut self, path: &Path, feed: &str, rotate: Rotate) -> Result<usize, RouteError> {
        let path = place(path, feed);
        if let Some(index) = self.index(&path.display().to_string()) {
            return Ok(index);
        }
        let (mut target, left) = Target::file(&path, rotate).map_err(RouteError::Open)?;
        self.tapes.extend(target.sink.spool().map(|_| path));
        self.left.extend(left.map(|left| (self.targets.len(), left)));
        self.targets.push(target);
        Ok(self.targets.len() - 1)
    }

    fn index(&self, name: &str) -> Option<usize> {
        self.targets.iter().position(|target| target.name == name)
    }
}

/// Where the records of one feed go.
fn place(path: &Path, feed: &str) -> PathBuf {
    PathBuf::from(path.to_string_lossy().replace("{feed}", feed))
}

impl RouteError {
    /// What a person must mend is configuration; what a disk may get over is output, and is worth another start.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Open(error) if !error.is_for_a_person() => Status::Output,
            Self::Open(_) | Self::Stdout(_) | Self::Journal => Status::Config,
        }
    }
}

impl std::fmt::Display for RouteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::Stdout(error) => write!(f, "stdout can not be written to: {error}"),
            Self::Journal => f.write_str(
                "stdout is the journal, which cuts lines at 48 KiB and drops bursts: set output.path to a file, \
                 for example output.path = \"tape.ndjson\" (under systemd it lands in the unit's StateDirectory)",
            ),
        }
    }
}

impl std::error::Error for RouteError {}
