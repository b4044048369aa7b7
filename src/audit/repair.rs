//! A clean copy: every byte of every good line, and a list of what was left out. Nothing is overwritten.

use std::{
    fmt, fs,
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    finding::{Kind, Place},
    input::{Part, Role},
};

/// A copy in the making.
#[derive(Debug)]
pub struct Repair {
    to: PathBuf,
    /// One file a part, each by its own name, uncompressed; else one file for all.
    folder: bool,
    file: Option<(PathBuf, BufWriter<File>)>,
    /// Lines that were kept, and their bytes.
    kept: (u64, u64),
    /// What was left out, and how much of it there was.
    left_out: Vec<LeftOut>,
    lines: u64,
    bytes: u64,
}

/// What was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Where it stands.
    #[serde(flatten)]
    pub place: Place,
    /// How many bytes it has.
    pub bytes: u64,
    /// Why.
    pub why: Kind,
}

/// Why there is no copy.
#[derive(Debug)]
pub enum RepairError {
    /// There is something of that name, or it can not be made.
    Open(PathBuf, io::Error),
    /// It can not be written.
    Write(PathBuf, io::Error),
}

impl Repair {
    /// More than this are counted and not listed: 100 bytes each.
    const LISTED: usize = 10_000;

    /// A copy to this file; or into this folder, where it is one or its name ends in a slash.
    ///
    /// # Errors
    /// When the folder can not be made.
    pub fn new(to: &Path) -> Result<Self, RepairError> {
        let folder = to.is_dir() || to.to_string_lossy().ends_with('/');
        if folder {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o750)
                .create(to)
                .map_err(|error| RepairError::Open(to.to_owned(), error))?;
        }
        let to = to.to_owned();
        Ok(Self { to, folder, file: None, kept: (0, 0), left_out: Vec::new(), lines: 0, bytes: 0 })
    }

    /// Lines of this file follow.
    ///
    /// # Errors
    /// When its copy is there already, or can not be made.
    pub fn begin(&mut self, part: &Part) -> Result<(), RepairError> {
        let path = match (&part.role, self.folder) {
            (_, false) if self.file.is_some() => return Ok(()),
            (_, false) => self.to.clone(),
            (Role::Segment { name, .. }, true) => self.to.join(name),
            (_, true) => self.to.join(crate::segment::Packing::split(&part.label()).0),
        };
        self.finish()?;
        // Who may not read the tape may not read its copy.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(&path);
        let file = file.map_err(|error| RepairError::Open(path.clone(), error))?;
        self.file = Some((path, BufWriter::with_capacity(1 << 20, file)));
        Ok(())
    }

    /// A good line.
    ///
    /// # Errors
    /// When it can not be written.
    pub fn keep(&mut self, line: &[u8]) -> Result<(), RepairError> {
        let Some((path, file)) = &mut self.file else { return Ok(()) };
        let written = file.write_all(line).and_then(|()| file.write_all(b"\n"));
        written.map_err(|error| RepairError::Write(path.clone(), error))?;
        self.kept = (self.kept.0 + 1, self.kept.1 + line.len() as u64 + 1);
        Ok(())
    }

    /// One that is not.
    ///
    /// # Errors
    /// None: it is only noted.
    pub fn leave_out(&mut self, place: Place, bytes: u64, why: Kind) -> Result<(), RepairError> {
        (self.lines, self.bytes) = (self.lines + 1, self.bytes + bytes);
        if self.left_out.len() < Self::LISTED {
            self.left_out.push(LeftOut { place, bytes, why });
        }
        Ok(())
    }

    /// All of it is on the disk.
    ///
    /// # Errors
    /// When it can not be written.
    pub fn finish(&mut self) -> Result<(), RepairError> {
        let Some((path, mut file)) = self.file.take() else { return Ok(()) };
        let synced = file.flush().and_then(|()| file.get_ref().sync_all());
        synced.map_err(|error| RepairError::Write(path, error))
    }

    /// Where it is.
    #[must_use]
    pub fn to(&self) -> &Path {
        &self.to
    }

    /// Lines that were kept, and their bytes.
    #[must_use]
    pub fn kept(&self) -> (u64, u64) {
        self.kept
    }

    /// Lines that were left out, and their bytes.
    #[must_use]
    pub fn left_out(&self) -> (u64, u64) {
        (self.lines, self.bytes)
    }

    /// The first of those.
    #[must_use]
    pub fn listed(&self) -> &[LeftOut] {
        &self.left_out
    }
}

impl fmt::Display for RepairError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(path, error) if error.kind() == io::ErrorKind::AlreadyExists => {
                write!(f, "--repair: {} is there already, and nothing is overwritten: name another", path.display())
            }
            Self::Open(path, error) => write!(f, "--repair: {} can not be made: {error}", path.display()),
            Self::Write(path, error) => write!(f, "--repair: {} can not be written: {error}", path.display()),
        }
    }
}

impl std::error::Error for RepairError {}
