//! A file that grows and the segments behind it: when one ends, how it is sealed, and what is made of one that a predecessor
//! left. Each step may be the last: whatever is on the disk then, the next start makes whole segments of it.

mod start;
mod tally;

pub use start::{Left, StartError};

use std::{
    fmt, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use self::tally::{Tally, boundary};
use super::{
    disk::{Disk, OpenFile},
    scan::scan,
};
use crate::{
    config::Rotate,
    record::Record,
    segment::{ASIDE, Packing, Seal, State, Tape, aside},
};

/// A tape as it is written: one file that grows, locked against other writers.
pub struct Spool {
    path: PathBuf,
    tape: Tape,
    rotate: Rotate,
    disk: Box<dyn Disk>,
    /// Open for as long as this lives; its text is our process until a clean end takes it out.
    lock: Box<dyn OpenFile>,
    stage: Stage,
    /// Messages and bytes in files that grew and are out of reach, and nobody was told of yet.
    gone: Option<(u64, u64)>,
    /// The rest of a line whose beginning is in such a file is not written: it would be no line.
    skips: bool,
}

/// A segment that was closed.
#[derive(Debug)]
pub struct Closed {
    /// Its seal.
    pub seal: Seal,
    /// Why it is uncertain, if it is.
    pub doubt: Option<String>,
}

/// Where the file is that grows.
enum Stage {
    /// It grows.
    Growing(Growing),
    /// It has its seal, and is on its way to its name.
    Closing(Growing, Box<Seal>),
    /// None is open; the next write makes one.
    Away,
}

struct Growing {
    file: Box<dyn OpenFile>,
    size: u64,
    tally: Tally,
    /// Begun by an earlier run: what is in it was not counted here.
    inherited: bool,
    /// When it ends by the clock.
    until: Option<SystemTime>,
    reached: Reached,
    /// Its name survives a power cut.
    named: bool,
    /// It ends within a line.
    cut: bool,
}

/// How far on its way to the disk what was written is.
#[derive(Clone, PartialEq, Eq)]
enum Reached {
    /// There.
    Disk,
    /// In the system's memory, some of it.
    Memory,
    /// A sync failed, for this reason: it may or may not be there, and the system does not say which.
    Nobody(String),
}

impl Spool {
    /// Whether a record received then and so long, in bytes, belongs into the next segment.
    #[must_use]
    pub fn is_due(&self, recv: SystemTime, more: u64) -> bool {
        let Stage::Growing(growing) = &self.stage else { return false };
        let full = self.rotate.size.is_some_and(|size| growing.size + more > size);
        !growing.is_empty() && (full || growing.until.is_some_and(|until| recv >= until))
    }

    /// Whether segments end by themselves.
    #[must_use]
    pub fn rotates(&self) -> bool {
        self.rotate != Rotate::default()
    }

    /// Whether there is nothing to seal.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match &self.stage {
            Stage::Growing(growing) => growing.is_empty(),
            Stage::Closing(..) => false,
            Stage::Away => true,
        }
    }

    /// Counts a record that is about to be written.
    pub fn count(&mut self, record: &Record) {
        if matches!(self.stage, Stage::Away) {
            // The write that follows says why there is none.
            let _ = self.begin();
        }
        let Stage::Growing(growing) = &mut self.stage else { return };
        growing.tally.count(record);
        if let (None, Some(every)) = (growing.until, self.rotate.every) {
            growing.until = Some(boundary(record.recv, every));
        }
    }

    /// Ends the segment: what is in it now is what its seal says. A line may be appended that tells this.
    ///
    /// # Errors
    /// When a file that was begun by an earlier run can not be read.
    pub fn seal(&mut self, now: SystemTime) -> io::Result<Option<&Seal>> {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Away) {
            Stage::Growing(growing) => match growing.seal(now) {
                Ok(mut seal) => {
                    seal.segment = self.free_name(seal.first.map_or_else(|| growing.file.made(), Ok).unwrap_or(now));
                    Stage::Closing(growing, Box::new(seal))
                }
                Err(error) => {
                    self.stage = Stage::Growing(growing);
                    return Err(error);
                }
            },
            stage => stage,
        };
        match &self.stage {
            Stage::Closing(_, seal) => Ok(Some(seal)),
            _ => Ok(None),
        }
    }

    /// Gives the segment that was sealed its name, and begins the next if it `goes_on`. After an error it can be called again,
    /// and takes up where it was. The seal as it was written: None where the file was moved or removed meanwhile, and is none
    /// of ours any more.
    ///
    /// # Errors
    /// As the system says.
    pub fn close(&mut self, goes_on: bool) -> io::Result<Option<Closed>> {
        let mut closed = None;
        if let Stage::Closing(growing, seal) = &mut self.stage {
            // After a failed sync the system forgets what it could not write: another one would succeed, and prove nothing.
            growing.reach();
            if growing.doubt().is_some() {
                seal.state = State::Uncertain;
            }
            let (disk, folder) = (&*self.disk, folder(&self.path));
            let segment = folder.join(&seal.segment);
            if growing.file.is_at(&self.path)? {
                write_aside(disk, &segment, "seal", &mut &line(seal)[..])?;
                growing.file.protect()?;
                match disk.rename(&self.path, &segment) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        // Taken since it was looked for: the next try finds another, and what has it now is none of ours.
                        disk.remove(&aside(&segment, "seal"))?;
                        let start = self.tape.parse(&seal.segment).map(|(start, ..)| start);
                        seal.segment = free_name(disk, &self.path, &self.tape, start.unwrap_or(seal.sealed));
                        return Err(error);
                    }
                    result => result?,
                }
            }
            if growing.file.is_at(&segment)? {
                disk.sync_folder(folder)?;
                closed = Some(Closed { seal: (**seal).clone(), doubt: growing.doubt() });
            }
            self.stage = Stage::Away;
        }
        if goes_on && matches!(self.stage, Stage::Away) {
            // A failure is the next write's business: what was sealed is sealed.
            let _ = self.begin();
        }
        Ok(closed)
    }

    /// Whether the file has been taken away while it grew, removed, or with its disk, and how many messages and bytes are gone
    /// with it. Another is begun then.
    pub fn was_removed(&mut self) -> Option<(u64, u64)> {
        if let Stage::Growing(growing) = &self.stage
            && !growing.file.has_a_name().unwrap_or(true)
        {
            self.give_up();
        }
        self.gone.take()
    }

    /// Whether something was written that may not have reached the disk.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        matches!(&self.stage, Stage::Growing(growing) if growing.reached == Reached::Memory)
    }

    /// Sees to it that what was written survives a power cut. After an error the segment is to be sealed: it is never synced
    /// again.
    ///
    /// # Errors
    /// As the system says.
    pub fn sync(&mut self) -> io::Result<()> {
        match &mut self.stage {
            Stage::Growing(growing) if growing.reached == Reached::Memory => {
                growing.name(&*self.disk, &self.path)?;
                growing.reach();
                growing.doubt().map_or(Ok(()), |doubt| Err(io::Error::other(doubt)))
            }
            _ => Ok(()),
        }
    }

    /// Opens by name anew where another file has the name now, or none: logrotate moved ours away. That gets no seal; why it
    /// may not be on the disk, if it may not.
    ///
    /// # Errors
    /// When there can not be another; what is written goes on into the file that is open.
    pub fn reopen(&mut self) -> io::Result<Option<String>> {
        let Stage::Growing(growing) = &mut self.stage else { return Ok(None) };
        if growing.file.is_at(&self.path)? {
            return Ok(None);
        }
        growing.reach();
        let doubt = growing.doubt();
        start::set_apart(&*self.disk, &self.path, &self.tape, false)?;
        self.stage = Stage::Growing(Growing::open(&*self.disk, &self.path)?);
        Ok(doubt)
    }

    /// Appends the beginning of this, as much of it as the disk takes.
    ///
    /// # Errors
    /// As the system says. A try later may do.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if matches!(self.stage, Stage::Away) {
            self.begin()?;
        }
        let (growing, counts) = match &mut self.stage {
            Stage::Growing(growing) => (growing, true),
            // The line that tells of the seal.
            Stage::Closing(growing, _) => (growing, false),
            Stage::Away => return Ok(0),
        };
        if self.skips {
            let rest = memchr::memchr(b'\n', bytes).map(|end| end + 1);
            self.skips = rest.is_none();
            return Ok(rest.unwrap_or(bytes.len()));
        }
        let taken = match growing.file.append(bytes) {
            Ok(taken) => taken,
            Err(error) => {
                let is_full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
                if !is_full && counts && !growing.file.is_at(&self.path).unwrap_or(true) {
                    // Another disk is mounted there, or none: the next try is a new file's.
                    self.give_up();
                }
                return Err(error);
            }
        };
        growing.size += taken as u64;
        growing.cut = bytes[..taken].last().map_or(growing.cut, |last| *last != b'\n');
        if growing.reached == Reached::Disk {
            growing.reached = Reached::Memory;
        }
        if counts {
            growing.tally.wrote(&bytes[..taken]);
        }
        Ok(taken)
    }

    /// Says that this run ends in good order, so that the next one goes on where it ended.
    ///
    /// # Errors
    /// As the system says: then the next start takes this run for dead, which costs a scan.
    pub fn end(&mut self) -> io::Result<()> {
        self.sync()?;
        self.lock.clear()?;
        self.lock.sync()
    }

    /// Whatever has the file now, it is out of reach.
    fn give_up(&mut self) {
        if let Stage::Growing(growing) = std::mem::replace(&mut self.stage, Stage::Away) {
            let (messages, bytes) = growing.tally.messages_and_bytes();
            let before = self.gone.unwrap_or_default();
            self.gone = Some((before.0 + messages, before.1 + bytes));
            self.skips |= growing.cut;
        }
    }

    fn begin(&mut self) -> io::Result<()> {
        if !self.lock.is_at(&aside(&self.path, "lock"))? {
            // The folder was removed, and the lock with it.
            self.disk.make_folder(&folder(&self.path).join(ASIDE))?;
            self.lock = start::lock(&*self.disk, &self.path)?.0;
        }
        // What is there is none that this run left in good order: a disk that was mounted again brings back what was cut.
        start::set_apart(&*self.disk, &self.path, &self.tape, true)?;
        self.stage = Stage::Growing(Growing::open(&*self.disk, &self.path)?);
        Ok(())
    }

    fn free_name(&self, start: SystemTime) -> String {
        free_name(&*self.disk, &self.path, &self.tape, start)
    }
}

