//! A recording that is played back: its lines, byte for byte, and the pace at which they were sent.

use std::{
    fmt, fs, io,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;

use crate::audit::{Shape, shape};

/// Between two lines where no line says when it was sent.
const EVEN: Duration = Duration::from_millis(50);

/// What the Exchange says first of a product tells of its last trade, which may be long past: no wait is longer than this
/// where a line does not say when it was sent itself.
const LONGEST: Duration = Duration::from_secs(5);

/// As far into a line, and before its end, as the time of sending is looked for: Advanced Trade writes it second, after the
/// channel, the Exchange somewhere in 400 bytes or last.
const LOOK: usize = 256;

/// A file of messages, one a line, plain or compressed; it is read as it is played.
#[derive(Debug)]
pub struct Recording(Source);

#[derive(Debug)]
enum Source {
    File(PathBuf),
    /// What came through a pipe can not be opened again: it is held.
    Held(Bytes),
}

/// A recording being played.
pub struct Playback {
    lines: Box<dyn BufRead + Send>,
    first: Option<Timestamp>,
    last: Duration,
}

/// One line and when it is due.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// Its bytes, without the line break.
    pub text: Bytes,
    /// How long after the first one it was sent.
    pub after: Duration,
}

/// A recording that can not be read.
#[derive(Debug)]
pub struct RecordingError {
    path: PathBuf,
    source: io::Error,
}

impl Recording {
    /// Opens `path`; "-" is standard input, read to its end. What is in a file is told by its first bytes, not its name.
    ///
    /// # Errors
    /// When it can not be read, or has no line.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let wrong = |source| RecordingError { path: path.to_owned(), source };
        let recording = if path == Path::new("-") {
            let mut all = Vec::new();
            io::stdin().lock().read_to_end(&mut all).map_err(wrong)?;
            Self::held(all)
        } else {
            Self(Source::File(path.to_owned()))
        };
        match recording.play().and_then(|mut playback| playback.next_line()).map_err(wrong)? {
            Some(_) => Ok(recording),
            None => Err(wrong(io::Error::new(io::ErrorKind::UnexpectedEof, "there is no line in it"))),
        }
    }

    /// Takes the bytes of a recording, plain or compressed.
    #[must_use]
    pub fn held(all: impl Into<Bytes>) -> Self {
        Self(Source::Held(all.into()))
    }

    /// Plays it from its beginning.
    ///
    /// # Errors
    /// When it can not be opened.
    pub fn play(&self) -> io::Result<Playback> {
        let lines = match &self.0 {
            Source::File(path) => plain(BufReader::with_capacity(1 << 16, fs::File::open(path)?))?,
            Source::Held(all) => plain(io::Cursor::new(all.clone()))?,
        };
        Ok(Playback { lines, first: None, last: Duration::ZERO })
    }
}

impl Playback {
    /// The next line that the venue sent; None at the end.
    ///
    /// # Errors
    /// When the file can not be read on.
    pub fn next_line(&mut self) -> io::Result<Option<Line>> {
        let mut text = Vec::new();
        while self.lines.read_until(b'\n', &mut text)? > 0 {
            if text.last() == Some(&b'\n') {
                text.pop();
            }
            let text = Bytes::from(std::mem::take(&mut text));
            if let Some(message) = sent_by_the_venue(&text) {
                let message = text.slice_ref(message);
                return Ok(Some(Line { after: self.pace(&message), text: message }));
            }
        }
        Ok(None)
    }

    /// Never back: the venue's clocks do not agree to the microsecond, and its order is the order of sending.
    fn pace(&mut self, line: &[u8]) -> Duration {
        match (sent(line), self.first) {
            (Some((sent, exact)), Some(first)) => {
                let after = Duration::try_from(sent.duration_since(first)).unwrap_or_default();
                let most = if exact { Duration::MAX } else { self.last.saturating_add(LONGEST) };
                if after > most {
                    self.begin(sent, most);
                }
                self.last = self.last.max(after.min(most));
            }
            (Some((sent, _)), None) => self.begin(sent, self.last),
            (None, Some(_)) => {}
            (None, None) => self.last += EVEN,
        }
        self.last
    }

    /// What was sent at `sent` is due so long after the beginning.
    fn begin(&mut self, sent: Timestamp, after: Duration) {
        self.first = sent.checked_sub(jiff::SignedDuration::try_from(after).unwrap_or_default()).ok();
    }
}

/// A message out of tickerd's own envelope, or as it is; an event is none, nor what was asked for by REST.
fn sent_by_the_venue(line: &[u8]) -> Option<&[u8]> {
    match shape(line) {
        Shape::Message(_, message) => Some(message),
        Shape::Bare => Some(line),
        Shape::Recovered(..) | Shape::Event(..) | Shape::RawEvent(_) => None,
    }
}

/// When a line was sent, and whether that is exact: Advanced Trade says it in the envelope, of the Exchange's messages some
/// say when a trade was, and that they say last where they are changes of a book.
fn sent(line: &[u8]) -> Option<(Timestamp, bool)> {
    let (head, tail) = (&line[..line.len().min(LOOK)], &line[line.len().saturating_sub(LOOK)..]);
    let exact = time_behind(b"\"timestamp\":\"", head).map(|sent| (sent, true));
    let other = || time_behind(b"\"time\":\"", head).or_else(|| time_behind(b"\"time\":\"", tail));
    exact.or_else(|| other().map(|sent| (sent, false)))
}

