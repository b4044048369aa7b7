//! What lies in the folder of a tape, by the names that are ours.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::segment::{ASIDE, Packing, Seal, Tape, aside};

/// More than any seal has: 4096 connections of 200 bytes each.
const LONGEST_SEAL: u64 = 1 << 20;

/// A tape's folder at one moment.
pub(super) struct Rack {
    pub folder: PathBuf,
    pub tape: Tape,
    /// Its segments, the oldest first.
    pub segments: BTreeMap<(SystemTime, u32), Segment>,
    /// The names of the segments that tapes of dead predecessors are to become.
    pub unsealed: Vec<String>,
    /// The names of the segments that were being removed.
    pub removed: Vec<String>,
    /// Files that were being written.
    pub parts: Vec<PathBuf>,
}

/// A segment.
pub(super) struct Segment {
    /// Without what compression adds.
    pub name: String,
    /// As what it is there: more than once only where a predecessor was killed.
    pub packings: BTreeSet<Packing>,
    /// It has a seal, by its name.
    pub is_sealed: bool,
}

impl Rack {
    /// Looks at the folder of a tape. Where there is none, nothing lies in it. Only what is a file itself counts: no link is
    /// followed.
    pub fn of(path: &Path) -> io::Result<Self> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let tape = Tape::of(path);
        let (mut segments, mut seals) = (BTreeMap::new(), BTreeSet::new());
        for name in files(&folder)? {
            let Some((start, again, packing)) = tape.parse(&name) else { continue };
            let fresh =
                || Segment { name: Packing::split(&name).0.to_owned(), packings: BTreeSet::new(), is_sealed: false };
            segments.entry((start, again)).or_insert_with(fresh).packings.insert(packing);
        }
        let mut rack = Self { segments, unsealed: Vec::new(), removed: Vec::new(), parts: Vec::new(), folder, tape };
        for name in files(&rack.folder.join(ASIDE))? {
            let Some((of, what)) = name.rsplit_once('.') else { continue };
            let is_ours = |of: &str| rack.tape.parse(of).is_some();
            match what {
                "seal" if is_ours(of) => drop(seals.insert(of.to_owned())),
                "unsealed" if is_ours(of) => rack.unsealed.push(of.to_owned()),
                "removed" if is_ours(of) => rack.removed.push(of.to_owned()),
                "part" if is_ours(of.strip_suffix(".seal").or_else(|| of.strip_suffix(".torn")).unwrap_or(of)) => {
                    rack.parts.push(rack.folder.join(ASIDE).join(&name));
                }
                _ => {}
            }
        }
        for segment in rack.segments.values_mut() {
            segment.is_sealed = seals.contains(&segment.name);
        }
        rack.unsealed.sort();
        Ok(rack)
    }

    /// The file that grows.
    pub fn path(&self) -> PathBuf {
        self.folder.join(self.tape.name())
    }

    /// Where a segment is or would be, compressed so.
    pub fn place(&self, name: &str, packing: Packing) -> PathBuf {
        self.folder.join(format!("{name}{}", packing.suffix()))
    }

    /// Where what belongs to a segment is.
    pub fn aside(&self, name: &str, what: &str) -> PathBuf {
        aside(&self.folder.join(name), what)
    }

    /// How much lies there of this tape, in bytes, what grows with it.
    pub fn bytes(&self) -> u64 {
        let segments = self
            .segments
            .values()
            .flat_map(|segment| segment.packings.iter().map(|packing| self.place(&segment.name, *packing)));
        let files = segments.chain([self.path()]).filter_map(|file| fs::symlink_metadata(file).ok());
        files.map(|file| file.len()).sum()
    }

    pub fn aside_folder(&self) -> PathBuf {
        self.folder.join(ASIDE)
    }

    /// A segment's seal, where that is one and of this segment.
    pub fn seal(&self, name: &str) -> io::Result<Option<Seal>> {
        let file = match open(&self.aside(name, "seal")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut text = Vec::new();
        file.take(LONGEST_SEAL).read_to_end(&mut text)?;
        let seal: Option<Seal> = serde_json::from_slice(&text).ok();
        Ok(seal.filter(|seal| seal.v == Seal::V && seal.segment == name))
    }
}

/// Opens a file for reading, and no link to one.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let nofollow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).map_err(io::Error::other)?;
    File::options().read(true).custom_flags(nofollow).open(path)
}

/// The names of the files in a folder.
fn files(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let (true, Ok(name)) = (entry.file_type()?.is_file(), entry.file_name().into_string()) {
            names.push(name);
        }
    }
    Ok(names)
}
