//! What there is to audit: files and folders become tapes, each with its segments in order and the file that grows behind them.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fmt,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    time::SystemTime,
};

use jiff::{
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};
use rustix::process::{Pid, test_kill_process};

use super::source;
use crate::segment::{ASIDE, Packing, Seal, Tape, aside};

/// One tape: files that belong together.
#[derive(Debug)]
pub struct Input {
    /// The file that grows, whether it is there or not; of what is no tape, the file.
    pub name: PathBuf,
    /// Its files, in the order in which they were written.
    pub parts: Vec<Part>,
    /// Seals without a segment, in their order, and whether they are older than all that is there.
    pub orphans: Vec<(String, bool)>,
    /// Its events, where they are in files of their own, in their order.
    pub events: Vec<PathBuf>,
    /// A dead predecessor's tapes that wait for the next start.
    pub unsealed: Vec<PathBuf>,
}

/// One file.
#[derive(Debug)]
pub struct Part {
    /// Where it is; "-" is standard input.
    pub path: PathBuf,
    /// What it is of its tape.
    pub role: Role,
    /// The file that grows stays the one that was found, whatever it is called by the time it is read.
    held: Option<File>,
}

/// What a file is of its tape.
#[derive(Debug)]
pub enum Role {
    /// A sealed segment.
    Segment {
        /// Its name, without what says how it is compressed.
        name: String,
        /// What its seal says; None where it has none.
        seal: Option<Result<Box<Seal>, String>>,
    },
    /// The file that grows, and whether a daemon is writing it.
    Growing(bool),
    /// Anything else.
    Alone,
}

/// Why there is nothing to audit.
#[derive(Debug)]
pub enum InputError {
    /// It can not be read.
    Unreadable(PathBuf, io::Error),
    /// There is no recording in a folder.
    Nothing(PathBuf),
}

type Start = (SystemTime, u32);

/// By folder and tape, the segments by their start, and all else.
type Gathered = BTreeMap<PathBuf, (BTreeMap<Start, PathBuf>, Vec<PathBuf>, bool)>;

/// Finds what these arguments mean: files, folders, or "-". A folder may be recorded into meanwhile.
///
/// # Errors
/// When one is not there, can not be read, or is a folder without a recording.
pub fn gather(arguments: &[PathBuf]) -> Result<Vec<Input>, InputError> {
    /// A folder changes at a rotation, a compression, a removal: each some seconds apart at the least, and looking takes none.
    const LOOKS: usize = 5;
    let mut listed = list(arguments)?;
    let mut looks = 1;
    loop {
        let inputs = arrange(&listed);
        // What grows is held open by now; what was listed before and behind that is of one moment.
        let again = list(arguments)?;
        if again == listed || looks == LOOKS {
            return Ok(inputs);
        }
        (listed, looks) = (again, looks + 1);
    }
}

/// The files that are meant, and whether all of a folder is.
fn list(arguments: &[PathBuf]) -> Result<Vec<(PathBuf, bool)>, InputError> {
    let mut listed = Vec::new();
    for argument in arguments {
        let unreadable = |error| InputError::Unreadable(argument.clone(), error);
        if argument == Path::new("-") || !fs::metadata(argument).map_err(unreadable)?.is_dir() {
            listed.push((argument.clone(), false));
            continue;
        }
        let mut paths = Vec::new();
        for entry in fs::read_dir(argument).map_err(unreadable)? {
            paths.push((entry.map_err(unreadable)?.path(), true));
        }
        paths.retain(|(path, _)| path.is_file() && is_recording(path));
        paths.sort();
        if paths.is_empty() {
            return Err(InputError::Nothing(argument.clone()));
        }
        listed.append(&mut paths);
    }
    Ok(listed)
}