impl Growing {
    fn open(disk: &dyn Disk, path: &Path) -> io::Result<Self> {
        let file = disk.open(path)?;
        let size = file.length()?;
        let (tally, inherited) = (Tally::default(), size > 0);
        Ok(Self { file, size, tally, inherited, until: None, reached: Reached::Disk, named: false, cut: false })
    }

    /// Has what was written reach the disk, or leaves it in doubt for good.
    fn reach(&mut self) {
        if self.doubt().is_none() {
            self.reached = self.file.sync().map_or_else(|error| Reached::Nobody(error.to_string()), |()| Reached::Disk);
        }
    }

    fn doubt(&self) -> Option<String> {
        match &self.reached {
            Reached::Nobody(why) => Some(why.clone()),
            Reached::Disk | Reached::Memory => None,
        }
    }

    /// A file without a name that lasts is lost with all that was synced of it.
    fn name(&mut self, disk: &dyn Disk, path: &Path) -> io::Result<()> {
        if !self.named {
            disk.sync_folder(folder(path))?;
            self.named = true;
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.tally.is_empty() && !self.inherited
    }

    fn seal(&self, now: SystemTime) -> io::Result<Seal> {
        let state = if self.doubt().is_some() { State::Uncertain } else { State::Sealed };
        if self.inherited {
            return Ok(scan(&mut Reading { file: &*self.file, at: 0, end: self.size })?.seal(state, now));
        }
        Ok(self.tally.seal(state, now))
    }
}

/// A part of a file, read.
struct Reading<'a> {
    file: &'a dyn OpenFile,
    at: u64,
    end: u64,
}

