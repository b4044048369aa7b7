//! How faults are typed, and how they are told.

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use super::{Fault, Rule, When};
use crate::venue::{self, Product};

/// A fault that can not be had, with what there is.
#[derive(Debug, PartialEq, Eq)]
pub struct FaultError {
    /// As it was typed.
    pub given: String,
    why: String,
}

/// What a drip brings when nothing else is said: a ticker frame each half second.
const DRIP: u32 = 1_000;
/// How far a count steps back when nothing else is said.
pub(super) const BACK: u32 = 5;

/// All of them, as they are typed.
pub(super) const KNOWN: &str = "close:CODE, reset, cut, silence, dead, garbage, hole, late, back[:NUMBERS], dead-channel:CHANNEL, \
                     drip[:BYTES-A-SECOND], each with @3s or @n50 (after 50 messages); holes:PROBABILITY, \
                     refuse:COUNT, 429[:SECONDS], 503[:SECONDS], mute, no-ack, no-heartbeats, only-heartbeats, \
                     fragment, random:PER-MINUTE; before any of them connN: for the Nth connection only; \
                     of the whole exchange, revoke:10s-40s (no signature is taken meanwhile), maintenance:1h-2h (nothing but \
                     acks and heartbeats), unlisted:PRODUCT:0s-1h (it does not know that product), clock:+90s or \
                     clock:-90s (it is off), refuse-rest:COUNT";

impl FromStr for Rule {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let wrong = |why: String| FaultError { given: text.to_owned(), why };
        let (connection, rest) = match text.strip_prefix("conn").and_then(|rest| rest.split_once(':')) {
            Some((number, rest)) => (Some(number.parse().map_err(|_| wrong("connN: wants a number".into()))?), rest),
            None => (None, text),
        };
        let (fault, when) = match rest.split_once('@') {
            Some((fault, when)) => (fault, Some(read_when(when).map_err(&wrong)?)),
            None => (rest, None),
        };
        let fault = read_fault(fault).map_err(&wrong)?;
        if when.is_some() && !fault.is_momentary() {
            return Err(wrong("it holds from the start and takes no @".into()));
        }
        if connection.is_some() && fault.is_everywhere() {
            return Err(wrong("it is the whole exchange's and takes no connN:".into()));
        }
        let count = if let Fault::Refuse(count) | Fault::RefuseRest(count) = fault { count } else { 0 };
        let left = Arc::new(AtomicU32::new(count));
        Ok(Self { connection, fault, when: when.unwrap_or(When::After(Duration::ZERO)), left })
    }
}

fn read_fault(text: &str) -> Result<Fault, String> {
    let (name, value) = text.split_once(':').map_or((text, None), |(name, value)| (name, Some(value)));
    let fault = match (name, value) {
        ("close", value) => Fault::Close(close_code(value.unwrap_or("1000"))?),
        ("drip", value) => Fault::Drip(value.map_or(Ok(DRIP), number)?.max(1)),
        ("429", value) => Fault::TooMany(value.map_or(Ok(1), number)?),
        ("holes", Some(value)) => Fault::Holes(share(value)?),
        ("refuse", value) => Fault::Refuse(value.map_or(Ok(1), number)?),
        ("refuse-rest", value) => Fault::RefuseRest(value.map_or(Ok(1), number)?),
        ("revoke", Some(value)) => {
            let (from, until) = span("revoke", value)?;
            Fault::Revoke { from, until }
        }
        ("maintenance", Some(value)) => {
            let (from, until) = span("maintenance", value)?;
            Fault::Maintenance { from, until }
        }
        ("unlisted", Some(value)) => unlisted(value)?,
        ("clock", Some(value)) => Fault::Clock(off(value)?),
        ("random", Some(value)) => Fault::Random(rate(value)?),
        ("reset", None) => Fault::Reset,
        ("cut", None) => Fault::Cut,
        ("silence", None) => Fault::Silence,
        ("dead", None) => Fault::Dead,
        ("garbage", None) => Fault::Garbage,
        ("hole", None) => Fault::Hole,
        ("late", None) => Fault::Late,
        ("back", value) => Fault::Back(value.map_or(Ok(BACK), numbers)?),
        ("dead-channel", Some(value)) => Fault::DeadChannel(channel(value)?),
        ("503", value) => Fault::Unavailable(value.map_or(Ok(1), number)?),
        ("mute", None) => Fault::Mute,
        ("no-ack", None) => Fault::NoAck,
        ("no-heartbeats", None) => Fault::NoHeartbeats,
        ("only-heartbeats", None) => Fault::OnlyHeartbeats,
        ("fragment", None) => Fault::Fragment,
        _ => return Err(format!("there are {KNOWN}")),
    };
    Ok(fault)
}

fn read_when(text: &str) -> Result<When, String> {
    if let Some(messages) = text.strip_prefix('n') {
        return messages
            .parse()
            .map(When::Messages)
            .map_err(|_| "@n wants a number of messages, as in @n50".to_owned());
    }
    humantime::parse_duration(text)
        .map(When::After)
        .map_err(|_| "@ wants a time, as in @3s, or a number of messages, as in @n50".to_owned())
}