fn arrange(listed: &[(PathBuf, bool)]) -> Vec<Input> {
    let mut gathered = Gathered::new();
    for (path, whole) in listed {
        put(&mut gathered, path, *whole);
    }
    let beside: Vec<_> = gathered.keys().filter_map(|tape| events_beside(tape)).collect();
    gathered.retain(|tape, _| !beside.contains(tape));
    gathered.into_iter().map(|(tape, (segments, others, whole))| input(tape, segments, others, whole)).collect()
}

/// Whether a file of a folder is data, by its name.
fn is_recording(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(OsStr::to_str) else { return false };
    let (plain, _) = Packing::split(name);
    !name.starts_with('.')
        && (Path::new(plain).extension().is_some_and(|extension| extension == "ndjson") || tape_of(name).is_some())
}

/// The tape of which a file is a part that has ended, and what puts these in order.
fn tape_of(file: &str) -> Option<(Tape, Start)> {
    segment_of(file).or_else(|| moved_from(file))
}

/// The tape from which logrotate moved a file away, and when: `tape.ndjson-20261129T095930`, or by the day as is its default.
fn moved_from(file: &str) -> Option<(Tape, Start)> {
    let (name, stamp) = Packing::split(file).0.rsplit_once('-')?;
    let name = Path::new(name);
    name.extension().filter(|extension| *extension == "ndjson" || *extension == "events")?;
    let day = || Some(Date::strptime("%Y%m%d", stamp).ok()?.to_datetime(Time::midnight()));
    let moved = DateTime::strptime("%Y%m%dT%H%M%S", stamp).ok().or_else(day)?;
    let moved = SystemTime::try_from(TimeZone::UTC.to_timestamp(moved).ok()?).ok()?;
    Some((Tape::of(name), (moved, 1)))
}

/// The tape of which a file is a segment, and when that begins.
fn segment_of(file: &str) -> Option<(Tape, Start)> {
    let (plain, _) = Packing::split(file);
    let (stem, extension) = match plain.rsplit_once('.') {
        Some((stem, extension)) => (stem, format!(".{extension}")),
        None => (plain, String::new()),
    };
    stem.match_indices('-').find_map(|(at, _)| {
        let tape = Tape::of(Path::new(&format!("{}{extension}", &stem[..at])));
        let (start, again, _) = tape.parse(file)?;
        Some((tape, (start, again)))
    })
}

fn put(gathered: &mut Gathered, path: &Path, whole: bool) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    match tape_of(&name) {
        Some((tape, start)) => {
            let known = gathered.entry(folder.join(tape.name())).or_default();
            known.2 |= whole;
            // While a segment is being compressed both are there; the plain one is whole until it is removed.
            let segment = known.0.entry(start).or_insert_with(|| path.to_owned());
            if Packing::split(&name).1 == Packing::None {
                path.clone_into(segment);
            }
        }
        None => {
            let known = gathered.entry(folder.join(Packing::split(&name).0)).or_default();
            known.2 |= whole;
            if !known.1.iter().any(|other| other == path) {
                known.1.push(path.to_owned());
            }
        }
    }
}

fn input(name: PathBuf, segments: BTreeMap<Start, PathBuf>, others: Vec<PathBuf>, whole: bool) -> Input {
    let oldest = segments.keys().next().copied();
    let mut parts: Vec<_> = segments.into_values().map(segment).collect();
    for path in others {
        let is_growing = path == name && (aside(&name, "lock").exists() || !parts.is_empty());
        let role = if is_growing { Role::Growing(is_running(&name)) } else { Role::Alone };
        let held = is_growing.then(|| File::open(&path).ok()).flatten();
        parts.push(Part { path, role, held });
    }
    let mut input = Input { events: events_of(&name), name, parts, orphans: Vec::new(), unsealed: Vec::new() };
    if whole {
        input.look_aside(oldest);
    }
    input
}

