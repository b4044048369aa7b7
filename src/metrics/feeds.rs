//! What is told of feeds: how they are, what they brought, and what happened to them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use prometheus_client::registry::Unit;

use super::{
    Shown,
    page::{Labels, Named, Page, flag, real},
};
use crate::{
    account::Loss,
    record::{Annals, Deeds},
    session::{Cause, Found},
    status::{Condition, FeedReport, Health},
    venue::Counts,
};

pub(super) fn write(shown: &Shown, reports: &[FeedReport], page: &mut Page<'_>) -> fmt::Result {
    write_states(reports, page)?;
    write_channels(shown, reports, page)?;
    write_messages(shown, page)?;
    write_deeds(shown, page)
}

fn write_states(reports: &[FeedReport], page: &mut Page<'_>) -> fmt::Result {
    const HEALTHS: [(Health, &str); 3] =
        [(Health::Well, "well"), (Health::Degraded, "degraded"), (Health::Down, "down")];
    const STATES: [(Condition, &str); 5] = [
        (Condition::Starting, "starting"),
        (Condition::Waiting, "waiting"),
        (Condition::Recording, "recording"),
        (Condition::Down, "down"),
        (Condition::Stalled, "stalled"),
    ];
    let healths = reports.iter().flat_map(|feed| {
        HEALTHS
            .map(|(health, name)| (vec![("feed", feed.name.as_str()), ("health", name)], flag(feed.health == health)))
    });
    let named = Named("tickerd_feed_health", "1 for the judgement of tickerd status on the feed, 0 for the others.");
    page.gauge(named, None, healths)?;
    let states = reports.iter().flat_map(|feed| {
        STATES.map(|(state, name)| (vec![("feed", feed.name.as_str()), ("state", name)], flag(feed.state == state)))
    });
    let named =
        Named("tickerd_feed_state", "1 for the state of the feed, the worst of its connections speaking for it.");
    page.gauge(named, None, states)?;
    let mut each = |named, value: fn(&FeedReport) -> f64| {
        page.gauge(named, None, reports.iter().map(|feed| (vec![("feed", feed.name.as_str())], value(feed))))
    };
    each(Named("tickerd_feed_connections", "Connections over which the feed is spread."), |feed| {
        real(feed.connections)
    })?;
    each(Named("tickerd_feed_connections_delivering", "Of these, the ones that deliver."), |feed| {
        real(feed.delivering)
    })?;
    let unsigned = "1 while the credentials are refused and public channels go on without them.";
    each(Named("tickerd_feed_unsigned", unsigned), |feed| flag(feed.unsigned))?;
    let left_out = "Channels and products that the venue does not know, and leaves out.";
    each(Named("tickerd_feed_left_out", left_out), |feed| real(feed.left_out))
}

