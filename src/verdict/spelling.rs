//! Names that the venue would not know: products, channels, addresses.

use super::{Finding, Mistake as M};
use crate::venue::{self, Misspelt, Venue, exchange::EXCHANGE};

/// `futures_balance_summary` has 23 letters, and no product as many. What is longer is not shown: a secret, a signature or a
/// token may stand in the wrong field.
const LONGEST: usize = 24;

/// Where the Exchange also answers, under Europe's rules (its changelog of 2025-12-11).
const EUROPEAN: &str = ".dma.prime.coinbase.com";

/// A product that no venue spells so.
#[must_use]
pub fn of_product(misspelt: &Misspelt) -> Finding {
    let what = match misspelt.given.len() {
        length if length > LONGEST => format!("what stands for a product has {length} bytes: none is as long"),
        _ => misspelt.to_string(),
    };
    Finding::wrong(M::ProductSpelling, what)
}

/// A channel by the name that was given. None where the venue has it.
#[must_use]
pub fn of_channel(venue: &Venue, given: &str) -> Option<Finding> {
    if venue.channel(given).is_some() {
        return None;
    }
    // What another venue has by that name is something else, where this one's people know what is meant.
    let is_endpoint = |other: &Venue| other.rest.url == venue.rest.url;
    let mut elsewhere: Vec<_> = venue::ALL.iter().filter(|other| other.channel(given).is_some()).collect();
    elsewhere.sort_by_key(|other| !is_endpoint(other));
    if let (None, Some(other)) = (venue.channel_meant(given), elsewhere.first()) {
        let what = format!("{} has no channel {given:?}, but {} ({}) has", venue.name, other.name, other.url);
        // Another host of the same exchange is where to go; another exchange has other keys and other messages.
        let mistake = if is_endpoint(other) { M::PrivateChannel } else { M::ChannelName };
        return Some(Finding::wrong(mistake, what));
    }
    let what = match venue.channel_meant(given) {
        Some(channel) => format!("{} has no channel {given:?}: \"{}\"?", venue.name, channel.name),
        None if given.len() > LONGEST => format!("{} has no channel whose name has {} bytes", venue.name, given.len()),
        None => format!("{} has no channel {given:?}", venue.name),
    };
    Some(Finding::wrong(M::ChannelName, what))
}

/// A WebSocket address. None where nothing speaks against it.
#[must_use]
pub fn of_url(text: &str, venue: &Venue) -> Option<Finding> {
    let wrong = |what: String| Some(Finding::wrong(M::Url, what));
    let Some((scheme, rest)) = text.split_once("://") else {
        return wrong(format!("the address has no scheme: {} is {}'s", venue.url, venue.name));
    };
    let host = rest.split(['/', '?', ':']).next().unwrap_or_default().to_lowercase();
    let is_at = |url: &str| url.split_once("://").is_some_and(|(_, own)| own == host);
    if is_at(venue.rest.url) || venue.endpoints.iter().any(|endpoint| is_at(endpoint.rest)) {
        return wrong(format!("{host} is the REST interface: {} is {}'s WebSocket", venue.url, venue.name));
    }
    if !matches!(scheme, "ws" | "wss") {
        return wrong(format!("{scheme}:// is no WebSocket: {} is {}'s", venue.url, venue.name));
    }
    if host.is_empty() {
        return wrong("the address names no host".to_owned());
    }
    let has = |venue: &Venue| is_at(venue.url) || venue.endpoints.iter().any(|endpoint| is_at(endpoint.url));
    if let Some(other) = venue::ALL.iter().find(|other| other.name != venue.name && has(other)) {
        let what = format!("{host} is {}'s, and the channels are {}'s ({})", other.name, venue.name, venue.url);
        // One exchange with two hosts has its channels spread over them; another exchange has none of them.
        let mistake = if other.rest.url == venue.rest.url { M::PrivateChannel } else { M::Url };
        return Some(Finding::wrong(mistake, what));
    }
    // Those of exchanges that take other messages and other keys, or that are gone.
    if host.ends_with(".coinbase.com") && !has(venue) && !(venue.name == EXCHANGE.name && host.ends_with(EUROPEAN)) {
        return wrong(format!("{host} is not {}'s: that is {}", venue.name, venue.url));
    }
    if scheme == "ws" && has(venue) {
        return wrong(format!("the venue takes TLS alone: {}", venue.url));
    }
    None
}
