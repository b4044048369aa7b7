//! A disk that does what disks do at their worst, by chance: takes half a write, is full, fails a sync, and stops at any moment.
//! What was not synced is there afterwards, or not, or in part.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use super::{Disk, OpenFile};

/// A disk; a clone is the same one.
#[derive(Clone, Default)]
pub(crate) struct Simulated(Arc<Mutex<World>>);

/// What ends a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// The process: what the system took is there.
    Kill,
    /// The machine: what was synced is there.
    Power,
}

#[derive(Default)]
struct World {
    files: Vec<Contents>,
    names: BTreeMap<PathBuf, usize>,
    /// The names as a power cut leaves them...
    kept: BTreeMap<PathBuf, usize>,
    /// ...and what became of them since, in order: a journal keeps a beginning of that.
    journal: VecDeque<Vec<(PathBuf, Option<usize>)>>,
    /// What happens to the operations to come; then all is well.
    fate: VecDeque<Fate>,
    dead: bool,
    failed_syncs: u64,
    boots: u64,
    told: Option<Arc<dyn Fn(bool) + Send + Sync>>,
}

#[derive(Clone, Default)]
struct Contents {
    bytes: Vec<u8>,
    synced: Vec<u8>,
    /// What a failed sync forgot: never synced by a later one.
    forgotten: bool,
    protected: bool,
}

/// What happens to an operation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// It is done.
    Well,
    /// It is not done, and says so.
    Fails,
    /// Of a write this share, in 256ths, is done; others are.
    Short(u8),
    /// The world ends in it; of a write this share is done.
    End(u8),
}

struct Handle {
    disk: Simulated,
    file: usize,
    boot: u64,
}

impl Simulated {
    /// What is to happen from now on, and who is told of each failure: whether the world ended.
    pub(crate) fn script(&self, fate: impl IntoIterator<Item = Fate>, told: Arc<dyn Fn(bool) + Send + Sync>) {
        let mut world = self.world();
        world.fate = fate.into_iter().collect();
        world.told = Some(told);
    }

    /// Ends the run, and starts the machine again: of what was neither synced nor lost for sure `chance` says what is there.
    pub(crate) fn boot(&self, crash: Crash, mut chance: impl FnMut(usize) -> usize) {
        let mut world = self.world();
        (world.dead, world.told) = (false, None);
        world.fate.clear();
        world.boots += 1;
        if crash == Crash::Power {
            let survives = chance(world.journal.len() + 1);
            let mut kept = std::mem::take(&mut world.kept);
            for (path, file) in world.journal.drain(..).take(survives).flatten() {
                note(&mut kept, path, file);
            }
            world.names = kept;
            for contents in &mut world.files {
                let more = contents.bytes.len() - contents.synced.len();
                let (length, zeros) = (chance(more + 1), chance(4));
                let from = contents.synced.len();
                let mut bytes = contents.synced.clone();
                bytes.extend_from_slice(&contents.bytes[from..from + length]);
                if zeros == 0 {
                    // The length reached the disk, the bytes did not.
                    bytes[from..].fill(0);
                }
                contents.bytes = bytes;
            }
        }
        for contents in &mut world.files {
            (contents.synced, contents.forgotten) = (contents.bytes.clone(), false);
        }
        world.journal.clear();
        world.kept = world.names.clone();
    }

    /// Every file and what is in it.
    pub(crate) fn all(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let world = self.world();
        world.names.iter().map(|(path, file)| (path.clone(), world.files[*file].bytes.clone())).collect()
    }

    pub(crate) fn failed_syncs(&self) -> u64 {
        self.world().failed_syncs
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an operation is done, and what share of it.
    fn fate(&self) -> io::Result<(MutexGuard<'_, World>, u8)> {
        let mut world = self.world();
        if world.dead {
            return Err(self.tell(world, true));
        }
        match world.fate.pop_front() {
            None | Some(Fate::Well) => Ok((world, 255)),
            Some(Fate::Short(share)) => Ok((world, share)),
            Some(Fate::Fails) => Err(self.tell(world, false)),
            Some(Fate::End(share)) => {
                world.dead = true;
                Ok((world, share))
            }
        }
    }

    /// An operation that changes names: at the world's end it is done, or not.
    fn changes(&self) -> io::Result<MutexGuard<'_, World>> {
        let (world, share) = self.fate()?;
        if world.dead && share < 128 { Err(self.tell(world, true)) } else { Ok(world) }
    }

