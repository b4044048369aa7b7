//! The keeper on real folders, killed at every step. What is on the disk then, and what the next look makes of it, is held to
//! what was there before.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs::{self, File, Permissions},
    io::Read,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::UNIX_EPOCH,
};

use proptest::prelude::*;
use tempfile::TempDir;

use super::{frames::Frames, *};
use crate::{
    output::scan::scan,
    segment::{ASIDE, State, Tape, aside},
};

/// The first second of the first segment.
const BEGIN: u64 = 1_795_539_600;

/// What there is of one tape.
#[derive(Clone, Debug)]
enum Lying {
    Sealed {
        lines: u8,
        closing_line: bool,
    },
    /// As a kill between the last two steps of a compression leaves it.
    Twice(Packing),
    Packed(Packing),
    Unsealed {
        lines: u8,
        tail: Tail,
    },
}

/// How the tape of a dead predecessor ends.
#[derive(Clone, Copy, Debug)]
enum Tail {
    Whole,
    /// A torn line that the start has written aside and ended...
    Apart,
    /// ...that it has written aside, and the line break did not reach the disk...
    ApartWithoutEnd,
    /// ...that nobody has seen yet.
    Torn,
    Zeros,
    ZerosAndEnd,
}

struct Stage {
    folder: TempDir,
    /// Every whole line that was recorded, by segment.
    lines: BTreeMap<String, Vec<u64>>,
    /// Torn lines, by segment.
    torn: BTreeMap<String, Vec<u8>>,
    next: u64,
}

impl Stage {
    fn of(lying: &[Lying]) -> Self {
        let mut stage = Self {
            folder: tempfile::tempdir().expect("a folder"),
            lines: BTreeMap::new(),
            torn: BTreeMap::new(),
            next: 0,
        };
        fs::create_dir(stage.folder.path().join(ASIDE)).expect("a folder");
        for (hour, lying) in lying.iter().enumerate() {
            stage.lay(BEGIN + 3600 * hour as u64, lying);
        }
        for other in
            ["tape.ndjson", "tape.ndjson.bak", "tape-1.ndjson", "other-20261124T170000Z.ndjson", "notes.zst.part"]
        {
            fs::write(stage.folder.path().join(other), other).expect("a file");
        }
        fs::write(stage.folder.path().join(ASIDE).join("other-20261124T170000Z.ndjson.zst.part"), "x").expect("a file");
        symlink(stage.folder.path().join("tape.ndjson"), stage.folder.path().join("tape-20200101T000000Z.ndjson"))
            .expect("a link");
        fs::write(stage.folder.path().join(ASIDE).join("tape-20200101T000000Z.ndjson.seal"), "{}").expect("a file");
        stage
    }

    fn tape(&self) -> PathBuf {
        self.folder.path().join("tape.ndjson")
    }

    fn record(&mut self, name: &str, count: u8) -> String {
        let mut text = String::new();
        for _ in 0..count {
            let i = self.next;
            self.next += 1;
            let recv = crate::record::rfc3339(UNIX_EPOCH + Duration::from_secs(BEGIN + i));
            let long = "x".repeat(usize::try_from(i % 7).expect("small") * 50);
            let _ = writeln!(
                text,
                "{{\"v\":1,\"recv\":\"{recv}\",\"feed\":\"t\",\"conn\":\"3f2a0000/1\",\"n\":{i},\"msg\":{{\"i\":{i},\"x\":\"{long}\"}}}}"
            );
            self.lines.entry(name.to_owned()).or_default().push(i);
        }
        text
    }

    fn lay(&mut self, second: u64, lying: &Lying) {
        let name = Tape::of(&self.tape()).segment(UNIX_EPOCH + Duration::from_secs(second), 1);
        let place = self.folder.path().join(&name);
        match *lying {
            Lying::Sealed { lines, closing_line } => self.seal(&place, lines, closing_line, None),
            Lying::Twice(packing) => self.seal(&place, 5, true, Some(packing)),
            Lying::Packed(packing) => {
                self.seal(&place, 5, true, Some(packing));
                fs::remove_file(&place).expect("a file");
            }
            Lying::Unsealed { lines, tail } => {
                let mut bytes = self.record(&name, lines).into_bytes();
                let torn: &[u8] = match tail {
                    Tail::Whole => b"",
                    Tail::Apart | Tail::ApartWithoutEnd | Tail::Torn => b"{\"v\":1,\"recv\":\"20",
                    Tail::Zeros | Tail::ZerosAndEnd => &[0; 700],
                };
                bytes.extend_from_slice(torn);
                if matches!(tail, Tail::Apart | Tail::ApartWithoutEnd) {
                    fs::write(aside(&place, "torn"), torn).expect("a file");
                }
                if matches!(tail, Tail::Apart | Tail::ZerosAndEnd) {
                    bytes.push(b'\n');
                }
                if !torn.is_empty() {
                    self.torn.insert(name, torn.to_vec());
                }
                fs::write(aside(&place, "unsealed"), bytes).expect("a file");
            }
        }
    }

