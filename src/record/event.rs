//! What happened to a connection, as a line among the records.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};

use super::rfc3339;
use crate::{
    account::{Account, Loss},
    session::{Ending, Gap},
    venue::Offset,
};

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
    /// Messages that the venue sent, or may have sent, did not come.
    Gap(Gap),
    /// What was asked for by REST to fill a gap has been recorded, as far as it was to be had.
    Refilled {
        /// Of which channel.
        channel: &'static str,
        /// Of which product.
        product: String,
        /// As the gap has them: the first number that was missing...
        expected: u64,
        /// ...and the first that was not.
        got: u64,
        /// How many messages were recorded, each marked as recovered.
        recovered: u64,
        /// How many are still missing.
        missing: u64,
        /// Why, where some are.
        why: Option<String>,
    },
    /// Messages that the socket delivered are lost.
    Dropped {
        /// How many.
        count: u64,
        /// How many bytes, as far as known.
        bytes: u64,
        /// Why.
        why: Loss,
        /// When the first of them came off the socket...
        from: SystemTime,
        /// ...and the last.
        until: SystemTime,
    },
    /// A segment of the tape is closed. What it tells is what stands before this line, where this line is in it.
    Sealed {
        /// Its name.
        segment: String,
        /// In which state.
        state: &'static str,
        /// Messages in it.
        messages: u64,
        /// Bytes in it.
        bytes: u64,
        /// When the first line in it was received...
        first: Option<SystemTime>,
        /// ...and the last.
        last: Option<SystemTime>,
        /// SHA-256 of the bytes, in hex.
        sha256: String,
    },
    /// A tape was found that a predecessor left unsealed: it was killed, or lost its power.
    Recovered {
        /// Bytes of the torn line at its end, which were set apart; 0 where it ended whole.
        bytes: u64,
        /// Where they are now.
        file: Option<String>,
        /// The segment that the tape is now.
        segment: String,
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
            Self::Gap(_) => "gap",
            Self::Refilled { .. } => "refilled",
            Self::Dropped { .. } => "dropped",
            Self::Sealed { .. } => "sealed",
            Self::Recovered { .. } => "recovered",
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
                let lost = Loss::ALL.into_iter().map(|why| (why.name().to_owned(), account.dropped(why)));
                let dropped_by: Map<_, _> =
                    lost.filter(|(_, count)| *count > 0).map(|(why, count)| (why, count.into())).collect();
                json!({
                    "cause": ending.cause.name(), "code": ending.code, "detail": ending.detail,
                    "last_sequence": last_sequence, "received": totals.received, "written": totals.written,
                    "dropped": totals.dropped, "dropped_by": dropped_by, "gaps": totals.gaps,
                    "lasted_ms": u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX),
                })
            }
            Self::Gap(gap) => json!({
                "found": gap.found.name(), "expected": gap.expected, "got": gap.got, "missed": gap.missed, "channels": gap.channels,
                "products": gap.products, "counted_by": gap.counted_by, "from": gap.from.map(rfc3339),
                "until": gap.until.map(rfc3339), "mended_by": gap.mended_by.name(),
            }),
            Self::Refilled { channel, product, expected, got, recovered, missing, why } => json!({
                "channel": channel, "product": product, "expected": expected, "got": got, "recovered": recovered,
                "missing": missing, "why": why,
            }),
            Self::Dropped { count, bytes, why, from, until } => json!({
                "count": count, "bytes": bytes, "why": why.name(), "from": rfc3339(*from), "until": rfc3339(*until),
            }),
            Self::Sealed { segment, state, messages, bytes, first, last, sha256 } => json!({
                "segment": segment, "state": state, "messages": messages, "bytes": bytes, "first": first.map(rfc3339),
                "last": last.map(rfc3339), "sha256": sha256,
            }),
            Self::Recovered { bytes, file, segment } => json!({ "bytes": bytes, "file": file, "segment": segment }),
        };
        match data {
            Value::Object(data) => data,
            _ => Map::new(),
        }
    }
}
