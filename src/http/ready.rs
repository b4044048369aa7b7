//! Whether all that was asked for is being recorded now, and what is not.

use std::{fmt::Write as _, time::Duration};

use tokio::time::Instant;

use crate::{
    metrics::Vitals,
    status::{Condition, FeedReport, Health, Report},
};

/// Ready is who delivers on each connection all that was asked for, to an output that takes it: what READY means with
/// `service.ready = "delivering"`. What is worth a look beside that (a clock that is wrong, credentials that are refused while
/// public channels go on, a disk that will be full) is said, and changes nothing: it is `tickerd status` that exits 1 for it.
///
/// # Errors
/// One line each for what is not ready.
pub(super) fn judge(vitals: &Vitals, now: Instant) -> Result<String, String> {
    if let Some(why) = vitals.why_dead(now) {
        return Err(format!("{why}\n"));
    }
    if vitals.is_stopping() {
        return Err("tickerd is stopping\n".to_owned());
    }
    let Some(seen) = vitals.seen() else { return Err("tickerd is starting\n".to_owned()) };
    of(&seen.report, seen.trouble.as_deref())
}

fn of(report: &Report, trouble: Option<&str>) -> Result<String, String> {
    let mut lines = String::new();
    for feed in report.feeds.iter().filter(|feed| !delivers(feed)) {
        let _ = writeln!(lines, "{}", line(feed));
    }
    if let Some(trouble) = trouble {
        let _ = writeln!(lines, "(output) {}", clean(trouble));
    }
    if !lines.is_empty() {
        return Err(lines);
    }
    let less: Vec<_> = report.feeds.iter().filter(|feed| feed.health != Health::Well).map(line).collect();
    Ok(if less.is_empty() {
        "ready\n".to_owned()
    } else {
        format!("ready, and less than well:\n{}\n", less.join("\n"))
    })
}

fn delivers(feed: &FeedReport) -> bool {
    feed.state == Condition::Recording && feed.missing.is_empty() && feed.delivering == feed.connections
}

/// As `tickerd status` says it, in the words that are known here.
fn line(feed: &FeedReport) -> String {
    let lasts = humantime::format_duration(Duration::from_secs(feed.for_ms / 1000));
    let state = match feed.state {
        Condition::Starting => "starting",
        Condition::Waiting => "waiting until the venue lists a product that matches",
        Condition::Recording => "recording",
        Condition::Down => "DOWN",
        Condition::Stalled => "STALLED by a reader of the output that takes nothing,",
    };
    let mut line = format!("{} {state} for {lasts}", feed.name);
    if feed.delivering < feed.connections && feed.connections > 1 {
        let _ = write!(line, ", {} of {} connections deliver", feed.delivering, feed.connections);
    }
    if !feed.missing.is_empty() {
        let _ = write!(line, ", without {}", feed.missing.join(", "));
    }
    if feed.unsigned {
        line.push_str(", unsigned");
    }
    if let Some(why) = &feed.why {
        let _ = write!(line, ": {why}");
    }
    clean(&line)
}

/// The venue's words may be in it: one line stays one line.
fn clean(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::metrics::Seen;

    fn feed(name: &str, state: Condition) -> FeedReport {
        let health = match state {
            Condition::Recording => "well",
            Condition::Down => "down",
            _ => "degraded",
        };
        let recording = u64::from(state == Condition::Recording);
        serde_json::from_value(serde_json::json!({
            "name": name, "venue": "advanced-trade", "credentials": null, "health": health, "state": state, "for_ms": 840_000,
            "why": null, "unsigned": false, "missing": [], "left_out": 0, "connections": 1, "delivering": recording,
            "connected": 1, "received": 0, "written": 0, "dropped": 0, "gaps": 0, "last_ms": null, "last_drop_ms": null,
        }))
        .expect("a feed")
    }

    fn report(feeds: Vec<FeedReport>) -> Report {
        let time = SystemTime::UNIX_EPOCH;
        Report {
            v: Report::V,
            tickerd: "0.1.0".into(),
            pid: 1,
            run: "00000001".into(),
            supervised: false,
            started: time,
            written: time,
            clock_offset_ms: None,
            feeds,
            output: None,
        }
    }

    #[test]
    fn who_is_not_ready_says_which_feed_and_why() {
        assert_eq!(of(&report(vec![feed("a", Condition::Recording)]), None).as_deref(), Ok("ready\n"));
        let down = FeedReport { why: Some("closed 1001:\nbye".into()), ..feed("b", Condition::Down) };
        let said = of(&report(vec![feed("a", Condition::Recording), down, feed("c", Condition::Starting)]), None);
        assert_eq!(said.expect_err("b is down"), "b DOWN for 14m: closed 1001: bye\nc starting for 14m\n");
        let lacks =
            FeedReport { missing: vec!["user".into()], health: Health::Degraded, ..feed("a", Condition::Recording) };
        assert_eq!(of(&report(vec![lacks]), None).expect_err("user is missing"), "a recording for 14m, without user\n");
    }

    #[test]
    fn what_is_less_than_well_and_records_all_the_same_is_ready() {
        let unsigned = FeedReport { unsigned: true, health: Health::Degraded, ..feed("a", Condition::Recording) };
        let report = report(vec![unsigned]);
        assert_eq!(of(&report, None).as_deref(), Ok("ready, and less than well:\na recording for 14m, unsigned\n"));
        let trouble = Some("can not write to tape: no space");
        assert_eq!(of(&report, trouble).expect_err("nothing"), "(output) can not write to tape: no space\n");
    }

    #[test]
    fn before_the_first_look_and_at_the_end_nobody_is_ready() {
        let (vitals, now) = (Vitals::default(), Instant::now());
        assert_eq!(judge(&vitals, now).expect_err("nothing is known"), "tickerd is starting\n");
        vitals.show(Seen { report: report(vec![]), stock: None, trouble: None });
        assert!(judge(&vitals, now).is_ok());
        vitals.stops();
        assert_eq!(judge(&vitals, now).expect_err("it ends"), "tickerd is stopping\n");
    }
}