    #[expect(clippy::unused_self, reason = "the lock that is given is its own")]
    fn tell(&self, world: MutexGuard<'_, World>, end: bool) -> io::Error {
        let told = world.told.clone();
        drop(world);
        if let Some(told) = told {
            told(end);
        }
        io::Error::from(if end { io::ErrorKind::Other } else { io::ErrorKind::StorageFull })
    }
}

fn note(names: &mut BTreeMap<PathBuf, usize>, path: PathBuf, file: Option<usize>) {
    match file {
        Some(file) => drop(names.insert(path, file)),
        None => drop(names.remove(&path)),
    }
}

impl World {
    fn name(&mut self, path: &Path, file: Option<usize>) {
        note(&mut self.names, path.to_owned(), file);
        self.journal.push_back(vec![(path.to_owned(), file)]);
    }

    /// One entry of the journal: both or neither.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let file = self.names.get(from).copied().ok_or(io::ErrorKind::NotFound)?;
        let both = vec![(to.to_owned(), Some(file)), (from.to_owned(), None)];
        for (path, file) in &both {
            note(&mut self.names, path.clone(), *file);
        }
        self.journal.push_back(both);
        Ok(())
    }
}

impl Disk for Simulated {
    fn open(&self, path: &Path) -> io::Result<Box<dyn OpenFile>> {
        let mut world = self.changes()?;
        let file = match world.names.get(path) {
            Some(file) => *file,
            None => {
                world.files.push(Contents::default());
                let file = world.files.len() - 1;
                world.name(path, Some(file));
                file
            }
        };
        let boot = world.boots;
        if world.files[file].protected {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        drop(world);
        Ok(Box::new(Handle { disk: self.clone(), file, boot }))
    }

    fn make_folder(&self, _path: &Path) -> io::Result<()> {
        self.changes().map(drop)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.world().names.contains_key(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.changes()?;
        if world.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        world.rename(from, to)
    }

    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.changes()?.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.changes()?;
        if !world.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        world.name(path, None);
        Ok(())
    }

    fn sync_folder(&self, _path: &Path) -> io::Result<()> {
        let mut world = self.changes()?;
        world.journal.clear();
        world.kept = world.names.clone();
        Ok(())
    }
}

impl OpenFile for Handle {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (mut world, share) = self.disk.fate()?;
        assert_eq!(world.boots, self.boot, "no file outlives its process");
        assert!(!world.files[self.file].protected, "a sealed segment is never written to");
        let taken = if share == 255 { bytes.len() } else { bytes.len() * usize::from(share) / 256 };
        world.files[self.file].bytes.extend_from_slice(&bytes[..taken]);
        if world.dead || taken == 0 && !bytes.is_empty() {
            let end = world.dead;
            return Err(self.disk.tell(world, end));
        }
        Ok(taken)
    }

    fn sync(&mut self) -> io::Result<()> {
        let (mut world, _) = match self.disk.fate() {
            Ok(done) => done,
            Err(error) => {
                let mut world = self.disk.world();
                world.failed_syncs += 1;
                world.files[self.file].forgotten = true;
                return Err(error);
            }
        };
        if world.dead {
            return Err(self.disk.tell(world, true));
        }
        let contents = &mut world.files[self.file];
        assert!(!contents.forgotten, "after a failed sync another one succeeds, and proves nothing");
        contents.synced = contents.bytes.clone();
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.world().files[self.file].bytes.len() as u64)
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let world = self.disk.world();
        let rest = &world.files[self.file].bytes[usize::try_from(at).expect("fits")..];
        let read = rest.len().min(into.len());
        into[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn clear(&mut self) -> io::Result<()> {
        let mut world = self.disk.changes()?;
        let contents = &mut world.files[self.file];
        (contents.bytes, contents.synced) = (Vec::new(), Vec::new());
        Ok(())
    }

    fn protect(&self) -> io::Result<()> {
        self.disk.changes()?.files[self.file].protected = true;
        Ok(())
    }

    fn has_a_name(&self) -> io::Result<bool> {
        Ok(self.disk.world().names.values().any(|file| *file == self.file))
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        Ok(self.disk.world().names.get(path) == Some(&self.file))
    }

    fn made(&self) -> io::Result<SystemTime> {
        Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(1))
    }

    fn lock(&self) -> io::Result<bool> {
        Ok(true)
    }
}
