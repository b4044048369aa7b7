//! The file layer, writer and all, on a disk that fails, fills up and stops at any point. What the disk holds afterwards is
//! held to what was handed to the writer.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use futures::FutureExt;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use crate::{
    config::WhenSlow,
    output::{
        Batch, Entry, Orders, Queue, Target, Voice, Writer,
        disk::simulated::{Crash, Fate, Simulated},
    },
    record::{Body, Event, Form, Line, Origin},
};

const PATH: &str = "/data/tape.ndjson";

/// What happens to the machine while some lines are recorded.
#[derive(Clone, Debug)]
struct Life {
    steps: Vec<Step>,
    fate: Vec<Fate>,
    crash: Option<Crash>,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many messages come, of this length.
    Lines(u8, u16),
    Sync,
    Rotate,
    /// Another hour.
    Hour,
}

/// What was handed over, and what must be there.
#[derive(Default)]
struct Oracle {
    /// Messages that were handed over, by their numbers.
    offered: u64,
    /// These must survive a kill...
    written: BTreeSet<u64>,
    /// ...and these a power cut.
    synced: BTreeSet<u64>,
    /// Of these nobody knows.
    doubtful: BTreeSet<u64>,
    hour: u64,
}

fn origin(run: u32, conn: u64) -> Arc<Origin> {
    Arc::new(Origin::lone("t", run, conn))
}

impl Oracle {
    /// One process from its start to its end. Whether it came to a good end.
    fn live(&mut self, disk: &Simulated, run: u32, life: &Life, form: Form) -> bool {
        let queue = Arc::new(Queue::new(1 << 30, WhenSlow::Block));
        let told = {
            let queue = queue.clone();
            // What failed is tried again at once; once the world has ended nobody waits.
            move |end: bool| if end { queue.abandon() } else { queue.order(Orders::default()) }
        };
        disk.script(life.fate.iter().copied(), Arc::new(told));
        let rotate = Rotate { every: Some(Duration::from_secs(3600)), size: Some(4096) };
        let Ok((spool, left)) = Spool::open(Path::new(PATH), rotate, Box::new(disk.clone())) else { return false };
        let voice = Voice { origin: origin(run, 0), events: Some(0) };
        let mut writer =
            Writer::new(vec![Target { name: PATH.into(), sink: Box::new(spool) }], form).voices([Some(voice.clone())]);
        if let Some(left) = left {
            let event = Event::Recovered { bytes: left.torn, file: None, segment: left.segment };
            let record = Record { recv: self.now(), origin: voice.origin, n: 0, body: Body::Event(Box::new(event)) };
            assert!(queue.offer(Entry { target: 0, losses: None, record }).is_ok());
        }
        let origin = origin(run, 1);
        for step in &life.steps {
            let first = self.offered;
            let mut orders = Orders::default();
            match *step {
                Step::Lines(count, length) => {
                    let mut batch = Batch::new(&queue, 0, None, origin.clone());
                    for _ in 0..count {
                        let text = format!("{{\"i\":{},\"x\":\"{}\"}}", self.offered, "y".repeat(length.into()));
                        if batch.put(self.now(), text.len(), &Line::from_text(text.into())).is_err() {
                            // The world ended while nothing was being written that had to be.
                            return false;
                        }
                        self.offered += 1;
                    }
                }
                Step::Sync => orders.sync = true,
                Step::Rotate => orders.rotate = true,
                Step::Hour => {
                    self.hour += 1;
                    orders.now = Some(self.now());
                }
            }
            queue.order(orders);
            let before = disk.failed_syncs();
            let Some(batch) = queue.take().now_or_never().flatten() else { return false };
            let written = origin.account.totals().written;
            if writer.write(batch, &queue).is_err() {
                let more = origin.account.totals().written - written;
                self.written.extend(first..first + more);
                return false;
            }
            self.written.extend(first..self.offered);
            self.note_syncs(orders.sync || orders.rotate, disk.failed_syncs() > before);
        }
        let before = disk.failed_syncs();
        let ended = life.crash.is_none() && writer.finish(&queue).is_ok();
        self.note_syncs(ended, disk.failed_syncs() > before);
        ended
    }

    /// What was not synced when a sync failed is in doubt for good; its seal says so.
    fn note_syncs(&mut self, synced: bool, failed: bool) {
        if failed {
            self.doubtful = self.written.difference(&self.synced).copied().collect();
        }
        if synced {
            self.synced = self.written.difference(&self.doubtful).copied().collect();
        }
    }

