//! What happened to a connection, as a line among the records.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::{account::Account, session::Ending, venue::Offset};

/// Something that a reader of the record must know.
#[derive(Clone, Debug)]
pub enum Event {
    /// A connection stands; nothing is subscribed yet.
    Connected {
        /// Where to.
        url: String,
        /// The address that answered.
        peer: String,
        /// Which try it was since the last connection that delivered, from 1.
        attempt: u64,
    },
    /// Every subscribe has been answered.
    Subscribed {
        /// What was accepted.
        channels: Vec<&'static str>,
        /// What the venue left out of its answer: channel and product.
        omitted: Vec<(&'static str, String)>,
    },
    /// A subscribe was refused.
    Refused {
        /// Of which channel, where that can be told.
        channel: Option<&'static str>,
        /// The venue's words.
        message: String,
        /// What they mean, and what to do.
        verdict: String,
    },
    /// Our clock is wrong, still is, or is right again.
    Clock {
        /// How far, by the venue's.
        offset: Offset,
        /// Signatures are made by the venue's clock meanwhile.
        signing: bool,
    },
    /// A connection is over. Its counts are read when the line is written: it stands behind all of its messages.
    Disconnected {
        /// How it ended.
        ending: Ending,
        /// The venue's number of the last message that had one.
        last_sequence: Option<u64>,
        /// How long it stood.
        lasted: Duration,
    },
    /// Messages are lost.
    Dropped {
        /// How many, at least.
        count: u64,
        /// How many bytes, as far as known.
        bytes: u64,
        /// Why.
        why: &'static str,
    },
}

impl Event {
    /// As records and logs call it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Connected { .. } => "connected",
            Self::Subscribed { .. } => "subscribed",
            Self::Refused { .. } => "refused",
            Self::Clock { .. } => "clock",
            Self::Disconnected { .. } => "disconnected",
            Self::Dropped { .. } => "dropped",
        }
    }

    /// Its data; `account` is that of its connection.
    #[must_use]
    pub fn data(&self, account: &Account) -> Map<String, Value> {
        let data = match self {
            Self::Connected { url, peer, attempt } => {
                json!({ "tickerd": env!("CARGO_PKG_VERSION"), "url": url, "peer": peer, "attempt": attempt })
            }
            Self::Subscribed { channels, omitted } => {
                let omitted: Vec<_> = omitted
                    .iter()
                    .map(|(channel, product)| json!({ "channel": channel, "product": product }))
                    .collect();
                json!({ "channels": channels, "omitted": omitted })
            }
            Self::Refused { channel, message, verdict } => {
                json!({ "channel": channel, "message": message, "verdict": verdict })
            }
            Self::Clock { offset, signing } => json!({
                "offset_ms": offset.ms, "uncertainty_ms": offset.uncertainty_ms,
                "signed_by": if *signing { "venue" } else { "machine" },
            }),
            Self::Disconnected { ending, last_sequence, lasted } => {
                let totals = account.totals();
                json!({
                    "cause": ending.cause.name(), "code": ending.code, "detail": ending.detail,
                    "last_sequence": last_sequence, "received": totals.received, "written": totals.written,
                    "dropped": totals.dropped, "lasted_ms": u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX),
                })
            }
            Self::Dropped { count, bytes, why } => json!({ "count": count, "bytes": bytes, "why": why }),
        };
        match data {
            Value::Object(data) => data,
            _ => Map::new(),
        }
    }
}
