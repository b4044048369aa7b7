//! What one connection is subscribed to, and what it is told when.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::frame;
use crate::{
    simulator::{
        counterpart::{self, Request, Sends, Wanted},
        dice::Dice,
        market::{Market, STEP, TooLate, What},
        refusal::Refusal,
    },
    venue::{Channel, Counts, Products},
};

const SECOND: Duration = Duration::from_secs(1);

/// One connection's conversation.
pub struct Session {
    subscriptions: BTreeMap<&'static str, Subscription>,
    sends: Sends,
    holes: f64,
    /// So many numbered messages are still to be lost.
    lost: u32,
    dice: Dice,
}

struct Subscription {
    channel: &'static Channel,
    followed: Vec<Followed>,
    due: Duration,
}

/// A product or account on a channel, with how far the client has been told: the matching engine's number where the channel
/// promises one, else a book's version or a trade's id.
struct Followed {
    id: String,
    told: u64,
}

impl Session {
    /// One that loses numbered messages with the probability `holes`.
    #[must_use]
    pub fn new(sends: Sends, holes: f64, dice: Dice) -> Self {
        Self { subscriptions: BTreeMap::new(), sends, holes, lost: 0, dice }
    }
}

impl counterpart::Session for Session {
    fn set_sends(&mut self, sends: Sends) {
        self.sends = sends;
    }

    /// The next one that has a number: nobody could miss another.
    fn lose_one(&mut self) {
        self.lost += 1;
    }

    fn due(&self) -> Option<Duration> {
        let told = |subscription: &&Subscription| self.tells(subscription.channel);
        self.subscriptions.values().filter(told).filter(|s| period(s.channel).is_some()).map(|s| s.due).min()
    }

    /// All of it or nothing: one product that is not known, and none is subscribed.
    fn apply(&mut self, request: &Request, market: &Market, at: Duration) -> Result<Vec<String>, Refusal> {
        // Who plays a recording, or has played it, has no market to look its products up in.
        if request.subscribe && self.sends.data {
            look_up(request, market)?;
        }
        // What was asked for before is told up to here, and what is asked for now begins here. Who is too late for that is
        // told so when something is due.
        let mut frames = self.orders(market).unwrap_or_default();
        let mut first = Vec::new();
        for wanted in &request.wanted {
            if request.subscribe {
                first.extend(self.subscribe(wanted, market, at));
            } else {
                self.unsubscribe(wanted);
            }
        }
        if self.sends.acks {
            frames.push(self.ack(market, at));
        }
        frames.extend(first);
        Ok(frames)
    }

    fn tick(&mut self, market: &Market, at: Duration) -> Result<Vec<String>, TooLate> {
        let mut due = Vec::new();
        for subscription in self.subscriptions.values_mut() {
            let Some(period) = period(subscription.channel) else { continue };
            if subscription.due > at {
                continue;
            }
            // What was missed is not made up for: a heartbeat late is a heartbeat less.
            subscription.due = if subscription.due + period > at { subscription.due + period } else { at + period };
            due.push(subscription.channel);
        }
        let mut frames = Vec::new();
        // A heartbeat tells how far the matching engine is, and so comes behind all that it did.
        if due.iter().any(|channel| channel.heartbeat || is_numbered(channel)) {
            frames.extend(self.orders(market)?);
        }
        let data = self.sends.data;
        for channel in due.iter().filter(|channel| data && !channel.heartbeat) {
            frames.extend(self.news(channel, market, at)?);
        }
        if let Some(beats) = due.iter().find(|channel| channel.heartbeat && self.sends.heartbeats) {
            let products = self.subscriptions[beats.name].followed.iter().map(|followed| &followed.id);
            frames.extend(products.map(|id| frame::heartbeat(id, market.listing(id), market.at(at))));
        }
        Ok(frames)
    }

    /// By channel; the order of products is not to be relied upon.
    fn ack(&mut self, _: &Market, _: Duration) -> String {
        let mut all = BTreeMap::new();
        for (name, subscription) in &self.subscriptions {
            let mut listed: Vec<_> = subscription.followed.iter().map(|followed| followed.id.clone()).collect();
            self.dice.shuffle(&mut listed);
            all.insert(*name, (subscription.channel, listed));
        }
        frame::subscriptions(&all)
    }
}

impl Session {
    /// Takes it up, and says what comes first of what is new.
    fn subscribe(&mut self, wanted: &Wanted, market: &Market, at: Duration) -> Vec<String> {
        let channel = wanted.channel;
        let had = self.subscriptions.contains_key(channel.name);
        let first = || Subscription { channel, followed: Vec::new(), due: at + period(channel).unwrap_or_default() };
        let subscription = self.subscriptions.entry(channel.name).or_insert_with(first);
        let mut new = Vec::new();
        for id in &wanted.of {
            if !subscription.followed.iter().any(|followed| followed.id == *id) {
                subscription.followed.push(Followed { id: id.clone(), told: position(channel, id, market) });
                new.push(id.clone());
            }
        }
        if self.sends.data { opening(channel, !had, &new, market, at) } else { Vec::new() }
    }

