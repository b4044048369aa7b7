//! A stream of bytes, line by line, and the hash of all of it up to any line.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// What is read at once: it fits the second cache, so that what the hash and the scan both look at is read from memory once.
const BLOCK: usize = 512 * 1024;

/// No line of a recorder is longer: a message of 64 MiB that is no JSON becomes 86 MiB of base64, and its envelope is short. What is
/// longer is stepped over, and memory is bounded by this.
const LONGEST: usize = 96 * 1024 * 1024;

/// Lines of one stream.
pub struct Lines<R> {
    from: R,
    buffer: Vec<u8>,
    /// Where in the buffer the last line that was given out begins, where the next one does, and where what was read ends.
    line: usize,
    next: usize,
    end: usize,
    /// The buffer has been hashed up to here; None where nobody asks.
    hash: Option<(Sha256, usize)>,
    /// Of the buffer's first byte, in the stream.
    offset: u64,
    ended: bool,
}

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its bytes, without the line's end; of one that is overlong its first.
    pub bytes: &'a [u8],
    /// Where it begins in the stream.
    pub at: u64,
    /// How long it is, with its end.
    pub length: u64,
    /// How it ends.
    pub end: End,
}

/// How a line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By a line break.
    Break,
    /// The stream ends before it does.
    Torn,
    /// It is longer than any record.
    Overlong,
}

impl<R: Read> Lines<R> {
    /// Reads from there; hashes where that is asked for.
    pub fn new(from: R, hashes: bool) -> Self {
        let hash = hashes.then(|| (Sha256::new(), 0));
        Self { from, buffer: vec![0; BLOCK], line: 0, next: 0, end: 0, hash, offset: 0, ended: false }
    }

