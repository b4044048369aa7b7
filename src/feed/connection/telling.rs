//! What a session wants told, as log lines for people and as events for the record.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::now;
use crate::{
    desk::Desk,
    feed::{Context, outage::whole},
    record::{Event, Origin},
    refill::Wanted,
    session::{Found, Gap, IfRefused, Stance, Told},
    venue::MendedBy,
    verdict::{self, Evidence},
};

/// Who tells, of which connection.
#[derive(Clone, Copy)]
pub(super) struct Teller<'a> {
    pub context: &'a Context,
    pub origin: &'a Arc<Origin>,
    pub stance: &'a Stance,
    /// The venue's words are those that it said last.
    pub again: bool,
    /// Holes and steps back that were not said since the last that was.
    pub unsaid: u64,
}

/// "FOO-USD (ticker, matches)", as many products as a line of the log names.
fn listed(omitted: &[(&'static str, String)]) -> String {
    const NAMED: usize = 10;
    let mut by_product = BTreeMap::<_, Vec<_>>::new();
    for (channel, product) in omitted {
        by_product.entry(product).or_default().push(*channel);
    }
    let named: Vec<_> =
        by_product.iter().take(NAMED).map(|(product, of)| format!("{product} ({})", of.join(", "))).collect();
    match by_product.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// What a line stands for beside what it says.
fn more(unsaid: u64) -> String {
    if unsaid == 0 { String::new() } else { format!(" ({unsaid} more since the last such line)") }
}

/// What was said of a connection, so that it is said once.
#[derive(Default)]
pub(super) struct Said {
    /// The words of the last refusal: while it is found out of what they are, they are said once.
    refusal: Option<String>,
    omitted: Vec<(&'static str, String)>,
    silent: Vec<&'static str>,
    noise: bool,
    reconnect: bool,
    hole: Option<Instant>,
    /// Holes that were not said since.
    unsaid: u64,
}

impl Said {
    /// Which channels are silent, and which no longer are: at each change.
    pub fn tell_silent(&mut self, silent: &[&'static str], conn: &Origin) {
        let feed = &conn.feed;
        for channel in silent.iter().filter(|channel| !self.silent.contains(channel)) {
            tracing::warn!(%feed, %conn, channel, "nothing of {channel} is recorded: heartbeats come, and it is silent");
        }
        for channel in self.silent.iter().filter(|channel| !silent.contains(channel)) {
            tracing::info!(%feed, %conn, channel, "{channel} is recorded again");
        }
        if self.silent != silent {
            self.silent = silent.to_vec();
        }
    }

    /// What is no JSON may be why there is nothing else. Of its words those that are too long for one may be a token of ours.
    pub fn tell_noise(&mut self, text: &str, conn: &Origin) {
        const WORDS: usize = 16;
        const LONGEST: usize = 24;
        if std::mem::replace(&mut self.noise, true) {
            return;
        }
        let words = text.split_whitespace().take(WORDS).map(|word| if word.len() > LONGEST { "…" } else { word });
        let words = words.collect::<Vec<_>>().join(" ");
        tracing::warn!(feed = %conn.feed, %conn, "what came is no JSON, and is kept in base64: {words:?}");
    }

    /// Holes that were not said, until they are.
    pub fn take_unsaid(&mut self, again: bool) -> u64 {
        if again { 0 } else { std::mem::take(&mut self.unsaid) }
    }

    /// Whether this was said before, or the like of it just now.
    pub fn again(&mut self, told: &Told, now: Instant) -> bool {
        /// A venue that counts wrongly makes a gap of each message.
        const HOLES: Duration = Duration::from_secs(60);
        match told {
            Told::Refused { product: None, message, .. } => {
                self.refusal.replace(message.clone()).is_some_and(|last| last == *message)
            }
            Told::Subscribed { omitted, .. } => {
                !omitted.is_empty() && std::mem::replace(&mut self.omitted, omitted.clone()) == *omitted
            }
            Told::Gap(Gap { found: Found::Reconnect | Found::Stopped, .. }) => {
                std::mem::replace(&mut self.reconnect, true)
            }
            Told::Gap(_) => {
                let again = self.hole.is_some_and(|last| now.duration_since(last) < HOLES);
                if again {
                    self.unsaid += 1;
                } else {
                    self.hole = Some(now);
                }
                again
            }
            Told::Refused { .. } | Told::Accepted => false,
        }
    }
}

impl Teller<'_> {
    /// Says it in the log, lets the signing desk know, and makes the event that goes into the record, if it is one.
    pub fn tell(self, told: Told) -> Option<Event> {
        let (feed, conn) = (&self.origin.feed, self.origin);
        match told {
            Told::Accepted => {
                if let Some(desk) = &self.context.desk
                    && let Some(refused) = desk.accepted(now())
                {
                    let signed = if self.context.feed.venue.resigns {
                        "all is signed"
                    } else {
                        "what waited is signed, and what went on unsigned will be with the next connection"
                    };
                    let (credentials, refused) =
                        (desk.credentials().name(), humantime::format_duration(whole(refused)));
                    tracing::info!(%feed, %conn, credentials, "the venue takes the credentials again, after {refused}: {signed}");
                }
                None
            }
            Told::Gap(mut gap) => {
                if self.context.refill.is_none() && gap.mended_by == MendedBy::Rest {
                    gap.mended_by = MendedBy::Nothing;
                }
                self.origin.gap();
                self.tell_of_gap(&gap);
                Some(Event::Gap(gap))
            }
            Told::Subscribed { channels, omitted } => {
                if !omitted.is_empty() && !self.again {
                    tracing::warn!(
                        %feed, %conn, event = %"subscribed",
                        "not recorded, since the venue does not trade it, or not under that name, and asked for again each hour: {}",
                        listed(&omitted)
                    );
                }
                tracing::debug!(%feed, %conn, event = %"subscribed", channels = channels.join(","));
                Some(Event::Subscribed { channels, omitted })
            }
            Told::Refused { channel, product, message, reason, signed, confirmed } => {
                let venue = self.context.feed.venue;
                let asked = channel.and_then(|name| venue.channel(name));
                let desk = self.context.desk.as_deref().filter(|_| signed);
                let unsigned = || Evidence::unsigned(venue, asked, reason);
                let evidence = desk.map_or_else(unsigned, |desk| desk.evidence(venue, asked, reason, confirmed));
                let mut verdict = verdict::sentence(&evidence);
                if let Some(product) = product {
                    verdict = format!(
                        "{product} is kept apart and asked for again, the rest is asked for without it: {verdict}"
                    );
                }
                match desk {
                    Some(desk) if reason.is_of_credentials() => {
                        self.tell_of_credentials(desk, confirmed, &message, &verdict);
                    }
                    _ if self.again => {
                        tracing::debug!(%feed, %conn, event = %"refused", channel, "the venue says {message:?}: {verdict}");
                    }
                    // It is being found out of which part it is.
                    _ if venue.wholesale && !confirmed => {
                        tracing::info!(%feed, %conn, event = %"refused", channel, "the venue says {message:?}: {verdict}");
                    }
                    _ => {
                        tracing::warn!(%feed, %conn, event = %"refused", channel, "the venue says {message:?}: {verdict}");
                    }
                }
                Some(Event::Refused { channel, message, verdict })
            }
        }
    }

    /// One line for the holes of a minute, one for what was missed between two connections: the records have each.
    fn tell_of_gap(self, gap: &Gap) {
        let (feed, conn, event) = (&self.origin.feed, self.origin, "gap");
        let (channels, products) = (gap.channels.join(","), gap.products.join(","));
        let Gap { expected, got, missed, .. } = *gap;
        match gap.found {
            _ if self.again => {
                tracing::debug!(%feed, %conn, %event, channels, products, expected, got, missed);
            }
            Found::Reconnect | Found::Stopped => tracing::info!(
                %feed, %conn, %event,
                "what the venue sent between two connections is missing: gap records say of which channels and products"
            ),
            Found::Hole => {
                let counted_by = gap.counted_by.unwrap_or("number");
                tracing::warn!(
                    %feed, %conn, %event, expected, got, missed,
                    "the venue left messages out: {counted_by} {} was to come, and {} came{}",
                    expected.unwrap_or_default(), got.unwrap_or_default(), more(self.unsaid)
                );
            }
            Found::Back => {
                let counted_by = gap.counted_by.unwrap_or("number");
                tracing::warn!(
                    %feed, %conn, %event, expected, got,
                    "the venue's count steps back: {counted_by} {} was to come, and {} came{}",
                    expected.unwrap_or_default(), got.unwrap_or_default(), more(self.unsaid)
                );
            }
        }
    }

    /// What can be asked for by REST to fill this gap.
    pub fn wanted(self, event: &Event) -> Option<Wanted> {
        let Event::Gap(gap) = event else { return None };
        let Gap { mended_by: MendedBy::Rest, expected, got, from, until, .. } = *gap else { return None };
        Some(Wanted {
            origin: self.origin.clone(),
            channel: gap.channels.first()?,
            product: gap.products.first()?.clone(),
            expected: expected?,
            got: got?,
            from: from?,
            until: until?,
            recorder: self.context.recorder.clone(),
        })
    }

    /// One line that settles it, for an operator must act; more of the same are no news until more is known.
    fn tell_of_credentials(self, desk: &Desk, confirmed: bool, message: &str, verdict: &str) {
        let (feed, conn, credentials) = (&self.origin.feed, self.origin, desk.credentials().name());
        let event = "refused";
        let in_a_row = desk.refused(now());
        if confirmed && desk.take_news(feed) {
            let config = &self.context.feed;
            let public = config.channels.iter().any(|channel| !channel.private && !channel.heartbeat);
            let then = match (self.stance.is_refused(), config.if_refused) {
                (false, _) => "signing is tried again",
                (true, IfRefused::Public) if public => {
                    "public channels go on UNSIGNED, private ones wait, and signing is tried again"
                }
                (true, _) => "NOTHING of this feed is recorded until the venue takes them; signing is tried again",
            };
            tracing::error!(
                %feed, %conn, %event, credentials,
                "the venue refuses the credentials, {message:?}: {verdict}. {then}, slower and slower. `tickerd doctor` says more"
            );
        } else if in_a_row == 1 {
            tracing::info!(%feed, %conn, %event, credentials, "the venue says {message:?}: {verdict}");
        } else {
            tracing::debug!(%feed, %conn, %event, credentials, in_a_row, "the venue says {message:?} again: {verdict}");
        }
    }
}
