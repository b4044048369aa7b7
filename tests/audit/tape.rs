//! A tape as tickerd writes it, by tickerd's own pen.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sha2::{Digest, Sha256};
use tickerd::{
    audit::{self, Options, Report},
    record::{Body, Event, Form, Line, Origin, Pen, Record},
    segment::{Connection, Seal, State, Tape as Name, aside},
    session::Cause,
};

/// A tape that is being written.
pub struct Tape {
    pen: Pen,
    now: SystemTime,
    /// Whole lines.
    pub lines: Vec<Vec<u8>>,
    pub origin: Arc<Origin>,
    sequence: u64,
    trade: u64,
}

/// What is in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Message,
    Event,
}

pub fn origin(run: u32, count: u64) -> Arc<Origin> {
    Arc::new(Origin::lone("tickers", run, count))
}

impl Tape {
    pub fn new(form: Form) -> Self {
        let now = UNIX_EPOCH + Duration::from_secs(1_795_539_600);
        Self { pen: Pen::new(form), now, lines: Vec::new(), origin: origin(0x3f2a_0000, 0), sequence: 0, trade: 7_000 }
    }

    /// A whole connection: its beginning, so many messages, its end.
    pub fn connection(&mut self, count: u64, messages: u64) {
        self.begin(count);
        (0..messages).for_each(|_| self.message());
        self.end(Cause::Stopped);
    }

    pub fn begin(&mut self, count: u64) {
        (self.origin, self.sequence) = (origin(self.origin.run, count), 0);
        self.event(Event::Connected { url: "wss://x".to_owned(), peer: "1.2.3.4:443".to_owned(), attempt: 1 });
    }

    /// Another run of the recorder.
    pub fn run(&mut self, run: u32) {
        self.origin = origin(run, 0);
    }

    pub fn end(&mut self, cause: Cause) {
        let lasted = Duration::from_secs(9);
        self.event(Event::Disconnected { ending: cause.into(), last_sequence: self.sequence.checked_sub(1), lasted });
    }

