//! Changes files, one step at a time: each is done or not done, whenever the process is killed.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, RenameFlags, renameat_with};

/// What changes files.
pub(super) struct Hands {
    /// Asked before each step. In the daemon it always says yes; a test says no from some step on, and so stops the world there.
    may: Box<dyn Fn() -> io::Result<()> + Send>,
}

/// A file that is being written under a name that nobody takes for anything finished.
pub(super) struct Part<'a> {
    hands: &'a Hands,
    file: File,
    path: PathBuf,
}

impl Hands {
    pub fn new() -> Self {
        Self { may: Box::new(|| Ok(())) }
    }

    #[cfg(test)]
    pub fn told(may: impl Fn() -> io::Result<()> + Send + 'static) -> Self {
        Self { may: Box::new(may) }
    }

    /// Begins a file anew.
    pub fn part(&self, path: PathBuf) -> io::Result<Part<'_>> {
        if fs::symlink_metadata(&path).is_ok() {
            self.remove(&path)?;
        }
        (self.may)()?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(&path)?;
        Ok(Part { hands: self, file, path })
    }

    /// Gives a file another name, which must be free: else `AlreadyExists`.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        (self.may)()?;
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // Some network file systems do not know that; a second name never replaces either.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP) => {
                fs::hard_link(from, to)?;
                self.remove(from)
            }
            result => Ok(result?),
        }
    }

    /// Gives a file another name; what had it is gone.
    pub fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        (self.may)()?;
        fs::rename(from, to)
    }

    /// Removes a file; one that is not there is as good.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        (self.may)()?;
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    /// Makes a file 0440: nobody writes to it again.
    pub fn protect(&self, path: &Path) -> io::Result<()> {
        (self.may)()?;
        fs::set_permissions(path, Permissions::from_mode(0o440))
    }

    /// Sees to it that the names in a folder survive a power cut.
    pub fn sync_folder(&self, path: &Path) -> io::Result<()> {
        (self.may)()?;
        File::open(path)?.sync_all()
    }

    /// Writes a small file, whole or not at all.
    pub fn write_whole(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut name = path.as_os_str().to_owned();
        name.push(".part");
        let mut part = self.part(name.into())?;
        match part.write_all(bytes).and_then(|()| part.sync()) {
            Ok(()) => part.becomes(path),
            Err(error) => part.discard(error),
        }
    }
}

impl Part<'_> {
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    /// Sees to it that what was written survives a power cut.
    pub fn sync(&self) -> io::Result<()> {
        (self.hands.may)()?;
        self.file.sync_all()
    }

    /// Gives it its name, which is there afterwards for good; what had it is gone.
    pub fn becomes(self, path: &Path) -> io::Result<()> {
        self.hands.replace(&self.path, path)?;
        self.hands.sync_folder(path.parent().unwrap_or_else(|| Path::new(".")))
    }

    /// Removes it, since this went wrong. Where not even that can be done, the next start does it.
    pub fn discard<T>(self, error: io::Error) -> io::Result<T> {
        let _ = self.hands.remove(&self.path);
        Err(error)
    }
}

impl Write for Part<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.hands.may)()?;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
