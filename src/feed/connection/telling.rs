//! What a session wants told, as log lines for people and as events for the record.

use super::now;
use crate::{
    desk::Known,
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
            let desk = context.desk.as_ref().filter(|_| signed);
            let asked = channel.and_then(|name| context.feed.venue.channel(name));
            let unsigned = || Evidence::unsigned(asked, reason);
            let evidence = desk.map_or_else(unsigned, |desk| desk.evidence(asked, reason, confirmed));
            let verdict = verdict::sentence(&evidence);
            let then = match (stance.is_refused(), context.feed.if_refused) {
                (false, _) => "",
                (true, IfRefused::Public) => {
                    "; public channels go on UNSIGNED, and signing is tried again, slower and slower"
                }
                (true, IfRefused::Wait) => "; nothing is recorded until it takes them; tried again, slower and slower",
            };
            // The first is a warning, the one that settles it says why, and more are no news until more is known.
            let is_news = match (desk, confirmed) {
                (Some(desk), true) => desk.known(Known::take_news),
                _ => in_a_row == 1,
            };
            if is_news {
                tracing::warn!(%feed, %conn, event = %"refused", channel, "the venue says {message:?}: {verdict}{then}");
            } else {
                tracing::debug!(%feed, %conn, event = %"refused", channel, in_a_row, "the venue says {message:?} again");
            }
            Some(Event::Refused { channel, message, verdict })
        }
    }
}