/// The codes that may stand in a close frame (RFC 6455, 7.4): 1005, 1006 and 1015 may not.
fn close_code(text: &str) -> Result<u16, String> {
    let allowed = |code: &u16| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    text.parse().ok().filter(allowed).ok_or_else(|| "close wants a code that may be sent, as in close:1001".to_owned())
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("\"{text}\" is not a number"))
}

fn numbers(text: &str) -> Result<u32, String> {
    let possible = |by: &u32| *by > 0;
    text.parse().ok().filter(possible).ok_or_else(|| "back wants a number of numbers, as in back:5".to_owned())
}

/// A channel of any venue, by its own name: faults do not know which venue they will be at.
fn channel(text: &str) -> Result<&'static str, String> {
    let mut names = venue::ALL.iter().flat_map(|venue| venue.channels).map(|channel| channel.name);
    names
        .find(|name| *name == text)
        .ok_or_else(|| "dead-channel wants a channel of the venue, as in dead-channel:level2".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    let between = |share: &f64| (0.0..=1.0).contains(share);
    text.parse().ok().filter(between).ok_or_else(|| "holes wants a probability from 0 to 1".to_owned())
}

fn span(name: &str, text: &str) -> Result<(Duration, Duration), String> {
    let read = |text: &str| humantime::parse_duration(text).ok();
    let span = text.split_once('-').and_then(|(from, until)| Some((read(from)?, read(until)?)));
    span.filter(|(from, until)| from < until)
        .ok_or_else(|| format!("{name} wants two times since the exchange opened, as in {name}:10s-40s"))
}

fn unlisted(text: &str) -> Result<Fault, String> {
    let (product, times) = text
        .split_once(':')
        .ok_or_else(|| "unlisted wants a product and two times, as in unlisted:ETH-USD:0s-1h".to_owned())?;
    let product = Product::parse(product).map_err(|misspelt| misspelt.to_string())?;
    let (from, until) = span(&format!("unlisted:{product}"), times)?;
    Ok(Fault::Unlisted { product, from, until })
}

/// Milliseconds.
fn off(text: &str) -> Result<i64, String> {
    let read = |text: &str| i64::try_from(humantime::parse_duration(text).ok()?.as_millis()).ok();
    match text.split_at_checked(1) {
        Some(("+", ahead)) => read(ahead),
        Some(("-", behind)) => read(behind).map(|ms| -ms),
        _ => None,
    }
    .ok_or_else(|| "clock wants + or - and a time, as in clock:+90s".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let possible = |rate: &f64| (0.0..=6_000.0).contains(rate);
    text.parse()
        .ok()
        .filter(possible)
        .ok_or_else(|| "random wants a number of faults a minute, as in random:2".to_owned())
}

impl fmt::Display for FaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no such fault \"{}\": {}", self.given, self.why)
    }
}

impl std::error::Error for FaultError {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Close(code) => write!(f, "close {code}"),
            Self::Reset => f.write_str("reset"),
            Self::Cut => f.write_str("cut in mid-frame"),
            Self::Silence => f.write_str("silence, with pongs"),
            Self::Dead => f.write_str("silence, without pongs"),
            Self::Garbage => f.write_str("garbage"),
            Self::Drip(bytes) => write!(f, "drip, {bytes} bytes a second"),
            Self::Hole => f.write_str("a message lost"),
            Self::Holes(probability) => write!(f, "messages lost, {probability}"),
            Self::Late => f.write_str("a message late"),
            Self::Back(by) => write!(f, "a count {by} back"),
            Self::DeadChannel(name) => write!(f, "{name} dead"),
            Self::Refuse(count) => write!(f, "refusal of {count} subscribes"),
            Self::RefuseRest(count) => write!(f, "refusal of {count} REST requests"),
            Self::Revoke { from, until } => write!(f, "no signature taken from {from:?} to {until:?}"),
            Self::Maintenance { from, until } => write!(f, "no market from {from:?} to {until:?}"),
            Self::Unlisted { product, from, until } => write!(f, "{product} not known from {from:?} to {until:?}"),
            Self::Clock(ms) => write!(f, "the venue's clock {ms} ms off"),
            Self::TooMany(seconds) => write!(f, "429 at the upgrade, Retry-After {seconds} s"),
            Self::Unavailable(seconds) => write!(f, "503 at the upgrade, Retry-After {seconds} s"),
            Self::Mute => f.write_str("acks and no data"),
            Self::NoAck => f.write_str("no acks"),
            Self::NoHeartbeats => f.write_str("no heartbeats"),
            Self::OnlyHeartbeats => f.write_str("heartbeats and no data"),
            Self::Fragment => f.write_str("fragments"),
            Self::Random(rate) => write!(f, "{rate} faults a minute"),
        }
    }
}
