//! `status.json`: what one daemon lets whoever asks know of itself, written anew each second.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{Folders, Report};

/// How often it is written at most. It lies in memory (a tmpfs), costs a few hundred bytes a feed, and needs no sync.
const EVERY: Duration = Duration::from_secs(1);

/// The file of this daemon.
#[derive(Clone, Debug)]
pub struct Sheet {
    path: PathBuf,
    due: Option<Instant>,
    failing: bool,
}

impl Sheet {
    /// That of this process in its runtime folder; None where it has none, which the log says at debug level.
    #[must_use]
    pub fn of_process(folders: &Folders, supervised: bool) -> Option<Self> {
        let path = folders.path_for(std::process::id(), supervised);
        match &path {
            Some(path) => tracing::debug!("`tickerd status` reads {}", path.display()),
            None => tracing::debug!(
                "no runtime folder: there is no $RUNTIME_DIRECTORY, no {} to write to, and no $XDG_RUNTIME_DIR; no status.json is \
                 written, and `tickerd status` will not find this daemon",
                folders.system.display()
            ),
        }
        path.map(Self::at)
    }

    /// One at this path.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self { path, due: None, failing: false }
    }

    /// Whether it is time to write it again.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| due <= now)
    }

    /// Writes it, whole or not at all. That it can not be written is said once, and costs no record.
    pub fn write(&mut self, report: &Report, now: Instant) {
        self.due = Some(now + EVERY);
        match (replace(&self.path, report), self.failing) {
            (Err(error), false) => {
                self.failing = true;
                tracing::warn!(
                    "{} can not be written: {error}; recording goes on, and `tickerd status` will say that this daemon is dead",
                    self.path.display()
                );
            }
            (Ok(()), true) => {
                self.failing = false;
                tracing::info!("{} is written again", self.path.display());
            }
            _ => {}
        }
    }

    /// Takes it away: this daemon ends as it was told to.
    pub fn remove(&self) {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!("{} can not be removed: {error}", self.path.display());
            }
            _ => {}
        }
    }
}

/// A reader sees the old one or the new one, never half of either.
fn replace(path: &Path, report: &Report) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(report)?;
    bytes.push(b'\n');
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = (|| {
        let mut options = OpenOptions::new();
        // Never through a link that another user may have put there.
        options.write(true).create_new(true).mode(0o640);
        let mut file = match options.open(&temporary) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(&temporary)?;
                options.open(&temporary)?
            }
            opened => opened?,
        };
        file.write_all(&bytes)?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, time::SystemTime};

    use super::*;

    fn report() -> Report {
        Report {
            v: Report::V,
            tickerd: "0.1.0".into(),
            pid: 1,
            run: "00000001".into(),
            supervised: false,
            started: SystemTime::UNIX_EPOCH,
            written: SystemTime::UNIX_EPOCH,
            clock_offset_ms: None,
            feeds: Vec::new(),
            output: None,
        }
    }

    #[test]
    fn it_is_replaced_each_second_readable_by_the_group_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, now) = (folder.path().join("status.json"), Instant::now());
        let mut sheet = Sheet::at(path.clone());
        assert!(sheet.is_due(now));
        // What a process of the same number left behind is in nobody's way, and is not written through.
        let elsewhere = folder.path().join("elsewhere");
        let temporary = folder.path().join(format!(".status.json.{}", std::process::id()));
        std::os::unix::fs::symlink(&elsewhere, &temporary).expect("a link");
        sheet.write(&report(), now);
        assert!(!elsewhere.exists());
        assert!(!sheet.is_due(now + Duration::from_millis(999)) && sheet.is_due(now + Duration::from_secs(1)));
        let read: Report = serde_json::from_slice(&fs::read(&path).expect("there")).expect("JSON");
        assert_eq!(read, report());
        let mode = fs::metadata(&path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode & !0o640, 0, "{mode:o}");
        assert_eq!(fs::read_dir(folder.path()).expect("reads").count(), 1);
        sheet.remove();
        assert_eq!(fs::read_dir(folder.path()).expect("reads").count(), 0);
    }

    #[test]
    fn a_folder_that_is_gone_is_no_end_and_is_written_to_when_it_is_back() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("run");
        let (mut sheet, now) = (Sheet::at(folder.join("status.json")), Instant::now());
        sheet.write(&report(), now);
        assert!(sheet.failing);
        fs::create_dir(&folder).expect("ours");
        sheet.write(&report(), now);
        assert!(!sheet.failing && folder.join("status.json").exists());
    }
}
