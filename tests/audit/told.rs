//! What a recording owns up to, and what it does not.

use std::{fs, time::Duration};

use tickerd::{
    account::Loss,
    audit::{Kind, Verdict, Weight},
    record::{Body, Event, Form, Line},
    segment::State,
    session::{Cause, Found, Gap},
    venue::MendedBy,
};

use super::tape::{Sort, Tape, audit, audited, kinds, sort};

fn gap(found: Found, numbers: Option<(u64, u64)>, counted_by: &'static str, product: &str) -> Gap {
    Gap {
        found,
        counted_by: numbers.map(|_| counted_by),
        expected: numbers.map(|numbers| numbers.0),
        got: numbers.map(|numbers| numbers.1),
        missed: numbers.map(|numbers| numbers.1 - numbers.0),
        channels: vec!["market_trades"],
        products: vec![product.to_owned()],
        from: None,
        until: None,
        mended_by: MendedBy::Nothing,
    }
}

#[test]
fn a_whole_tape_is_whole() {
    let mut tape = Tape::new(Form::Envelope);
    tape.connection(1, 40);
    let report = audited(&tape.bytes());
    assert_eq!((report.verdict, report.lines.enveloped, report.lines.events), (Verdict::Whole, 40, 2));
    assert_eq!(kinds(&report, Weight::Note), Vec::<String>::new());
    assert_eq!(audited(b"").verdict, Verdict::Whole, "a tape that was just begun");
}

#[test]
fn a_hole_that_a_gap_owns_up_to_is_a_loss_and_one_that_nothing_does_is_a_fault() {
    for (owned, verdict) in [(true, Verdict::OwnedUp), (false, Verdict::NotWhole)] {
        let mut tape = Tape::new(Form::Envelope);
        tape.begin(1);
        (0..9).for_each(|_| tape.message());
        let due = tape.sequence();
        tape.skip(3);
        tape.message();
        if owned {
            tape.event(Event::Gap(gap(Found::Hole, Some((due, due + 3)), "sequence_num", "BTC-USD")));
        }
        (0..9).for_each(|_| tape.message());
        tape.end(Cause::Stopped);
        let report = audited(&tape.bytes());
        assert_eq!(report.verdict, verdict);
        let weight = if owned { (Weight::Loss, Kind::Gap) } else { (Weight::Fault, Kind::Hole) };
        assert_eq!(report.findings.total(weight.0, weight.1).count, 3);
    }
}

#[test]
fn dropped_messages_are_a_loss_where_a_record_stands_in_their_place() {
    let mut tape = Tape::new(Form::Envelope);
    tape.begin(1);
    (0..9).for_each(|_| tape.message());
    let first = tape.lose(Loss::Slow);
    tape.lose(Loss::Slow);
    let now = tape.now();
    let dropped = Event::Dropped { count: 2, bytes: 200, why: Loss::Slow, from: now, until: now };
    tape.put(first, Body::Event(Box::new(dropped)));
    (0..9).for_each(|_| tape.message());
    tape.end(Cause::Stopped);
    let report = audited(&tape.bytes());
    assert_eq!((report.verdict, kinds(&report, Weight::Loss)), (Verdict::OwnedUp, vec!["dropped".to_owned()]));
    assert_eq!(report.findings.total(Weight::Loss, Kind::Dropped).count, 2);

    let without: Vec<_> =
        tape.lines.iter().filter(|line| !String::from_utf8_lossy(line).contains("\"dropped\",")).collect();
    let report = audited(&without.into_iter().flatten().copied().collect::<Vec<_>>());
    assert_eq!(report.verdict, Verdict::NotWhole);
}

