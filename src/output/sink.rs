//! Where lines go in the end: stdout by its descriptor, or a file that is appended to.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{Access, access},
};

use super::{
    disk::System,
    spool::{Left, Spool, StartError},
};
use crate::{config::Rotate, notify::Manager, segment::ASIDE};

/// Where bytes go.
pub trait Sink: Send {
    /// Appends the beginning of this, as much of it as is taken.
    ///
    /// # Errors
    /// As the system says.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Whether a try later may do after this error; otherwise the output has failed for good.
    fn may_heal(&self, _error: &io::Error) -> bool {
        false
    }

    /// The file layer behind it, where it is a file.
    fn spool(&mut self) -> Option<&mut Spool> {
        None
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
    error: StartError,
    under_systemd: bool,
}

struct Stdout {
    file: File,
    /// It is a file of somebody's, on a disk where there may be room again.
    regular: bool,
}

/// A pipe or a device by its name: nothing to lock, to rotate or to sync.
struct Device(File);

impl Target {
    /// Standard output, unbuffered. (`std::io::Stdout` flushes at every line.)
    ///
    /// # Errors
    /// When the descriptor can not be duplicated.
    pub fn stdout() -> io::Result<Self> {
        let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let regular = file.metadata()?.is_file();
        Ok(Self { name: "stdout".into(), sink: Box::new(Stdout { file, regular }) })
    }

    /// A file, never truncated, and what was found there of a predecessor that came to no good end.
    ///
    /// # Errors
    /// When it can not be written to, or another process does.
    pub fn file(path: &Path, rotate: Rotate) -> Result<(Self, Option<Left>), OpenError> {
        let failed = |error| OpenError { path: path.to_owned(), error, under_systemd: Manager::is_present() };
        let name = path.display().to_string();
        if fs::metadata(path).is_ok_and(|data| !data.is_file()) {
            let file = OpenOptions::new().append(true).read(true).open(path);
            let file = file.map_err(|error| failed(StartError::System(error)))?;
            return Ok((Self { name, sink: Box::new(Device(file)) }, None));
        }
        let (spool, left) = Spool::open(path, rotate, Box::new(System)).map_err(failed)?;
        Ok((Self { name, sink: Box::new(spool) }, left))
    }
}

/// Whether a file could be recorded to by this user, as far as that is seen without touching anything.
///
/// # Errors
/// What [`Target::file`] would say.
pub(super) fn probe(path: &Path) -> Result<(), OpenError> {
    let parent = parent(path);
    let aside = parent.join(ASIDE);
    let file = match fs::metadata(path) {
        Ok(data) if data.is_dir() => Err(rustix::io::Errno::ISDIR),
        Ok(_) => access(path, Access::READ_OK | Access::WRITE_OK),
        Err(_) => Ok(()),
    };
    let within = access(parent, Access::WRITE_OK | Access::EXEC_OK);
    let beside = if aside.exists() { access(&aside, Access::WRITE_OK | Access::EXEC_OK) } else { Ok(()) };
    within.and(file).and(beside).map_err(|error| OpenError {
        path: path.to_owned(),
        error: StartError::System(error.into()),
        under_systemd: Manager::is_present(),
    })
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.name)
    }
}

impl Sink for Stdout {
    /// A pipe that somebody set to non-blocking says "would block" instead of waiting: then we wait for it.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.file.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    poll(&mut [PollFd::new(&self.file, PollFlags::OUT)], None)?;
                }
                result => return result,
            }
        }
    }

    fn may_heal(&self, _error: &io::Error) -> bool {
        self.regular
    }
}

impl Sink for Device {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn may_heal(&self, error: &io::Error) -> bool {
        error.kind() != io::ErrorKind::BrokenPipe
    }
}

impl Sink for Spool {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::append(self, bytes)
    }

    fn may_heal(&self, _error: &io::Error) -> bool {
        true
    }

    fn spool(&mut self) -> Option<&mut Spool> {
        Some(self)
    }
}

impl OpenError {
    /// Whether it is so for whatever user.
    #[must_use]
    pub fn is_for_everybody(&self) -> bool {
        use io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
        matches!(&self.error, StartError::System(error) if matches!(error.kind(), IsADirectory | NotADirectory | NotFound))
    }

    /// Whether only a person can mend it; a full or failing disk may mend itself.
    pub(super) fn is_for_a_person(&self) -> bool {
        use io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
        let StartError::System(error) = &self.error else { return false };
        matches!(error.kind(), NotFound | PermissionDenied | ReadOnlyFilesystem | IsADirectory | NotADirectory)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "can not record to {}: {}", self.path.display(), self.error)?;
        let parent = parent(&self.path);
        let StartError::System(error) = &self.error else { return Ok(()) };
        match error.kind() {
            io::ErrorKind::NotFound => write!(f, "; make the folder first: mkdir -p {}", parent.display()),
            io::ErrorKind::ReadOnlyFilesystem if self.under_systemd => {
                closed(f, &format!("ReadWritePaths={}", parent.display()))
            }
            io::ErrorKind::PermissionDenied if self.under_systemd && is_home(parent) => closed(f, "ProtectHome=no"),
            io::ErrorKind::PermissionDenied => write!(
                f,
                "; let this user write in {}, where the lock and the seals are kept too, in {ASIDE}",
                parent.display()
            ),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for OpenError {}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

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

    #[test]
    fn a_missing_folder_is_named_with_the_remedy() {
        let error = Target::file(Path::new("/nowhere/at/all.ndjson"), Rotate::default())
            .expect_err("no such folder")
            .to_string();
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
