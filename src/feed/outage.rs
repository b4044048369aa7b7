//! One line an outage, not one a try: when it begins, now and then while it lasts, and when it is over, with how long it
//! was and how many tries it took.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::record::{Event, Origin};

/// The first reminder that nothing has come back; each later one after twice as long...
const REMIND_FIRST: Duration = Duration::from_secs(60);

/// ...up to an hour: it went silent and nobody noticed is the complaint that tickerd exists for.
const REMIND_LONGEST: Duration = Duration::from_secs(3600);

/// The times in which a leg delivers nothing.
pub(super) struct Outage {
    feed: String,
    began: Instant,
    attempts: u64,
    remind: Option<Reminder>,
}

struct Reminder {
    at: Instant,
    wait: Duration,
}

impl Outage {
    /// A leg that has not delivered yet.
    pub(super) fn new(feed: &str, now: Instant) -> Self {
        Self { feed: feed.to_owned(), began: now, attempts: 0, remind: None }
    }

    /// One more try.
    pub(super) fn attempt(&mut self) {
        self.attempts += 1;
    }

    /// Tries since the last connection that delivered.
    pub(super) fn attempts(&self) -> u64 {
        self.attempts
    }

    /// A try failed, or a connection ended; since when nothing is delivered.
    pub(super) fn begins(&mut self, why: &str, of: Option<(&Origin, &Event)>, now: Instant) -> Instant {
        let feed = &self.feed;
        match &mut self.remind {
            None => {
                if self.attempts == 0 {
                    self.began = now;
                }
                self.remind = Some(Reminder { at: now + REMIND_FIRST, wait: REMIND_FIRST });
                if let Some((conn, event)) = of {
                    let (event, data) = (event.name(), Value::Object(event.data(&conn.account)));
                    tracing::warn!(%feed, %conn, %event, %data, "nothing is recorded: {why}; trying again until it is back");
                } else {
                    tracing::warn!(%feed, "nothing is recorded: {why}; trying again until it is back");
                }
            }
            Some(reminder) if reminder.at <= now => {
                reminder.wait = (reminder.wait * 2).min(REMIND_LONGEST);
                reminder.at = now + reminder.wait;
                let (down, tries) = (humantime::format_duration(whole(now - self.began)), self.attempts);
                tracing::error!(%feed, tries, "nothing is recorded for {down}: {why}; `tickerd doctor` finds out why");
            }
            Some(_) => tracing::debug!(%feed, "not yet: {why}"),
        }
        self.began
    }

    /// The venue delivers.
    pub(super) fn over(&mut self, origin: &Origin, missing: &[&'static str], now: Instant) {
        let (feed, tries) = (&self.feed, self.attempts);
        if self.remind.take().is_some() {
            let outage_ms = u64::try_from((now - self.began).as_millis()).unwrap_or(u64::MAX);
            let down = humantime::format_duration(Duration::from_millis(outage_ms));
            tracing::info!(%feed, conn = %origin, event = %"connected", tries, outage_ms, "recording again after {down}");
        } else {
            tracing::info!(%feed, conn = %origin, event = %"connected", "recording");
        }
        if !missing.is_empty() {
            tracing::warn!(%feed, conn = %origin, "not recorded: {}, which the venue refuses or does not send", missing.join(", "));
        }
        self.attempts = 0;
    }
}

/// Without the part of a second that nobody reads.
pub(super) fn whole(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs())
}
