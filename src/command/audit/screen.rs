//! A report on one screen: the verdict, a timeline of what came, and what is wrong.

use std::{env, fmt::Write as _, io, time::Duration};

use rustix::termios::tcgetwinsize;

use super::words::{bytes, day_and_time, grouped, lasting, pace, plural, sentence, sum, verdict};
use crate::{
    audit::{Came, Feed, Repair, Report, Stamp, Verdict, Weight},
    cli,
};

/// What is written on.
pub(super) struct Paper {
    width: usize,
    colours: bool,
}

/// A row of the timeline.
struct Row<'a> {
    label: String,
    came: &'a Came,
    feed: &'a Feed,
    /// A feed's own row says whether all of it was recorded; others say how much came.
    own: bool,
}

/// As many rows as leave room on a screen of 24 for what is wrong.
const ROWS: usize = 12;

/// As many of each kind of finding.
const EACH: usize = 3;

/// As wide as a label may be: a feed, a channel, a product.
const LABEL: usize = 34;

impl Paper {
    /// The terminal's width, and colours unless `NO_COLOR` is set; else 100 columns and none.
    pub fn of_stdout(terminal: bool) -> Self {
        let columns = tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col));
        let width = columns.filter(|columns| terminal && *columns >= 60).unwrap_or(100).min(200);
        Self { width, colours: terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) }
    }

    fn paint(&self, colour: u8, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

const RED: u8 = 31;
const GREEN: u8 = 32;
const YELLOW: u8 = 33;
const DIM: u8 = 2;

/// Writes one tape's report.
pub(super) fn report(report: &Report, paper: &Paper, out: &mut String) {
    let colour = match report.verdict {
        Verdict::Whole => GREEN,
        Verdict::OwnedUp => YELLOW,
        Verdict::NotWhole => RED,
    };
    let name = if report.name.as_os_str() == "-" { "stdin".into() } else { report.name.to_string_lossy() };
    let _ = writeln!(out, "{}  {}", paper.paint(colour, verdict(report.verdict)), name.replace(char::is_control, " "));
    for line in wrapped(&sentence(report), paper.width - 2) {
        let _ = writeln!(out, "  {line}");
    }
    let _ = writeln!(out, "  {}", counts(report));
    timeline(report, paper, out);
    findings(report, paper, out);
    out.push('\n');
}

fn counts(report: &Report) -> String {
    let lines = &report.lines;
    let mut parts = vec![plural(lines.enveloped + lines.raw, "message"), plural(lines.events, "event")];
    if lines.recovered > 0 {
        parts.push(plural(lines.recovered, "recovered trade"));
    }
    if lines.unknown > 0 {
        parts.push(plural(lines.unknown, "unknown line"));
    }
    if report.connections() > 0 {
        parts.push(plural(report.connections() as u64, "connection"));
    }
    let files = report.files.len() as u64;
    if files > 1 {
        parts.push(plural(files, "file"));
    }
    let seals = report.seals;
    if seals.right > 0 {
        parts.push(format!("{} right", plural(seals.right, "seal")));
    }
    if seals.unchecked > 0 {
        parts.push(format!("{} not held against the bytes", plural(seals.unchecked, "seal")));
    }
    if let Some((first, last)) = report.span {
        parts.push(format!("{} to {} UTC ({})", day_and_time(first), day_and_time(last), lasting(last - first)));
    }
    parts.join(", ")
}

fn rows(report: &Report) -> (Vec<Row<'_>>, usize) {
    let mut rows = Vec::new();
    let mut products = Vec::new();
    for feed in report.feeds.iter().filter(|feed| feed.came.messages > 0) {
        let name = if feed.name.is_empty() { "raw records" } else { &feed.name };
        rows.push(Row { label: name.to_owned(), came: &feed.came, feed, own: true });
        for channel in &feed.channels {
            if channel.products.is_empty() {
                products.push((
                    rows.len(),
                    Row { label: format!("  {}", channel.name), came: &channel.came, feed, own: false },
                ));
            }
            for (product, seen) in &channel.products {
                products.push((
                    rows.len(),
                    Row { label: format!("  {} {product}", channel.name), came: &seen.came, feed, own: false },
                ));
            }
        }
    }
    products
        .sort_by(|(_, one), (_, other)| other.came.messages.cmp(&one.came.messages).then(one.label.cmp(&other.label)));
    let room = ROWS.saturating_sub(rows.len()).max(3);
    let hidden = products.len().saturating_sub(room);
    products.truncate(room);
    // Each under its feed again, those of the last feed first, so that places stand.
    for feed in (1..=rows.len()).rev() {
        let of_it: Vec<_> = products.extract_if(.., |(of, _)| *of == feed).map(|(_, row)| row).collect();
        rows.splice(feed..feed, of_it);
    }
    (rows, hidden)
}

fn timeline(report: &Report, paper: &Paper, out: &mut String) {
    let Some((from, until)) = report.grid.bounds() else { return };
    let (rows, hidden) = rows(report);
    let label = rows.iter().map(|row| row.label.chars().count()).max().unwrap_or(0).min(LABEL);
    let count = rows.iter().map(|row| grouped(row.came.messages).len()).max().unwrap_or(0).max("messages".len());
    let columns = paper.width.saturating_sub(label + count + 4).max(10);
    let (begin, end) = (day_and_time(from), day_and_time(until));
    let (begin, end) = if columns < 44 { (&begin[5..16], &end[5..16]) } else { (&*begin, &*end) };
    let space = columns.saturating_sub(begin.len() + end.len());
    let _ = writeln!(out, "\n{:label$}  {:>count$}  {begin}{:space$}{end}", "", "messages", "");
    for row in rows {
        let name: String = row.label.replace(char::is_control, " ").chars().take(label).collect();
        let parts = report.grid.columns(&row.came.row, columns);
        let holes = holes(row.feed, (from, until), columns);
        let _ = writeln!(
            out,
            "{name:label$}  {:>count$}  {}",
            grouped(row.came.messages),
            drawn(&parts, &holes, row.own, paper)
        );
    }
    let about = lasting(((until - from) / columns as u64).max(report.grid.width()));
    let key = if paper.width < 90 {
        "█ recorded  ▒ partly  × outage  ▁▇ few, many"
    } else {
        "█ recorded  ▒ with an outage  × outage  · nothing came  ▁ to ▇ few to many"
    };
    let more = if hidden > 0 { format!("  {} in --json", plural(hidden as u64, "more row")) } else { String::new() };
    let _ = writeln!(out, "{}", paper.paint(DIM, &format!("{key}  (a column is about {about}){more}")));
}

/// How much of each column is an outage, in thousandths.
fn holes(feed: &Feed, (from, until): (Stamp, Stamp), columns: usize) -> Vec<u64> {
    let width = (u128::from(until - from) / columns as u128).max(1);
    let mut sums = vec![0u128; columns];
    for (start, end) in feed.outages.iter() {
        let (start, end) = (u128::from(start.saturating_sub(from)), u128::from(end.saturating_sub(from)));
        let first = usize::try_from(start / width).unwrap_or(columns);
        for (column, sum) in sums.iter_mut().enumerate().skip(first) {
            let (left, right) = (column as u128 * width, (column as u128 + 1) * width);
            if left >= end {
                break;
            }
            *sum += end.min(right) - start.max(left).min(end.min(right));
        }
    }
    sums.into_iter().map(|sum| u64::try_from(sum * 1_000 / width).unwrap_or(1_000)).collect()
}

fn drawn(parts: &[u64], holes: &[u64], own: bool, paper: &Paper) -> String {
    const HEIGHTS: &[char] = &['▁', '▂', '▃', '▄', '▅', '▆', '▇'];
    let most = parts.iter().copied().max().unwrap_or(0).max(1);
    let mut text = String::new();
    for (count, hole) in parts.iter().zip(holes) {
        let (sign, colour) = match (*count, *hole) {
            (0, 500..) => ('×', Some(RED)),
            (0, 1..) if own => ('▒', Some(YELLOW)),
            (0, _) => ('·', Some(DIM)),
            (_, 1..) if own => ('▒', Some(YELLOW)),
            (_, _) if own => ('█', Some(GREEN)),
            (count, _) => {
                let height = (u128::from(count) * HEIGHTS.len() as u128).div_ceil(u128::from(most)).max(1) - 1;
                (HEIGHTS[usize::try_from(height).unwrap_or(0).min(HEIGHTS.len() - 1)], None)
            }
        };
        match colour {
            Some(colour) if paper.colours => text.push_str(&paper.paint(colour, &sign.to_string())),
            _ => text.push(sign),
        }
    }
    text
}

fn findings(report: &Report, paper: &Paper, out: &mut String) {
    if report.findings.totals().next().is_some() {
        out.push('\n');
    }
    for (weight, kind, total) in report.findings.totals() {
        let (sign, colour) = match weight {
            Weight::Fault => ("✗", RED),
            Weight::Loss => ("!", YELLOW),
            Weight::Note => ("·", DIM),
        };
        let of_kind: Vec<_> = report.findings.kept().filter(|one| (one.weight, one.kind) == (weight, kind)).collect();
        for one in of_kind.iter().take(EACH) {
            let place = one.place.as_ref().map_or(String::new(), |place| {
                if place.line > 0 {
                    format!("{place}: ")
                } else {
                    format!("{}: ", place.file.replace(char::is_control, " "))
                }
            });
            for (index, line) in wrapped(&format!("{place}{}", one.text), paper.width - 2).iter().enumerate() {
                let sign = if index == 0 { paper.paint(colour, sign) } else { " ".to_owned() };
                let _ = writeln!(out, "{sign} {line}");
            }
        }
        let more = total.times.saturating_sub(EACH as u64);
        if more > 0 {
            let _ = writeln!(out, "  and {} more like that, of {}", grouped(more), sum(kind, total));
        }
    }
}

/// Writes what stands under all of them: how long it took, what was not looked at, what was left out.
pub(super) fn end(reports: &[Report], took: Duration, typed: &cli::Audit, repair: Option<&Repair>, out: &mut String) {
    if let Some(repair) = repair {
        let ((lines, size), (out_lines, out_size)) = (repair.kept(), repair.left_out());
        let _ = writeln!(
            out,
            "copied {} ({}) to {}; left out {} ({})",
            plural(lines, "line"),
            bytes(size),
            repair.to().display(),
            plural(out_lines, "line"),
            bytes(out_size)
        );
        for left in repair.listed() {
            let _ = writeln!(
                out,
                "  {} at byte {}, {}: {}",
                left.place,
                left.place.byte,
                plural(left.bytes, "byte"),
                left.why.name()
            );
        }
        out.push('\n');
    }
    let read = reports.iter().map(|report| report.bytes).sum();
    let quick = if typed.quick { "; quick: no hashes, and no grammar" } else { "" };
    let _ = writeln!(out, "read {}{quick}", pace(read, took));
}

/// In lines of so many characters, broken at spaces.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last =
            lines.last_mut().filter(|line| line.is_empty() || line.chars().count() + 1 + word.chars().count() <= width);
        match last {
            Some(line) => {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}
