//! `tickerd doctor`: why a venue refuses the credentials, or would. First what can be told here, then what the venue says:
//! its time, what the key may do, and a real subscribe on each feed.

mod asking;
mod examination;
mod live;
mod report;

use std::{
    fmt, fs,
    io::{self, IsTerminal, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use tracing::Level;

use self::{
    examination::Examination,
    report::{Outcome, Paint, Report},
};
use super::{block_on, keep_out_of_core_files, said};
use crate::{
    auth::Credentials,
    cli::{self, Cli},
    clock::Clock,
    config::{self, ChoiceError, Chosen, Config, ConfigError, Feed, Flags, Log, LogFormat, Origin, Surroundings},
    exit::{Failure, Status},
    log, venue,
    verdict::{self, Certainty, Mistake},
};

/// The longest message that is read: a subscribe to a thousand products is 12 kB.
const LONGEST_MESSAGE: u64 = 1 << 20;

/// Who is examined: feeds, and the credentials that they sign with.
struct Patient {
    source: String,
    feeds: Vec<Feed>,
    credentials: Vec<Origin>,
    ca_file: Option<PathBuf>,
    warnings: Vec<String>,
}

/// Looks, asks, and tells.
///
/// # Errors
/// 78 when a file can not be read, 77 when the venue refuses the credentials or would, 69 when nothing could be reached.
pub fn run(cli: &Cli, typed: &cli::Doctor, around: &Surroundings, out: &mut impl Write) -> Result<(), Failure> {
    keep_out_of_core_files();
    log::start(Log { level: cli.level(Level::ERROR), format: LogFormat::Auto });
    let mut report = Report::default();
    let patient = admit(cli, typed, around, &mut report)?;
    // What was asked about is answered first: that an HMAC key has expired must not hide what is wrong with the message.
    if let Some(file) = &typed.message {
        examine(file, patient.as_ref(), &mut report)?;
    }
    if let Some(patient) = &patient {
        look(patient, around, &mut report);
    }
    match &patient {
        Some(patient) if !typed.offline && typed.message.is_none() => {
            let examination = Examination::new(patient)?;
            if let Some(span) = typed.live {
                return block_on(examination.live(span))?;
            }
            block_on(examination.ask(&mut report))?;
        }
        _ => {}
    }
    let paint = Paint(io::stdout().is_terminal() && around.var("NO_COLOR").is_none());
    said(if typed.json { report.print_json(out) } else { report.print(paint, out) })?;
    // What is wrong has been said, in as many words as it takes.
    let ends = |status| Err(Failure { status, message: String::new() });
    match &patient {
        _ if report.is_ill() => ends(Status::Refused),
        None if typed.message.is_none() => ends(Status::Config),
        Some(_) if report.reached_nobody() => ends(Status::Unreachable),
        _ => Ok(()),
    }
}

/// The configuration's feeds, or those of one name; else a pair of credentials with a feed made for it. None where what was
/// typed is wrong: then that is what there is to tell.
fn admit(
    cli: &Cli,
    typed: &cli::Doctor,
    around: &Surroundings,
    report: &mut Report,
) -> Result<Option<Patient>, Failure> {
    let cli::Which { credentials, feed, key_file } = &typed.which;
    let unconfigured = key_file.is_some() || credentials.is_some();
    if !unconfigured {
        let flags = Flags { config: cli.config.clone(), feed: feed.clone(), ..Flags::default() };
        match config::load(&flags, around) {
            Ok(config) => return Ok(Some(Patient::from(config))),
            Err(ConfigError::Nothing { .. }) => {}
            Err(error) => return wrong(error, report),
        }
    }
    let chosen = match config::choose(&typed.which.choice(cli.config.clone()), around) {
        Ok(chosen) => chosen,
        Err(ChoiceError::Config(error)) => return wrong(error, report),
        Err(ChoiceError::Key(from, error)) => {
            report.found("credentials", format!("from {from}: {error}"), vec![verdict::of_key_error(&error)]);
            return Ok(None);
        }
        // A message alone can be looked at too.
        Err(ChoiceError::Nothing(_)) if typed.message.is_some() => return Ok(None),
        Err(error @ ChoiceError::Unreadable(..)) => return Err(Failure::new(Status::Config, error)),
        Err(error) => return Err(Failure::new(Status::Usage, error)),
    };
    Patient::of(chosen, typed.url.clone(), around)
        .map_or_else(|error| wrong(error, report), |patient| Ok(Some(patient)))
}

/// What is wrong with a configuration that can be read is what the doctor has to tell.
fn wrong(error: ConfigError, report: &mut Report) -> Result<Option<Patient>, Failure> {
    let ConfigError::Wrong(problems) = error else { return Err(Failure::new(Status::Config, error)) };
    for problem in &problems {
        match problem.finding() {
            Some(finding) => report.found("configuration", problem.to_string(), vec![finding]),
            None => report.add("configuration", Outcome::Unknown, problem.to_string()),
        }
    }
    Ok(None)
}

/// What can be told without asking anybody.
fn look(patient: &Patient, around: &Surroundings, report: &mut Report) {
    report.add("configuration", Outcome::Well, &*patient.source);
    for warning in &patient.warnings {
        report.add("", Outcome::Doubtful, warning);
    }
    for origin in &patient.credentials {
        let credentials = &origin.credentials;
        let feed = patient.feeds.iter().find(|feed| uses(feed, credentials));
        let venue = feed.map_or(venue::ALL[0], |feed| feed.venue);
        let detail = format!(
            "\"{}\": {}, key {}, secret from {}",
            credentials.name(),
            credentials.algorithm(),
            credentials.key(),
            origin.secret_from
        );
        let mut findings = verdict::of_credentials(credentials, venue, Clock::system().unix());
        // What Coinbase expired, a simulator on loopback takes yet: it says so itself.
        if feed.is_some_and(|feed| feed.url.starts_with("ws://")) {
            for finding in findings.iter_mut().filter(|finding| finding.mistake == Mistake::LegacyKey) {
                finding.certainty = Certainty::Noted;
            }
        }
        findings.extend(verdict::allowed_ips(credentials.allowed_ips()));
        findings.extend(verdict::shadowed(credentials, &around.env));
        report.found("credentials", detail, findings);
    }
    for feed in &patient.feeds {
        if let Some(finding) = verdict::of_url(&feed.url, feed.venue) {
            report.found(format!("feed {}", feed.name), finding.what.clone(), vec![finding]);
        }
    }
}

/// Takes a pasted message apart.
fn examine(file: &Path, patient: Option<&Patient>, report: &mut Report) -> Result<(), Failure> {
    let failed = |error: &dyn fmt::Display| Failure::new(Status::Config, format!("{}: {error}", file.display()));
    let text = read(file).map_err(|error| failed(&error))?;
    let venue = patient.and_then(|patient| patient.feeds.first()).map_or(venue::ALL[0], |feed| feed.venue);
    let credentials = patient.and_then(|patient| patient.credentials.first()).map(|origin| &*origin.credentials);
    let findings =
        verdict::message(&text, venue, credentials, Clock::system().unix()).map_err(|error| failed(&error))?;
    let against = credentials.map_or_else(
        || "without credentials: what only the secret can tell was not looked at".to_owned(),
        |credentials| format!("against the secret of \"{}\"", credentials.name()),
    );
    report.found("message", against, findings);
    Ok(())
}

fn read(file: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        io::stdin().lock().take(LONGEST_MESSAGE).read_to_end(&mut bytes)?;
    } else {
        fs::File::open(file)?.take(LONGEST_MESSAGE).read_to_end(&mut bytes)?;
    }
    // PowerShell's `>` writes UTF-16, and says so with its first two bytes.
    if let Some(wide) = bytes.strip_prefix(&[0xff, 0xfe]) {
        let units: Vec<_> = wide.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        return String::from_utf16(&units).map_err(io::Error::other);
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is no text in UTF-8"))
}

fn uses(feed: &Feed, credentials: &Arc<Credentials>) -> bool {
    feed.credentials.as_ref().is_some_and(|own| Arc::ptr_eq(own, credentials))
}

impl From<Config> for Patient {
    fn from(config: Config) -> Self {
        let Config { source, feeds, credentials, ca_file, warnings, .. } = config;
        let source = source.map_or_else(|| "options alone".to_owned(), |path| path.display().to_string());
        Self { source, feeds, credentials, ca_file, warnings }
    }
}

impl Patient {
    /// Credentials with the feeds that sign with them; where there are none, with one that has a public channel and a private.
    fn of(chosen: Chosen, url: Option<String>, around: &Surroundings) -> Result<Self, ConfigError> {
        let Chosen { origin, config } = chosen;
        let ca_file = config.as_ref().and_then(|config| config.ca_file.clone());
        let mut feeds = config.map_or_else(Vec::new, |config| config.feeds);
        feeds.retain(|feed| url.is_none() && uses(feed, &origin.credentials));
        if feeds.is_empty() {
            let [channels, products] = [["ticker_batch"], ["BTC-USD"]].map(|words| words.map(str::to_owned).to_vec());
            let flags = Flags { channels, products, url, feed: Some("doctor".to_owned()), ..Flags::default() };
            feeds = config::load(&flags, around)?.feeds;
            for feed in &mut feeds {
                feed.channels.extend(feed.venue.channel("user"));
                feed.credentials = Some(origin.credentials.clone());
            }
        }
        let source = format!("none: the credentials alone, of {}", origin.key_from);
        Ok(Self { source, feeds, credentials: vec![origin], ca_file, warnings: Vec::new() })
    }
}
