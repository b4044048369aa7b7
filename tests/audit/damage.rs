//! Whatever is done to a tape, the audit finds it; and whatever bytes there are, it says something and ends.

use std::fs;

use proptest::prelude::*;
use tickerd::{
    audit::{Verdict, Weight},
    record::Form,
    segment::State,
};

use super::tape::{Sort, Tape, audit, audited, kinds, sort};

/// Two connections of some messages each, one after the other.
fn tape(form: Form) -> Tape {
    let mut tape = Tape::new(form);
    tape.connection(1, 30);
    tape.connection(2, 25);
    tape
}

/// What may be done to the lines of a tape that nobody sealed, and must be found.
#[derive(Clone, Debug)]
enum Harm {
    /// A message is gone.
    Drop(prop::sample::Index),
    /// A line is there twice, the second one some lines later.
    Repeat(prop::sample::Index, usize),
    /// Two messages have changed places.
    Swap(prop::sample::Index),
    /// A line lost its end and so has become one with the next.
    Join(prop::sample::Index),
    /// The last line does not end.
    Tear(prop::sample::Index),
    /// Bytes are zero, as where a block never reached the disk.
    Zero(prop::sample::Index, usize),
    /// A stretch of bytes is gone.
    Cut(prop::sample::Index, usize),
}

fn harm() -> impl Strategy<Value = Harm> {
    let any = any::<prop::sample::Index>;
    prop_oneof![
        any().prop_map(Harm::Drop),
        (any(), 0usize..5).prop_map(|(at, by)| Harm::Repeat(at, by)),
        any().prop_map(Harm::Swap),
        any().prop_map(Harm::Join),
        any().prop_map(Harm::Tear),
        (any(), 1usize..600).prop_map(|(at, length)| Harm::Zero(at, length)),
        (any(), 1usize..90).prop_map(|(at, length)| Harm::Cut(at, length)),
    ]
}

fn do_harm(tape: &Tape, harm: &Harm) -> Vec<u8> {
    let mut lines = tape.lines.clone();
    let messages: Vec<_> = (0..lines.len()).filter(|at| sort(&lines[*at]) == Sort::Message).collect();
    match harm {
        Harm::Drop(at) => {
            lines.remove(messages[at.index(messages.len())]);
        }
        Harm::Repeat(at, by) => {
            let at = at.index(lines.len());
            let line = lines[at].clone();
            lines.insert((at + 1 + by).min(lines.len()), line);
        }
        Harm::Swap(at) => {
            // Of one connection: the order of two is nobody's promise.
            let pairs: Vec<_> = messages.windows(2).filter(|pair| pair[0] + 1 == pair[1]).collect();
            let pair = pairs[at.index(pairs.len())];
            lines.swap(pair[0], pair[1]);
        }
        Harm::Join(at) => {
            let at = at.index(lines.len() - 1);
            lines[at].pop();
        }
        Harm::Tear(at) => {
            let last = lines.last_mut().expect("some");
            let keep = 1 + at.index(last.len() - 1);
            last.truncate(keep);
        }
        Harm::Zero(at, length) => {
            let mut bytes = lines.concat();
            let at = at.index(bytes.len());
            let end = (at + length).min(bytes.len());
            bytes[at..end].fill(0);
            return bytes;
        }
        Harm::Cut(at, length) => {
            // In the middle of one line: whole lines are `Drop`, and an event may go without a trace.
            let at = messages[at.index(messages.len())];
            let line = &mut lines[at];
            let from = 20.min(line.len() - 2);
            let end = (from + length).min(line.len() - 1);
            line.drain(from..end);
        }
    }
    lines.concat()
}

proptest! {
    #[test]
    fn harm_to_a_tape_of_envelopes_is_found(harm in harm()) {
        let report = audited(&do_harm(&tape(Form::Envelope), &harm));
        prop_assert_eq!(report.verdict, Verdict::NotWhole);
    }

    #[test]
    fn any_byte_of_a_sealed_segment_counts(at in any::<prop::sample::Index>(), byte in any::<u8>(), what in 0..3) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut tape = tape(Form::Envelope);
        let path = tape.seal(folder.path(), State::Sealed);
        let whole = audit(folder.path());
        prop_assert!(whole.verdict != Verdict::NotWhole && whole.seals.right == 1, "{:?}", whole.findings.kept().collect::<Vec<_>>());
        let mut bytes = fs::read(&path).expect("there");
        // The `sealed` line stands behind what it is of.
        let sealed = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').expect("lines");
        let at = at.index(sealed);
        let before = bytes.clone();
        match what {
            0 => bytes[at] = byte,
            1 => bytes.truncate(at),
            _ => bytes.insert(at, byte),
        }
        if bytes != before {
            fs::write(&path, &bytes).expect("ours");
            let report = audit(folder.path());
            prop_assert_eq!(report.verdict, Verdict::NotWhole, "byte {}", at);
        }
    }

    #[test]
    fn no_bytes_break_it(bytes in any::<Vec<u8>>()) {
        let _ = audited(&bytes);
    }

    #[test]
    fn no_change_breaks_it(form in any::<bool>(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..30), cut in any::<prop::sample::Index>()) {
        let mut bytes = tape(if form { Form::Envelope } else { Form::Raw }).bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        let report = audited(&bytes);
        let _ = report.json().to_string();
    }

    #[test]
    fn lost_messages_of_raw_records_are_found(at in 1usize..29) {
        let mut tape = Tape::new(Form::Raw);
        tape.begin(1);
        (0..30).for_each(|_| tape.message());
        tape.lines.remove(at + 1);
        let report = audited(&tape.bytes());
        // The last one of a file that may go on is not missed yet.
        prop_assert_eq!(report.verdict, if at == 29 { Verdict::Whole } else { Verdict::NotWhole });
    }
}

#[test]
fn a_tape_that_nothing_was_done_to_is_as_it_was_written() {
    let report = audited(&tape(Form::Envelope).bytes());
    assert_eq!(kinds(&report, Weight::Fault), Vec::<String>::new());
}
