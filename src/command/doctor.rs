//! `tickerd doctor`: why a venue refuses the credentials, or would. First what can be told here, then what the venue says:
//! its time, what the key may do, and a real subscribe on each feed.

mod asking;
mod examination;
mod live;
mod patient;
mod report;

use std::{
    fmt, fs,
    io::{self, IsTerminal, Read, Write},
    path::Path,
};

use tracing::Level;

use self::{
    examination::Examination,
    patient::{Admission, Patient, uses},
    report::{Outcome, Paint, Report},
};
use super::{block_on, keep_out_of_core_files, said, venue_named, venue_of};
use crate::{
    cli::{self, Cli},
    clock::Clock,
    config::{Log, LogFormat, Surroundings},
    exit::{Failure, Status},
    log,
    venue::Venue,
    verdict::{self, Certainty, Mistake},
};

/// The longest message that is read: a subscribe to a thousand products is 12 kB.
const LONGEST_MESSAGE: u64 = 1 << 20;

/// Looks, asks, and tells.
///
/// # Errors
/// 78 when a file can not be read, 77 when the venue refuses the credentials or would, 69 when nothing could be reached.
pub fn run(cli: &Cli, typed: &cli::Doctor, around: &Surroundings, out: &mut impl Write) -> Result<(), Failure> {
    keep_out_of_core_files();
    log::start(Log { level: cli.level(Level::ERROR), format: LogFormat::Auto });
    let mut report = Report::default();
    let admission = patient::admit(cli, typed, around, &mut report)?;
    let patient = match &admission {
        Admission::Patient(patient) => Some(patient),
        Admission::Nobody | Admission::Wrong => None,
    };
    let examination = patient.map(Examination::new).transpose()?;
    // What was asked about is answered first. The venue's clock judges its age, where it can be asked.
    if let (Some(file), Admission::Patient(_) | Admission::Nobody) = (&typed.message, &admission) {
        let mut clock = Report::default();
        if let Some(examination) = examination.as_ref().filter(|_| !typed.offline) {
            block_on(examination.ask_time_at_once(&mut clock))?;
        }
        let now = examination.as_ref().map_or_else(|| Clock::system().unix(), Examination::unix);
        let named = typed.venue.as_deref().map(venue_named).transpose()?;
        examine(file, patient, named, typed.which.feed.is_some(), now, &mut report)?;
        report.append(clock);
    }
    let mut reached = true;
    if let (Some(patient), Some(examination)) = (patient, &examination) {
        let sendable = look(patient, around, &mut report);
        match typed.live {
            Some(span) if !report.is_ill() => return block_on(examination.live(span, out))?,
            None if sendable && !typed.offline && typed.message.is_none() => {
                reached = block_on(examination.ask(&mut report))?;
            }
            _ => {}
        }
    }
    let paint = Paint(io::stdout().is_terminal() && around.var("NO_COLOR").is_none());
    said(if typed.json { report.print_json(out) } else { report.print(paint, out) })?;
    // What is wrong has been said, in as many words as it takes.
    let ends = |status| Err(Failure { status, message: String::new() });
    match admission {
        _ if report.is_ill() => ends(Status::Refused),
        Admission::Wrong => ends(Status::Config),
        _ if !reached => ends(Status::Unreachable),
        Admission::Patient(_) | Admission::Nobody => Ok(()),
    }
}

/// What can be told without asking anybody. Whether the credentials may be sent: those of another venue may not, nor a secret
/// where a passphrase belongs.
fn look(patient: &Patient, around: &Surroundings, report: &mut Report) -> bool {
    let mut sendable = true;
    report.add("configuration", Outcome::Well, &*patient.source);
    for warning in &patient.warnings {
        report.add("configuration", Outcome::Doubtful, warning);
    }
    for warning in &patient.of_credentials {
        report.add("credentials", Outcome::Doubtful, warning);
    }
    for origin in &patient.credentials {
        let credentials = &origin.credentials;
        let feed = patient.feeds.iter().find(|feed| uses(feed, credentials));
        let venue = feed.map_or_else(|| venue_of(credentials), |feed| feed.venue);
        let detail = format!(
            "\"{}\": {}, key {}, secret from {}",
            credentials.name(),
            credentials.algorithm(),
            credentials.key(),
            origin.secret_from
        );
        let mut findings = verdict::of_credentials(credentials, venue, Clock::system().unix());
        sendable &= venue.fits(credentials).is_ok() && !(venue.hmac.passphrase && verdict::is_refusal(&findings));
        // What Coinbase expired, a simulator on loopback takes yet: it says so itself.
        if feed.is_some_and(|feed| feed.url.starts_with("ws://")) {
            for finding in findings.iter_mut().filter(|finding| finding.mistake == Mistake::LegacyKey) {
                finding.certainty = Certainty::Noted;
            }
        }
        findings.extend(verdict::allowed_ips(credentials.allowed_ips()));
        findings.extend(verdict::shadowed(credentials, &around.env));
        report.found("credentials", detail, venue, findings);
    }
    sendable
}

/// Takes a pasted message apart: as one for the venue that was named, else for that of the feed that was, or of whatever signs,
/// else for the one whose form it has. A feed that signs nothing says nothing of messages that others send.
fn examine(
    file: &Path,
    patient: Option<&Patient>,
    named: Option<&'static Venue>,
    names_feed: bool,
    now: u64,
    report: &mut Report,
) -> Result<(), Failure> {
    let failed = |error: &dyn fmt::Display| Failure::new(Status::Config, format!("{}: {error}", file.display()));
    let text = read(file).map_err(|error| failed(&error))?;
    let feeds = patient.map_or(&[][..], |patient| &patient.feeds);
    let feed = feeds.iter().find(|feed| names_feed || feed.credentials.is_some());
    let first = || Some(&*patient?.credentials.first()?.credentials);
    let credentials = feed.and_then(|feed| feed.credentials.as_deref()).or_else(first);
    let signs = || feed.map(|feed| feed.venue).or_else(|| credentials.map(venue_of));
    let venue = named.or_else(signs).unwrap_or_else(|| verdict::venue_meant(&text));
    let findings = verdict::message(&text, venue, credentials, now).map_err(|error| failed(&error))?;
    let subject = "message";
    match credentials {
        Some(credentials) => {
            report.found(subject, format!("against the secret of \"{}\"", credentials.name()), venue, findings);
        }
        None => {
            let what = format!(
                "as one for {}; what only the secret can tell was not looked at: add --key-file or --credentials",
                venue.name
            );
            let outcome = if verdict::is_refusal(&findings) { Outcome::Ill } else { Outcome::Doubtful };
            report.add_because(subject, outcome, what, venue, findings);
        }
    }
    Ok(())
}

fn read(file: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        io::stdin().lock().take(LONGEST_MESSAGE + 1).read_to_end(&mut bytes)?;
    } else {
        fs::File::open(file)?.take(LONGEST_MESSAGE + 1).read_to_end(&mut bytes)?;
    }
    // Half a message would be judged for what its other half has.
    if bytes.len() as u64 > LONGEST_MESSAGE {
        return Err(io::Error::other("it is longer than any message: paste one alone"));
    }
    // PowerShell's `>` writes UTF-16, and says so with its first two bytes.
    if let Some(wide) = bytes.strip_prefix(&[0xff, 0xfe]) {
        let units: Vec<_> = wide.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        return String::from_utf16(&units).map_err(io::Error::other);
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is no text in UTF-8"))
}
