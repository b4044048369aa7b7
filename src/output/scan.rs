//! What a segment holds, read off its lines: for the seal of one that was not counted as it was written.

mod head;

use std::{
    io::{self, Read},
    time::SystemTime,
};

use sha2::{Digest, Sha256};

use self::head::{Head, Kind};
use crate::segment::{Connection, Seal, State};

/// What is read at once: large enough that system calls cost nothing, small enough to stay in a core's cache.
const PORTION: usize = 256 << 10;

/// What is kept of a line that is not whole yet: columns come first in it, and take less.
const HEAD: usize = 256;

/// What was found in the bytes so far.
#[derive(Debug, Default)]
pub(super) struct Scan {
    messages: u64,
    lines: u64,
    bytes: u64,
    first: Option<SystemTime>,
    /// The last line's time as it stands there: only one of millions is made a time of.
    last: Vec<u8>,
    hash: Sha256,
    connections: Vec<Connection>,
    unlisted: u64,
    /// The beginning of a line whose end has not been seen.
    begun: Vec<u8>,
}

/// Reads all there is. Memory is bounded whatever that is.
///
/// # Errors
/// When it can not be read.
pub(super) fn scan(file: &mut impl Read) -> io::Result<Scan> {
    let (mut scan, mut portion) = (Scan::default(), vec![0; PORTION]);
    loop {
        match file.read(&mut portion) {
            Ok(0) => return Ok(scan),
            Ok(read) => scan.take(&portion[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl Scan {
    /// Goes on with the bytes that follow.
    pub fn take(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.hash.update(bytes);
        let mut from = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            let line = &bytes[from..end];
            from = end + 1;
            if self.begun.is_empty() {
                self.line(line);
            } else {
                let mut line_begun = std::mem::take(&mut self.begun);
                extend(&mut line_begun, line);
                self.line(&line_begun);
                line_begun.clear();
                self.begun = line_begun;
            }
        }
        extend(&mut self.begun, &bytes[from..]);
    }

    /// What is to be said of it. The segment has no name yet.
    pub fn seal(self, state: State, now: SystemTime) -> Seal {
        Seal {
            v: Seal::V,
            segment: String::new(),
            state,
            messages: self.messages,
            lines: self.lines,
            bytes: self.bytes,
            first: self.first,
            last: head::time(&self.last),
            sha256: hex::encode(self.hash.finalize()),
            connections: self.connections,
            unlisted: self.unlisted,
            sealed: now,
            tickerd: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// A whole line, or as much of a long one as is needed.
    fn line(&mut self, line: &[u8]) {
        self.lines += 1;
        let Head { kind, recv, number } = Head::read(line);
        if let Some(recv) = recv {
            if self.first.is_none() {
                self.first = head::time(recv);
            }
            self.last.clear();
            self.last.extend_from_slice(recv);
        }
        if kind == Kind::Message {
            self.messages += 1;
            if let Some((feed, conn, n)) = number {
                self.count(feed, conn, n);
            }
        }
    }

    fn count(&mut self, feed: &str, conn: &str, n: u64) {
        // From the end, where the connections are that stand.
        let known = self.connections.iter_mut().rfind(|known| known.conn == conn && known.feed == feed);
        if let Some(known) = known {
            known.to = n;
            known.messages += 1;
        } else if self.connections.len() < Seal::MOST_CONNECTIONS {
            let (feed, conn) = (feed.to_owned(), conn.to_owned());
            self.connections.push(Connection { feed, conn, from: n, to: n, messages: 1 });
        } else {
            self.unlisted += 1;
        }
    }
}

fn extend(begun: &mut Vec<u8>, more: &[u8]) {
    let room = HEAD - begun.len().min(HEAD);
    begun.extend_from_slice(&more[..more.len().min(room)]);
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    fn envelope(second: u64, conn: u64, n: u64, rest: &str) -> String {
        let recv = crate::record::rfc3339(UNIX_EPOCH + Duration::from_secs(second));
        format!("{{\"v\":1,\"recv\":\"{recv}\",\"feed\":\"t\",\"conn\":\"3f2a0000/{conn}\",\"n\":{n},{rest}}}\n")
    }

    fn sealed(text: &str) -> Seal {
        scan(&mut text.as_bytes()).expect("memory").seal(State::Recovered, UNIX_EPOCH)
    }

    #[test]
    fn messages_are_told_from_events_and_counted_by_connection() {
        let text = [
            envelope(1, 0, 0, r#""event":"recovered","data":{}"#),
            envelope(2, 1, 5, r#""msg":{"a":1}"#),
            envelope(3, 2, 0, r#""msg":{"event":"gap"}"#),
            envelope(4, 1, 7, r#""msg":{"a":1}"#),
            envelope(5, 1, 8, r#""recovered":true,"msg":{"a":1}"#),
            envelope(6, 1, 8, r#""event":"disconnected","data":{}"#),
        ]
        .concat();
        let seal = sealed(&text);
        assert_eq!((seal.messages, seal.lines, seal.bytes), (3, 6, text.len() as u64));
        let at = |second| Some(UNIX_EPOCH + Duration::from_secs(second));
        assert_eq!((seal.first, seal.last), (at(1), at(6)));
        let counts: Vec<_> = seal.connections.iter().map(|c| (&c.conn[9..], c.from, c.to, c.messages)).collect();
        assert_eq!(counts, [("1", 5, 7, 2), ("2", 0, 0, 1)]);
        assert_eq!(seal.sha256, hex::encode(Sha256::digest(&text)));
    }

    #[test]
    fn raw_lines_are_messages_and_tickerds_own_are_none() {
        let text = concat!(
            "{\"channel\":\"ticker\"}\n[1]\n",
            "{\"tickerd\":\"gap\",\"recv\":\"2026-11-24T17:31:02.000000001Z\",\"feed\":\"t\",\"conn\":\"3f2a0000/1\",\"n\":2}\n",
            "{\"tickerd\":\"not-json\",\"base64\":\"AAA=\"}\n\0\0\0\0\n\n",
        );
        let seal = sealed(text);
        assert_eq!((seal.messages, seal.lines, seal.connections.len()), (3, 6, 0));
        assert_eq!(seal.first.map(crate::record::rfc3339).as_deref(), Some("2026-11-24T17:31:02.000000001Z"));
        assert_eq!(sealed("{\"a\":1}\n").first, None);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_bytes_come(
            lines in prop::collection::vec((1u64..4, 0u64..9, prop::sample::select(vec![0usize, 10, 300, 5000])), 0..20),
            cuts in prop::collection::vec(1usize..700, 1..40),
        ) {
            let lines = lines.into_iter().map(|(conn, n, long)| envelope(n, conn, n, &format!(r#""msg":"{}""#, "x".repeat(long))));
            let text: String = lines.collect();
            let mut pieces = Scan::default();
            let (mut rest, mut cuts) = (text.as_bytes(), cuts.into_iter().cycle());
            while !rest.is_empty() {
                let (piece, more) = rest.split_at(cuts.next().expect("a cycle").min(rest.len()));
                pieces.take(piece);
                rest = more;
            }
            prop_assert_eq!(pieces.seal(State::Recovered, UNIX_EPOCH), sealed(&text));
        }

        #[test]
        fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let seal = scan(&mut &bytes[..]).expect("memory").seal(State::Recovered, UNIX_EPOCH);
            prop_assert_eq!(seal.lines, memchr::memchr_iter(b'\n', &bytes).count() as u64);
        }
    }
}
