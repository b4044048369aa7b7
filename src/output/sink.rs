//! Where lines go in the end: stdout by its descriptor, or a file that is appended to.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::OpenOptionsExt,
    },
    path::{Path, PathBuf},
};

use rustix::event::{PollFd, PollFlags, poll};

use crate::notify::Manager;

/// A writer that can be synced and opened anew.
pub trait Sink: Write + Send {
    /// Sees to it that what was written survives a power cut.
    ///
    /// # Errors
    /// As the system says.
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Opens by name anew, after logrotate moved the file away.
    ///
    /// # Errors
    /// As [`Target::append`].
    fn reopen(&mut self) -> Result<(), OpenError> {
        Ok(())
    }
}

/// A sink with the name that people know it by.
pub struct Target {
    /// "stdout", or the path.
    pub name: String,
    /// What takes the bytes.
    pub sink: Box<dyn Sink>,
}

/// A file that can not be recorded to.
#[derive(Debug)]
pub struct OpenError {
    path: PathBuf,
    error: io::Error,
    under_systemd: bool,
}

struct Stdout(File);

struct Appended {
    path: PathBuf,
    file: File,
}

impl Target {
    /// Standard output, unbuffered. (`std::io::Stdout` flushes at every line.)
    ///
    /// # Errors
    /// When the descriptor can not be duplicated.
    pub fn stdout() -> io::Result<Self> {
        let descriptor = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(Self { name: "stdout".into(), sink: Box::new(Stdout(File::from(descriptor))) })
    }

    /// A file, created 0640 where there is none, never truncated.
    ///
    /// # Errors
    /// When it can not be opened for appending.
    pub fn append(path: &Path) -> Result<Self, OpenError> {
        let file = open(path)?;
        Ok(Self { name: path.display().to_string(), sink: Box::new(Appended { path: path.to_owned(), file }) })
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.name)
    }
}

/// Appends, so that a restart on the same day overwrites nothing (hftbacktest's collector opened at byte 0). A torn last
/// line of a killed predecessor is ended, so that the first line of ours stays whole.
fn open(path: &Path) -> Result<File, OpenError> {
    let failed = |error| OpenError { path: path.to_owned(), error, under_systemd: Manager::is_present() };
    let mut file = OpenOptions::new().append(true).read(true).create(true).mode(0o640).open(path).map_err(failed)?;
    let regular = file.metadata().map_err(failed)?.is_file();
    if regular && file.seek(SeekFrom::End(0)).map_err(failed)? > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1)).and_then(|_| file.read_exact(&mut last)).map_err(failed)?;
        if last != *b"\n" {
            file.write_all(b"\n").map_err(failed)?;
            tracing::warn!(
                "{} ended in a torn line, left by a kill, a power cut or a full disk: it was ended, and is no JSON; records go on below it",
                path.display()
            );
        }
    }
    Ok(file)
}

impl Sink for Stdout {}

impl Write for Stdout {
    /// A pipe that somebody set to non-blocking says "would block" instead of waiting: then we wait for it.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], None)?;
                }
                result => return result,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Appended {
    fn sync(&mut self) -> io::Result<()> {
        // A pipe or a device has nothing to sync.
        if self.file.metadata()?.is_file() { self.file.sync_data() } else { Ok(()) }
    }

    fn reopen(&mut self) -> Result<(), OpenError> {
        self.file = open(&self.path)?;
        Ok(())
    }
}

impl Write for Appended {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl OpenError {
    /// Whether only a person can mend it; a full or failing disk may mend itself.
    pub(super) fn is_for_a_person(&self) -> bool {
        use io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
        matches!(self.error.kind(), NotFound | PermissionDenied | ReadOnlyFilesystem | IsADirectory | NotADirectory)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "can not record to {}: {}", self.path.display(), self.error)?;
        let parent = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        match self.error.kind() {
            io::ErrorKind::NotFound => write!(f, "; make the folder first: mkdir -p {}", parent.display()),
            io::ErrorKind::ReadOnlyFilesystem if self.under_systemd => {
                closed(f, &format!("ReadWritePaths={}", parent.display()))
            }
            io::ErrorKind::PermissionDenied if self.under_systemd && is_home(parent) => closed(f, "ProtectHome=no"),
            io::ErrorKind::PermissionDenied => write!(f, "; let this user write in {}", parent.display()),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for OpenError {}

fn closed(f: &mut fmt::Formatter<'_>, line: &str) -> fmt::Result {
    write!(
        f,
        "; the unit's sandbox closes that path. Open it with `systemctl edit tickerd` and the lines\n[Service]\n{line}\n\
         and let the unit's user write there"
    )
}

/// What the unit's `ProtectHome=yes` closes.
fn is_home(path: &Path) -> bool {
    ["/home", "/root", "/run/user"].iter().any(|home| path.starts_with(home))
}

/// Whether a descriptor is the journal's: `JOURNAL_STREAM` holds device and inode of what systemd connected. Records must
/// not go there: the journal cuts lines at 48 KiB and drops bursts.
#[must_use]
pub fn is_journal(descriptor: BorrowedFd<'_>, journal_stream: Option<&str>) -> bool {
    let Some((device, inode)) = journal_stream.and_then(|text| text.split_once(':')) else { return false };
    rustix::fs::fstat(descriptor)
        .is_ok_and(|stat| device.parse() == Ok(stat.st_dev) && inode.parse() == Ok(stat.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// hftbacktest's collector opened today's file at byte 0 after a restart and wrote over the morning.
    #[test]
    fn a_restart_appends_and_ends_a_torn_line_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tape.ndjson");
        for line in ["{\"a\":1}\n", "{\"torn", "{\"b\":2}\n"] {
            Target::append(&path).expect("opens").sink.write_all(line.as_bytes()).expect("writes");
        }
        assert_eq!(std::fs::read_to_string(&path).expect("reads"), "{\"a\":1}\n{\"torn\n{\"b\":2}\n");
    }

    #[test]
    fn reopens_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, moved) = (folder.path().join("tape.ndjson"), folder.path().join("tape.1"));
        let mut target = Target::append(&path).expect("opens");
        target.sink.write_all(b"1\n").expect("writes");
        std::fs::rename(&path, &moved).expect("moves");
        target.sink.write_all(b"2\n").expect("writes");
        target.sink.reopen().expect("reopens");
        target.sink.write_all(b"3\n").expect("writes");
        assert_eq!(std::fs::read_to_string(&moved).expect("reads"), "1\n2\n");
        assert_eq!(std::fs::read_to_string(&path).expect("reads"), "3\n");
    }

    #[test]
    fn a_missing_folder_is_named_with_the_remedy() {
        let error = Target::append(Path::new("/nowhere/at/all.ndjson")).expect_err("no such folder").to_string();
        assert!(error.contains("/nowhere/at/all.ndjson") && error.contains("mkdir -p /nowhere/at"), "{error}");
    }

    #[test]
    fn the_journal_is_known_by_device_and_inode() {
        let file = tempfile::tempfile().expect("a file");
        let stat = rustix::fs::fstat(&file).expect("stat");
        assert!(is_journal(file.as_fd(), Some(&format!("{}:{}", stat.st_dev, stat.st_ino))));
        for other in [None, Some(""), Some("1"), Some("1:2")] {
            assert!(!is_journal(file.as_fd(), other));
        }
    }
}
