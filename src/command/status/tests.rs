//! What is said of one file or several, and how the command ends.

use std::time::SystemTime;

use super::*;
use crate::status::{Condition, FeedReport, Found, OutputReport, Report, Unfit};

const NOW: u64 = 1_795_541_462;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// A feed that has recorded for an hour over two connections.
fn feed(name: &str) -> FeedReport {
    FeedReport {
        name: name.into(),
        venue: "advanced-trade".into(),
        credentials: Some("main".into()),
        health: Health::Well,
        state: Condition::Recording,
        for_ms: 3_600_000,
        why: None,
        unsigned: false,
        missing: Vec::new(),
        left_out: 0,
        connections: 2,
        delivering: 2,
        connected: 2,
        received: 1_234_567,
        written: 1_234_567,
        dropped: 0,
        gaps: 0,
        last_ms: Some(200),
        last_drop_ms: None,
    }
}

fn down(name: &str, why: &str) -> FeedReport {
    let (health, state) = (Health::Down, Condition::Down);
    FeedReport { health, state, for_ms: 840_000, why: Some(why.into()), delivering: 0, ..feed(name) }
}

fn report(feeds: Vec<FeedReport>) -> Report {
    Report {
        v: Report::V,
        tickerd: "0.1.0".into(),
        pid: 4711,
        run: "00003f2a".into(),
        supervised: true,
        started: at(NOW - 4_000),
        written: at(NOW),
        clock_offset_ms: None,
        feeds,
        output: None,
    }
}

/// What is said of these reports so many seconds after they were written, if their processes are there, and the exit status.
fn told_after(seconds: u64, is_there: bool, reports: Vec<Report>) -> (String, u8) {
    let found = reports.into_iter().map(|report| Found { path: "/run/tickerd/status.json".into(), report: Ok(report) });
    let now = at(NOW + seconds);
    let daemons = found.map(|found| Daemon::judge(found, now, |_| is_there)).collect();
    told(&Look { folders: &["/run/tickerd".into()], feed: None, daemons, closed: Vec::new() })
}

fn told(look: &Look<'_>) -> (String, u8) {
    let mut out = Vec::new();
    look.print(false, &mut out).expect("memory");
    let status = look.status().map_or(0, |status| status as u8);
    assert_eq!(look.json()["exit"], status);
    (String::from_utf8(out).expect("UTF-8"), status)
}

/// Whoever wonders how to sign reads it where they look: the thread that tickerd began with was of people who did not find out.
#[test]
fn a_feed_without_a_key_says_what_to_type_to_add_one() {
    let told = |venue: &str, supervised| {
        let unsigned = FeedReport { venue: venue.into(), credentials: None, ..feed("tickers") };
        told_after(0, true, vec![Report { supervised, ..report(vec![unsigned]) }])
    };
    let (line, status) = told("advanced-trade", true);
    assert!(
        line.ends_with("ago; no key: `sudo tickerd credential add main`, then credentials = \"main\" in the feed\n"),
        "{line}"
    );
    assert_eq!(status, 0, "public data needs none");
    let (line, _) = told("exchange", false);
    assert!(
        line.ends_with(
            "; no key: `tickerd credential add main --venue exchange`, then credentials = \"main\" in the feed\n"
        ),
        "{line}"
    );
}

#[test]
fn one_line_a_feed_in_columns() {
    let two = vec![feed("tickers"), down("user", "refused: the key is unknown")];
    let lines = "tickers  recording  2 connections, 1,234,567 messages, last 0.2 s ago\n\
                 user     DOWN 14m   refused: the key is unknown\n";
    assert_eq!(told_after(0, true, vec![report(two)]), (lines.to_owned(), 1));
    assert_eq!(told_after(0, true, vec![report(vec![feed("tickers")])]).1, 0);
    let (line, status) = told_after(0, true, vec![report(vec![down("tickers", "lost"), down("user", "lost")])]);
    assert_eq!((line.lines().count(), status), (2, 2), "every feed is down");
}

