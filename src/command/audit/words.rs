//! Numbers, times and findings in words.

use std::time::Duration;

use crate::audit::{Kind, Report, SECOND, Stamp, Total, Verdict, Weight, second};

/// "1,234,567".
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "12.3 MB": people compare it with what `ls -h` and their provider say.
pub(super) fn bytes(count: u64) -> String {
    bytesize::ByteSize(count).display().si().to_string()
}

/// "1,234 messages".
pub(super) fn plural(count: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// "41 s", "12m", "3h12m", "6d4h".
pub(super) fn lasting(span: Stamp) -> String {
    match span / SECOND {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{}m", seconds / 60),
        seconds @ 3_600..86_400 => format!("{}h{}m", seconds / 3_600, seconds % 3_600 / 60),
        seconds => format!("{}d{}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// "2026-11-24 17:31:02".
pub(super) fn day_and_time(stamp: Stamp) -> String {
    second(stamp).replace('T', " ").replace('Z', "")
}

/// The verdict, as the first words of a report.
pub(super) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Whole => "WHOLE",
        Verdict::OwnedUp => "NOT WHOLE, AND IT SAYS SO",
        Verdict::NotWhole => "NOT WHOLE",
    }
}

/// The same as a sentence.
pub(super) fn sentence(report: &Report) -> String {
    let faults = list(report, Weight::Fault);
    let losses = list(report, Weight::Loss);
    match report.verdict {
        Verdict::Whole if report.lines.lines == 0 => "nothing is in it, and nothing is missing".to_owned(),
        Verdict::Whole if report.findings.totals().any(|(_, kind, _)| kind == Kind::Unjudged) => {
            "nothing is wrong, and nothing is missing of what can be told".to_owned()
        }
        Verdict::Whole => "nothing is missing, and nothing is wrong".to_owned(),
        Verdict::OwnedUp => format!("what is missing is owned up to: {losses}"),
        Verdict::NotWhole if losses.is_empty() => format!("nothing owns up to this: {faults}"),
        Verdict::NotWhole => format!("nothing owns up to this: {faults}; and it owns up to {losses}"),
    }
}

fn list(report: &Report, of: Weight) -> String {
    let of_it = report.findings.totals().filter(|(weight, ..)| *weight == of);
    of_it.map(|(_, kind, total)| sum(kind, total)).collect::<Vec<_>>().join(", ")
}

/// How much there is of a kind.
pub(super) fn sum(kind: Kind, total: Total) -> String {
    let Total { times, count } = total;
    match kind {
        Kind::Torn => plural(times, "torn line"),
        Kind::Zeros => plural(times, "line") + " with zeros",
        Kind::NotJson => plural(times, "line") + " that is no JSON",
        Kind::NotUtf8 => plural(times, "line") + " that is no UTF-8",
        Kind::Overlong => plural(times, "line") + " longer than any record",
        Kind::Packed => plural(times, "spoilt compressed file"),
        Kind::Hole => plural(count, "missing message"),
        Kind::Duplicate => plural(count, "line") + " that is there already",
        Kind::Misplaced => plural(times, "line") + " out of order",
        Kind::Account => plural(times, "account") + " that does not add up",
        Kind::Vanished => plural(times, "connection") + " that ends without a word",
        Kind::Seal => plural(times, "broken seal"),
        Kind::Missing => plural(times, "missing segment"),
        Kind::Uncertain => plural(times, "segment") + " that may not have reached the disk",
        Kind::Mixed => "connections that nothing tells apart".to_owned(),
        Kind::Beyond => "more than is held in mind".to_owned(),
        Kind::Gap => plural(count, "message") + " that did not come",
        Kind::Dropped => plural(count, "message") + " dropped",
        Kind::Killed => plural(count.max(1), "kill"),
        Kind::Outage => format!("{} of {} in all", plural(times, "outage"), lasting(count * SECOND)),
        Kind::Back => plural(times, "step") + " back in the venue's count",
        Kind::Refilled => plural(count, "trade") + " recovered by REST",
        Kind::Beginning => plural(times, "connection") + " that had begun before",
        Kind::Unsealed => plural(times, "segment") + " without a seal",
        Kind::Removed => plural(times, "segment") + " removed before",
        Kind::Silence => plural(times, "span") + " without a heartbeat",
        Kind::Clock => plural(times, "step") + " back of the clock",
        Kind::Empty => plural(times, "empty line"),
        Kind::Returns => plural(times, "line") + " that ends as on Windows",
        Kind::Unknown => plural(times, "line") + " of nobody known",
        Kind::Kept => plural(times, "message") + " that was no JSON when it came",
        Kind::Unjudged => "numbers that could not be judged".to_owned(),
    }
}

/// "1.2 GB in 2.1 s (571 MB/s)".
pub(super) fn pace(count: u64, took: Duration) -> String {
    let seconds = took.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate is told in three digits")]
    let rate = count as f64 / 1e6 / seconds.max(1e-9);
    format!("{} in {seconds:.1} s ({rate:.0} MB/s)", bytes(count))
}
