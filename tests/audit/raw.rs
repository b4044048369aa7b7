//! Raw records: what can be told of them, and what can not.

use std::fs;

use tickerd::{
    audit::{Options, Verdict, Weight, gather},
    record::Form,
    session::Cause,
};

use super::tape::{Tape, audit, audited, kinds};

fn ticker(sequence: u64, second: u64) -> String {
    format!(
        "{{\"channel\":\"heartbeats\",\"timestamp\":\"2026-11-24T17:00:{second:02}Z\",\"sequence_num\":{sequence},\"events\":[]}}\n"
    )
}

#[test]
fn two_connections_in_one_file_are_said_to_be_beyond_telling() {
    let one: String = (0..9).map(|n| ticker(n, n)).collect();
    assert_eq!(audited(one.as_bytes()).verdict, Verdict::Whole);
    let windows = audited(one.replace('\n', "\r\n").as_bytes());
    assert_eq!((windows.verdict, kinds(&windows, Weight::Note)), (Verdict::Whole, vec!["returns".to_owned()]));
    let two: String = (0..9).map(|n| ticker(n, n) + &ticker(n, n)).collect();
    let report = audited(two.as_bytes());
    assert_eq!(kinds(&report, Weight::Fault), ["mixed"]);
    assert!(report.findings.kept().any(|one| one.text.contains("{feed}")), "what to do");
}

#[test]
fn a_count_that_begins_anew_is_another_connection_and_an_earlier_one_is_misplaced() {
    let after = |from: u64| (0..5).map(|n| ticker(n, from + n)).collect::<String>();
    let report = audited((after(0) + &after(20)).as_bytes());
    assert_eq!((report.verdict, kinds(&report, Weight::Loss)), (Verdict::OwnedUp, vec!["outage".to_owned()]));
    let report = audited((after(20) + &after(0)).as_bytes());
    assert_eq!(kinds(&report, Weight::Fault), ["misplaced"]);
}

#[test]
fn holes_and_repetitions_are_faults() {
    let lines = |numbers: &[u64]| numbers.iter().map(|n| ticker(*n, *n)).collect::<String>();
    assert_eq!(kinds(&audited(lines(&[4, 5, 6, 9, 10]).as_bytes()), Weight::Fault), ["hole"]);
    assert_eq!(kinds(&audited(lines(&[4, 5, 5, 6]).as_bytes()), Weight::Fault), ["duplicate"]);
}

/// The events of raw records stand among them, or in a file of their own.
#[test]
fn a_gap_in_the_file_of_events_owns_up_to_a_hole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tape.ndjson");
    fs::write(&path, [0, 1, 2, 5, 6].map(|n| ticker(n, n)).concat()).expect("ours");
    assert_eq!(audit(&path).verdict, Verdict::NotWhole);
    let gap = "{\"tickerd\":\"gap\",\"recv\":\"2026-11-24T17:00:05.000000000Z\",\"feed\":\"tickers\",\"conn\":\"3f2a0000/1\",\"n\":4,\
               \"found\":\"hole\",\"expected\":3,\"got\":5,\"missed\":2,\"channels\":[\"ticker\"],\"products\":[],\"counted_by\":\"sequence_num\"}\n";
    // A start after a kill makes a segment of it: the tape was condemned for what it had owned up to, and its events for
    // messages that they only count.
    for name in ["tape.events", "tape-20261124T170005Z.events"] {
        let events = folder.path().join(name);
        fs::write(&events, gap).expect("ours");
        for found in [&path, folder.path()] {
            let inputs = gather(&[found.to_owned()]).expect("there");
            assert_eq!(inputs.len(), 1, "{name} is evidence and no tape");
            let report = tickerd::audit::audit(&inputs[0], Options::default(), None).expect("readable");
            assert_eq!((report.verdict, kinds(&report, Weight::Loss)), (Verdict::OwnedUp, vec!["gap".to_owned()]));
        }
        fs::remove_file(events).expect("ours");
    }
}

