//! Stored credentials: one file each, `tickerd-NAME`, where `tickerd credential` puts it and `run` finds it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{Access, CWD, RenameFlags, access, renameat_with};

use super::Surroundings;
use crate::auth::Secret;

/// What a stored file's name begins with: the folders are shared with other programs, and so is systemd's list of names.
const PREFIX: &str = "tickerd-";

/// The folders in which credentials are stored, as the surroundings have them.
pub struct Store {
    /// systemd's, for one start of the service: read, never written.
    given: Option<PathBuf>,
    /// The system's, from which systemd gives.
    system: PathBuf,
    /// One's own.
    own: Option<PathBuf>,
}

/// Credentials that are stored: their name and their file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What they are called.
    pub name: String,
    /// Where they are.
    pub path: PathBuf,
}

impl Store {
    /// Where the surroundings say that it is.
    #[must_use]
    pub fn new(around: &Surroundings) -> Self {
        let home = || around.var("HOME").map(|home| Path::new(home).join(".config"));
        let config = around.var("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home);
        Self {
            given: around.var("CREDENTIALS_DIRECTORY").map(PathBuf::from),
            system: around.etc.join("credstore"),
            // A relative one is to be ignored, says the XDG specification.
            own: config.filter(|config| config.is_absolute()).map(|config| config.join("tickerd/credstore")),
        }
    }

    /// Whether credentials can be called so: letters, digits, `-` and `_`, and fewer than the 32 characters that the
    /// shortest secret has, so that a secret that was typed for a name is not taken for one, nor shown.
    #[must_use]
    pub fn is_name(text: &str) -> bool {
        const LONGEST: usize = 31;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        !text.is_empty() && text.len() <= LONGEST && text.bytes().all(plain)
    }

    /// The folders in the order in which they are looked through.
    #[must_use]
    pub fn folders(&self) -> Vec<&Path> {
        self.given.iter().chain([&self.system]).chain(&self.own).map(PathBuf::as_path).collect()
    }

    /// The file of these credentials: the first that there is.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        let file = |folder: &Path| folder.join(format!("{PREFIX}{name}"));
        Self::is_name(name).then(|| self.folders().into_iter().map(file).find(|path| path.exists()))?
    }

    /// All that is stored, folder by folder, by name; of equal names the first is the one that is found.
    #[must_use]
    pub fn list(&self) -> Vec<Stored> {
        let mut all = Vec::new();
        for folder in self.folders() {
            // A folder that is not there, or not ours to read, holds nothing for us.
            let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
            let mut stored: Vec<_> = entries
                .filter_map(|entry| {
                    let name = entry.file_name().to_str()?.strip_prefix(PREFIX)?.to_owned();
                    Self::is_name(&name).then(|| Stored { path: entry.path(), name })
                })
                .collect();
            stored.sort_by(|a, b| a.name.cmp(&b.name));
            all.extend(stored);
        }
        all
    }

    /// The names of all that is stored, each once.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.list().into_iter().map(|stored| stored.name).collect();
        names.sort();
        names.dedup();
        names
    }

    /// "tickerd-main in /etc/credstore, …": where a name was looked for in vain, and where one could not look.
    #[must_use]
    pub fn searched(&self, name: &str) -> String {
        let told = |folder: &Path| match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                format!("{} (which only root may read: run it as root)", folder.display())
            }
            _ => folder.display().to_string(),
        };
        let folders: Vec<_> = self.folders().into_iter().map(told).collect();
        format!("{PREFIX}{name} in {}", folders.join(", "))
    }

    /// Where these credentials are to be stored: the system's folder where one may write there, as root may, and `own` was
    /// not asked for; else one's own.
    ///
    /// # Errors
    /// When one has no folder of one's own.
    pub fn place(&self, name: &str, own: bool) -> io::Result<PathBuf> {
        let folder = match &self.own {
            _ if !own && can_write(&self.system) => &self.system,
            Some(own) => own,
            None => {
                let what = "neither $XDG_CONFIG_HOME nor $HOME says where your own credentials go: set one of them";
                return Err(io::Error::new(io::ErrorKind::NotFound, what));
            }
        };
        Ok(folder.join(format!("{PREFIX}{name}")))
    }

    /// Whether it is the system's folder that holds this file: then systemd gives it to the service.
    #[must_use]
    pub fn is_of_the_system(&self, path: &Path) -> bool {
        path.starts_with(&self.system)
    }

    /// Whether a service manager says which credentials there are: then further ones are given by its unit alone.
    #[must_use]
    pub fn is_under_systemd(&self) -> bool {
        self.given.is_some()
    }

    /// Whether systemd put this file there, for one start: it is not ours to remove.
    #[must_use]
    pub fn is_given(&self, path: &Path) -> bool {
        self.given.as_ref().is_some_and(|given| path.starts_with(given))
    }
}