impl io::Read for Reading<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = into.len().min(usize::try_from(self.end - self.at).unwrap_or(usize::MAX));
        let read = self.file.read_at(&mut into[..most], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Writes what belongs to a file beside it, whole or not at all.
fn write_aside(disk: &dyn Disk, file: &Path, what: &str, source: &mut dyn io::Read) -> io::Result<PathBuf> {
    let (part, done) = (aside(file, &format!("{what}.part")), aside(file, what));
    let folder = folder(&done).to_owned();
    disk.make_folder(&folder)?;
    if disk.exists(&part)? {
        disk.remove(&part)?;
    }
    let mut written = disk.open(&part)?;
    let mut portion = vec![0; 64 << 10];
    loop {
        let mut rest = match source.read(&mut portion)? {
            0 => break,
            read => &portion[..read],
        };
        while !rest.is_empty() {
            match written.append(rest)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                taken => rest = &rest[taken..],
            }
        }
    }
    written.sync()?;
    disk.replace(&part, &done)?;
    disk.sync_folder(&folder)?;
    Ok(done)
}

/// The first name for a segment that begins then which nothing has.
fn free_name(disk: &dyn Disk, path: &Path, tape: &Tape, start: SystemTime) -> String {
    let folder = folder(path);
    // In the order in which it goes from one to the next, so that what the keeper is renaming is seen in one of them.
    let taken = |name: &String| {
        let file = folder.join(name);
        let packed = [Packing::None, Packing::Zstd, Packing::Gzip].map(|packing| format!("{name}{}", packing.suffix()));
        let there = |path: &Path| disk.exists(path).unwrap_or(false);
        there(&aside(&file, "unsealed")) || packed.iter().any(|name| there(&folder.join(name)))
    };
    // As many of one second as there can be at one a millisecond; a name that is taken is never written to in any case.
    let mut names = (1..1000).map(|again| tape.segment(start, again));
    names.find(|name| !taken(name)).unwrap_or_else(|| tape.segment(start, 1000))
}

fn line(seal: &Seal) -> Vec<u8> {
    let mut line = serde_json::to_vec(seal).expect("a seal is plain data");
    line.push(b'\n');
    line
}

/// Where a file is.
fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spool({})", self.path.display())
    }
}

#[cfg(test)]
mod tests;