    fn seal(&mut self, place: &Path, lines: u8, closing_line: bool, packing: Option<Packing>) {
        let name = place.file_name().expect("a name").to_str().expect("UTF-8");
        let mut text = self.record(name, lines);
        let seal = scan(&mut text.as_bytes()).expect("memory").seal(State::Sealed, UNIX_EPOCH);
        let seal = Seal { segment: name.to_owned(), ..seal };
        fs::write(aside(place, "seal"), serde_json::to_vec(&seal).expect("JSON")).expect("a file");
        if closing_line {
            text += "{\"v\":1,\"event\":\"sealed\"}\n";
        }
        fs::write(place, &text).expect("a file");
        fs::set_permissions(place, Permissions::from_mode(0o440)).expect("ours");
        if let Some(packing) = packing {
            let file = File::create(place.with_file_name(format!("{name}{}", packing.suffix()))).expect("a file");
            let mut frames = Frames::new(packing, file);
            frames.take(text.as_bytes()).expect("a disk");
            frames.finish().expect("a disk");
        }
    }

    fn rounds(&self, compress: Packing, keep: Keep, hands: Hands) -> Rounds {
        let now = UNIX_EPOCH + Duration::from_secs(BEGIN + 1_000_000);
        let (call, calls) = sync_channel(1);
        // Its keeper is there as long as the rounds are.
        std::mem::forget(call);
        let charge = Charge { tapes: vec![self.tape()], compress, keep };
        Rounds::new(charge, Clock::told(move || now), hands, calls)
    }

    /// What each segment holds, whichever way it is there, after it was held to its seal.
    fn segments(&self) -> BTreeMap<String, Vec<u64>> {
        let tape = Tape::of(&self.tape());
        let mut all = BTreeMap::<String, Vec<u64>>::new();
        for name in names(self.folder.path()) {
            let Some((.., packing)) = tape.parse(&name) else { continue };
            let path = self.folder.path().join(&name);
            if !fs::symlink_metadata(&path).expect("a file").is_file() {
                continue;
            }
            let segment = Packing::split(&name).0.to_owned();
            let mut bytes = Vec::new();
            let mut reader = frames::reader(packing, File::open(&path).expect("a file")).expect("memory");
            reader.read_to_end(&mut bytes).expect("it is whole");
            let of_seal = [
                aside(&self.folder.path().join(&segment), "seal"),
                aside(&self.folder.path().join(&segment), "removed"),
            ];
            let seal = of_seal.iter().find_map(|path| fs::read(path).ok()).expect("a segment has a seal");
            let seal: Seal = serde_json::from_slice(&seal).expect("it is one");
            let mut proof = proof::Proof::of(&seal);
            proof.take(&bytes);
            assert!(proof.holds(), "{name} is what its seal says");
            let ids = ids(&bytes);
            let before = all.insert(segment, ids.clone());
            assert!(before.is_none_or(|before| before == ids), "both are the same");
        }
        all
    }

    /// What has not become a segment yet.
    fn unsealed(&self) -> BTreeSet<u64> {
        let names = names(&self.folder.path().join(ASIDE));
        let unsealed = names.into_iter().filter(|name| name.ends_with(".unsealed"));
        unsealed.flat_map(|name| ids(&fs::read(self.folder.path().join(ASIDE).join(name)).expect("a file"))).collect()
    }

    /// Everything is one segment, and nobody else's file was touched.
    fn is_in_order(&self, compress: Packing) {
        for (name, text) in [
            ("tape.ndjson", "tape.ndjson"),
            ("tape.ndjson.bak", "tape.ndjson.bak"),
            ("notes.zst.part", "notes.zst.part"),
        ] {
            assert_eq!(fs::read_to_string(self.folder.path().join(name)).expect("it is there"), text);
        }
        assert!(self.folder.path().join(ASIDE).join("other-20261124T170000Z.ndjson.zst.part").exists());
        assert!(self.folder.path().join("tape-20200101T000000Z.ndjson").is_symlink());
        for name in names(&self.folder.path().join(ASIDE)) {
            let is_left = [".part", ".unsealed", ".removed"].iter().any(|what| name.ends_with(what));
            assert!(!is_left || name.starts_with("other"), "{name} is left");
            if let Some(segment) = name.strip_suffix(".seal").filter(|name| *name != "tape-20200101T000000Z.ndjson") {
                let there =
                    ["", ".zst", ".gz"].map(|packed| self.folder.path().join(format!("{segment}{packed}")).exists());
                assert_eq!(there.into_iter().filter(|there| *there).count(), 1, "{segment} is there once");
                assert!(!there[0] || compress == Packing::None, "{segment} is compressed");
            }
        }
        for (name, torn) in &self.torn {
            let kept = fs::read(aside(&self.folder.path().join(name), "torn"));
            if self.segments().contains_key(name) || !self.lines.contains_key(name) {
                assert_eq!(&kept.expect("it is kept"), torn);
            }
        }
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect()
}

fn ids(bytes: &[u8]) -> Vec<u64> {
    let lines = bytes.split(|b| *b == b'\n');
    lines.filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok()?["msg"]["i"].as_u64()).collect()
}