    /// The next line; None at the end.
    ///
    /// # Errors
    /// When the stream can not be read on. What was read of a line before that is given out as torn by the next call.
    pub fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let mut seen = self.next;
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[seen..self.end]) {
                let (from, to) = (self.next, seen + at);
                (self.line, self.next) = (from, to + 1);
                return Ok(Some(self.given(from, to, End::Break)));
            }
            if self.ended {
                let (from, to) = (self.next, self.end);
                (self.line, self.next) = (from, to);
                return Ok((from < to).then(|| self.given(from, to, End::Torn)));
            }
            if self.next == 0 && self.end == self.buffer.len() && self.end >= LONGEST {
                return self.overlong().map(Some);
            }
            seen = self.refill()?;
        }
    }

    fn given(&self, from: usize, to: usize, end: End) -> Line<'_> {
        let length = (to - from + usize::from(end == End::Break)) as u64;
        Line { bytes: &self.buffer[from..to], at: self.offset + from as u64, length, end }
    }

    /// Moves what is left to the front and reads more behind it. Where what is new begins.
    fn refill(&mut self) -> io::Result<usize> {
        self.shift();
        if self.end == self.buffer.len() {
            self.buffer.resize((self.end * 2).min(LONGEST), 0);
        }
        let seen = self.end;
        match self.from.read(&mut self.buffer[self.end..]) {
            Ok(0) => self.ended = true,
            Ok(count) => self.end += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                self.ended = true;
                return Err(error);
            }
        }
        Ok(seen)
    }

    /// What was given out makes room, and is hashed before.
    fn shift(&mut self) {
        if let Some((hash, hashed)) = &mut self.hash {
            hash.update(&self.buffer[*hashed..self.next]);
            *hashed = 0;
        }
        self.buffer.copy_within(self.next..self.end, 0);
        self.offset += self.next as u64;
        self.end -= self.next;
        (self.line, self.next) = (0, 0);
    }

    /// Steps over the rest of a line that fills the buffer. Its first bytes are kept.
    fn overlong(&mut self) -> io::Result<Line<'_>> {
        /// Enough to see what it is.
        const KEPT: usize = 256;
        let (first, at) = (self.buffer[..KEPT].to_vec(), self.offset);
        loop {
            self.next = self.end;
            self.refill()?;
            let stop = memchr::memchr(b'\n', &self.buffer[..self.end]);
            if let Some(stop) = stop.map(|stop| stop + 1).or_else(|| self.ended.then_some(self.end)) {
                // What is hashed up to here is the line; the kept bytes are laid over its end, which nobody reads again.
                if let Some((hash, hashed)) = &mut self.hash {
                    hash.update(&self.buffer[..stop]);
                    *hashed = stop.max(KEPT);
                }
                let length = self.offset + stop as u64 - at;
                if stop < KEPT {
                    let behind = self.buffer[stop..self.end].to_vec();
                    self.buffer.splice(..self.end, [&first[..], &behind].concat());
                    self.offset = self.offset + stop as u64 - KEPT as u64;
                    self.end = KEPT + behind.len();
                } else {
                    self.buffer[stop - KEPT..stop].copy_from_slice(&first);
                }
                let stop = stop.max(KEPT);
                (self.line, self.next) = (stop, stop);
                return Ok(Line { bytes: &self.buffer[stop - KEPT..stop], at, length, end: End::Overlong });
            }
        }
    }

    /// How many bytes were given out.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.offset + self.next as u64
    }

    /// SHA-256 of all bytes before the last line that was given out.
    pub fn digest_before(&mut self) -> Option<[u8; 32]> {
        self.digest(self.line)
    }

    /// SHA-256 of all bytes that were given out.
    pub fn digest_behind(&mut self) -> Option<[u8; 32]> {
        self.digest(self.next)
    }

    fn digest(&mut self, to: usize) -> Option<[u8; 32]> {
        let (hash, hashed) = self.hash.as_mut()?;
        if *hashed < to {
            hash.update(&self.buffer[*hashed..to]);
            *hashed = to;
        }
        Some(hash.clone().finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives a few bytes at a time.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(self.1).min(into.len());
            into[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    #[test]
    fn what_is_longer_than_any_record_is_stepped_over_and_hashed() {
        for behind in [&b"end\n"[..], b"", &b"a longer line that stands behind it\n".repeat(9)] {
            let all = [b"start\n", &b"x".repeat(LONGEST + 7)[..], b"\n", behind].concat();
            let mut lines = Lines::new(&*all, true);
            assert_eq!(lines.next().expect("reads").expect("a line").bytes, b"start");
            let long = lines.next().expect("reads").expect("a line");
            assert_eq!((long.at, long.length, long.end), (6, LONGEST as u64 + 8, End::Overlong));
            assert!(long.bytes.iter().all(|byte| *byte == b'x'));
            let mut rest = Vec::new();
            while let Some(line) = lines.next().expect("reads") {
                rest.extend_from_slice(line.bytes);
                rest.push(b'\n');
            }
            assert_eq!(rest, behind);
            assert_eq!(lines.digest_behind(), Some(Sha256::digest(&all).into()));
        }
    }

    proptest! {
        #[test]
        fn every_byte_is_given_out_once_and_hashed(lines in prop::collection::vec("[a-z]{0,9}", 0..20), torn in "[a-z]{0,3}", step in 1usize..9) {
            let all = lines.iter().fold(String::new(), |all, line| all + line + "\n") + &torn;
            let mut reader = Lines::new(Drip(all.as_bytes(), step), true);
            let (mut given, mut count) = (Vec::new(), 0);
            while let Some(line) = reader.next().expect("reads") {
                prop_assert_eq!(line.at, given.len() as u64);
                given.extend_from_slice(line.bytes);
                given.extend(if line.end == End::Break { b"\n".as_slice() } else { b"" });
                prop_assert_eq!(line.at + line.length, given.len() as u64);
                let before: [u8; 32] = Sha256::digest(&all.as_bytes()[..usize::try_from(line.at).unwrap()]).into();
                if count % 3 == 0 {
                    prop_assert_eq!(reader.digest_before(), Some(before));
                }
                count += 1;
            }
            prop_assert_eq!(&given, all.as_bytes());
            prop_assert_eq!(reader.digest_behind(), Some(Sha256::digest(&given).into()));
            prop_assert_eq!(reader.position(), given.len() as u64);
        }
    }
}
