//! A folder with what there may be of a tape in it, and what is to be there afterwards.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs::{self, File, Permissions},
    io::Read,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::mpsc::sync_channel,
    time::{Duration, UNIX_EPOCH},
};

use tempfile::TempDir;

use crate::{
    clock::Clock,
    config::Keep,
    output::{
        keeper::{
            Charge, Rounds,
            frames::{self, Frames},
            hands::Hands,
            proof,
        },
        scan::scan,
    },
    segment::{ASIDE, Packing, Seal, State, Tape, aside},
};

/// The first second of the first segment.
pub const BEGIN: u64 = 1_795_539_600;

/// What there is of one tape.
#[derive(Clone, Debug)]
pub enum Lying {
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
pub enum Tail {
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

pub struct Stage {
    pub folder: TempDir,
    /// Every whole line that was recorded, by segment.
    pub lines: BTreeMap<String, Vec<u64>>,
    /// Torn lines, by segment.
    pub torn: BTreeMap<String, Vec<u8>>,
    next: u64,
}

impl Stage {
    pub fn of(lying: &[Lying]) -> Self {
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

    pub fn tape(&self) -> PathBuf {
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

    pub fn rounds(&self, compress: Packing, keep: Keep, hands: Hands) -> Rounds {
        let now = UNIX_EPOCH + Duration::from_secs(BEGIN + 1_000_000);
        let (call, calls) = sync_channel(1);
        // Its keeper is there as long as the rounds are.
        std::mem::forget(call);
        let charge = Charge { tapes: vec![self.tape()], compress, keep };
        Rounds::new(charge, Clock::told(move || now), hands, calls)
    }

    /// What each segment holds, whichever way it is there, after it was held to its seal.
    pub fn segments(&self) -> BTreeMap<String, Vec<u64>> {
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
    pub fn unsealed(&self) -> BTreeSet<u64> {
        let names = names(&self.folder.path().join(ASIDE));
        let unsealed = names.into_iter().filter(|name| name.ends_with(".unsealed"));
        unsealed.flat_map(|name| ids(&fs::read(self.folder.path().join(ASIDE).join(name)).expect("a file"))).collect()
    }

    /// Everything is one segment, and nobody else's file was touched.
    pub fn is_in_order(&self, compress: Packing) {
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

pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect()
}

pub fn ids(bytes: &[u8]) -> Vec<u64> {
    let lines = bytes.split(|b| *b == b'\n');
    lines.filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok()?["msg"]["i"].as_u64()).collect()
}
