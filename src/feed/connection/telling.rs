//! What a session wants told, as log lines for people and as events for the record.

use super::now;
use crate::{
    feed::Context,
    record::{Event, Origin},
    session::{IfRefused, Stance, Told},
    venue::Reason,
    verdict::{self, Evidence, SchemeUsed},
};

/// Says it in the log, lets the signing desk know, and makes the event that goes into the record, if it is one.
pub(super) fn event(told: Told, context: &Context, origin: &Origin, stance: &Stance) -> Option<Event> {
    let (feed, conn) = (&origin.feed, origin);
    match told {
        Told::Accepted => {
            if let Some(desk) = &context.desk {
                desk.accepted();
            }
            tracing::debug!(%feed, %conn, "the venue took the credentials");
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
        Told::Refused { channel, message, reason, signed, confirmed } => {
            let in_a_row = match (&context.desk, reason, signed) {
                (Some(desk), Reason::Credentials, true) => desk.refused(now()),
                _ => 1,
            };
            let credentials = context.feed.credentials.as_deref().filter(|_| signed);
            let verdict = verdict::sentence(&Evidence {
                venue: context.feed.venue,
                channel: channel.and_then(|name| context.feed.venue.channel(name)),
                words: &message,
                reason,
                signed,
                confirmed,
                scheme: credentials.map(SchemeUsed::of),
                offset: None,
                rest: None,
            });
            let then = match (stance.is_refused(), context.feed.if_refused) {
                (false, _) => "",
                (true, IfRefused::Public) => {
                    "; public channels go on UNSIGNED, and signing is tried again, slower and slower"
                }
                (true, IfRefused::Wait) => "; nothing is recorded until it takes them; tried again, slower and slower",
            };
            // The first is a warning, the second settles it, and more of the same are no news.
            if in_a_row <= 2 {
                tracing::warn!(%feed, %conn, event = %"refused", channel, "the venue says {message:?}: {verdict}{then}");
            } else {
                tracing::debug!(%feed, %conn, event = %"refused", channel, in_a_row, "the venue says {message:?} again");
            }
            Some(Event::Refused { channel, message, verdict })
        }
    }
}
