//! What tickerd writes before a message's own bytes, scanned where it stands: the columns never change their order.

use super::stamp::{self, Stamp};

/// The columns that every envelope has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns<'a> {
    /// When it was received.
    pub recv: Stamp,
    /// Of which feed.
    pub feed: &'a [u8],
    /// Of which run, and which of its connections; 0 is none.
    pub conn: (u32, u64),
    /// Its number on the connection.
    pub n: u64,
}

/// A line, by its outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape<'a> {
    /// A message in an envelope, and its own bytes.
    Message(Columns<'a>, &'a [u8]),
    /// What was asked for by REST, the same way.
    Recovered(Columns<'a>, &'a [u8]),
    /// An event in an envelope: its name, and its data.
    Event(Columns<'a>, &'a str, &'a [u8]),
    /// An event among raw messages: its name; the data are its own columns.
    RawEvent(&'a str),
    /// Anything else: a message as the venue sent it, or of nobody that is known.
    Bare,
}

const START: &[u8] = b"{\"v\":1,\"recv\":\"";
const RAW: &[u8] = b"{\"tickerd\":\"";

/// What a line is. Where it begins as an envelope and does not go on as one, it is bare, and its message is unknown.
#[must_use]
pub fn shape(line: &[u8]) -> Shape<'_> {
    if let Some(rest) = line.strip_prefix(START) {
        return enveloped(rest).unwrap_or(Shape::Bare);
    }
    match line.strip_prefix(RAW).and_then(word) {
        Some((name, _)) => Shape::RawEvent(name),
        None => Shape::Bare,
    }
}

fn enveloped(rest: &[u8]) -> Option<Shape<'_>> {
    let (columns, rest) = columns(rest)?;
    let inside = rest.strip_suffix(b"}")?;
    if let Some(message) = inside.strip_prefix(b",\"msg\":") {
        return Some(Shape::Message(columns, message));
    }
    if let Some(message) = inside.strip_prefix(b",\"recovered\":true,\"msg\":") {
        return Some(Shape::Recovered(columns, message));
    }
    let (name, data) = word(inside.strip_prefix(b",\"event\":\"")?)?;
    Some(Shape::Event(columns, name, data.strip_prefix(b",\"data\":")?))
}

fn columns(text: &[u8]) -> Option<(Columns<'_>, &[u8])> {
    let (recv, rest) = text.split_at_checked("2026-11-24T17:31:02.123456789Z".len())?;
    let rest = rest.strip_prefix(b"\",\"feed\":\"")?;
    let (feed, rest) = rest.split_at(memchr::memchr(b'"', rest)?);
    let (run, rest) = rest.strip_prefix(b"\",\"conn\":\"")?.split_at_checked(8)?;
    let run = run.iter().try_fold(0, |run: u32, byte| Some(run << 4 | char::from(*byte).to_digit(16)?))?;
    let (count, rest) = number(rest.strip_prefix(b"/")?)?;
    let (n, rest) = number(rest.strip_prefix(b"\",\"n\":")?)?;
    Some((Columns { recv: stamp::read(recv)?, feed, conn: (run, count), n }, rest))
}

/// A number at the start, and what stands behind it.
#[inline]
pub(super) fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut number: u64 = 0;
    let mut at = 0;
    while let Some(digit) = text.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
        number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
        at += 1;
    }
    (at > 0).then(|| (number, &text[at..]))
}

/// A name of letters, up to its quote, and what stands behind that.
fn word(text: &[u8]) -> Option<(&str, &[u8])> {
    /// "disconnected" is the longest.
    const LONGEST: usize = 32;
    let end = memchr::memchr(b'"', &text[..text.len().min(LONGEST)])?;
    Some((std::str::from_utf8(&text[..end]).ok()?, &text[end + 1..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = r#"{"v":1,"recv":"2026-11-24T17:31:02.123456789Z","feed":"tickers","conn":"3f2a0000/12","n":17"#;

    #[test]
    fn knows_the_lines_that_tickerd_writes() {
        let columns = Columns { recv: 1_795_541_462_123_456_789, feed: b"tickers", conn: (0x3f2a_0000, 12), n: 17 };
        let line = |rest: &str| format!("{HEAD}{rest}");
        assert_eq!(shape(line(r#","msg":{"a":1}}"#).as_bytes()), Shape::Message(columns, br#"{"a":1}"#));
        assert_eq!(shape(line(r#","recovered":true,"msg":{}}"#).as_bytes()), Shape::Recovered(columns, b"{}"));
        assert_eq!(shape(line(r#","event":"gap","data":{}}"#).as_bytes()), Shape::Event(columns, "gap", b"{}"));
        assert_eq!(shape(br#"{"tickerd":"gap","recv":"x"}"#), Shape::RawEvent("gap"));
        for bare in [HEAD, "", "{}", r#"{"v":2,"recv":""#, &line(",}"), &HEAD.replace("12", "")] {
            assert_eq!(shape(bare.as_bytes()), Shape::Bare, "{bare}");
        }
    }

    proptest! {
        #[test]
        fn no_line_breaks_it(cut in 0usize..120, rest in any::<Vec<u8>>()) {
            let line = format!(r#"{HEAD},"msg":{{}}}}"#);
            let cut = [&line.as_bytes()[..cut.min(line.len())], &rest].concat();
            let _ = shape(&cut);
        }
    }
}