/// What the shipped snippet for logrotate had moved away was passed over without a word, and the rest was called whole.
#[test]
fn what_logrotate_moved_away_is_of_the_tape() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = |numbers: &[u64]| numbers.iter().map(|n| ticker(*n, *n)).collect::<String>();
    for (name, numbers) in
        [("-20261127", &[0, 1, 2][..]), ("-20261128T095930", &[3, 4]), ("-20261129T095930", &[5, 6]), ("", &[7, 8])]
    {
        fs::write(folder.path().join(format!("tape.ndjson{name}")), lines(numbers)).expect("ours");
    }
    let report = audit(folder.path());
    assert_eq!((report.verdict, report.lines.raw), (Verdict::Whole, 9));
    fs::remove_file(folder.path().join("tape.ndjson-20261128T095930")).expect("ours");
    assert_eq!(kinds(&audit(folder.path()), Weight::Fault), ["hole"]);
}

#[test]
fn what_disconnected_counts_among_raw_lines_is_held_to_what_is_there() {
    let mut tape = Tape::new(Form::Raw);
    tape.begin(1);
    (0..9).for_each(|_| tape.message());
    tape.end(Cause::Stopped);
    assert_eq!(audited(&tape.bytes()).verdict, Verdict::Whole);
    tape.lines.remove(9);
    assert_eq!(kinds(&audited(&tape.bytes()), Weight::Fault), ["account"]);
}

/// The Exchange numbers trades; what it is subscribed to says whether that is a promise.
#[test]
fn trades_of_the_exchange_are_counted_where_matches_are_subscribed_to() {
    let trades = |ids: &[u64]| {
        let line = |id: &u64| {
            format!(
                "{{\"type\":\"match\",\"trade_id\":{id},\"product_id\":\"BTC-USD\",\"sequence\":{},\"time\":\"2026-11-24T17:00:00Z\"}}\n",
                id * 10
            )
        };
        ids.iter().map(line).collect::<String>()
    };
    let ack = |name: &str| {
        format!("{{\"type\":\"subscriptions\",\"channels\":[{{\"name\":\"{name}\",\"product_ids\":[\"BTC-USD\"]}}]}}\n")
    };
    let verdict = |text: String| audited(text.as_bytes()).verdict;
    assert_eq!(verdict(ack("matches") + &trades(&[1, 2, 3])), Verdict::Whole);
    assert_eq!(verdict(ack("matches") + &trades(&[1, 2, 5])), Verdict::NotWhole);
    assert_eq!(verdict(ack("user") + &trades(&[1, 2, 5])), Verdict::Whole, "one's own are some of all");
}

#[test]
fn what_is_of_nobody_is_counted_and_a_file_of_nothing_else_is_the_wrong_file() {
    let report = audited((ticker(0, 0) + "{\"level\":\"info\"}\n").as_bytes());
    assert_eq!((report.verdict, report.lines.unknown), (Verdict::Whole, 1));
    assert_eq!(kinds(&audited(b"{\"level\":\"info\"}\n"), Weight::Fault), ["unknown"]);
}

/// Kills follow each other when a machine fails, and the run between two of them may bring no trade: what is missing of the trades
/// then is either kill's, and told.
#[test]
fn what_trades_lack_over_two_kills_is_owned_up_to_by_them() {
    let trades = |sequence: u64, id: u64| {
        format!(
            "{{\"channel\":\"market_trades\",\"timestamp\":\"2026-11-24T17:00:{id:02}Z\",\"sequence_num\":{sequence},\"events\":[{{\"type\":\"update\",\
             \"trades\":[{{\"product_id\":\"BTC-USD\",\"trade_id\":\"{id}\",\"price\":\"1\",\"size\":\"1\",\"time\":\"2026-11-24T17:00:{id:02}Z\",\"side\":\"BUY\"}}]}}]}}\n"
        )
    };
    let recovered = |second: u64| {
        format!(
            "{{\"tickerd\":\"recovered\",\"recv\":\"2026-11-24T17:00:{second:02}.000000000Z\",\"feed\":\"t\",\"conn\":\"3f2a0000/0\",\
             \"n\":0,\"bytes\":0,\"file\":null,\"segment\":\"tape-20261124T170000Z.ndjson\"}}\n"
        )
    };
    let text = [trades(0, 1), trades(1, 2), recovered(10), ticker(0, 11), recovered(20), trades(0, 30)].concat();
    let report = audited(text.as_bytes());
    assert_eq!(report.verdict, Verdict::OwnedUp, "{:?}", report.findings);
}
