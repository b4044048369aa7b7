//! What a session wants told, as log lines for people and as events for the record.

use std::time::Duration;

use super::now;
use crate::{
    desk::Desk,
    feed::Context,
    record::{Event, Origin},
    session::{IfRefused, Stance, Told},
    venue::Reason,
    verdict::{self, Evidence},
};

/// Says it in the log, lets the signing desk know, and makes the event that goes into the record, if it is one.
pub(super) fn event(told: Told, context: &Context, origin: &Origin, stance: &Stance) -> Option<Event> {
    let (feed, conn) = (&origin.feed, origin);
    match told {
        Told::Accepted => {
            if let Some(desk) = &context.desk
                && let Some(refused) = desk.accepted(now())
            {
                let (credentials, refused) = (desk.credentials().name(), whole(refused));
                let refused = humantime::format_duration(refused);
                tracing::info!(%feed, %conn, credentials, "the venue takes the credentials again, after {refused}: all is signed");
            }
            None
        }
        Told::Subscribed { channels, omitted } => {
            for (channel, product) in &omitted {
                tracing::warn!(
                    %feed, %conn, event = %"subscribed",
                    "the venue left {product} out of {channel}: it does not trade it, or not under that name"
                );
            }
            tracing::debug!(%feed, %conn, event = %"subscribed", channels = channels.join(","));
            Some(Event::Subscribed { channels, omitted })
        }
        Told::Refused { channel, message, reason, signed: true, confirmed } if context.desk.is_some() => {
            let desk = context.desk.as_ref()?;
            let asked = channel.and_then(|name| context.feed.venue.channel(name));
            let verdict = verdict::sentence(&desk.evidence(asked, reason, confirmed));
            if reason == Reason::Credentials {
                let in_a_row = desk.refused(now());
                tell_of_credentials(desk, (in_a_row, confirmed), &message, &verdict, context, origin, stance);
            } else {
                tracing::warn!(%feed, %conn, event = %"refused", channel, "the venue says {message:?}: {verdict}");
            }
            Some(Event::Refused { channel, message, verdict })
        }
        Told::Refused { channel, message, reason, .. } => {
            let asked = channel.and_then(|name| context.feed.venue.channel(name));
            let verdict = verdict::sentence(&Evidence::unsigned(asked, reason));
            tracing::warn!(%feed, %conn, event = %"refused", channel, "the venue says {message:?}: {verdict}");
            Some(Event::Refused { channel, message, verdict })
        }
    }
}

/// One line that settles it, for an operator must act; more of the same are no news until more is known.
fn tell_of_credentials(
    desk: &Desk,
    (in_a_row, confirmed): (u32, bool),
    message: &str,
    verdict: &str,
    context: &Context,
    origin: &Origin,
    stance: &Stance,
) {
    let (feed, conn, credentials) = (&origin.feed, origin, desk.credentials().name());
    let event = "refused";
    if confirmed && desk.take_news(feed) {
        let public = context.feed.channels.iter().any(|channel| !channel.private && !channel.heartbeat);
        let then = match (stance.is_refused(), context.feed.if_refused) {
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

fn whole(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs())
}
