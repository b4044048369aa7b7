//! One line a feed: its name, how it is, and what there is to say of that.

use std::{
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use bytesize::ByteSize;

use super::verdict::{Daemon, Life};
use crate::{
    status::{Condition, FeedReport, Health, OutputReport, Report},
    venue,
};

/// What the journal and the service manager know.
const UNIT: &str = "`systemctl status tickerd`";

/// One line, in columns.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub name: String,
    pub state: String,
    pub detail: String,
}

/// The lines of one daemon. Where it is not alone, each says whose it is.
pub(super) fn lines(daemon: &Daemon, alone: bool, is_asked_for: impl Fn(&str) -> bool) -> Vec<Line> {
    let Some(report) = &daemon.report else {
        let name = daemon.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let detail = format!("{} is not believed: {}", daemon.path.display(), why_not(daemon).unwrap_or_default());
        return vec![line(&name, "UNKNOWN".to_owned(), &detail)];
    };
    let feeds: Vec<_> = report.feeds.iter().filter(|feed| is_asked_for(&feed.name)).collect();
    let lines = feeds.iter().map(|feed| {
        let (state, mut detail) = match why_not(daemon) {
            None => (state(feed, daemon.age), detail(report, feed, daemon.age)),
            Some(why) => (format!("DEAD {}", short(daemon.age)), why),
        };
        if !alone {
            let _ = write!(detail, " (process {})", report.pid);
        }
        line(&feed.name, state, &detail)
    });
    let output = report.output.iter().filter(|_| daemon.life == Life::Alive && !feeds.is_empty());
    lines.chain(output.map(|output| of_files(output, report.pid, alone))).collect()
}

/// The line of the files. It has no name that a feed could have.
fn of_files(output: &OutputReport, pid: u32, alone: bool) -> Line {
    let size = |bytes: u64| ByteSize::b(bytes).display().si().to_string();
    let pace = output.bytes_a_day.map(|bytes| format!("{} a day", size(bytes)));
    let state = match output.health {
        Health::Well => pace.clone().unwrap_or_else(|| "measuring".to_owned()),
        _ if output.full_in_ms.is_some_and(|ms| ms < 24 * 3_600_000) => "FULL SOON".to_owned(),
        _ => "FAILING".to_owned(),
    };
    let mut parts = vec![output.path.clone()];
    parts.extend(output.why.clone());
    parts.extend(pace.filter(|_| output.health != Health::Well));
    if let Some(stored) = output.stored_a_day.filter(|stored| Some(*stored) != output.bytes_a_day) {
        parts.push(format!("about {} of that stays", size(stored)));
    }
    parts.extend(output.free.map(|free| format!("{} free", size(free))));
    parts.extend(output.outlook.clone());
    let process = if alone { String::new() } else { format!(" (process {pid})") };
    line("(output)", state, &(parts.join("; ") + &process))
}

/// Why a daemon is taken for dead, or its file is not believed, and what to do.
pub(super) fn why_not(daemon: &Daemon) -> Option<String> {
    let pid = daemon.report.as_ref().map_or(0, |report| report.pid);
    let supervised = daemon.report.as_ref().is_some_and(|report| report.supervised);
    let look = if supervised { UNIT } else { "its log" };
    let path = daemon.path.display();
    match &daemon.life {
        Life::Alive => None,
        Life::Gone if supervised => Some(format!("process {pid} is gone: {UNIT} says why")),
        Life::Gone => {
            Some(format!("process {pid} is gone, and did not end as it was told to: {look} says why; then rm {path}"))
        }
        Life::Silent => Some(format!(
            "process {pid} is there and has not written {path} for {}: it hangs, or was stopped, or is another of that number: \
             {look} says more",
            short(daemon.age)
        )),
        Life::Ahead => Some(format!(
            "{path} was written later than now: this machine's clock was set back, and process {pid} has not written since: \
             {look} says more"
        )),
        Life::Unfit(why) => Some(why.clone()),
    }
}

/// That there is no line to print.
pub(super) fn nothing(folders: &[PathBuf], feed: Option<&str>, daemons: &[Daemon]) -> String {
    let known: Vec<_> =
        daemons.iter().filter_map(|daemon| daemon.report.as_ref()).flat_map(|report| &report.feeds).collect();
    if let (Some(feed), false) = (feed, known.is_empty()) {
        let mut names: Vec<_> = known.iter().map(|feed| clean(&feed.name)).collect();
        names.sort();
        names.dedup();
        return format!("no feed is called {feed:?}; there is {}", names.join(", "));
    }
    let folders: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
    format!(
        "no daemon: there is no status.json in {}. {UNIT} says whether one was started; one that is run by hand writes it where \
         $RUNTIME_DIRECTORY or $XDG_RUNTIME_DIR says",
        folders.join(" or ")
    )
}