/// Hands that stop at this step: for good, as a kill does, or once.
fn stopping(at: u64, for_good: bool) -> (Hands, Arc<AtomicU64>) {
    let steps = Arc::new(AtomicU64::new(0));
    let count = steps.clone();
    let hands = Hands::told(move || {
        let step = count.fetch_add(1, Relaxed);
        let refuses = if for_good { step >= at } else { step == at };
        if refuses { Err(io::ErrorKind::Other.into()) } else { Ok(()) }
    });
    (hands, steps)
}

/// One world, stopped at a step; then another look. How many steps it would have been.
fn stopped(lying: &[Lying], compress: Packing, keep: Keep, at: u64, for_good: bool) -> u64 {
    let stage = Stage::of(lying);
    let (hands, steps) = stopping(at, for_good);
    let mut rounds = stage.rounds(compress, keep, hands);
    rounds.look();
    let all: BTreeSet<_> = stage.lines.values().flatten().copied().collect();
    let there: BTreeSet<_> = stage.segments().values().flatten().copied().chain(stage.unsealed()).collect();
    if keep == Keep::default() {
        assert_eq!(there, all, "nothing is gone at any moment");
    }
    if for_good {
        rounds = stage.rounds(compress, keep, Hands::new());
        rounds.clear_parts();
    }
    rounds.look();
    // What was recovered or made smaller may be removed now.
    rounds.look();
    stage.is_in_order(compress);
    let segments = stage.segments();
    for (name, lines) in &segments {
        assert_eq!(stage.lines.get(name), Some(lines), "{name} holds what was recorded, once");
    }
    let mut recorded = stage.lines.keys().rev();
    if keep == Keep::default() {
        assert_eq!(segments.len(), stage.lines.len());
    } else if for_good {
        // (Of what could not be made a segment when it had come to that, a younger one was the oldest that could be removed.)
        assert!(segments.keys().rev().all(|kept| recorded.next() == Some(kept)), "only the oldest are removed");
    }
    steps.load(Relaxed)
}

fn packing() -> impl Strategy<Value = Packing> {
    prop_oneof![Just(Packing::None), Just(Packing::Zstd), Just(Packing::Gzip)]
}

fn lying() -> impl Strategy<Value = Lying> {
    let packed = || prop_oneof![Just(Packing::Zstd), Just(Packing::Gzip)];
    let tail = prop_oneof![
        Just(Tail::Whole),
        Just(Tail::Apart),
        Just(Tail::ApartWithoutEnd),
        Just(Tail::Torn),
        Just(Tail::Zeros),
        Just(Tail::ZerosAndEnd),
    ];
    prop_oneof![
        (1u8..20, any::<bool>()).prop_map(|(lines, closing_line)| Lying::Sealed { lines, closing_line }),
        packed().prop_map(Lying::Packed),
        (0u8..20, tail).prop_map(|(lines, tail)| Lying::Unsealed { lines, tail }),
    ]
}

