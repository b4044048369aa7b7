//! The tape of a dead predecessor: it was set apart by the next start, and becomes a segment here.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::Path,
    time::SystemTime,
};

use super::{
    hands::Hands,
    press::read,
    rack::{Rack, open},
};
use crate::{
    output::scan::{Scan, scan},
    segment::{Packing, Seal, State},
};

/// What is read at once.
const PORTION: usize = 256 << 10;

/// A tape that a predecessor left, by the name of the segment that it is to become.
pub(super) struct Remains<'a> {
    pub hands: &'a Hands,
    pub rack: &'a Rack,
    pub name: String,
}

impl Remains<'_> {
    /// Makes a segment of it: its seal, or None where there was nothing whole in it. Each step is done or not done, and a later
    /// try goes on from there.
    ///
    /// # Errors
    /// As the system says.
    pub fn seal(mut self, now: SystemTime) -> io::Result<Option<Seal>> {
        if self.is_taken(&self.name) {
            self.take_another_name()?;
        }
        let unsealed = self.rack.aside(&self.name, "unsealed");
        let mut file = open(&unsealed)?;
        let length = file.metadata()?.len();
        let end = if self.is_stripped(length)? { length } else { self.end(&mut file, length)? };
        if end < length {
            self.keep_torn(&file, end, length)?;
        }
        if end == 0 {
            self.hands.remove(&unsealed)?;
            self.hands.sync_folder(&self.rack.aside_folder())?;
            return Ok(None);
        }
        file.rewind()?;
        let seal = if end < length {
            self.strip(&mut file, end, &unsealed, now)?
        } else {
            let seal = self.named(scan(&mut file)?, now);
            self.write(&seal)?;
            seal
        };
        self.hands.protect(&unsealed)?;
        self.hands.rename(&unsealed, &self.rack.place(&self.name, Packing::None))?;
        self.hands.sync_folder(&self.rack.folder)?;
        self.hands.sync_folder(&self.rack.aside_folder())?;
        Ok(Some(seal))
    }

    /// Somebody put a segment of that name there: this one is the next of that second, and says so first, so that whoever looks
    /// for a free name sees it.
    fn take_another_name(&mut self) -> io::Result<()> {
        let Some((start, ..)) = self.rack.tape.parse(&self.name) else { return Ok(()) };
        let waits = |name: &str| fs::symlink_metadata(self.rack.aside(name, "unsealed")).is_ok();
        let mut names = (2..).map(|again| self.rack.tape.segment(start, again));
        let Some(free) = names.find(|name| !self.is_taken(name) && !waits(name)) else { return Ok(()) };
        let torn = self.rack.aside(&self.name, "torn");
        if fs::symlink_metadata(&torn).is_ok() {
            self.rewrite(&self.rack.aside(&free, "torn"), &mut open(&torn)?)?;
        }
        self.hands.rename(&self.rack.aside(&self.name, "unsealed"), &self.rack.aside(&free, "unsealed"))?;
        self.name = free;
        Ok(())
    }

    fn is_taken(&self, name: &str) -> bool {
        let there = |packing| fs::symlink_metadata(self.rack.place(name, packing)).is_ok();
        [Packing::None, Packing::Zstd, Packing::Gzip].into_iter().any(there)
    }

    /// An earlier try has put the torn line aside: the seal came before that, and speaks of just these bytes.
    fn is_stripped(&self, length: u64) -> io::Result<bool> {
        let seal = self.rack.seal(&self.name)?;
        Ok(seal.is_some_and(|seal| seal.state == State::Recovered && seal.bytes == length))
    }

    /// Where its whole lines end.
    fn end(&self, file: &mut File, length: u64) -> io::Result<u64> {
        if let Some(end) = self.end_before_torn(file, length)? {
            return Ok(end);
        }
        match last_bytes(file, length, 1)?.as_slice() {
            // The length of the file reached the disk before its bytes, as power cuts have it.
            b"\n" => end_before_zeros(file, length - 1).map(|end| end.unwrap_or(length)),
            // What set it apart ended it with a line break, which did not reach the disk.
            _ => end_of_lines(file, length),
        }
    }

    /// The start has written the torn line aside, and ended it in place: whoever follows the file sees no line that goes on.
    fn end_before_torn(&self, file: &mut File, length: u64) -> io::Result<Option<u64>> {
        let mut torn = match open(&self.rack.aside(&self.name, "torn")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            torn => torn?,
        };
        let torn_length = torn.metadata()?.len();
        let Some(end) = length.checked_sub(torn_length + 1).filter(|_| torn_length > 0) else { return Ok(None) };
        if end > 0 && last_bytes(file, end, 1)? != b"\n" || last_bytes(file, length, 1)? != b"\n" {
            return Ok(None);
        }
        file.seek(SeekFrom::Start(end))?;
        let mut portions = (vec![0; PORTION], vec![0; PORTION]);
        loop {
            let of_torn = read(&mut torn, &mut portions.0)?;
            let in_place = read(&mut file.take(of_torn as u64), &mut portions.1)?;
            if portions.0[..of_torn] != portions.1[..in_place] {
                return Ok(None);
            }
            if of_torn < portions.0.len() {
                return Ok(Some(end));
            }
        }
    }

    /// Sees to it that what is not whole is beside it, once.
    fn keep_torn(&self, file: &File, end: u64, length: u64) -> io::Result<()> {
        let ended = u64::from(last_bytes(file, length, 1)? == b"\n");
        let mut tail = vec![0; usize::try_from(length - ended - end).map_err(io::Error::other)?];
        file.read_exact_at(&mut tail, end)?;
        let torn = self.rack.aside(&self.name, "torn");
        let mut kept = Vec::new();
        match open(&torn) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            file => drop(file?.read_to_end(&mut kept)?),
        }
        if kept.ends_with(&tail) {
            return Ok(());
        }
        kept.append(&mut tail);
        self.hands.write_whole(&torn, &kept)
    }

    /// Writes its whole lines anew and puts them in its place. (To cut the rest off in place has `tail -F` say the whole file
    /// again.)
    fn strip(&self, file: &mut File, end: u64, unsealed: &Path, now: SystemTime) -> io::Result<Seal> {
        let mut part = self.hands.part(self.rack.aside(&self.name, "part"))?;
        let mut copied = Scan::default();
        let mut lines = Tee { file: file.take(end), scan: &mut copied };
        match io::copy(&mut lines, &mut part).and_then(|_| part.sync()) {
            Ok(()) => {}
            Err(error) => return part.discard(error),
        }
        let seal = self.named(copied, now);
        match self.write(&seal) {
            Ok(()) => part.becomes(unsealed)?,
            Err(error) => return part.discard(error),
        }
        Ok(seal)
    }

    fn named(&self, scan: Scan, now: SystemTime) -> Seal {
        Seal { segment: self.name.clone(), ..scan.seal(State::Recovered, now) }
    }

    fn write(&self, seal: &Seal) -> io::Result<()> {
        let mut line = serde_json::to_vec(seal)?;
        line.push(b'\n');
        self.hands.write_whole(&self.rack.aside(&self.name, "seal"), &line)
    }

    fn rewrite(&self, path: &Path, from: &mut File) -> io::Result<()> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        self.hands.write_whole(path, &bytes)
    }
}