/// That a folder may not be looked into.
pub(super) fn closed(folder: &Path, error: &io::Error) -> String {
    let folder = folder.display();
    if error.kind() == io::ErrorKind::PermissionDenied {
        return format!(
            "{folder} may not be looked into: ask with sudo, or be in its group; {UNIT} shows everybody one line ({error})"
        );
    }
    format!("{folder} can not be looked into: {error}")
}

fn line(name: &str, state: String, detail: &str) -> Line {
    Line { name: clean(name), state, detail: clean(detail) }
}

fn state(feed: &FeedReport, age: Duration) -> String {
    let lasts = short(Duration::from_millis(feed.for_ms) + age);
    match feed.state {
        _ if feed.is_dropping() && feed.health != Health::Down => "DROPPING".to_owned(),
        Condition::Starting => format!("starting {lasts}"),
        Condition::Waiting => format!("waiting {lasts}"),
        Condition::Recording if feed.unsigned || !feed.missing.is_empty() || feed.left_out > 0 => {
            format!("PARTLY {lasts}")
        }
        Condition::Recording => "recording".to_owned(),
        Condition::Down if feed.health != Health::Down => format!("PARTLY {lasts}"),
        Condition::Down => format!("DOWN {lasts}"),
        Condition::Stalled => format!("STALLED {lasts}"),
    }
}

/// First what is wrong and what to do, then what is recorded.
fn detail(report: &Report, feed: &FeedReport, age: Duration) -> String {
    let mut parts = Vec::new();
    match feed.state {
        Condition::Waiting => parts.push("until the venue lists a product that matches".to_owned()),
        Condition::Stalled => parts.push("the reader of the output takes nothing".to_owned()),
        Condition::Down if feed.delivering > 0 => {
            parts.push(format!("{} of {} connections deliver", feed.delivering, feed.connections));
        }
        Condition::Starting | Condition::Recording | Condition::Down => {}
    }
    if !feed.missing.is_empty() {
        parts.push(format!("without {}", feed.missing.join(", ")));
    }
    if feed.left_out > 0 {
        parts.push(format!("{} left out by the venue: the log names them", plural(feed.left_out, "product")));
    }
    if feed.unsigned {
        parts.push("UNSIGNED".to_owned());
    }
    parts.extend(feed.why.clone());
    if let Some(offset) = report.clock_offset_ms {
        let side = if offset > 0 { "behind" } else { "ahead" };
        let seconds = offset.unsigned_abs() / 1_000;
        parts.push(format!("clock {seconds} s {side}: chronyc makestep, or timedatectl set-ntp true"));
    }
    // How much came before says nothing of a feed that is down.
    if feed.health != Health::Down {
        parts.push(counts(feed, age));
    }
    parts.extend(how_to_sign(report, feed));
    parts.join("; ")
}

/// What to type to add a key. It is no fault to have none: public data needs none.
fn how_to_sign(report: &Report, feed: &FeedReport) -> Option<String> {
    if feed.credentials.is_some() || !matches!(feed.state, Condition::Starting | Condition::Recording) {
        return None;
    }
    let sudo = if report.supervised { "sudo " } else { "" };
    let venue = venue::ALL.iter().skip(1).find(|venue| venue.name == feed.venue);
    let venue = venue.map_or_else(String::new, |venue| format!(" --venue {}", venue.name));
    Some(format!("no key: `{sudo}tickerd credential add main{venue}`, then credentials = \"main\" in the feed"))
}

fn counts(feed: &FeedReport, age: Duration) -> String {
    let mut counts = plural(feed.connections, "connection");
    let _ = write!(counts, ", {}", plural(feed.received, "message"));
    if feed.dropped > 0 {
        let _ = write!(counts, ", {} DROPPED", grouped(feed.dropped));
    }
    if feed.gaps > 0 {
        let _ = write!(counts, ", {}", plural(feed.gaps, "gap"));
    }
    if let Some(last) = feed.last_ms {
        let _ = write!(counts, ", last {} ago", ago(Duration::from_millis(last) + age));
    }
    counts
}

/// No file, and no venue, moves the cursor of whoever asks.
fn clean(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn plural(count: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// "1,234,567".
fn grouped(number: u64) -> String {
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

/// "0.2 s" while that tells anything, "14m" later.
fn ago(duration: Duration) -> String {
    if duration < Duration::from_secs(10) { format!("{:.1} s", duration.as_secs_f64()) } else { short(duration) }
}

/// "14m", "3h12m", "6d4h": a duration in its two largest units, seconds only below a minute.
fn short(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3_600 => format!("{}m", seconds / 60),
        seconds @ 3_600..86_400 => format!("{}h{}m", seconds / 3_600, seconds % 3_600 / 60),
        seconds => format!("{}d{}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}