/// A disk that fills up costs every feed's messages, a day before they are lost.
#[test]
fn the_files_have_a_line_of_their_own_and_spoil_what_goes_there() {
    let gigabytes = |count: u64| Some(count * 1_000_000_000);
    let output = OutputReport {
        path: "/data/tape.ndjson".into(),
        health: Health::Well,
        bytes_a_day: gigabytes(6),
        stored_a_day: gigabytes(1),
        free: gigabytes(90),
        full_in_ms: Some(90 * 86_400_000),
        outlook: Some("full in about 90 days".into()),
        why: None,
    };
    let with = |output: OutputReport, feed| Report { output: Some(output), ..report(vec![feed]) };
    let (lines, status) = told_after(0, true, vec![with(output.clone(), feed("tickers"))]);
    let line =
        "(output)  6.0 GB a day  /data/tape.ndjson; about 1.0 GB of that stays; 90.0 GB free; full in about 90 days";
    assert_eq!((lines.lines().nth(1), status), (Some(line), 0));
    let soon = OutputReport {
        health: Health::Degraded,
        full_in_ms: Some(5 * 3_600_000),
        outlook: Some("full in about 5 hours".into()),
        why: Some("make room, or set output.keep".into()),
        ..output
    };
    let (lines, status) = told_after(0, true, vec![with(soon.clone(), feed("tickers"))]);
    assert!(lines.contains("FULL SOON") && lines.contains("full in about 5 hours"), "{lines}");
    assert_eq!(status, 1);
    assert_eq!(told_after(0, true, vec![with(soon.clone(), down("tickers", "lost"))]).1, 2, "it is not better for it");
    let (lines, status) = told_after(60, false, vec![with(soon, feed("tickers"))]);
    assert_eq!((lines.lines().count(), status), (1, 2), "of a daemon that is gone nothing more is said");
}

/// A wrong clock stands with each feed, since all receive times are wrong by as much.
#[test]
fn a_wrong_clock_is_said_with_what_sets_it_right() {
    let off = |feed| Report { clock_offset_ms: Some(94_300), ..report(vec![feed]) };
    let recording = FeedReport { health: Health::Degraded, ..feed("tickers") };
    let remedy = "clock 94 s behind: chronyc makestep, or timedatectl set-ntp true";
    let line = format!("tickers  recording  {remedy}; 2 connections, 1,234,567 messages, last 0.2 s ago\n");
    assert_eq!(told_after(0, true, vec![off(recording)]), (line, 1));
    let line = format!("user  DOWN 14m  refused; {remedy}\n");
    assert_eq!(told_after(0, true, vec![off(down("user", "refused"))]), (line, 2));
}

/// `cybercongress/cyber-markets#157` asked which of its feeds were alive: what is less than well has a word for how.
#[test]
fn what_is_less_than_well_says_how() {
    let degraded = |change: fn(&mut FeedReport)| {
        let mut feed = FeedReport { health: Health::Degraded, received: 1, connections: 1, delivering: 1, ..feed("x") };
        change(&mut feed);
        let (line, status) = told_after(1, true, vec![report(vec![feed])]);
        assert_eq!(status, 1, "{line}");
        line
    };
    let begins = |line: String, words: &str| assert!(line.starts_with(&format!("x  {words}")), "{line}");
    begins(degraded(|feed| feed.state = Condition::Starting), "starting 1h0m  1 connection, 1 message, last 1.2 s ago");
    begins(
        degraded(|feed| feed.state = Condition::Waiting),
        "waiting 1h0m  until the venue lists a product that matches;",
    );
    begins(degraded(|feed| feed.state = Condition::Stalled), "STALLED 1h0m  the reader of the output takes nothing;");
    begins(
        degraded(|feed| (feed.unsigned, feed.missing) = (true, vec!["user".into()])),
        "PARTLY 1h0m  without user; UNSIGNED; 1 connection,",
    );
    begins(
        degraded(|feed| (feed.state, feed.connections, feed.why) = (Condition::Down, 2, Some("lost".into()))),
        "PARTLY 1h0m  1 of 2 connections deliver; lost; 2 connections,",
    );
    begins(
        degraded(|feed| (feed.dropped, feed.gaps, feed.last_drop_ms) = (1_000, 2, Some(0))),
        "DROPPING  1 connection, 1 message, 1,000 DROPPED, 2 gaps, last",
    );
}

