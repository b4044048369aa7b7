//! What the file layer asks of a disk, as a trait: tests put one in its place that fails, fills up, and loses its power.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    time::SystemTime,
};

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};

/// A file system. Each call does one thing, which a crash finds done or not done.
pub trait Disk: Send {
    /// Opens for appending and reading; a file that is not there is created, 0640.
    ///
    /// # Errors
    /// As the system says; so everywhere here.
    fn open(&self, path: &Path) -> io::Result<Box<dyn OpenFile>>;

    /// Makes one folder, 0750; one that is there already is as good.
    fn make_folder(&self, path: &Path) -> io::Result<()>;

    /// Whether there is something of that name.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Gives a file another name, which must be free: else `AlreadyExists`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file another name; what had it is gone.
    fn replace(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Sees to it that the names in a folder survive a power cut.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
}

/// A file that is open for appending and reading.
pub trait OpenFile: Send {
    /// Appends the beginning of this, as much of it as the disk takes.
    ///
    /// # Errors
    /// As the system says; so everywhere here.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Sees to it that what was written survives a power cut.
    fn sync(&mut self) -> io::Result<()>;

    /// How long it is, in bytes.
    fn length(&self) -> io::Result<u64>;

    /// Reads from there on, as much as there is and fits.
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize>;

    /// Takes all bytes out of it.
    fn clear(&mut self) -> io::Result<()>;

    /// Makes it 0440: nobody writes to it again.
    fn protect(&self) -> io::Result<()>;

    /// Whether it still has a name, whichever.
    fn has_a_name(&self) -> io::Result<bool>;

    /// Whether this is its name.
    fn is_at(&self, path: &Path) -> io::Result<bool>;

    /// When it was made, else when it was last written to.
    fn made(&self) -> io::Result<SystemTime>;

    /// Keeps others from locking it, for as long as it is open; false where another process does that already.
    fn lock(&self) -> io::Result<bool>;
}

/// The system's own.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Disk for System {
    fn open(&self, path: &Path) -> io::Result<Box<dyn OpenFile>> {
        Ok(Box::new(OpenOptions::new().append(true).read(true).create(true).mode(0o640).open(path)?))
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        match fs::DirBuilder::new().mode(0o750).create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            result => result,
        }
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        match fs::symlink_metadata(path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // Some network file systems do not know that; a second name never replaces either.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP) => {
                fs::hard_link(from, to)?;
                fs::remove_file(from)
            }
            result => Ok(result?),
        }
    }

    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

impl OpenFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            // A signal came: that is no word of the disk's.
            match self.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        FileExt::read_at(self, into, at)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.set_len(0)
    }

    fn protect(&self) -> io::Result<()> {
        self.set_permissions(Permissions::from_mode(0o440))
    }

    fn has_a_name(&self) -> io::Result<bool> {
        Ok(self.metadata()?.nlink() > 0)
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        let own = self.metadata()?;
        match fs::metadata(path) {
            Ok(there) => Ok((there.dev(), there.ino()) == (own.dev(), own.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn made(&self) -> io::Result<SystemTime> {
        let data = self.metadata()?;
        data.created().or_else(|_| data.modified())
    }

    fn lock(&self) -> io::Result<bool> {
        match flock(self, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
pub(super) mod simulated;
