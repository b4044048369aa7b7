//! The audit: whatever a file holds, its lines are counted, each is kept or left out by a repair, and a copy so repaired has nothing to
//! leave out. And of a recording with a known fault it is not said that it is whole.

#![no_main]

use std::{fs, path::PathBuf, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use tickerd::audit::{Kind, Options, Repair, Report, Verdict, Weight, audit, gather};

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    // In memory where there is such a place: it is written for each try.
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.expect("a folder")
});

const SEGMENT: &str = "tape-20261124T170000Z.ndjson";

fuzz_target!(|data: &[u8]| {
    let Some((&first, rest)) = data.split_first() else { return };
    match first % 8 {
        // What is packed is known by its first bytes, whatever its name.
        _ if is_packed(rest) => packed("any.ndjson", rest),
        0 => counted(rest, true),
        1 => counted(rest, false),
        2 | 3 => repaired(rest),
        4 => packed("any.ndjson.zst", rest),
        5 => packed("any.ndjson.gz", rest),
        6 => sealed(rest),
        _ => known(rest),
    }
});

fn is_packed(data: &[u8]) -> bool {
    data.starts_with(&[0x1f, 0x8b]) || data.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
}

fn look(name: &str, quick: bool, repair: Option<&mut Repair>) -> Option<Report> {
    let input = gather(&[FOLDER.path().join(name)]).expect("it is there");
    let report = audit(&input[0], Options { quick }, repair).ok()?;
    let json = report.json().to_string();
    assert!(!json.is_empty());
    let fault = report.findings.any(Weight::Fault);
    assert_eq!(report.verdict == Verdict::NotWhole, fault, "it is not whole where something is wrong");
    Some(report)
}

/// All of it is looked at, and the same is said each time.
fn counted(data: &[u8], quick: bool) {
    fs::write(FOLDER.path().join("any.ndjson"), data).expect("written");
    let ends = data.is_empty() || data.ends_with(b"\n");
    let lines = data.iter().filter(|byte| **byte == b'\n').count() as u64 + u64::from(!ends);
    let report = look("any.ndjson", quick, None).expect("a file in memory can be read");
    assert_eq!((report.bytes, report.lines.lines), (data.len() as u64, lines), "all of it is looked at");
    assert!(ends || report.findings.total(Weight::Fault, Kind::Torn).times == 1, "a torn end is told");
    let again = look("any.ndjson", quick, None).expect("as before");
    assert_eq!(report.json(), again.json(), "it says the same each time");
}

/// Each line is kept or left out, and what is kept needs no repair.
fn repaired(data: &[u8]) {
    fs::write(FOLDER.path().join("any.ndjson"), data).expect("written");
    let copy = FOLDER.path().join("copy.ndjson");
    let _ = fs::remove_file(&copy);
    let mut repair = Repair::new(&copy).expect("there is none");
    let report = look("any.ndjson", false, Some(&mut repair)).expect("it can be read");
    repair.finish().expect("written");
    assert_eq!(repair.kept().0 + repair.left_out().0, report.lines.lines, "each line is kept or left out");
    let kept = fs::read(&copy).expect("it is there");
    let breaks = kept.iter().filter(|byte| **byte == b'\n').count() as u64;
    assert_eq!((kept.len() as u64, breaks), (repair.kept().1, repair.kept().0));
    let mut own = data.split(|byte| *byte == b'\n');
    for line in kept.split_inclusive(|byte| *byte == b'\n') {
        assert!(own.any(|from| from == &line[..line.len() - 1]), "what is kept stands in it, in its order");
    }
    let twice = FOLDER.path().join("twice.ndjson");
    let _ = fs::remove_file(&twice);
    let mut repair = Repair::new(&twice).expect("there is none");
    let clean = look("copy.ndjson", false, Some(&mut repair)).expect("it can be read");
    assert_eq!(clean.lines.bad, 0, "a repaired copy has no bad line");
    repair.finish().expect("written");
    assert_eq!(repair.left_out().0, 0, "what was repaired needs no repair");
}

/// Spoilt, most often: that is a finding, or a reason why it can not be read.
fn packed(name: &str, data: &[u8]) {
    fs::write(FOLDER.path().join(name), data).expect("written");
    let _ = look(name, false, None);
}

/// A segment and its seal.
fn sealed(data: &[u8]) {
    let folder = FOLDER.path().join("sealed");
    fs::create_dir_all(folder.join(".tickerd")).expect("a folder");
    let at = data.windows(5).position(|part| part == b"\n===\n");
    let (segment, seal) = at.map_or((data, &b""[..]), |at| (&data[..=at], &data[at + 5..]));
    fs::write(folder.join(SEGMENT), segment).expect("written");
    fs::write(folder.join(format!(".tickerd/{SEGMENT}.seal")), seal).expect("written");
    let report = look("sealed", false, None).expect("it can be read");
    assert_eq!(report.bytes, segment.len() as u64);
    let right = report.seals.right;
    // Only one who can make a SHA-256 could have had that.
    assert!(right == 0 || std::str::from_utf8(seal).is_ok(), "no seal is right that can not be read");
}

/// A connection's messages, and one of them missing, or there twice.
fn known(data: &[u8]) {
    let [count, at, what, ..] = *data else { return };
    let (count, at) = (usize::from(count % 64) + 4, usize::from(at));
    let line = |n: usize| {
        format!(
            "{{\"v\":1,\"recv\":\"2026-11-24T17:31:{:02}.{n:09}Z\",\"feed\":\"f\",\"conn\":\"3f2a0000/1\",\"n\":{n},\"msg\":{{\"channel\":\
             \"ticker\",\"timestamp\":\"2026-11-24T17:31:02Z\",\"sequence_num\":{n},\"events\":[{}]}}}}\n",
            n / 2,
            String::from_utf8_lossy(data)
                .chars()
                .filter(|c| c.is_ascii_digit())
                .take(5)
                .map(|c| format!("{c}"))
                .collect::<Vec<_>>()
                .join(",")
        )
    };
    let mut lines: Vec<_> = (0..count).map(line).collect();
    let at = 1 + at % (count - 2);
    let wrong = match what % 4 {
        0 => None,
        1 => {
            lines.remove(at);
            Some(Kind::Hole)
        }
        2 => {
            lines.insert(at, lines[at].clone());
            Some(Kind::Duplicate)
        }
        _ => {
            lines[at].truncate(40);
            lines[at].push('\n');
            Some(Kind::NotJson)
        }
    };
    fs::write(FOLDER.path().join("known.ndjson"), lines.concat()).expect("written");
    let report = look("known.ndjson", false, None).expect("it can be read");
    match wrong {
        None => assert_ne!(report.verdict, Verdict::NotWhole, "nothing is wrong: {}", report.json()),
        Some(kind) => {
            assert_eq!(report.verdict, Verdict::NotWhole, "{kind:?} goes unseen");
            assert!(
                report.findings.total(Weight::Fault, kind).times > 0,
                "{kind:?} is called otherwise: {}",
                report.json()
            );
        }
    }
}