    fn unsubscribe(&mut self, wanted: &Wanted) {
        let name = wanted.channel.name;
        if let Some(subscription) = self.subscriptions.get_mut(name) {
            subscription.followed.retain(|followed| !wanted.of.contains(&followed.id));
            if wanted.of.is_empty() || subscription.followed.is_empty() {
                self.subscriptions.remove(name);
            }
        }
    }

    fn tells(&self, channel: &Channel) -> bool {
        if channel.heartbeat { self.sends.heartbeats } else { self.sends.data }
    }

    /// What the matching engine did since the client was last told, to all that it follows step by step. A match is told
    /// once, though it be of two channels.
    fn orders(&mut self, market: &Market) -> Result<Vec<String>, TooLate> {
        let numbered = |subscription: &&mut Subscription| is_numbered(subscription.channel);
        let mut products = BTreeMap::<String, BTreeSet<&str>>::new();
        let mut told = BTreeMap::new();
        for subscription in self.subscriptions.values_mut().filter(numbered) {
            for followed in &mut subscription.followed {
                products.entry(followed.id.clone()).or_default().insert(subscription.channel.name);
                let now = position(subscription.channel, &followed.id, market);
                told.insert(followed.id.clone(), std::mem::replace(&mut followed.told, now));
            }
        }
        let mut frames = Vec::new();
        if !self.sends.data {
            return Ok(frames);
        }
        for (product, channels) in products {
            let Some(listing) = market.listing(&product) else { continue };
            for step in listing.orders().since(told[&product])? {
                let matched = matches!(step.what, What::Match { .. }) && channels.contains("matches");
                if (matched || channels.contains("full")) && !self.loses_this() {
                    frames.push(frame::step(listing, step));
                }
                if channels.contains("level3") && !self.loses_this() {
                    frames.push(frame::step3(listing, step));
                }
            }
        }
        Ok(frames)
    }

    fn loses_this(&mut self) -> bool {
        if self.lost > 0 {
            self.lost -= 1;
            return true;
        }
        self.dice.chance(self.holes)
    }

    /// What happened on a channel without numbers since the client was last told.
    fn news(&mut self, channel: &Channel, market: &Market, at: Duration) -> Result<Vec<String>, TooLate> {
        let mut frames = Vec::new();
        if channel.name == "status" {
            frames.push(frame::status(market.listings()));
        }
        let Some(subscription) = self.subscriptions.get_mut(channel.name).filter(|_| !is_numbered(channel)) else {
            return Ok(frames);
        };
        for followed in &mut subscription.followed {
            let Some(listing) = market.listing(&followed.id) else { continue };
            let told = std::mem::replace(&mut followed.told, position(channel, &followed.id, market));
            if told == followed.told {
                continue;
            }
            match channel.name {
                "ticker" | "ticker_batch" => frames.extend(frame::ticker(listing)),
                "level2" | "level2_batch" => {
                    frames.push(frame::l2update(listing, listing.book().since(told)?, market.at(at)));
                }
                _ => {}
            }
        }
        Ok(frames)
    }
}

fn look_up(request: &Request, market: &Market) -> Result<(), Refusal> {
    let of_products = |wanted: &&Wanted| wanted.channel.products == Products::Required;
    let mut asked = request.wanted.iter().filter(of_products).flat_map(|wanted| &wanted.of);
    match asked.find(|id| market.listing(id).is_none()) {
        Some(unknown) => Err(Refusal::UnknownProduct(unknown.clone())),
        None => Ok(()),
    }
}

/// Whether its messages are steps of the matching engine.
fn is_numbered(channel: &Channel) -> bool {
    channel.counts != Counts::Nothing
}

/// How far a client is that has been told all of this.
fn position(channel: &Channel, id: &str, market: &Market) -> u64 {
    market.listing(id).map_or(0, |listing| match channel.name {
        _ if is_numbered(channel) => listing.orders().sequence(),
        "level2" | "level2_batch" => listing.book().version(),
        _ => listing.last_trade(),
    })
}

/// How often a channel is told; None where it is told once, or where nothing happens.
fn period(channel: &Channel) -> Option<Duration> {
    match channel.name {
        "heartbeat" => Some(SECOND),
        // "On a preset interval."
        "status" | "ticker_batch" => Some(5 * SECOND),
        // As fine as the market moves, which is the batch of level2_batch.
        "ticker" | "matches" | "full" | "level2" | "level2_batch" | "level3" => Some(STEP),
        // Nobody auctions, asks for quotes or trades on the one user's behalf.
        _ => None,
    }
}

/// What a channel says first; `fresh` where it was not subscribed at all.
fn opening(channel: &Channel, fresh: bool, new: &[String], market: &Market, at: Duration) -> Vec<String> {
    let listings = || new.iter().filter_map(|product| market.listing(product));
    match channel.name {
        "ticker" | "ticker_batch" => listings().filter_map(frame::ticker).collect(),
        "matches" => listings().filter_map(frame::last_match).collect(),
        "level2" | "level2_batch" => listings().map(frame::snapshot).collect(),
        "level3" if fresh => vec![frame::SCHEMA.to_owned()],
        "status" if fresh => vec![frame::status(market.listings())],
        "balance" => new.iter().map(|account| frame::balance(account, market.at(at))).collect(),
        _ => Vec::new(),
    }
}