/// Writes a secret to `path`: 0600, whole or not at all, and on the disk when this returns. What is there already is only
/// replaced where that is asked for.
///
/// # Errors
/// When the folder can not be made, the file not be written, or one is there.
pub fn write(path: &Path, secret: &Secret, replace: bool) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // The point keeps it out of every list; one process writes one file.
    let temporary = folder.join(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(secret.expose().as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        let flags = if replace { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
        Ok(renameat_with(CWD, &temporary, CWD, path, flags)?)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    } else if let Ok(folder) = File::open(folder) {
        // Some file systems know no sync of a folder; the file is there all the same.
        let _ = folder.sync_all();
    }
    written
}

/// Whether one may write to the folder, or make it where it is not there yet.
fn can_write(folder: &Path) -> bool {
    let nearest = if folder.exists() { Some(folder) } else { folder.parent() };
    nearest.is_some_and(|folder| access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn around(root: &Path, env: &[(&str, PathBuf)]) -> Surroundings {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), value.display().to_string())).collect();
        Surroundings { env, directory: root.to_owned(), etc: root.join("etc") }
    }

    #[test]
    fn the_service_s_folder_comes_before_the_system_s_and_that_before_one_s_own() {
        let root = tempfile::tempdir().expect("a folder");
        let root = root.path();
        let env = [("HOME", root.join("home")), ("CREDENTIALS_DIRECTORY", root.join("given"))];
        let store = Store::new(&around(root, &env));
        assert_eq!(store.find("main"), None);
        let told = store.searched("main");
        for folder in ["given", "etc/credstore", "home/.config/tickerd/credstore"] {
            assert!(told.contains(&root.join(folder).display().to_string()), "{told}");
        }
        for folder in ["home/.config/tickerd/credstore", "etc/credstore", "given"] {
            let path = root.join(folder).join("tickerd-main");
            write(&path, &Secret::new("s".to_owned()), false).expect("written");
            assert_eq!(store.find("main"), Some(path));
        }
        assert_eq!((store.list().len(), store.names()), (3, vec!["main".to_owned()]));
    }

    #[test]
    fn root_stores_for_the_system_and_others_for_themselves() {
        let root = tempfile::tempdir().expect("a folder");
        let root = root.path();
        let store = Store::new(&around(root, &[("XDG_CONFIG_HOME", root.join("xdg"))]));
        let own = root.join("xdg/tickerd/credstore/tickerd-main");
        assert_eq!(store.place("main", false).expect("a place"), own, "there is no /etc to write to");
        fs::create_dir(root.join("etc")).expect("an /etc");
        let system = root.join("etc/credstore/tickerd-main");
        assert_eq!(store.place("main", false).expect("a place"), system);
        assert_eq!(store.place("main", true).expect("a place"), own);
        for env in [&[][..], &[("HOME", PathBuf::from("here"))]] {
            assert!(Store::new(&around(root, env)).place("main", true).is_err(), "{env:?}");
        }
    }

    #[test]
    fn a_file_is_replaced_whole_and_is_its_owner_s_alone() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("a/b/tickerd-main");
        for text in ["first", "second"] {
            write(&path, &Secret::new(text.to_owned()), true).expect("written");
            assert_eq!(fs::read_to_string(&path).expect("reads"), format!("{text}\n"));
            assert_eq!(fs::metadata(&path).expect("is there").permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::metadata(root.path().join("a")).expect("is there").permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(root.path().join("a/b")).expect("reads").count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_secret_is_no_name() {
        for good in ["main", "MAIN-2", "a_b"] {
            assert!(Store::is_name(good), "{good}");
        }
        for bad in ["", "a.b", "../main", "a b", "M4009eFnOoPwhNoMwJlsAHgIgleGVFPl", "é"] {
            assert!(!Store::is_name(bad), "{bad}");
        }
    }
}
