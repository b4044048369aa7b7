//! The runtime folders: where a daemon puts its `status.json`, and where whoever asks looks for one.

use std::{
    fmt,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{Access, OFlags, access};

use super::Report;
use crate::config::Surroundings;

/// A feed takes half a kilobyte: two thousand of them. What is longer is not ours.
const LONGEST: u64 = 1 << 20;

/// Where a `status.json` may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folders {
    /// The unit's own, `$RUNTIME_DIRECTORY`.
    pub unit: Option<PathBuf>,
    /// That of tickerd's unit, which whoever may write there may use as well.
    pub system: PathBuf,
    /// One's own, below `$XDG_RUNTIME_DIR`.
    pub own: Option<PathBuf>,
}

/// What a look into folders brings.
#[derive(Debug, Default)]
pub struct Looked {
    /// Each file, in the order of folders and names.
    pub found: Vec<Found>,
    /// The folders that could not be looked into, and why.
    pub closed: Vec<(PathBuf, io::Error)>,
}

/// One file.
#[derive(Debug)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// What it says, or why it is not believed.
    pub report: Result<Report, Unfit>,
}

/// Why a file is not believed.
#[derive(Debug)]
pub enum Unfit {
    /// It can not be read.
    Unreadable(io::Error),
    /// It is a folder, a pipe, a device.
    NoFile,
    /// It is longer than any of ours.
    TooLong,
    /// It is not what we write.
    Foreign(serde_json::Error),
    /// It is of another form.
    Version(u64),
}

impl Folders {
    /// Those of this process.
    #[must_use]
    pub fn new(around: &Surroundings) -> Self {
        // systemd lists several where a unit has several; the first is the unit's main one.
        let unit = around.var("RUNTIME_DIRECTORY").and_then(|all| all.split(':').next()).map(PathBuf::from);
        let own = around.var("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
        Self { unit, system: PathBuf::from("/run/tickerd"), own: own.map(|own| own.join("tickerd")) }
    }

    /// All of them, each once, in the order in which they are looked into.
    #[must_use]
    pub fn all(&self) -> Vec<PathBuf> {
        let mut all = Vec::new();
        for folder in self.unit.iter().chain([&self.system]).chain(&self.own) {
            if !all.contains(folder) {
                all.push(folder.clone());
            }
        }
        all
    }

    /// Where a daemon writes. One that a service manager runs has its folder to itself. Those that are run by hand may share
    /// theirs, and have names of their own there; for them the system's folder is not made, and one's own is.
    #[must_use]
    pub(super) fn path_for(&self, pid: u32, supervised: bool) -> Option<PathBuf> {
        if let Some(unit) = &self.unit {
            return Some(unit.join(if supervised { "status.json".to_owned() } else { format!("status-{pid}.json") }));
        }
        let system = Some(&self.system).filter(|folder| access(*folder, Access::WRITE_OK | Access::EXEC_OK).is_ok());
        let own = || self.own.as_ref().filter(|folder| is_there(folder));
        system.or_else(own).map(|folder| folder.join(format!("status-{pid}.json")))
    }
}

impl Looked {
    /// Reads every `status*.json` in these folders, and in those of the instances beside them.
    #[must_use]
    pub fn at(folders: &[PathBuf]) -> Self {
        let mut looked = Self::default();
        for folder in folders.iter().flat_map(|folder| [folder.clone()].into_iter().chain(instances(folder))) {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    looked.closed.push((folder, error));
                    continue;
                }
            };
            let mut paths: Vec<_> =
                entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_ours(path)).collect();
            paths.sort();
            for path in paths {
                match read(&path) {
                    // Its daemon has ended since, as it was told to.
                    Err(Unfit::Unreadable(error)) if error.kind() == io::ErrorKind::NotFound => {}
                    report => looked.found.push(Found { path, report }),
                }
            }
        }
        looked
    }
}

/// The folders of instances: `/run/tickerd@NAME` of `tickerd@NAME.service`, `/run/tickerd-pipe@NAME`. They are not inside the
/// unit's own, which goes, with all that is in it, when that unit is stopped.
fn instances(folder: &Path) -> Vec<PathBuf> {
    let (Some(parent), Some(own)) = (folder.parent(), folder.file_name().and_then(|name| name.to_str())) else {
        return Vec::new();
    };
    let is_one = |name: &str| name.split_once('@').is_some_and(|(unit, _)| unit.starts_with(own));
    let entries = fs::read_dir(parent).into_iter().flatten().filter_map(Result::ok);
    let named = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_one));
    let mut paths: Vec<_> = named.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn is_ours(path: &Path) -> bool {
    let name = path.file_stem().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with("status")) && path.extension().is_some_and(|extension| extension == "json")
}

/// Whether the folder is there, if need be from now on. Its parent goes with the session, and is not ours to make.
fn is_there(folder: &Path) -> bool {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::AlreadyExists,
    }
}