fn write_channels(shown: &Shown, reports: &[FeedReport], page: &mut Page<'_>) -> fmt::Result {
    let missing = reports.iter().flat_map(|report| {
        let feed = shown.feeds.iter().filter(|feed| feed.name == report.name);
        let channels = feed.flat_map(|feed| &feed.channels).filter(|channel| !channel.heartbeat);
        channels.map(|channel| {
            let is_missing = report.missing.iter().any(|missing| missing == channel.name);
            (vec![("feed", report.name.as_str()), ("channel", channel.name)], flag(is_missing))
        })
    });
    let named = "1 while the channel was asked for and is not delivered: refused, or silent where it should not be.";
    page.gauge(Named("tickerd_channel_missing", named), None, missing)?;
    let annals = shown.annals();
    let last = annals.iter().flat_map(|(feed, annals)| {
        let sample =
            |(channel, at): (&'static str, Duration)| (vec![("feed", *feed), ("channel", channel)], at.as_secs_f64());
        annals.last_data().map(sample)
    });
    let named = "When data of the channel came last, in seconds since 1970; before any has, when tickerd began.";
    page.gauge(Named("tickerd_channel_last_data_timestamp", named), Some(&Unit::Seconds), last)
}

/// What became of messages is read before what was received, so that never more is told to have left than came.
fn write_messages(shown: &Shown, page: &mut Page<'_>) -> fmt::Result {
    let accounts: Vec<_> =
        shown.feeds.iter().map(|feed| (feed.name.as_str(), shown.run.annals(&feed.name).1)).collect();
    let totals: Vec<_> = accounts
        .iter()
        .map(|(feed, account)| {
            let dropped = Loss::ALL.into_iter().filter(|why| why.is_counted()).map(|why| (why, account.dropped(why)));
            let dropped: Vec<_> = dropped.collect();
            (*feed, dropped, account.totals())
        })
        .collect();
    let written = totals.iter().map(|(feed, _, totals)| (vec![("feed", *feed)], totals.written));
    page.counter(Named("tickerd_messages_written", "Messages that the output took."), None, written)?;
    let dropped = totals.iter().flat_map(|(feed, dropped, _)| {
        dropped.iter().map(|(why, count)| (vec![("feed", *feed), ("why", why.name())], *count))
    });
    page.counter(Named("tickerd_messages_dropped", "Messages that were received and are lost."), None, dropped)?;
    let received = totals.iter().map(|(feed, _, totals)| (vec![("feed", *feed)], totals.received));
    let named = "Messages that came off the sockets: written, dropped, or on their way through the queue.";
    page.counter(Named("tickerd_messages_received", named), None, received)?;
    let annals = shown.annals();
    let bytes = annals.iter().map(|(feed, annals)| (vec![("feed", *feed)], annals.bytes()));
    page.counter(Named("tickerd_received", "Bytes of these messages."), Some(&Unit::Bytes), bytes)
}

fn write_deeds(shown: &Shown, page: &mut Page<'_>) -> fmt::Result {
    let annals = shown.annals();
    let deeds: Vec<_> = annals.iter().map(|(feed, annals)| (*feed, annals.deeds())).collect();
    let connects = deeds.iter().map(|(feed, deeds)| (vec![("feed", *feed)], deeds.connects));
    page.counter(Named("tickerd_connects", "Connections that were made."), None, connects)?;
    let failures = deeds.iter().map(|(feed, deeds)| (vec![("feed", *feed)], deeds.failures));
    page.counter(Named("tickerd_connect_failures", "Tries that came to no connection."), None, failures)?;
    // Each is there from the start: what appears with its first count has no increase.
    let disconnects = deeds.iter().flat_map(|(feed, deeds)| {
        Cause::ALL.map(|cause| (vec![("feed", *feed), ("cause", cause.name())], of(&deeds.disconnects, cause.name())))
    });
    page.counter(Named("tickerd_disconnects", "Connections that are over, by their cause."), None, disconnects)?;
    let gaps = deeds.iter().flat_map(|(feed, deeds)| {
        Found::ALL.map(|found| (vec![("feed", *feed), ("found", found.name())], of(&deeds.gaps, found.name())))
    });
    page.counter(Named("tickerd_gaps", "Gaps in what the venue sent, by how they were found."), None, gaps)?;
    let missed = deeds.iter().flat_map(|(feed, deeds)| {
        let counts = [Counts::Connection, Counts::Sequence, Counts::Trades].into_iter().filter_map(Counts::name);
        counts.map(|name| (vec![("feed", *feed), ("counted_by", name)], of(&deeds.missed, name)))
    });
    let named = "Numbers that did not come, as far as known, by the venue's name for what it counts.";
    page.counter(Named("tickerd_missed", named), None, missed)?;
    let refusals = deeds.iter().flat_map(|(feed, deeds)| {
        let channels = shown.feeds.iter().filter(|known| known.name == **feed).flat_map(|feed| &feed.channels);
        let channels: BTreeSet<_> = channels
            .map(|channel| channel.name)
            .chain([Deeds::UNKNOWN])
            .chain(deeds.refusals.keys().copied())
            .collect();
        channels.into_iter().map(|name| (vec![("feed", *feed), ("channel", name)], of(&deeds.refusals, name)))
    });
    let named = "Refusals of the venue, by channel; unknown where it did not say of what.";
    page.counter(Named("tickerd_refusals", named), None, refusals)?;
    let refilled = deeds.iter().flat_map(|(feed, deeds)| {
        let labels = |outcome| -> Labels<'_> { vec![("feed", *feed), ("outcome", outcome)] };
        [(labels("recovered"), deeds.recovered), (labels("missing"), deeds.unrecovered)]
    });
    page.counter(
        Named("tickerd_refilled", "Missed trades that were asked for by REST, by what came of it."),
        None,
        refilled,
    )
}

fn of(counts: &BTreeMap<&'static str, u64>, name: &str) -> u64 {
    counts.get(name).copied().unwrap_or_default()
}

impl Shown {
    fn annals(&self) -> Vec<(&str, Arc<Annals>)> {
        self.feeds.iter().map(|feed| (feed.name.as_str(), self.run.annals(&feed.name).0)).collect()
    }
}