#[test]
fn a_reconnect_is_an_outage_and_trades_that_rest_brought_are_here() {
    let mut tape = Tape::new(Form::Envelope);
    tape.begin(1);
    (0..8).for_each(|_| tape.message());
    tape.end(Cause::Lost);
    tape.wait(3);
    tape.begin(2);
    tape.miss_trades(2);
    (0..2).for_each(|_| tape.message());
    let now = tape.now();
    let from = Some(now - Duration::from_secs(3));
    let missed = gap(Found::Reconnect, Some((7_003, 7_005)), "trade_id", "BTC-USD");
    tape.event(Event::Gap(Gap { from, until: Some(now), ..missed }));
    for trade in [7_003, 7_004] {
        let text = format!(r#"{{"trade_id":"{trade}","product_id":"BTC-USD"}}"#);
        tape.put(2, Body::Recovered(Line::from_text(text.into())));
    }
    tape.event(Event::Refilled {
        channel: "market_trades",
        product: "BTC-USD".to_owned(),
        expected: 7_003,
        got: 7_005,
        recovered: 2,
        missing: 0,
        why: None,
    });
    tape.message();
    tape.end(Cause::Stopped);
    let report = audited(&tape.bytes());
    assert_eq!(report.verdict, Verdict::OwnedUp, "{:?}", report.findings.kept().collect::<Vec<_>>());
    assert_eq!(kinds(&report, Weight::Loss), ["outage"]);
    assert_eq!(report.findings.total(Weight::Note, Kind::Refilled).count, 2);
    assert!(report.feeds[0].outages.sum() > 0);
}

/// A message was lost between off the socket and the disk, and nobody said so.
#[test]
fn an_account_that_does_not_add_up_is_a_fault() {
    let mut tape = Tape::new(Form::Envelope);
    tape.begin(1);
    (0..9).for_each(|_| tape.message());
    tape.origin.receive(1);
    tape.origin.write(1);
    tape.end(Cause::Stopped);
    let report = audited(&tape.bytes());
    assert_eq!(report.verdict, Verdict::NotWhole);
    assert_eq!(kinds(&report, Weight::Fault), ["hole"]);
}

#[test]
fn a_kill_is_owned_up_to_by_the_next_start_or_a_seal_and_else_is_a_fault() {
    for told in [true, false] {
        let mut tape = Tape::new(Form::Envelope);
        tape.begin(1);
        (0..9).for_each(|_| tape.message());
        tape.run(0x4444_0000);
        if told {
            let segment = "tape-20261124T170000Z.ndjson".to_owned();
            tape.put(0, Body::Event(Box::new(Event::Recovered { bytes: 7, file: Some("x.torn".to_owned()), segment })));
        }
        tape.wait(5);
        tape.connection(1, 9);
        let report = audited(&tape.bytes());
        let (verdict, fault) =
            if told { (Verdict::OwnedUp, vec![]) } else { (Verdict::NotWhole, vec!["vanished".to_owned()]) };
        assert_eq!((report.verdict, kinds(&report, Weight::Fault)), (verdict, fault));
        assert!(kinds(&report, Weight::Loss).contains(&"outage".to_owned()), "the time between the runs");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut tape = Tape::new(Form::Envelope);
    tape.begin(1);
    (0..9).for_each(|_| tape.message());
    tape.seal(folder.path(), State::Recovered);
    let report = audit(folder.path());
    assert_eq!((report.verdict, kinds(&report, Weight::Loss)), (Verdict::OwnedUp, vec!["killed".to_owned()]));
}

#[test]
fn a_connection_whose_lines_stop_among_others_has_vanished() {
    let mut tape = Tape::new(Form::Envelope);
    tape.begin(1);
    (0..9).for_each(|_| tape.message());
    tape.wait(70);
    tape.connection(2, 9);
    let report = audited(&tape.bytes());
    assert_eq!(kinds(&report, Weight::Fault), ["vanished"]);
}

#[test]
fn segments_are_joined_and_one_that_is_gone_is_missed_unless_it_was_the_oldest() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut tape = Tape::new(Form::Envelope);
    tape.begin(1);
    let mut paths = Vec::new();
    for _ in 0..3 {
        (0..20).for_each(|_| tape.message());
        paths.push(tape.seal(folder.path(), State::Sealed));
        tape.wait(1);
    }
    (0..20).for_each(|_| tape.message());
    tape.end(Cause::Stopped);
    fs::write(folder.path().join("tape.ndjson"), tape.bytes()).expect("ours");
    let report = audit(folder.path());
    assert_eq!(
        (report.verdict, report.seals.right, report.files.len()),
        (Verdict::Whole, 3, 4),
        "{:?}",
        report.findings.kept().collect::<Vec<_>>()
    );

    fs::remove_file(&paths[0]).expect("ours");
    let report = audit(folder.path());
    assert_eq!(
        (report.verdict, kinds(&report, Weight::Note)),
        (Verdict::Whole, vec!["beginning".to_owned(), "removed".to_owned()])
    );

    fs::remove_file(&paths[2]).expect("ours");
    let report = audit(folder.path());
    assert_eq!(
        (report.verdict, kinds(&report, Weight::Fault)),
        (Verdict::NotWhole, vec!["hole".to_owned(), "missing".to_owned()])
    );
    assert_eq!(report.findings.total(Weight::Fault, Kind::Hole).count, 20);
}

#[test]
fn an_uncertain_segment_is_a_fault_and_one_without_a_seal_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut tape = Tape::new(Form::Envelope);
    tape.connection(1, 9);
    let path = tape.seal(folder.path(), State::Uncertain);
    assert_eq!(kinds(&audit(folder.path()), Weight::Fault), ["uncertain"]);
    fs::remove_dir_all(folder.path().join(".tickerd")).expect("ours");
    // Its own last line says what it was.
    let report = audit(&path);
    assert_eq!((report.seals.right, kinds(&report, Weight::Fault)), (1, Vec::<String>::new()));
}

/// Somebody removes the file while it grows; the recorder says so in the next one, and how many messages went with it.
#[test]
fn what_went_with_a_removed_file_is_owned_up_to() {
    let mut tape = Tape::new(Form::Envelope);
    tape.begin(1);
    (0..9).for_each(|_| tape.message());
    tape.end(Cause::Stopped);
    let gone = "{\"v\":1,\"recv\":\"2026-11-24T17:00:00.000000000Z\",\"feed\":\"tickers\",\"conn\":\"3f2a0000/0\",\"n\":0,\"event\":\"dropped\",\
                \"data\":{\"count\":3,\"bytes\":900,\"why\":\"removed\",\"from\":\"2026-11-24T17:00:00.000000000Z\",\"until\":\"2026-11-24T17:00:00.000000000Z\"}}\n";
    let is_message = |line: &Vec<u8>| sort(line) == Sort::Message;
    let fifth = tape.lines.iter().enumerate().filter(|(_, line)| is_message(line)).nth(4).expect("nine").0;
    tape.lines.splice(fifth..fifth + 3, [gone.as_bytes().to_vec()]);
    let report = audited(&tape.bytes());
    assert_eq!((report.verdict, kinds(&report, Weight::Loss)), (Verdict::OwnedUp, vec!["dropped".to_owned()]));
    tape.lines.remove(fifth);
    assert_eq!(audited(&tape.bytes()).verdict, Verdict::NotWhole);
}
