//! The keeper on real folders, killed at every step. What is on the disk then, and what the next look makes of it, is held to
//! what was there before.

mod stage;

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::UNIX_EPOCH,
};

use proptest::prelude::*;

use self::stage::{BEGIN, Lying, Stage, Tail, ids};
use super::*;
use crate::segment::{Tape, aside};

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
    rounds.again_at = None;
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
fn killed_at_any_step_the_next_one_goes_on_from_there() {
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
        (Packing::Zstd, Keep { size: Some(1500), ..Keep::default() }),
        (Packing::Gzip, Keep::default()),
        (Packing::None, Keep { age: Some(Duration::ZERO), ..Keep::default() }),
    ] {
        let lying = if compress == Packing::None { &lying[3..] } else { &lying[..] };
        let steps = stopped(lying, compress, keep, u64::MAX, true);
        assert!(steps > 20, "there is something to be done");
        for at in 0..steps {
            stopped(lying, compress, keep, at, true);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

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
fn what_fits_once_it_is_compressed_is_kept() {
    let stage = Stage::of(&[Lying::Sealed { lines: 200, closing_line: true }]);
    let keep = Keep { size: Some(10_000), ..Keep::default() };
    stage.rounds(Packing::Zstd, keep, Hands::new()).look();
    assert_eq!(stage.segments(), stage.lines);
    assert!(Rack::of(&stage.tape()).expect("a folder").bytes() < 10_000);
    stage.rounds(Packing::Zstd, Keep { size: Some(10), ..keep }, Hands::new()).look();
    assert_eq!(stage.segments().len(), 0);
}

/// Of two equal messages the second is torn just before its line break: the first is not taken for it once that is put aside.
#[test]
fn a_whole_line_is_not_taken_for_the_torn_one_that_it_equals() {
    let line = "{\"type\":\"heartbeat\"}";
    let mut steps = 0..;
    loop {
        let stage = Stage::of(&[]);
        let place = stage.folder.path().join(Tape::of(&stage.tape()).segment(UNIX_EPOCH, 1));
        fs::write(aside(&place, "unsealed"), format!("{line}\n{line}\n")).expect("a file");
        fs::write(aside(&place, "torn"), line).expect("a file");
        let (hands, done) = stopping(steps.next().expect("more"), true);
        stage.rounds(Packing::None, Keep::default(), hands).look();
        let was_killed = done.load(Relaxed) >= steps.start;
        stage.rounds(Packing::None, Keep::default(), Hands::new()).look();
        assert_eq!(fs::read_to_string(&place).expect("it is there"), format!("{line}\n"));
        assert_eq!(fs::read_to_string(aside(&place, "torn")).expect("it is there"), line);
        if !was_killed {
            break;
        }
    }
}

/// A gibibyte would be read each second for nothing.
#[tokio::test(start_paused = true)]
async fn what_can_not_be_done_is_tried_again_in_a_minute_however_often_it_is_called() {
    let stage = Stage::of(&[Lying::Sealed { lines: 9, closing_line: true }]);
    let (hands, steps) = stopping(0, true);
    let mut rounds = stage.rounds(Packing::Zstd, Keep::default(), hands);
    let mut tries = Vec::new();
    for _ in 0..3 {
        rounds.look();
        rounds.look();
        tries.push(steps.load(Relaxed));
        tokio::time::advance(EVERY).await;
    }
    assert!(tries[0] > 0 && tries[1] == 2 * tries[0] && tries[2] == 3 * tries[0], "{tries:?}");
}

#[test]
fn it_ends_with_its_last_handle_and_leaves_nothing_half_done() {
    let stage = Stage::of(&[Lying::Sealed { lines: 4, closing_line: true }]);
    // It would fit once it is compressed.
    let keep = Keep { size: Some(600), ..Keep::default() };
    let charge = Charge { tapes: vec![stage.tape()], compress: Packing::Gzip, keep };
    let (call, calls) = sync_channel(1);
    let mut rounds = Rounds::new(charge, Clock::told(|| UNIX_EPOCH), Hands::new(), calls);
    let keeper = Keeper { call, stock: rounds.stock.clone() };
    keeper.clone().look();
    keeper.look();
    assert_eq!(keeper.stock(), None);
    drop(keeper);
    rounds.go();
    let stock = rounds.stock.lock().expect("nobody panicked").expect("it has looked");
    assert!(stock.bytes > 500 && stock.space.total > 0);
    assert_eq!(stage.segments(), stage.lines, "what was recorded is there, whether that was in time or not");
    assert!(Rack::of(&stage.tape()).expect("a folder").parts.is_empty());
}
