//! What is in a file that somebody else began, read from its beginning.

use crate::segment::{Seal, State};
use sha2::{Digest, Sha256};
use std::{
    io::{self, Read},
    time::SystemTime,
};
pub(super) struct Scan {
    lines: u64,
    bytes: u64,
    hash: Sha256,
}
pub(super) fn scan(file: &mut impl Read) -> io::Result<Scan> {
    let mut s = Scan { lines: 0, bytes: 0, hash: Sha256::new() };
    let mut b = vec![0; 1 << 16];
    loop {
        let n = file.read(&mut b)?;
        if n == 0 {
            return Ok(s);
        }
        s.lines += memchr::memchr_iter(b'\n', &b[..n]).count() as u64;
        s.bytes += n as u64;
        s.hash.update(&b[..n]);
    }
}
impl Scan {
    pub fn seal(self, state: State, now: SystemTime) -> Seal {
        Seal {
            v: 1,
            segment: String::new(),
            state,
            messages: self.lines,
            lines: self.lines,
            bytes: self.bytes,
            first: None,
            last: None,
            sha256: hex::encode(self.hash.finalize()),
            connections: vec![],
            unlisted: 0,
            sealed: now,
            tickerd: String::new(),
        }
    }
}
