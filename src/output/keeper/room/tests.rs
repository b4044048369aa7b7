use std::time::UNIX_EPOCH;

use super::*;
use crate::segment::Tape;

fn at(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(second)
}

fn rack() -> Rack {
    Rack {
        folder: "/nowhere".into(),
        tape: Tape::of(std::path::Path::new("tape.ndjson")),
        segments: BTreeMap::new(),
        unsealed: Vec::new(),
        removed: Vec::new(),
        parts: Vec::new(),
    }
}

fn names(keep: Keep, wanted: &[(u64, u64)]) -> String {
    let rack = rack();
    let holding = |(name, start, disk)| Holding { rack: &rack, name, start: at(start), bytes: 100, disk };
    let holdings = [("a", 1, 7), ("b", 2, 8), ("c", 3, 7), ("d", 4, 8)].map(holding);
    let condemned = condemned(holdings.into(), keep, at(10), &wanted.iter().copied().collect());
    condemned.iter().map(|(holding, _)| holding.name).collect()
}

#[test]
fn the_oldest_go_until_the_rest_fits() {
    let size = |size| Keep { size: Some(size), ..Keep::default() };
    assert_eq!(names(size(400), &[]), "");
    assert_eq!(names(size(399), &[]), "a");
    assert_eq!(names(size(200), &[]), "ab");
    assert_eq!(names(size(0), &[]), "abcd");
}

#[test]
fn room_is_made_on_the_disk_that_wants_it_and_no_more_than_that() {
    let free = Keep { free: Some(1), ..Keep::default() };
    assert_eq!(names(free, &[]), "");
    assert_eq!(names(free, &[(8, 1)]), "b");
    assert_eq!(names(free, &[(7, 101)]), "ac");
    assert_eq!(names(free, &[(7, 1000), (8, 100)]), "abc");
    assert_eq!(names(Keep { size: Some(300), ..free }, &[(7, 100)]), "a", "what goes for its size makes room too");
}

#[test]
fn what_has_no_seal_is_not_too_old() {
    assert_eq!(names(Keep { age: Some(Duration::from_secs(1)), ..Keep::default() }, &[]), "");
}

/// A typing error must not cost a recording: 500 GiB free on a disk of 100 asks for all of it.
#[test]
fn nothing_is_removed_for_more_room_than_the_disk_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let rack = Rack { folder: folder.path().to_owned(), ..rack() };
    let mut room = Room::new(Keep { free: Some(u64::MAX), ..Keep::default() });
    assert!(room.wanted(std::slice::from_ref(&rack), &mut Complaints::default()).is_empty());
    let total = Space::at(folder.path()).expect("a disk").total;
    let mut room = Room::new(Keep { free: Some(total - 1), ..Keep::default() });
    assert_eq!(room.wanted(&[rack], &mut Complaints::default()).len(), 1);
}