#[test]
fn killed_at_any_step_it_goes_on_from_there() {
    let lying = [
        Lying::Sealed { lines: 9, closing_line: true },
        Lying::Unsealed { lines: 3, tail: Tail::Apart },
        Lying::Twice(Packing::Zstd),
        Lying::Unsealed { lines: 4, tail: Tail::Torn },
        Lying::Sealed { lines: 1, closing_line: false },
        Lying::Unsealed { lines: 0, tail: Tail::Zeros },
        Lying::Packed(Packing::Gzip),
    ];
    for (compress, keep) in [
        (Packing::Zstd, Keep::default()),
        (Packing::Gzip, Keep { size: Some(1500), ..Keep::default() }),
        (Packing::None, Keep { age: Some(Duration::ZERO), ..Keep::default() }),
    ] {
        let lying = if compress == Packing::None { &lying[3..] } else { &lying[..] };
        let steps = stopped(lying, compress, keep, u64::MAX, true);
        assert!(steps > 20, "there is something to be done");
        for at in 0..steps {
            for for_good in [true, false] {
                stopped(lying, compress, keep, at, for_good);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_lies_there_no_line_is_lost_or_there_twice(
        lying in prop::collection::vec(lying(), 1..6),
        compress in packing(),
        size in prop::option::of(100u64..5000),
        at in 0u64..150,
        for_good in any::<bool>(),
    ) {
        stopped(&lying, compress, Keep { size, ..Keep::default() }, at, for_good);
    }
}

#[test]
fn what_is_not_as_it_should_be_is_left_alone() {
    let stage = Stage::of(&[
        Lying::Sealed { lines: 5, closing_line: true },
        Lying::Twice(Packing::Zstd),
        Lying::Twice(Packing::Gzip),
        Lying::Sealed { lines: 5, closing_line: true },
    ]);
    let names: Vec<_> = stage.lines.keys().cloned().collect();
    let path = |name: &str| stage.folder.path().join(name);
    let spoil = |path: PathBuf| {
        let mut bytes = fs::read(&path).expect("a file");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::remove_file(&path).expect("a file");
        fs::write(&path, &bytes).expect("a file");
        (path, bytes)
    };
    let mut spoilt = vec![spoil(path(&names[0])), spoil(path(&format!("{}.zst", names[1]))), spoil(path(&names[2]))];
    for other in [names[1].clone(), format!("{}.gz", names[2])] {
        spoilt.push((path(&other), fs::read(path(&other)).expect("a file")));
    }
    let mut rounds = stage.rounds(Packing::Zstd, Keep::default(), Hands::new());
    rounds.look();
    rounds.look();
    for (path, bytes) in spoilt {
        assert_eq!(fs::read(&path).expect("it is there"), bytes, "{}", path.display());
    }
    assert!(path(&format!("{}.zst", names[3])).exists() && !path(&names[3]).exists(), "the others go on");
    assert!(!aside(&path(&format!("{}.zst", names[0])), "part").exists());
}

#[test]
fn a_compressed_segment_is_read_only_and_as_old_as_it_was() {
    let stage = Stage::of(&[Lying::Sealed { lines: 200, closing_line: true }]);
    let name = stage.lines.keys().next().expect("one").clone();
    let plain = stage.folder.path().join(&name);
    let then = UNIX_EPOCH + Duration::from_secs(BEGIN);
    File::open(&plain).and_then(|file| file.set_modified(then)).expect("ours");
    stage.rounds(Packing::Zstd, Keep::default(), Hands::new()).look();
    let packed = fs::metadata(stage.folder.path().join(format!("{name}.zst"))).expect("it is there");
    assert_eq!(packed.permissions().mode() & 0o777, 0o440);
    assert_eq!(packed.modified().expect("a time"), then);
}

#[test]
fn a_predecessors_tape_whose_name_is_taken_gets_the_next() {
    let stage = Stage::of(&[Lying::Unsealed { lines: 4, tail: Tail::Apart }]);
    let name = stage.lines.keys().next().expect("one").clone();
    let somebodys = stage.folder.path().join(&name);
    fs::write(&somebodys, "{}\n").expect("a file");
    stage.rounds(Packing::None, Keep::default(), Hands::new()).look();
    assert_eq!(fs::read_to_string(&somebodys).expect("it is there"), "{}\n");
    let next = Tape::of(&stage.tape()).segment(UNIX_EPOCH + Duration::from_secs(BEGIN), 2);
    assert_eq!(ids(&fs::read(stage.folder.path().join(&next)).expect("it is there")), [0, 1, 2, 3]);
    let seal = fs::read_to_string(aside(&stage.folder.path().join(&next), "seal")).expect("it is there");
    assert!(seal.contains(&next) && !aside(&somebodys, "seal").exists());
}

#[test]
fn it_ends_with_its_last_handle_and_leaves_nothing_half_done() {
    let stage = Stage::of(&[Lying::Sealed { lines: 4, closing_line: true }]);
    let charge = Charge { tapes: vec![stage.tape()], compress: Packing::Gzip, keep: Keep::default() };
    let (call, calls) = sync_channel(1);
    let mut rounds = Rounds::new(charge, Clock::told(|| UNIX_EPOCH), Hands::new(), calls);
    let keeper = Keeper(call);
    keeper.clone().look();
    keeper.look();
    drop(keeper);
    rounds.go();
    assert_eq!(stage.segments(), stage.lines, "what was recorded is there, whether that was in time or not");
    assert!(Rack::of(&stage.tape()).expect("a folder").parts.is_empty());
}