fn segment(path: PathBuf) -> Part {
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = Packing::split(&file).0.to_owned();
    let beside = aside(&path.with_file_name(&name), "seal");
    let read = |text: String| serde_json::from_str::<Seal>(&text).map(Box::new).map_err(|error| error.to_string());
    let seal = match fs::read_to_string(&beside) {
        Ok(text) => Some(read(text).map_err(|error| format!("{} is no seal: {error}", beside.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(Err(format!("{} can not be read: {error}", beside.display()))),
    };
    Part { path, role: Role::Segment { name, seal }, held: None }
}

/// Raw records have their events beside them: tape.events.
fn events_beside(name: &Path) -> Option<PathBuf> {
    let events = name.with_extension("events");
    (events != name).then_some(events)
}

/// The events beside a tape: those that a start after a kill made segments of, and those that grow.
fn events_of(name: &Path) -> Vec<PathBuf> {
    let Some(growing) = events_beside(name) else { return Vec::new() };
    let mut gathered = Gathered::new();
    let folder = growing.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let tape = Tape::of(&growing);
    for path in fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())) {
        let of = path.file_name().and_then(OsStr::to_str).and_then(tape_of);
        if of.is_some_and(|(other, _)| other.name() == tape.name()) {
            put(&mut gathered, &path, true);
        }
    }
    let segments = gathered.into_values().flat_map(|(segments, ..)| segments.into_values());
    segments.chain(Some(growing).filter(|growing| growing.is_file())).collect()
}

/// Whether the daemon whose number the lock holds is there.
fn is_running(name: &Path) -> bool {
    let pid = fs::read_to_string(aside(name, "lock")).ok();
    let pid = pid.and_then(|text| text.trim().parse().ok()).and_then(Pid::from_raw);
    pid.is_some_and(|pid| !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH)))
}

impl Input {
    /// What lies in `.tickerd` of this tape and has no file of its own.
    fn look_aside(&mut self, oldest: Option<Start>) {
        let tape = Tape::of(&self.name);
        let folder = self.name.parent().unwrap_or_else(|| Path::new("")).join(ASIDE);
        let Ok(entries) = fs::read_dir(folder) else { return };
        let mut orphans = BTreeMap::new();
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let named = |suffix: &str| {
                name.strip_suffix(suffix).and_then(|segment| Some((tape.parse(segment)?, segment.to_owned())))
            };
            if named(".unsealed").is_some() {
                self.unsealed.push(path.clone());
            }
            let Some(((start, again, _), segment)) = named(".seal") else { continue };
            let is_there =
                self.parts.iter().any(|part| matches!(&part.role, Role::Segment { name, .. } if *name == segment));
            if !is_there {
                orphans.insert((start, again), (segment, oldest.is_none_or(|oldest| (start, again) < oldest)));
            }
        }
        self.unsealed.sort();
        self.orphans = orphans.into_values().collect();
    }
}

impl Part {
    /// Its bytes, unpacked. A segment may have been compressed since it was found.
    ///
    /// # Errors
    /// When it can not be opened, or its first bytes can not be read.
    pub fn open(&self) -> io::Result<Box<dyn Read>> {
        if let Some(file) = &self.held {
            return source::unpacked(file.try_clone()?);
        }
        let opened = source::open(&self.path);
        let (Role::Segment { name, .. }, Err(error)) = (&self.role, &opened) else { return opened };
        if error.kind() != io::ErrorKind::NotFound {
            return opened;
        }
        let packed = [Packing::Zstd, Packing::Gzip].map(|packing| format!("{name}{}", packing.suffix()));
        packed.iter().find_map(|name| source::open(&self.path.with_file_name(name)).ok()).map_or(opened, Ok)
    }

    /// As reports call it.
    #[must_use]
    pub fn label(&self) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        if name == "-" { "stdin".to_owned() } else { name.to_string_lossy().into_owned() }
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(f, "{} can not be read: {error}", path.display()),
            Self::Nothing(path) => write!(
                f,
                "there is no recording in {}: name the file itself if it does not end in .ndjson (or .ndjson.gz, .ndjson.zst)",
                path.display()
            ),
        }
    }
}

impl std::error::Error for InputError {}
