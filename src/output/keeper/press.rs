//! Compresses a sealed segment: the plain one goes only when the compressed one is on the disk and reads back as it.

use std::{
    fs::{self, FileTimes},
    io::{self, Read},
    path::Path,
};

use rustix::fs::{Advice, fadvise};

use super::{
    frames::{Frames, reader},
    hands::{Hands, Part},
    proof::Proof,
    rack::{Rack, open},
};
use crate::segment::{Packing, Seal};

/// What is read at once. Between two portions somebody else may have something more urgent done.
const PORTION: usize = 256 << 10;

/// What became of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pressed {
    /// It is compressed now, or was already: bytes before and behind.
    Done(u64, u64),
    /// It was removed meanwhile.
    Gone,
    /// It is not what its seal says.
    Unlike,
    /// What was compressed earlier is not what lies there plain.
    Different(Packing),
}

/// A segment that is compressed.
pub(super) struct Press<'a> {
    pub hands: &'a Hands,
    pub rack: &'a Rack,
    pub seal: &'a Seal,
    /// Called between portions.
    pub between: &'a mut dyn FnMut() -> io::Result<()>,
}

impl Press<'_> {
    /// Compresses it. Whatever happens in the middle of it, one of the two is there whole.
    ///
    /// # Errors
    /// As the system says, or who is asked between portions. A later try begins anew.
    pub fn compress(&mut self, packing: Packing) -> io::Result<Pressed> {
        let (rack, name) = (self.rack, &self.seal.segment);
        let (plain, packed) = (rack.place(name, Packing::None), rack.place(name, packing));
        let mut part = self.hands.part(rack.aside(&format!("{name}{}", packing.suffix()), "part"))?;
        let pressed = match self.fill(&mut part, &plain, packing) {
            Ok(Pressed::Done(before, behind)) => Pressed::Done(before, behind),
            Ok(other) => {
                self.hands.remove(part.path())?;
                return Ok(other);
            }
            Err(error) => return part.discard(error),
        };
        if fs::symlink_metadata(&plain).is_err() {
            self.hands.remove(part.path())?;
            return Ok(Pressed::Gone);
        }
        if let Err(error) = self.hands.rename(part.path(), &packed) {
            return part.discard(error);
        }
        self.hands.sync_folder(&rack.folder)?;
        self.drop_plain(&plain)?;
        Ok(pressed)
    }

    /// Takes up where a predecessor was killed between the last two steps, if that is how it was.
    ///
    /// # Errors
    /// As the system says.
    pub fn settle(&mut self, packing: Packing) -> io::Result<Pressed> {
        let name = &self.seal.segment;
        let (plain, packed) = (self.rack.place(name, Packing::None), self.rack.place(name, packing));
        let pressed = self.compare(&plain, &packed, packing)?;
        if let Pressed::Done(..) = pressed {
            // Its name may not have survived what killed the predecessor.
            self.hands.sync_folder(&self.rack.folder)?;
            self.drop_plain(&plain)?;
        }
        Ok(pressed)
    }

    fn fill(&mut self, part: &mut Part, plain: &Path, packing: Packing) -> io::Result<Pressed> {
        let mut file = open(plain)?;
        let written = file.metadata()?.modified()?;
        let mut proof = Proof::of(self.seal);
        let mut frames = Frames::new(packing, &mut *part);
        let mut portion = vec![0; PORTION];
        loop {
            (self.between)()?;
            let read = read(&mut file, &mut portion)?;
            proof.take(&portion[..read]);
            frames.take(&portion[..read])?;
            if read < portion.len() {
                break;
            }
        }
        frames.finish()?;
        if !proof.holds() {
            return Ok(Pressed::Unlike);
        }
        self.hands.protect(part.path())?;
        part.file().set_times(FileTimes::new().set_modified(written))?;
        part.sync()?;
        // What is read back now comes off the disk, where the system follows this advice.
        let _ = fadvise(part.file(), 0, None, Advice::DontNeed);
        match self.compare(plain, part.path(), packing)? {
            Pressed::Different(_) => Err(io::Error::other("what was compressed does not read back as it was")),
            pressed => Ok(pressed),
        }
    }

    /// Whether one is the other and both are what the seal says.
    fn compare(&mut self, plain: &Path, packed: &Path, packing: Packing) -> io::Result<Pressed> {
        let (mut plain, packed) = (open(plain)?, open(packed)?);
        let (before, behind) = (plain.metadata()?.len(), packed.metadata()?.len());
        let mut packed = reader(packing, packed)?;
        let mut proof = Proof::of(self.seal);
        let mut portions = (vec![0; PORTION], vec![0; PORTION]);
        loop {
            (self.between)()?;
            let of_plain = read(&mut plain, &mut portions.0)?;
            let of_packed = match read(&mut packed, &mut portions.1) {
                // What is not the system's error is that of what was to be unpacked.
                Err(error) if error.raw_os_error().is_none() => return Ok(Pressed::Different(packing)),
                read => read?,
            };
            if portions.0[..of_plain] != portions.1[..of_packed] {
                return Ok(Pressed::Different(packing));
            }
            proof.take(&portions.1[..of_packed]);
            if of_packed < portions.1.len() {
                break;
            }
        }
        Ok(if proof.holds() { Pressed::Done(before, behind) } else { Pressed::Unlike })
    }

    fn drop_plain(&self, plain: &Path) -> io::Result<()> {
        self.hands.remove(plain)?;
        self.hands.sync_folder(&self.rack.folder)
    }
}

/// Reads until it is full, or there is no more.
pub(super) fn read(file: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match file.read(&mut into[filled..]) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