/// `tardis-machine`'s `/health-check` says Healthy whatever happens, and `QuantConnect/Lean.Brokerages.Tastytrade#31` was
/// dead for six days before anybody saw: what a daemon said last is not how it is.
#[test]
fn a_daemon_that_is_gone_or_silent_is_dead_whatever_it_said() {
    let well = || vec![report(vec![feed("tickers"), feed("user")])];
    assert_eq!(told_after(10, true, well()).1, 0);
    let (lines, status) = told_after(11, true, well());
    assert_eq!(status, 2);
    for line in lines.lines() {
        assert!(line.contains("DEAD 11s") && line.contains("4711 is there and has not written"), "{line}");
        assert!(line.contains("systemctl status tickerd"), "{line}");
    }
    let (lines, status) = told_after(6 * 86_400, false, well());
    assert_eq!(status, 2);
    assert!(lines.contains("DEAD 6d0h  process 4711 is gone: `systemctl status tickerd` says why"), "{lines}");
    let by_hand = Report { supervised: false, ..report(vec![feed("tickers")]) };
    let (line, _) = told_after(1, false, vec![by_hand]);
    assert!(line.contains("its log says why; then rm /run/tickerd/status.json"), "{line}");

    // The clock was set back by an hour after it had written for the last time.
    let mut ahead = report(vec![feed("tickers")]);
    ahead.written = at(NOW + 3_600);
    let (line, status) = told_after(0, true, vec![ahead]);
    assert!(status == 2 && line.contains("written later than now"), "{line}");
}

#[test]
fn of_several_daemons_each_line_says_whose_it_is_and_one_dead_is_no_death_of_all() {
    let other = Report { pid: 4712, written: at(NOW - 60), ..report(vec![feed("tickers")]) };
    let (lines, status) = told_after(0, true, vec![report(vec![feed("tickers")]), other]);
    let lines: Vec<_> = lines.lines().collect();
    assert!(lines[0].contains("recording") && lines[0].ends_with("(process 4711)"), "{lines:?}");
    assert!(lines[1].contains("DEAD 1m") && lines[1].ends_with("(process 4712)"), "{lines:?}");
    assert_eq!(status, 1);
}

#[test]
fn a_file_that_is_not_believed_is_named_and_is_not_well() {
    let unfit = || Found { path: "/run/tickerd/status-9.json".into(), report: Err(Unfit::TooLong) };
    let folders = ["/run/tickerd".into()];
    let look = |found: Vec<Found>| {
        let daemons = found.into_iter().map(|found| Daemon::judge(found, at(NOW), |_| true)).collect();
        told(&Look { folders: &folders, feed: None, daemons, closed: Vec::new() })
    };
    let (line, status) = look(vec![unfit()]);
    assert!(
        line.starts_with("status-9.json  UNKNOWN  /run/tickerd/status-9.json is not believed: it is longer"),
        "{line}"
    );
    assert_eq!(status, 2);
    let good = Found { path: "/run/tickerd/status.json".into(), report: Ok(report(vec![feed("tickers")])) };
    assert_eq!(look(vec![good, unfit()]).1, 1);
}

#[test]
fn where_nothing_is_found_it_says_where_it_looked_and_what_else_to_ask() {
    let (line, status) = told_after(0, true, Vec::new());
    assert!(line.contains("no status.json in /run/tickerd") && line.contains("systemctl status tickerd"), "{line}");
    assert_eq!(status, 2);

    let found = Found { path: "/run/tickerd/status.json".into(), report: Ok(report(vec![feed("tickers")])) };
    let denied = io::Error::from(io::ErrorKind::PermissionDenied);
    let look = Look {
        folders: &["/run/tickerd".into()],
        feed: Some("user"),
        daemons: vec![Daemon::judge(found, at(NOW), |_| true)],
        closed: vec![("/run/user/0/tickerd".into(), denied)],
    };
    let (lines, status) = told(&look);
    assert!(
        lines.starts_with("no feed is called \"user\"; there is tickers\n/run/user/0/tickerd may not be"),
        "{lines}"
    );
    assert_eq!(status, 2);
}

/// What a venue says of a refusal, or whoever may write to the folder, does not move the reader's cursor.
#[test]
fn no_control_character_reaches_a_terminal() {
    let (line, _) = told_after(0, true, vec![report(vec![down("x\u{1b}[2J", "closed: \u{1b}]0;title\u{7}\n")])]);
    assert!(!line.trim_end().contains(char::is_control), "{line:?}");
}
