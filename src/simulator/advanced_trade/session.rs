//! What one connection is subscribed to, and what it is told when.

use std::{collections::BTreeMap, time::Duration};

use super::frame::{self, Part};
use crate::{
    simulator::{
        counterpart::{self, Letter, Request, Sends, Wanted},
        dice::Dice,
        market::{Market, STEP, TooLate},
        refusal::Refusal,
    },
    venue::{Channel, Products},
};

const SECOND: Duration = Duration::from_secs(1);
/// The recorded session's first heartbeat came 0.23 s after its ack.
const FIRST_BEAT: Duration = Duration::from_millis(230);

/// One connection's conversation. It knows no clock: `at` is the market's time, counted from its opening.
pub struct Session {
    subscriptions: BTreeMap<&'static str, Subscription>,
    sends: Sends,
    sequence: u64,
    /// By how many the sequence is to step back.
    back: u64,
    /// Channels that send nothing, for a fault.
    dead: Vec<&'static str>,
    dice: Dice,
    /// The one user's id, the same on every connection, where acks list one instead of products.
    user: String,
    /// The server's uptime in seconds: unrelated to that of another connection, as with another server.
    uptime: u64,
}

struct Subscription {
    channel: &'static Channel,
    products: Vec<Followed>,
    due: Duration,
}

/// A product on a channel, with how far the client has been told: a trade's id, or a book's version.
struct Followed {
    product: String,
    told: u64,
}

impl Session {
    /// One that has nothing yet; `seed` is the exchange's, `dice` are its own.
    #[must_use]
    pub fn new(sends: Sends, seed: u64, mut dice: Dice) -> Self {
        let uptime = dice.below(500_000);
        Self {
            subscriptions: BTreeMap::new(),
            sends,
            sequence: 0,
            back: 0,
            dead: Vec::new(),
            dice,
            user: Dice::new(seed, u64::MAX).uuid(),
            uptime,
        }
    }
}

impl counterpart::Session for Session {
    fn set_sends(&mut self, sends: Sends) {
        self.sends = sends;
    }

    fn step_back(&mut self, by: u32) {
        self.back += u64::from(by);
    }

    fn kill(&mut self, channel: &'static str) {
        self.dead.push(channel);
    }

    fn due(&self) -> Option<Duration> {
        let told = |subscription: &&Subscription| self.tells(subscription.channel);
        self.subscriptions.values().filter(told).filter(|s| period(s.channel).is_some()).map(|s| s.due).min()
    }

    fn apply(&mut self, request: &Request, market: &Market, at: Duration) -> Result<Vec<Letter>, Refusal> {
        let mut frames = Vec::new();
        for wanted in &request.wanted {
            if !request.subscribe {
                self.unsubscribe(wanted, market);
                continue;
            }
            let had = self.subscriptions.contains_key(wanted.channel.name);
            let new = self.subscribe(wanted, market, at)?;
            if self.tells(wanted.channel) && !(had && new.is_empty()) && !market.is_closed() {
                for events in snapshots(wanted.channel, &new, market, at) {
                    frames.push(self.frame(wanted.channel, market, at, &events));
                }
            }
        }
        if self.sends.acks {
            frames.push(self.ack(market, at));
        }
        Ok(frames)
    }

    fn tick(&mut self, market: &Market, at: Duration) -> Result<Vec<Letter>, TooLate> {
        let mut events = Vec::new();
        let uptime = self.uptime;
        for subscription in self.subscriptions.values_mut() {
            let Some(period) = period(subscription.channel) else { continue };
            if subscription.due > at {
                continue;
            }
            // What was missed is not made up for: a heartbeat late is a heartbeat less.
            subscription.due = if subscription.due + period > at { subscription.due + period } else { at + period };
            // What happened just before is told when it opens again.
            if market.is_closed() && !subscription.channel.heartbeat {
                continue;
            }
            for text in subscription.news(market, at, uptime)? {
                events.push((subscription.channel, text));
            }
        }
        events.retain(|(channel, _)| self.tells(channel));
        Ok(events.iter().map(|(channel, text)| self.frame(channel, market, at, text)).collect())
    }

    fn ack(&mut self, market: &Market, at: Duration) -> Letter {
        let mut all = BTreeMap::new();
        for (name, subscription) in &self.subscriptions {
            let products = subscription.products.iter().map(|followed| followed.product.clone());
            let mut listed: Vec<_> = products.filter(|id| !market.is_unlisted(id)).collect();
            self.dice.shuffle(&mut listed);
            match subscription.channel {
                channel if channel.heartbeat => listed = vec![channel.name.to_owned()],
                channel if channel.private => listed = vec![self.user.clone()],
                _ => {}
            }
            all.insert(*name, listed);
        }
        let events = frame::subscriptions(&all);
        self.number("subscriptions", false, market, at, &events)
    }
}

