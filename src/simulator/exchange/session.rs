//! What one connection is subscribed to, and what it is told when.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::frame;
use crate::{
    simulator::{
        counterpart::{self, Letter, Request, Sends, Wanted},
        dice::Dice,
        market::{Listing, Market, STEP, Step, TooLate, What},
        refusal::Refusal,
    },
    venue::{Channel, Counts, Products},
};

const SECOND: Duration = Duration::from_secs(1);

/// One connection's conversation.
pub struct Session {
    subscriptions: BTreeMap<&'static str, Subscription>,
    sends: Sends,
    /// By how many numbered messages a product is to step back.
    back: usize,
    /// Channels that send nothing, for a fault.
    dead: Vec<&'static str>,
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
    /// One that has nothing yet; `dice` are its own.
    #[must_use]
    pub fn new(sends: Sends, dice: Dice) -> Self {
        Self { subscriptions: BTreeMap::new(), sends, back: 0, dead: Vec::new(), dice }
    }
}

impl counterpart::Session for Session {
    fn set_sends(&mut self, sends: Sends) {
        self.sends = sends;
    }

    /// The numbers are the matching engine's: what is told again is what they were given to.
    fn step_back(&mut self, by: u32) {
        self.back = self.back.saturating_add(by as usize);
    }

    fn kill(&mut self, channel: &'static str) {
        self.dead.push(channel);
    }

    fn due(&self) -> Option<Duration> {
        let told = |subscription: &&Subscription| self.tells(subscription.channel);
        self.subscriptions.values().filter(told).filter(|s| period(s.channel).is_some()).map(|s| s.due).min()
    }

    /// All of it or nothing: one product that is not known, and none is subscribed.
    fn apply(&mut self, request: &Request, market: &Market, at: Duration) -> Result<Vec<Letter>, Refusal> {
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
        frames.extend(first.into_iter().map(unnumbered));
        Ok(frames)
    }

    fn tick(&mut self, market: &Market, at: Duration) -> Result<Vec<Letter>, TooLate> {
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
        for channel in due.iter().filter(|channel| !channel.heartbeat && !market.is_closed()) {
            let news = self.news(channel, market, at)?;
            frames.extend(news.into_iter().filter(|_| self.tells(channel)).map(unnumbered));
        }
        if let Some(beats) = due.iter().find(|channel| channel.heartbeat && self.tells(channel)) {
            let products = self.subscriptions[beats.name].followed.iter().map(|followed| &followed.id);
            let beat = |id: &String| unnumbered(frame::heartbeat(id, market.listing(id), market.at(at)));
            frames.extend(products.filter(|id| !market.is_unlisted(id)).map(beat));
        }
        Ok(frames)
    }

    /// By channel; the order of products is not to be relied upon.
    fn ack(&mut self, market: &Market, _: Duration) -> Letter {
        let mut all = BTreeMap::new();
        for (name, subscription) in &self.subscriptions {
            let of = subscription.followed.iter().map(|followed| followed.id.clone());
            let mut listed: Vec<_> = of.filter(|id| !market.is_unlisted(id)).collect();
            self.dice.shuffle(&mut listed);
            all.insert(*name, (subscription.channel, listed));
        }
        unnumbered(frame::subscriptions(&all))
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
        let tells = self.tells(channel) && !market.is_closed();
        if tells { opening(channel, !had, &new, market, at) } else { Vec::new() }
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
        let sent = if channel.heartbeat { self.sends.heartbeats } else { self.sends.data };
        sent && !self.dead.contains(&channel.name)
    }

    /// What the matching engine did since the client was last told, to all that it follows step by step. A match is told
    /// once, though it be of two channels.
    fn orders(&mut self, market: &Market) -> Result<Vec<Letter>, TooLate> {
        // What happened just before is told when it opens again.
        if market.is_closed() {
            return Ok(Vec::new());
        }
        let numbered = |subscription: &&mut Subscription| is_numbered(subscription.channel);
        let mut products = BTreeMap::<String, BTreeSet<&str>>::new();
        let mut told = BTreeMap::new();
        for subscription in self.subscriptions.values_mut().filter(numbered) {
            for followed in &mut subscription.followed {
                let channels = products.entry(followed.id.clone()).or_default();
                if !self.dead.contains(&subscription.channel.name) {
                    channels.insert(subscription.channel.name);
                }
                if market.is_unlisted(&followed.id) {
                    continue;
                }
                let now = position(subscription.channel, &followed.id, market);
                let before = std::mem::replace(&mut followed.told, now);
                // One that was subscribed while nothing was told waits for no more than the others.
                told.entry(followed.id.clone()).and_modify(|told| *told = before.min(*told)).or_insert(before);
            }
        }
        let mut letters = Vec::new();
        if !self.sends.data {
            return Ok(letters);
        }
        for (product, channels) in products {
            let Some(listing) = market.listing(&product) else { continue };
            let of = |step: &Step| step_letters(listing, step, &channels);
            let new: Vec<_> = listing.orders().since(told[&product])?.flat_map(of).collect();
            if self.back > 0 && !new.is_empty() {
                let before = listing.orders().up_to(told[&product]).filter(|step| !of(step).is_empty());
                let mut again: Vec<_> = before.take(std::mem::take(&mut self.back)).collect();
                again.reverse();
                letters.extend(again.into_iter().flat_map(of));
            }
            letters.extend(new);
        }
        Ok(letters)
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

fn unnumbered(text: String) -> Letter {
    Letter { text, count: None }
}

/// What a client of these channels is told of one step. `level3` is a conversation of its own beside the others.
fn step_letters(listing: &Listing, step: &Step, channels: &BTreeSet<&str>) -> Vec<Letter> {
    let mut letters = Vec::new();
    let matched = matches!(step.what, What::Match { .. }) && channels.contains("matches");
    if matched || channels.contains("full") {
        letters.push(Letter { text: frame::step(listing, step), count: Some(listing.product().to_owned()) });
    }
    if channels.contains("level3") {
        let count = Some(format!("level3 {}", listing.product()));
        letters.push(Letter { text: frame::step3(listing, step), count });
    }
    letters
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
