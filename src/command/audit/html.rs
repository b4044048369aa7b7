//! A report as one page, with nothing from elsewhere: it opens in ten years, on a plane.

use std::fmt::Write as _;

use super::words::{bytes, day_and_time, grouped, lasting, sentence, verdict};
use crate::audit::{Came, Feed, Grid, Report, SECOND, Stamp, Verdict, Weight};

/// As wide as the picture's time axis is, in its own units.
const WIDE: u64 = 960;

/// As high as a row is.
const HIGH: u64 = 22;

/// As much room as labels have, and counts.
const LABELS: u64 = 260;
const COUNTS: u64 = 110;

/// As many rows as a browser draws at once without a thought: 200 columns each.
const ROWS: usize = 300;

/// As many columns as a row has.
const COLUMNS: usize = 240;

/// Colours that hold their contrast on both grounds; the shapes say the same without them.
const STYLE: &str = "
:root{color-scheme:light dark;--ground:#fbfaf8;--ink:#1d2126;--dim:#6b7280;--line:#dcdad5;--card:#fff;--good:#2f855a;--loss:#b7791f;--bad:#c53030;--bar:#3b6ea5}
@media (prefers-color-scheme:dark){:root{--ground:#14171b;--ink:#e6e4df;--dim:#8f98a3;--line:#2c323a;--card:#1b1f25;--good:#5fbf8c;--loss:#e0a84a;--bad:#ff7b72;--bar:#7fb0e6}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1400px;margin:0 auto;padding:2rem 1.5rem 4rem}
h1{font-size:1.1rem;font-weight:600;margin:0 0 1.5rem;color:var(--dim)}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:1.4rem 1.6rem;margin-bottom:1.6rem}
h2{font-size:1.35rem;margin:0;overflow-wrap:anywhere}
h2 b{margin-right:.6rem}
.whole b{color:var(--good)}.owned b{color:var(--loss)}.not b{color:var(--bad)}
p{margin:.4rem 0}.dim{color:var(--dim)}
dl{display:flex;flex-wrap:wrap;gap:.4rem 2rem;margin:1rem 0}
dt{color:var(--dim);font-size:.8rem}dd{margin:0;font-variant-numeric:tabular-nums}
.picture{overflow-x:auto;margin-top:1rem}
svg{display:block;min-width:760px;width:100%;height:auto;font:12px system-ui,sans-serif}
svg text{fill:var(--ink)}svg .dim{fill:var(--dim)}
.ok{fill:var(--good)}.part{fill:var(--loss)}.out{fill:var(--bad);opacity:.28}.bar{fill:var(--bar)}.rule{stroke:var(--line)}
ul{list-style:none;padding:0;margin:1rem 0 0}
li{padding:.35rem 0 .35rem 1.5rem;border-top:1px solid var(--line);position:relative;overflow-wrap:anywhere}
li:before{position:absolute;left:.2rem}
.fault:before{content:'\\2717';color:var(--bad)}.loss:before{content:'!';color:var(--loss);font-weight:700}.note:before{content:'\\00b7';color:var(--dim)}
code{font:.9em ui-monospace,monospace;color:var(--dim)}
";

/// The page.
pub(super) fn page(reports: &[Report]) -> String {
    let mut out = String::new();
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>tickerd audit</title><style>{STYLE}</style></head><body><main><h1>tickerd audit, {}</h1>\n",
        env!("CARGO_PKG_VERSION")
    );
    for report in reports {
        tape(report, &mut out);
    }
    out.push_str("</main></body></html>\n");
    out
}

fn tape(report: &Report, out: &mut String) {
    let class = match report.verdict {
        Verdict::Whole => "whole",
        Verdict::OwnedUp => "owned",
        Verdict::NotWhole => "not",
    };
    let name = report.name.to_string_lossy();
    let name = if name == "-" { "stdin" } else { &name };
    let _ = write!(
        out,
        "<section><h2 class=\"{class}\"><b>{}</b>{}</h2><p>{}</p><dl>",
        verdict(report.verdict),
        escaped(name),
        escaped(&sentence(report))
    );
    let mut fact = |name: &str, value: String| {
        let _ = write!(out, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    };
    if let Some((first, last)) = report.span {
        fact("from", day_and_time(first));
        fact("to (UTC)", day_and_time(last));
        fact("lasting", lasting(last - first));
    }
    fact("messages", grouped(report.lines.enveloped + report.lines.raw));
    fact("events", grouped(report.lines.events));
    fact("connections", grouped(report.connections() as u64));
    fact("bytes", bytes(report.bytes));
    fact("files", grouped(report.files.len() as u64));
    let seals = report.seals;
    fact("seals", format!("{} right, {} wrong, {} none", seals.right, seals.wrong, seals.none));
    let outage: Stamp = report.feeds.iter().map(|feed| feed.outages.sum()).sum();
    fact("outages", lasting(outage.div_ceil(SECOND) * SECOND));
    out.push_str("</dl>");
    picture(report, out);
    out.push_str("<ul>");
    for one in report.findings.kept() {
        let class = match one.weight {
            Weight::Fault => "fault",
            Weight::Loss => "loss",
            Weight::Note => "note",
        };
        let place =
            one.place.as_ref().map_or(String::new(), |place| format!("<code>{}</code> ", escaped(&place.to_string())));
        let _ = write!(out, "<li class=\"{class}\">{place}{}</li>", escaped(&one.text));
    }
    out.push_str("</ul></section>\n");
}

fn picture(report: &Report, out: &mut String) {
    let Some((from, until)) = report.grid.bounds() else { return };
    let mut rows: Vec<(String, &Came, &Feed, bool)> = Vec::new();
    for feed in report.feeds.iter().filter(|feed| feed.came.messages > 0) {
        let name = if feed.name.is_empty() { "raw records" } else { &feed.name };
        rows.push((name.to_owned(), &feed.came, feed, true));
        for channel in &feed.channels {
            rows.push((format!("\u{a0}\u{a0}{}", channel.name), &channel.came, feed, false));
            let mut products: Vec<_> = channel.products.iter().collect();
            products.sort_by_key(|(name, _)| *name);
            for (product, seen) in products {
                rows.push((format!("\u{a0}\u{a0}\u{a0}\u{a0}{} {product}", channel.name), &seen.came, feed, false));
            }
        }
    }
    let hidden = rows.len().saturating_sub(ROWS);
    rows.truncate(ROWS);
    let (wide, high) = (LABELS + COUNTS + WIDE, HIGH * (rows.len() as u64 + 2));
    let _ = write!(
        out,
        "<div class=\"picture\"><svg viewBox=\"0 0 {wide} {high}\" role=\"img\" aria-label=\"what came when\">"
    );
    axis((from, until), high, out);
    for (index, (label, came, feed, own)) in rows.iter().enumerate() {
        let top = HIGH * (index as u64 + 1);
        let baseline = top + HIGH - 7;
        let label: String = label.chars().take(40).collect();
        let _ = write!(
            out,
            "<text x=\"0\" y=\"{baseline}\">{}</text><text class=\"dim\" x=\"{}\" y=\"{baseline}\" text-anchor=\"end\">{}</text>",
            escaped(&label),
            LABELS + COUNTS - 14,
            grouped(came.messages)
        );
        bars(&report.grid, came, *own, top, out);
        outages(feed, (from, until), top, out);
    }
    out.push_str("</svg></div>");
    let more = if hidden > 0 { format!("; {} more rows are in --json", grouped(hidden as u64)) } else { String::new() };
    let _ = write!(
        out,
        "<p class=\"dim\">A feed's own row shows where anything of it was recorded; the rows below it, how much. Red is where the recording itself \
         says that something is missing{more}.</p>"
    );
}

/// The time at each fourth, and a rule through all rows there.
fn axis((from, until): (Stamp, Stamp), high: u64, out: &mut String) {
    for fourth in 0..=4 {
        let x = LABELS + COUNTS + WIDE * fourth / 4;
        let anchor = match fourth {
            0 => "start",
            4 => "end",
            _ => "middle",
        };
        let at = from + (until - from) / 4 * fourth;
        let _ = write!(
            out,
            "<line class=\"rule\" x1=\"{x}\" x2=\"{x}\" y1=\"{HIGH}\" y2=\"{high}\"/><text class=\"dim\" x=\"{x}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
            HIGH - 8,
            day_and_time(at)
        );
    }
}

fn bars(grid: &Grid, came: &Came, own: bool, top: u64, out: &mut String) {
    let parts = grid.columns(&came.row, COLUMNS);
    let most = parts.iter().copied().max().unwrap_or(0).max(1);
    let width = WIDE / COLUMNS as u64;
    let class = if own { "ok" } else { "bar" };
    let mut path = String::new();
    for (index, count) in parts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let full = HIGH - 4;
        let height = if own {
            full
        } else {
            u64::try_from(u128::from(*count) * u128::from(full) / u128::from(most)).unwrap_or(full).max(2)
        };
        let (x, y) = (LABELS + COUNTS + width * index as u64, top + HIGH - 2 - height);
        let _ = write!(path, "M{x} {y}h{width}v{height}h-{width}z");
    }
    let _ = write!(out, "<path class=\"{class}\" d=\"{path}\"/>");
}

/// Each at least as wide as can be seen.
fn outages(feed: &Feed, (from, until): (Stamp, Stamp), top: u64, out: &mut String) {
    let x = |at: Stamp| {
        let part = u128::from(at.saturating_sub(from)) * u128::from(WIDE) * 100 / u128::from(until - from);
        LABELS * 100 + COUNTS * 100 + u64::try_from(part).unwrap_or(0).min(WIDE * 100)
    };
    let mut path = String::new();
    for (start, end) in feed.outages.iter() {
        let (left, right) = (x(start), x(end));
        let width = (right - left).max(150);
        let _ = write!(
            path,
            "M{}.{:02} {top}h{}.{:02}v{HIGH}h-{}.{:02}z",
            left / 100,
            left % 100,
            width / 100,
            width % 100,
            width / 100,
            width % 100
        );
    }
    let _ = write!(out, "<path class=\"out\" d=\"{path}\"/>");
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    text.replace(char::is_control, " ")
}