/// Reads, and has what is read scanned.
struct Tee<'a, R> {
    file: R,
    scan: &'a mut Scan,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        self.scan.take(&into[..read]);
        Ok(read)
    }
}

/// Where the last line ends, of the bytes up to there.
fn end_of_lines(file: &File, mut end: u64) -> io::Result<u64> {
    while end > 0 {
        let bytes = last_bytes(file, end, PORTION)?;
        if let Some(at) = memchr::memrchr(b'\n', &bytes) {
            return Ok(end - bytes.len() as u64 + at as u64 + 1);
        }
        end -= bytes.len() as u64;
    }
    Ok(0)
}

/// Where the line begins that ends there, if it is zeros and nothing else.
fn end_before_zeros(file: &File, mut end: u64) -> io::Result<Option<u64>> {
    let from = end;
    while end > 0 {
        let bytes = last_bytes(file, end, PORTION)?;
        let zeros = bytes.iter().rev().take_while(|b| **b == 0).count();
        end -= zeros as u64;
        if zeros < bytes.len() {
            let begins = bytes[bytes.len() - zeros - 1] == b'\n';
            return Ok((begins && end < from).then_some(end));
        }
    }
    Ok((from > 0).then_some(0))
}

/// The last bytes up to there, so many at most.
fn last_bytes(file: &File, end: u64, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(end).unwrap_or(usize::MAX).min(most)];
    let from = end - bytes.len() as u64;
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
}