    fn doubts(&self, bytes: &[u8], seen: &mut BTreeSet<u64>) {
        for line in bytes.split(|b| *b == b'\n') {
            let value: serde_json::Value = serde_json::from_slice(line).unwrap_or_default();
            if let Some(number) = value.get("msg").unwrap_or(&value)["i"].as_u64() {
                assert!(number < self.offered && seen.insert(number), "{number} is there twice");
            }
        }
    }

    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_795_539_600 + 3600 * self.hour)
    }

    /// Each message is there once at most, whole, and those that must be are; each segment is as its seal says.
    fn examine(&mut self, disk: &Simulated, crash: Option<Crash>) {
        let files = disk.all();
        let tape = Tape::of(Path::new(PATH));
        let mut seen = BTreeSet::new();
        for (path, bytes) in &files {
            let name = path.file_name().expect("a name").to_str().expect("UTF-8");
            let whole = if path == Path::new(PATH) {
                // It alone may end in a torn line, or in one that a start which was cut short has ended and set apart.
                let torn = files.iter().filter(|(path, _)| path.extension().is_some_and(|name| name == "torn"));
                let ended = torn.map(|(_, torn)| [torn, &b"\n"[..]].concat()).find(|torn| bytes.ends_with(torn));
                let bytes = &bytes[..bytes.len() - ended.map_or(0, |torn| torn.len())];
                &bytes[..memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1)]
            } else if tape.parse(name).is_some() {
                let seal: Seal =
                    serde_json::from_slice(&files[&aside(path, "seal")]).expect("each segment has its seal");
                assert_eq!(seal.segment, name);
                if seal.state == State::Uncertain {
                    // It may have lost what it says it has, and be torn for it: audit says so.
                    self.doubts(bytes, &mut seen);
                    continue;
                }
                let (sealed, line) = bytes.split_at(usize::try_from(seal.bytes).expect("fits"));
                assert_eq!(hex::encode(Sha256::digest(sealed)), seal.sha256, "{name}");
                assert!(line.is_empty() || memchr::memchr(b'\n', line) == Some(line.len() - 1));
                &bytes[..]
            } else if let Some(segment) = name.strip_suffix(".unsealed") {
                let place = Path::new("/data").join(segment);
                match files.get(&aside(&place, "torn")) {
                    Some(torn) if bytes.ends_with(&[torn, &b"\n"[..]].concat()) => {
                        &bytes[..bytes.len() - torn.len() - 1]
                    }
                    _ => &bytes[..memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1)],
                }
            } else {
                continue;
            };
            for line in whole.split_inclusive(|b| *b == b'\n') {
                let value: serde_json::Value = match serde_json::from_slice(line) {
                    Ok(value) => value,
                    Err(error) => panic!("{name}: {error}: {}", String::from_utf8_lossy(line)),
                };
                let message = value.get("msg").unwrap_or(&value);
                if let Some(number) = message["i"].as_u64() {
                    assert!(seen.insert(number), "{number} is there twice");
                }
            }
        }
        assert!(seen.iter().all(|number| *number < self.offered));
        let due = if crash == Some(Crash::Power) { &self.synced } else { &self.written };
        let missing: Vec<_> = due.difference(&seen).collect();
        assert!(missing.is_empty(), "missing after {crash:?}: {missing:?}");
        // What is there now is there for the next one too.
        (self.written, self.synced, self.doubtful) = (seen.clone(), seen, BTreeSet::new());
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1u8..8, prop_oneof![0u16..600, Just(5000)]).prop_map(|(count, length)| Step::Lines(count, length)),
        2 => Just(Step::Sync),
        1 => Just(Step::Rotate),
        1 => Just(Step::Hour),
    ]
}

fn fate() -> impl Strategy<Value = Vec<Fate>> {
    let one = prop_oneof![
        12 => Just(Fate::Well),
        1 => Just(Fate::Fails),
        2 => any::<u8>().prop_map(Fate::Short),
    ];
    let end = prop_oneof![Just(None), any::<u8>().prop_map(Some)];
    (prop::collection::vec(one, 0..60), end).prop_map(|(mut fate, end)| {
        fate.extend(end.map(Fate::End));
        fate
    })
}

fn life() -> impl Strategy<Value = Life> {
    let crash = prop_oneof![Just(None), Just(Some(Crash::Kill)), Just(Some(Crash::Power))];
    (prop::collection::vec(step(), 1..20), fate(), crash).prop_map(|(steps, fate, crash)| Life { steps, fate, crash })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// hftbacktest's collector opened today's file at byte 0 after a restart; others cut a torn line off in place, or glued the
    /// next one to it.
    #[test]
    fn whatever_a_disk_does_each_line_is_there_once_and_whole(
        lives in prop::collection::vec(life(), 1..5),
        chances in prop::collection::vec(any::<u16>(), 16),
        raw in any::<bool>(),
    ) {
        let (disk, mut oracle) = (Simulated::default(), Oracle::default());
        let form = if raw { Form::Raw } else { Form::Envelope };
        let mut chances = chances.into_iter().cycle();
        for (run, life) in lives.iter().enumerate() {
            let ended = oracle.live(&disk, u32::try_from(run).expect("few"), life, form);
            let crash = if ended { None } else { Some(life.crash.unwrap_or(Crash::Kill)) };
            disk.boot(crash.unwrap_or(Crash::Kill), |most| usize::from(chances.next().expect("a cycle")) % most);
            oracle.examine(&disk, crash);
        }
    }
}

/// A reload that needed a sync to succeed would have written on into the rotated file, until logrotate removed it.
#[test]
fn a_file_that_was_moved_away_is_let_go_even_where_its_sync_fails() {
    let disk = Simulated::default();
    let (mut spool, _) = Spool::open(Path::new(PATH), Rotate::default(), Box::new(disk.clone())).expect("a tape");
    assert_eq!(spool.append(b"before\n").expect("room"), 7);
    disk.rename(Path::new(PATH), Path::new("/data/tape.ndjson.1")).expect("a name");
    disk.script([Fate::Fails], Arc::new(|_| ()));
    assert!(spool.reopen().expect("another file").is_some(), "it is said");
    assert_eq!(spool.append(b"behind\n").expect("room"), 7);
    let all = disk.all();
    assert_eq!(
        (&all[Path::new("/data/tape.ndjson.1")][..], &all[Path::new(PATH)][..]),
        (&b"before\n"[..], &b"behind\n"[..])
    );
}
