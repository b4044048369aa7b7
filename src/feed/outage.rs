//! One line an outage, not one a try: when it begins, now and then while it lasts, and when it is over, with how long it
//! was and how many tries it took. Connections that deliver and end at once are one outage too, until one holds.

use std::time::{Duration, Instant};

use tracing::field::display;

use crate::{backoff::STEADY, record::Origin};

/// The first reminder that nothing has come back; each later one after twice as long...
const REMIND_FIRST: Duration = Duration::from_secs(60);

/// ...up to an hour: it went silent and nobody noticed is the complaint that tickerd exists for.
const REMIND_LONGEST: Duration = Duration::from_secs(3600);

/// The times in which a leg delivers nothing.
pub(super) struct Outage {
    feed: String,
    began: Instant,
    attempts: u64,
    /// Since when the last connection that delivered did.
    delivers: Option<Instant>,
    trouble: Option<Trouble>,
}

/// The event that tells the same in the record.
pub(super) struct Told {
    pub(super) name: &'static str,
    pub(super) data: Option<String>,
}

/// What has been said of an outage, or of one after the other.
struct Trouble {
    since: Instant,
    /// A connection delivered in it, and did not hold.
    broken: bool,
    /// The last that was said is that it lasts, and not that it is over.
    open: bool,
    remind_at: Instant,
    wait: Duration,
}

impl Outage {
    /// A leg that has not delivered yet.
    pub(super) fn new(feed: &str, now: Instant) -> Self {
        Self { feed: feed.to_owned(), began: now, attempts: 0, delivers: None, trouble: None }
    }

    /// One more try.
    pub(super) fn attempt(&mut self) {
        self.attempts += 1;
    }

    /// Tries since the last connection that delivered.
    pub(super) fn attempts(&self) -> u64 {
        self.attempts
    }

    /// A try failed, or a connection ended or brings nothing; since when nothing is delivered. Where an event says it, the
    /// line is that event's, with its data unless the log has those already.
    pub(super) fn begins(&mut self, why: &str, of: Option<&Origin>, event: Option<Told>, now: Instant) -> Instant {
        let (feed, conn) = (&self.feed, of.map(display));
        if self.attempts == 0 {
            self.began = now;
        }
        if let Some(since) = self.delivers.take() {
            let held = now.duration_since(since) >= STEADY;
            self.trouble = self.trouble.take().filter(|_| !held).map(|trouble| Trouble { broken: true, ..trouble });
        }
        match &mut self.trouble {
            None => {
                let remind_at = now + REMIND_FIRST;
                let trouble = Trouble { since: self.began, broken: false, open: true, remind_at, wait: REMIND_FIRST };
                self.trouble = Some(trouble);
                let (event, data) = event.map_or((None, None), |Told { name, data }| (Some(name), data));
                tracing::warn!(%feed, conn, event, data, "nothing is recorded: {why}; trying again until it is back");
            }
            Some(trouble) if trouble.remind_at <= now => {
                trouble.wait = (trouble.wait * 2).min(REMIND_LONGEST);
                trouble.remind_at = now + trouble.wait;
                trouble.open = true;
                let (down, tries) = (humantime::format_duration(whole(now - trouble.since)), self.attempts);
                if trouble.broken {
                    tracing::error!(%feed, conn, tries, "for {down} no connection has delivered for 10 s on end, and what came between them is missing: {why}; \
                        `tickerd doctor` finds out why");
                } else {
                    tracing::error!(%feed, conn, tries, "nothing is recorded for {down}: {why}; `tickerd doctor` finds out why");
                }
            }
            Some(_) => tracing::debug!(%feed, conn, "not yet: {why}"),
        }
        self.began
    }

    /// The venue delivers.
    pub(super) fn over(&mut self, origin: &Origin, missing: &[&'static str], now: Instant) {
        let (feed, tries) = (&self.feed, self.attempts);
        let outage_ms = u64::try_from((now - self.began).as_millis()).unwrap_or(u64::MAX);
        let down = humantime::format_duration(Duration::from_millis(outage_ms));
        let is_told = match &mut self.trouble {
            None => {
                tracing::info!(%feed, conn = %origin, event = %"connected", "recording");
                true
            }
            Some(trouble) if trouble.open => {
                trouble.open = false;
                tracing::info!(%feed, conn = %origin, event = %"connected", tries, outage_ms, "recording again after {down}");
                true
            }
            Some(_) => {
                tracing::debug!(%feed, conn = %origin, event = %"connected", tries, outage_ms, "recording once more after {down}");
                false
            }
        };
        if is_told && !missing.is_empty() {
            tracing::warn!(%feed, conn = %origin, "not recorded: {}, which the venue refuses or does not send", missing.join(", "));
        }
        self.attempts = 0;
        self.delivers = Some(now);
    }
}

/// Without the part of a second that nobody reads.
pub(super) fn whole(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs())
}