fn read(path: &Path) -> Result<Report, Unfit> {
    // A pipe of that name would be waited for.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(Unfit::NoFile);
    }
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(Unfit::TooLong);
    }
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(Unfit::Foreign)?;
    match value["v"].as_u64() {
        Some(v) if v != u64::from(Report::V) => Err(Unfit::Version(v)),
        _ => serde_json::from_value(value).map_err(Unfit::Foreign),
    }
}

impl From<io::Error> for Unfit {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                write!(f, "it may not be read: be root, or in the group that owns it ({error})")
            }
            Self::Unreadable(error) => write!(f, "it can not be read: {error}"),
            Self::NoFile => write!(f, "it is no plain file"),
            Self::TooLong => write!(f, "it is longer than any of tickerd's"),
            Self::Foreign(error) => write!(f, "it is not of tickerd's making, or was cut off: {error}"),
            Self::Version(v) => {
                write!(
                    f,
                    "it is of form {v}, and this tickerd reads form {}: ask with the daemon's own program",
                    Report::V
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(root: &Path, unit: bool, own: bool) -> Folders {
        Folders {
            unit: unit.then(|| root.join("unit")),
            system: root.join("system"),
            own: own.then(|| root.join("own/tickerd")),
        }
    }

    #[test]
    fn a_daemon_writes_where_it_may_and_two_by_hand_never_to_one_file() {
        let root = tempfile::tempdir().expect("a folder");
        let path = |unit, own, supervised| folders(root.path(), unit, own).path_for(7, supervised);
        assert_eq!(path(true, true, true), Some(root.path().join("unit/status.json")));
        assert_eq!(path(true, true, false), Some(root.path().join("unit/status-7.json")), "a shell of the unit's");
        assert_eq!(path(false, false, false), None);
        assert_eq!(path(false, true, false), None, "a session's folder is not ours to make");
        fs::create_dir(root.path().join("own")).expect("ours");
        assert_eq!(path(false, true, true), Some(root.path().join("own/tickerd/status-7.json")));
        fs::create_dir(root.path().join("system")).expect("ours");
        assert_eq!(path(false, true, false), Some(root.path().join("system/status-7.json")));
    }

    #[test]
    fn the_folders_are_those_that_the_environment_names_each_once() {
        let around = |env: &[(&str, &str)]| Surroundings {
            env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            directory: "/".into(),
            etc: "/etc".into(),
        };
        let all = |env: &[(&str, &str)]| Folders::new(&around(env)).all();
        assert_eq!(all(&[]), [Path::new("/run/tickerd")]);
        let env = [("RUNTIME_DIRECTORY", "/run/tickerd:/run/more"), ("XDG_RUNTIME_DIR", "/run/user/7")];
        assert_eq!(all(&env), [Path::new("/run/tickerd"), Path::new("/run/user/7/tickerd")]);
        assert_eq!(all(&[("XDG_RUNTIME_DIR", "relative")]), [Path::new("/run/tickerd")]);
    }

    #[test]
    fn instances_are_looked_for_beside_the_unit_that_is_none() {
        let run = tempfile::tempdir().expect("a folder");
        for unit in ["tickerd", "tickerd@b", "tickerd@a", "tickerd-pipe@a", "tick@a", "tickerd-other"] {
            fs::create_dir(run.path().join(unit)).expect("ours");
            fs::write(run.path().join(unit).join("status.json"), "{").expect("ours");
        }
        fs::remove_dir_all(run.path().join("tickerd")).expect("ours");
        let looked = Looked::at(&[run.path().join("tickerd")]);
        let at = |found: &Found| found.path.strip_prefix(run.path()).expect("below").display().to_string();
        let found: Vec<_> = looked.found.iter().map(at).collect();
        assert_eq!(found, ["tickerd-pipe@a/status.json", "tickerd@a/status.json", "tickerd@b/status.json"]);
    }

    #[test]
    fn what_is_torn_foreign_or_of_another_form_is_named_and_not_believed() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("ours");
        write("status-1.json", "{\"v\":1,\"tickerd\":\"0.1.0\",\"pi");
        write("status-2.json", "{\"healthy\":true}");
        write("status-3.json", "{\"v\":2}");
        write("status-4.json", &" ".repeat(2 << 20));
        fs::create_dir(folder.path().join("status-5.json")).expect("ours");
        write(".status.json.7", "{");
        write("other.json", "{");
        let looked = Looked::at(&[folder.path().to_owned(), folder.path().join("gone")]);
        assert!(looked.closed.is_empty());
        let told: Vec<_> =
            looked.found.iter().map(|found| found.report.as_ref().expect_err("unfit").to_string()).collect();
        assert_eq!(told.len(), 5, "{told:?}");
        for (told, words) in told.iter().zip(["cut off", "not of tickerd's", "form 2", "longer", "no plain file"]) {
            assert!(told.contains(words), "{told}");
        }
    }
}