    /// What the venue sends next: heartbeats, trades, books.
    pub fn text(&mut self) -> String {
        let n = self.sequence;
        self.sequence += 1;
        let head = |channel: &str| {
            format!(r#"{{"channel":"{channel}","timestamp":"2026-11-24T17:00:00Z","sequence_num":{n},"events""#)
        };
        match n % 4 {
            0 => format!(r#"{}:[{{"heartbeat_counter":{n}}}]}}"#, head("heartbeats")),
            1 => {
                self.trade += 1;
                let trade = self.trade;
                format!(
                    r#"{}:[{{"type":"update","trades":[{{"product_id":"BTC-USD","trade_id":"{trade}"}}]}}]}}"#,
                    head("market_trades")
                )
            }
            _ => format!(r#"{}:[{{"type":"update","product_id":"BTC-USD","updates":[]}}]}}"#, head("l2_data")),
        }
    }

    /// Messages that never came.
    pub fn skip(&mut self, count: u64) {
        self.sequence += count;
    }

    /// Trades that nobody told.
    pub fn miss_trades(&mut self, count: u64) {
        self.trade += count;
    }

    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    pub fn message(&mut self) {
        let text = self.text();
        let n = self.origin.receive(1);
        self.origin.write(1);
        self.put(n, Body::Messages(Line::from_text(text.into()).into()));
    }

    /// A message that was received and is dropped.
    pub fn lose(&mut self, why: tickerd::account::Loss) -> u64 {
        let _ = self.text();
        let n = self.origin.receive(1);
        self.origin.lose(1, why);
        n
    }

    pub fn event(&mut self, event: Event) {
        let n = self.origin.account.totals().received;
        self.put(n, Body::Event(Box::new(event)));
    }

    pub fn put(&mut self, n: u64, body: Body) {
        self.now += Duration::from_millis(100);
        let record = Record { recv: self.now, origin: self.origin.clone(), n, body };
        let mut line = Vec::new();
        match &record.body {
            Body::Messages(run) => self.pen.messages(&record, run, &mut line),
            Body::Recovered(text) => {
                self.pen.head(&record, n, &mut line);
                line.extend_from_slice(text.as_bytes());
                self.pen.tail(&mut line);
            }
            Body::Event(event) => self.pen.event(&record, event, &mut line),
        }
        self.lines.push(line);
    }

    pub fn now(&self) -> SystemTime {
        self.now
    }

    pub fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.lines.concat()
    }

    /// What there is by now becomes a segment, with its `sealed` line and its seal.
    pub fn seal(&mut self, folder: &Path, state: State) -> PathBuf {
        let before = std::mem::take(&mut self.lines);
        let start = self.now - Duration::from_millis(100) * u32::try_from(before.len()).expect("few");
        let name = Name::of(Path::new("tape.ndjson")).segment(start, 1);
        let bytes = before.concat();
        let seal = seal(&name, &before, state);
        if state != State::Recovered {
            let (messages, sha256) = (seal.messages, seal.sha256.clone());
            let sealed = Event::Sealed {
                segment: name.clone(),
                state: state.name(),
                messages,
                bytes: bytes.len() as u64,
                first: None,
                last: None,
                sha256,
            };
            self.put(0, Body::Event(Box::new(sealed)));
        }
        let path = folder.join(&name);
        fs::write(&path, [bytes, std::mem::take(&mut self.lines).concat()].concat()).expect("ours");
        let beside = aside(&path, "seal");
        fs::create_dir_all(beside.parent().expect("a folder")).expect("ours");
        fs::write(beside, serde_json::to_string(&seal).expect("JSON") + "\n").expect("ours");
        path
    }
}

/// The seal of these lines.
fn seal(name: &str, lines: &[Vec<u8>], state: State) -> Seal {
    let mut connections: Vec<Connection> = Vec::new();
    let mut messages = 0;
    for line in lines.iter().filter(|line| sort(line) == Sort::Message) {
        messages += 1;
        let Ok(read) = serde_json::from_slice::<serde_json::Value>(line) else { continue };
        let (Some(conn), Some(n)) = (read["conn"].as_str(), read["n"].as_u64()) else { continue };
        match connections.iter_mut().find(|known| known.conn == conn) {
            Some(known) => (known.to, known.messages) = (n, known.messages + 1),
            None => connections.push(Connection {
                feed: "tickers".to_owned(),
                conn: conn.to_owned(),
                from: n,
                to: n,
                messages: 1,
            }),
        }
    }
    let bytes = lines.concat();
    Seal {
        v: Seal::V,
        segment: name.to_owned(),
        state,
        messages,
        lines: lines.len() as u64,
        bytes: bytes.len() as u64,
        first: None,
        last: None,
        sha256: hex::encode(Sha256::digest(&bytes)),
        connections,
        unlisted: 0,
        sealed: UNIX_EPOCH,
        tickerd: "0.1.0".to_owned(),
    }
}

pub fn sort(line: &[u8]) -> Sort {
    let text = String::from_utf8_lossy(line);
    if text.contains("\"event\":\"") || text.starts_with("{\"tickerd\":") { Sort::Event } else { Sort::Message }
}

/// Audits what is there.
pub fn audit(path: &Path) -> Report {
    let inputs = audit::gather(&[path.to_owned()]).expect("there");
    assert_eq!(inputs.len(), 1, "one tape");
    audit::audit(&inputs[0], Options::default(), None).expect("can be read")
}

/// Audits these bytes, as the file that grows.
pub fn audited(bytes: &[u8]) -> Report {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tape.ndjson");
    fs::write(&path, bytes).expect("ours");
    audit(&path)
}

/// The kinds that weigh so much, by their names.
pub fn kinds(report: &Report, weight: audit::Weight) -> Vec<String> {
    report.findings.totals().filter(|(other, ..)| *other == weight).map(|(_, kind, _)| kind.name()).collect()
}
