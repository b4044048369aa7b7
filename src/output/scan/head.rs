//! What stands at the beginning of a line: of which kind it is, when it was received, and which message of which connection.

use std::time::SystemTime;

use memchr::memchr;

/// The beginning of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head<'a> {
    pub kind: Kind,
    /// When it was received, as it stands there.
    pub recv: Option<&'a [u8]>,
    /// The feed, the connection and the number on it.
    pub number: Option<(&'a str, &'a str, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Message,
    /// A message that was asked for by REST, an event, or nothing that is written here.
    Other,
}

impl<'a> Head<'a> {
    /// Reads a line, or as much of it as holds the columns. What has none is the venue's own, where it could be JSON.
    pub fn read(line: &'a [u8]) -> Self {
        if let Some(columns) = line.strip_prefix(br#"{"v":1,"#)
            && let Some((recv, number, rest)) = columns_of(columns)
        {
            let kind = if rest.starts_with(br#","msg":"#) { Kind::Message } else { Kind::Other };
            return Self { kind, recv: Some(recv), number };
        }
        if let Some(rest) = line.strip_prefix(br#"{"tickerd":""#) {
            if rest.starts_with(br#"not-json""#) {
                return Self { kind: Kind::Message, recv: None, number: None };
            }
            let columns = memchr(b',', rest).and_then(|at| columns_of(&rest[at + 1..]));
            return Self { kind: Kind::Other, recv: columns.map(|(recv, ..)| recv), number: None };
        }
        // A run of zeros that a power cut left is none.
        let kind = if line.starts_with(b"{") || line.starts_with(b"[") { Kind::Message } else { Kind::Other };
        Self { kind, recv: None, number: None }
    }
}

/// A time as it stands in a line.
pub(super) fn time(text: &[u8]) -> Option<SystemTime> {
    let time: jiff::Timestamp = std::str::from_utf8(text).ok()?.parse().ok()?;
    SystemTime::try_from(time).ok()
}

type Columns<'a> = (&'a [u8], Option<(&'a str, &'a str, u64)>, &'a [u8]);

/// The columns in their order, and what stands behind them.
fn columns_of(columns: &[u8]) -> Option<Columns<'_>> {
    let (recv, rest) = text(columns.strip_prefix(br#""recv":""#)?)?;
    let (feed, rest) = text(rest.strip_prefix(br#","feed":""#)?)?;
    let (conn, rest) = text(rest.strip_prefix(br#","conn":""#)?)?;
    let rest = rest.strip_prefix(br#","n":"#)?;
    let (n, rest) = rest.split_at(rest.iter().take_while(|b| b.is_ascii_digit()).count());
    let utf8 = |bytes| std::str::from_utf8(bytes).ok();
    let number = (|| Some((utf8(feed)?, utf8(conn)?, utf8(n)?.parse().ok()?)))();
    Some((recv, number, rest))
}

/// Up to the quotation mark: nothing in a column needs escaping.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr(b'"', bytes)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}