/// The Exchange has written year 1 where it did not know; that is none.
fn time_behind(key: &[u8], part: &[u8]) -> Option<Timestamp> {
    let value = &part[memchr::memmem::find(part, key)? + key.len()..];
    let end = memchr::memchr(b'"', value)?;
    let time = std::str::from_utf8(&value[..end]).ok()?.parse().ok();
    time.filter(|time| *time > Timestamp::UNIX_EPOCH)
}

fn plain(mut from: impl BufRead + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    const GZIP: &[u8] = &[0x1f, 0x8b];
    const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
    let start = from.fill_buf()?;
    if start.starts_with(GZIP) {
        Ok(Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(from))))
    } else if start.starts_with(ZSTD) {
        Ok(Box::new(BufReader::new(zstd::stream::read::Decoder::with_buffer(from)?)))
    } else {
        Ok(Box::new(from))
    }
}

impl fmt::Display for RecordingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the recording {} can not be played: {}", self.path.display(), self.source)
    }
}

impl std::error::Error for RecordingError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const PLAIN: &str = "{\"channel\":\"ticker\",\"timestamp\":\"2026-08-09T21:05:48.000000001Z\",\"sequence_num\":0}\n\
                         {\"channel\":\"ticker\",\"timestamp\":\"2026-08-09T21:05:48.5Z\",\"sequence_num\":1}\n\
                         {\"type\":\"error\"}\n\
                         {\"channel\":\"ticker\",\"timestamp\":\"2026-08-09T21:05:47Z\",\"sequence_num\":2}";

    fn all(recording: &Recording) -> Vec<Line> {
        let mut playback = recording.play().expect("opens");
        std::iter::from_fn(|| playback.next_line().expect("reads")).collect()
    }

    #[test]
    fn lines_come_byte_for_byte_at_their_own_pace_and_never_back() {
        let lines = all(&Recording::held(PLAIN));
        assert_eq!(lines.iter().map(|line| &line.text[..]).collect::<Vec<_>>().join(&b'\n'), PLAIN.as_bytes());
        let paces: Vec<_> = lines.iter().map(|line| line.after.as_nanos()).collect();
        assert_eq!(paces, [0, 499_999_999, 499_999_999, 499_999_999]);
    }

    #[test]
    fn the_exchanges_lines_say_their_time_otherwise() {
        let changes = "[\"sell\",\"0.00001306\",\"660.5\"],".repeat(30);
        let lines = all(&Recording::held(format!(
            "{{\"type\":\"subscriptions\",\"channels\":[]}}\n\
             {{\"type\":\"ticker\",\"time\":\"2021-04-17T16:43:37.000000Z\",\"trade_id\":1}}\n\
             {{\"type\":\"l2update\",\"changes\":[{changes}],\"time\":\"0001-01-01T00:00:00.000000Z\"}}\n\
             {{\"type\":\"l2update\",\"changes\":[{changes}],\"time\":\"2021-04-17T16:43:38.500000Z\"}}\n\
             {{\"type\":\"ticker\",\"time\":\"2021-04-17T16:47:00.000000Z\",\"trade_id\":2}}\n\
             {{\"type\":\"ticker\",\"time\":\"2021-04-17T16:47:00.250000Z\",\"trade_id\":3}}\n"
        )));
        let paces: Vec<_> = lines.iter().map(|line| line.after.as_millis()).collect();
        assert_eq!(paces, [50, 50, 50, 1_550, 6_550, 6_800], "a trade minutes later is no wait of minutes");
    }

    #[test]
    fn lines_that_say_no_time_come_evenly() {
        let lines = all(&Recording::held("{\"a\":1}\r\n\n{\"b\":2}\n"));
        assert_eq!(
            lines.iter().map(|line| &line.text[..]).collect::<Vec<_>>(),
            [&b"{\"a\":1}\r"[..], b"", b"{\"b\":2}"]
        );
        assert_eq!(lines[2].after, lines[1].after + EVEN);
    }

    #[test]
    fn gzip_and_zstd_are_known_by_their_first_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(PLAIN.as_bytes()).expect("compresses");
        let gzip = gzip.finish().expect("compresses");
        // Segments of a rotated tape are put one behind the other with cat.
        let twice = [gzip.clone(), gzip].concat();
        let zstd = zstd::encode_all(PLAIN.as_bytes(), 1).expect("compresses");
        for (name, bytes, lines) in [("a", twice, 7), ("b", zstd, 4), ("c", PLAIN.into(), 4)] {
            let path = folder.path().join(name);
            fs::write(&path, bytes).expect("writes");
            assert_eq!(all(&Recording::open(&path).expect("opens")).len(), lines, "{name}");
        }
    }

    #[test]
    fn a_recording_that_can_not_be_played_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tape.ndjson");
        assert!(Recording::open(&path).expect_err("missing").to_string().contains("tape.ndjson"));
        fs::write(&path, "").expect("writes");
        assert!(Recording::open(&path).expect_err("empty").to_string().contains("no line"));
    }
}
