//! `tickerd audit`: proves a recording whole, or shows where it is not; on a screen, as JSON, as a page.

mod html;
mod screen;
mod words;

use std::{
    fs::OpenOptions,
    io::{self, IsTerminal, Write},
    path::Path,
    time::Duration,
};

use serde_json::json;
use tokio::time::Instant;

use super::said;
use crate::{
    audit::{self, Failed, Options, Repair, Report, Verdict},
    cli,
    exit::{Failure, Status},
};

/// Audits what was typed and says what was found.
///
/// # Errors
/// 1 where a recording is not whole, which has been said then; 2 when a file can not be read; 74 when `out`, the page or the copy can not
/// be written.
pub fn run(typed: &cli::Audit, out: &mut impl Write) -> Result<(), Failure> {
    let begun = Instant::now();
    let inputs = audit::gather(&typed.files).map_err(|error| Failure::new(Status::UNREAD, error))?;
    let mut page = typed.html.as_deref().map(new_file).transpose()?;
    let mut repair = typed.repair.as_deref().map(Repair::new).transpose().map_err(|error| unwritten(&error))?;
    let options = Options { quick: typed.quick };
    let mut reports = Vec::new();
    for input in &inputs {
        let report = audit::audit(input, options, repair.as_mut()).map_err(|error| match error {
            Failed::Read(error) => Failure::new(Status::UNREAD, error),
            Failed::Repair(error) => unwritten(&error),
        })?;
        // `zstdcat wrong/* | tickerd audit - && rm …`: what brought nothing proves nothing.
        if report.bytes == 0 && input.name == Path::new("-") {
            return Err(Failure::new(Status::UNREAD, "nothing came on standard input, and so nothing is proven"));
        }
        reports.push(report);
    }
    if let Some(repair) = &mut repair {
        repair.finish().map_err(|error| unwritten(&error))?;
    }
    let took = begun.elapsed();
    let status = worst(&reports, typed.silent_only);
    if let (Some(file), Some(path)) = (&mut page, &typed.html) {
        let text = html::page(&reports);
        let written = file.write_all(text.as_bytes()).and_then(|()| file.flush());
        written.map_err(|error| {
            Failure::new(Status::Output, format!("--html: {} can not be written: {error}", path.display()))
        })?;
    }
    if typed.json {
        let told = json(&reports, status, took, repair.as_ref());
        said(writeln!(out, "{told}").and_then(|()| out.flush()))?;
    } else {
        let paper = screen::Paper::of_stdout(io::stdout().is_terminal());
        let mut text = String::new();
        for report in &reports {
            screen::report(report, &paper, &mut text);
        }
        screen::end(&reports, took, typed, repair.as_ref(), &mut text);
        said(out.write_all(text.as_bytes()).and_then(|()| out.flush()))?;
    }
    status.map_or(Ok(()), |status| Err(Failure { status, message: String::new() }))
}

fn worst(reports: &[Report], silent_only: bool) -> Option<Status> {
    let worst = reports.iter().map(|report| report.verdict).max().unwrap_or(Verdict::Whole);
    match worst {
        Verdict::Whole => None,
        Verdict::OwnedUp if silent_only => None,
        Verdict::OwnedUp | Verdict::NotWhole => Some(Status::NOT_WHOLE),
    }
}

fn json(reports: &[Report], status: Option<Status>, took: Duration, repair: Option<&Repair>) -> serde_json::Value {
    let repair = repair.map(|repair| {
        let ((lines, bytes), (out_lines, out_bytes)) = (repair.kept(), repair.left_out());
        json!({
            "to": repair.to(), "kept": { "lines": lines, "bytes": bytes },
            "left_out": { "lines": out_lines, "bytes": out_bytes, "list": repair.listed() },
        })
    });
    json!({
        "v": 1, "tickerd": env!("CARGO_PKG_VERSION"), "exit": status.map_or(0, |status| status as u8),
        "verdict": reports.iter().map(|report| report.verdict).max(),
        "took_ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "tapes": reports.iter().map(Report::json).collect::<Vec<_>>(), "repair": repair,
    })
}

fn new_file(path: &Path) -> Result<std::fs::File, Failure> {
    OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::AlreadyExists => "it is there already, and nothing is overwritten: name another".to_owned(),
            _ => error.to_string(),
        };
        Failure::new(Status::Output, format!("--html: {} can not be made: {why}", path.display()))
    })
}

fn unwritten(error: &audit::RepairError) -> Failure {
    Failure::new(Status::Output, error)
}