impl Session {
    /// Takes up what the venue knows of what is wanted, and returns what is new of it. What it does not know is left out
    /// without a word.
    fn subscribe(&mut self, wanted: &Wanted, market: &Market, at: Duration) -> Result<Vec<String>, Refusal> {
        let channel = wanted.channel;
        let had = self.subscriptions.get(channel.name);
        let mut new: Vec<String> = Vec::new();
        for asked in &wanted.of {
            let product =
                if channel.private { market.listing(asked).map(|_| asked.as_str()) } else { market.answers(asked) };
            let known = |id: &str| new.iter().any(|new| new == id) || had.is_some_and(|had| had.follows(id));
            if let Some(product) = product.filter(|id| channel.products != Products::None && !known(id)) {
                new.push(product.to_owned());
            }
        }
        let count = had.map_or(0, |had| had.products.len()) + new.len();
        if channel.per_connection.is_some_and(|most| count > most) {
            return Err(Refusal::TooManyBooks(count));
        }
        if new.is_empty() && channel.products == Products::Required {
            return Ok(new);
        }
        let first = if channel.heartbeat { FIRST_BEAT } else { period(channel).unwrap_or_default() };
        let fresh = || Subscription { channel, products: Vec::new(), due: at + first };
        let subscription = self.subscriptions.entry(channel.name).or_insert_with(fresh);
        for product in &new {
            let told = market.listing(product).map_or(0, |listing| match channel.name {
                "level2" => listing.book().version(),
                _ => listing.last_trade(),
            });
            subscription.products.push(Followed { product: product.clone(), told });
        }
        Ok(new)
    }

    fn unsubscribe(&mut self, wanted: &Wanted, market: &Market) {
        let name = wanted.channel.name;
        if let Some(subscription) = self.subscriptions.get_mut(name) {
            let named: Vec<_> = wanted.of.iter().map(|id| market.answers(id).unwrap_or(id)).collect();
            subscription.products.retain(|followed| !named.contains(&followed.product.as_str()));
            if named.is_empty() || subscription.products.is_empty() {
                self.subscriptions.remove(name);
            }
        }
    }

    fn tells(&self, channel: &Channel) -> bool {
        let sent = if channel.heartbeat { self.sends.heartbeats } else { self.sends.data };
        sent && !self.dead.contains(&channel.name)
    }

    fn frame(&mut self, channel: &Channel, market: &Market, at: Duration, events: &str) -> Letter {
        let name = if channel.name == "level2" { "l2_data" } else { channel.name };
        self.number(name, channel.private, market, at, events)
    }

    fn number(&mut self, name: &str, private: bool, market: &Market, at: Duration, events: &str) -> Letter {
        // Before the first number there is none to step back to.
        if self.sequence > 0 {
            self.sequence = self.sequence.saturating_sub(std::mem::take(&mut self.back));
        }
        let text = frame::envelope(name, private, market.at(at), self.sequence, events);
        self.sequence += 1;
        Letter { text, count: Some(String::new()) }
    }
}

impl Subscription {
    fn follows(&self, product: &str) -> bool {
        self.products.iter().any(|followed| followed.product == product)
    }

    /// The events of what happened since the client was last told.
    fn news(&mut self, market: &Market, at: Duration, uptime: u64) -> Result<Vec<String>, TooLate> {
        if self.channel.heartbeat {
            return Ok(vec![frame::heartbeat(market.at(at), uptime + at.as_secs())]);
        }
        let mut events = Vec::new();
        for followed in &mut self.products {
            let Some(listing) = market.listing(&followed.product) else { continue };
            let told = std::mem::replace(
                &mut followed.told,
                if self.channel.name == "level2" { listing.book().version() } else { listing.last_trade() },
            );
            if told == followed.told {
                continue;
            }
            events.push(match self.channel.name {
                "ticker" => frame::ticker(Part::Update, listing, true),
                "ticker_batch" => frame::ticker(Part::Update, listing, false),
                "market_trades" => frame::market_trades(Part::Update, listing, listing.trades_since(told)),
                "candles" => frame::candles(Part::Update, listing),
                "level2" => frame::level2(Part::Update, listing, listing.book().since(told)?.copied()),
                _ => continue,
            });
        }
        Ok(events)
    }
}

/// How often a channel is told; None where a snapshot is all.
fn period(channel: &Channel) -> Option<Duration> {
    match channel.name {
        "heartbeats" | "candles" => Some(SECOND),
        "ticker_batch" => Some(5 * SECOND),
        "market_trades" => Some(SECOND / 4),
        // "On each match" and "each 50 to 100 ms": as fine as the market moves.
        "ticker" | "level2" => Some(STEP),
        _ => None,
    }
}

/// What a channel says first, a message each.
fn snapshots(channel: &Channel, products: &[String], market: &Market, at: Duration) -> Vec<String> {
    let listings = || products.iter().filter_map(|product| market.listing(product));
    match channel.name {
        "ticker" => listings().map(|listing| frame::ticker(Part::Snapshot, listing, true)).collect(),
        "ticker_batch" => listings().map(|listing| frame::ticker(Part::Snapshot, listing, false)).collect(),
        "market_trades" => listings()
            .map(|listing| frame::market_trades(Part::Snapshot, listing, listing.trades_since(0).take(100)))
            .collect(),
        "candles" => listings().map(|listing| frame::candles(Part::Snapshot, listing)).collect(),
        "level2" => listings().map(|listing| frame::level2_snapshot(listing, market.at(at))).collect(),
        "status" if !products.is_empty() => vec![frame::status(listings())],
        "user" => vec![frame::USER.to_owned()],
        "futures_balance_summary" => vec![frame::FUTURES.to_owned()],
        _ => Vec::new(),
    }
}
