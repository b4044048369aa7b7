//! The start: a lock against a second writer, and what is done with a tape that a predecessor left.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{Growing, Reading, Spool, Stage, folder, free_name, write_aside};
use crate::{
    config::Rotate,
    output::disk::{Disk, OpenFile},
    segment::{ASIDE, Tape, aside},
};

/// A tape that a predecessor left unsealed, which is a segment now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The segment's name.
    pub segment: String,
    /// Bytes of the torn line at its end; 0 where it ended whole.
    pub torn: u64,
    /// Where they are now.
    pub torn_file: Option<PathBuf>,
}

/// Why a tape can not be written to.
#[derive(Debug)]
pub enum StartError {
    /// Another process writes to it: its number, if it says so.
    Locked(Option<u32>),
    /// The system says so.
    System(io::Error),
}

impl Spool {
    /// Opens a tape, and sets apart what a predecessor left that did not come to a good end. Afterwards the file that grows
    /// is either new, or ends with a whole line of a predecessor that did.
    ///
    /// # Errors
    /// When another process writes to it, or the system says so.
    pub fn open(path: &Path, rotate: Rotate, disk: Box<dyn Disk>) -> Result<(Self, Option<Left>), StartError> {
        let tape = Tape::of(path);
        disk.make_folder(&folder(path).join(ASIDE))?;
        let (mut lock, dead) = match lock(&*disk, path) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(StartError::Locked(holder(&*disk.open(&aside(path, "lock"))?)));
            }
            result => result?,
        };
        let left = set_apart(&*disk, path, &tape, dead)?;
        if dead {
            // Not before: a start that is cut short leaves the next one what it found.
            lock.clear()?;
            sign(&*disk, path, &mut *lock)?;
        }
        let growing = Growing::open(&*disk, path)?;
        Ok((
            Self {
                path: path.to_owned(),
                tape,
                rotate,
                disk,
                lock,
                stage: Stage::Growing(growing),
                gone: None,
                skips: false,
            },
            left,
        ))
    }
}

/// Locks a tape, and puts our number into the lock unless a predecessor's is there, which so did not come to a good end;
/// whether it is.
pub(super) fn lock(disk: &dyn Disk, path: &Path) -> io::Result<(Box<dyn OpenFile>, bool)> {
    let mut file = disk.open(&aside(path, "lock"))?;
    if !file.lock()? {
        let held = format!("another tickerd writes to {}", path.display());
        return Err(io::Error::new(io::ErrorKind::WouldBlock, held));
    }
    let dead = file.length()? > 0;
    if !dead {
        sign(disk, path, &mut *file)?;
    }
    Ok((file, dead))
}

fn sign(disk: &dyn Disk, path: &Path, lock: &mut dyn OpenFile) -> io::Result<()> {
    lock.append(format!("{}\n", std::process::id()).as_bytes())?;
    lock.sync()?;
    disk.sync_folder(&folder(path).join(ASIDE))
}

/// The number in a lock that another process has.
fn holder(lock: &dyn OpenFile) -> Option<u32> {
    let mut text = [0; 16];
    let length = lock.read_at(&mut text, 0).ok()?;
    std::str::from_utf8(&text[..length]).ok()?.trim().parse().ok()
}

/// Puts a tape out of the way that a dead predecessor left, or that ends in a torn line: it is `.unsealed` until it has been
/// read, and then a segment. (To append after a torn line would glue two together; to cut it off in place has `tail -F` say
/// the whole file again.)
pub(super) fn set_apart(disk: &dyn Disk, path: &Path, tape: &Tape, dead: bool) -> io::Result<Option<Left>> {
    if !disk.exists(path)? {
        return Ok(None);
    }
    let mut file = disk.open(path)?;
    let length = file.length()?;
    let torn = length - end_of_lines(&*file, length)?;
    if length == 0 || torn == 0 && !dead {
        return Ok(None);
    }
    let segment = free_name(disk, path, tape, begun(&*file)?);
    let place = folder(path).join(&segment);
    let mut left = Left { segment, torn, torn_file: None };
    if torn > 0 {
        let mut torn = Reading { file: &*file, at: length - torn, end: length };
        left.torn_file = Some(write_aside(disk, &place, "torn", &mut torn)?);
        // For whoever follows the file: the line is at its end, and the next one begins a new file.
        file.append(b"\n")?;
    }
    file.sync()?;
    disk.rename(path, &aside(&place, "unsealed"))?;
    disk.sync_folder(&folder(path).join(ASIDE))?;
    disk.sync_folder(folder(path))?;
    Ok(Some(left))
}

/// Where the last line ends.
fn end_of_lines(file: &dyn OpenFile, length: u64) -> io::Result<u64> {
    const STEP: u64 = 64 << 10;
    let mut end = length;
    while end > 0 {
        let from = end.saturating_sub(STEP);
        if let Some(at) = memchr::memrchr(b'\n', &read(file, from, end - from)?) {
            return Ok(from + at as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}

/// When the first line was received; where it does not say so, when the file was made.
fn begun(file: &dyn OpenFile) -> io::Result<SystemTime> {
    // Columns come first in a line, and take less.
    let head = read(file, 0, file.length()?.min(256))?;
    let recv = memchr::memmem::find(&head, br#""recv":""#).and_then(|at| {
        let rest = &head[at + br#""recv":""#.len()..];
        let text = std::str::from_utf8(&rest[..memchr::memchr(b'"', rest)?]).ok()?;
        SystemTime::try_from(text.parse::<jiff::Timestamp>().ok()?).ok()
    });
    recv.map_or_else(|| file.made(), Ok)
}

fn read(file: &dyn OpenFile, from: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], from + filled as u64)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => filled += more,
        }
    }
    Ok(bytes)
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked(Some(pid)) => write!(
                f,
                "process {pid} records to it, another tickerd; stop that one first, or give this one a path of its own"
            ),
            Self::Locked(None) => {
                f.write_str("another tickerd records to it; stop that one first, or give this one a path of its own")
            }
            Self::System(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}
