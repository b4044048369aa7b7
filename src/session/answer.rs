//! What the venue's list of subscriptions answers, and what is told of it.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant, SystemTime},
};

use super::{Approach, FIRST_PROBE, Session, Signing, Told, subscription::Subscription};
use crate::venue::{Channel, Product, Subscribe};

/// What the venue left out of its answer is asked for again after this: what is listed anew is found within the hour, as in the
/// venue's own list of products.
const LEFT_OUT_AGAIN: Duration = Duration::from_secs(3600);

impl Session {
    pub(super) fn handle_ack(&mut self, accepted: &[(String, Vec<String>)], recv: SystemTime, now: Instant) {
        self.expect(accepted, recv, now);
        if let Some(since) = self.probing.take() {
            if !self.venue.resigns {
                // It is the answer to what was asked, and asking again would bring its snapshots again.
                let probe = self.probe_index();
                self.subscriptions[probe].ask(true, since);
                if self.subscriptions[probe].accept(accepted).is_none() {
                    self.subscriptions[probe].accept_as_it_is(accepted);
                }
                self.subscribed_told = false;
            }
            self.resume_signing(now);
            return self.tell_subscribed(now);
        }
        for subscription in &mut self.subscriptions {
            if subscription.find_absent(accepted) {
                self.subscribed_told = false;
            }
        }
        for subscription in &mut self.subscriptions {
            if subscription.vanish(accepted) {
                self.subscribed_told = false;
            }
        }
        let mut signed: Vec<bool> = self.subscriptions.iter_mut().filter_map(|s| s.accept(accepted)).collect();
        if signed.is_empty() {
            // The venue leaves out what it does not trade, and a channel with it of which nothing is left. Each ask has its
            // ack, so one that says nothing new is the answer to the oldest.
            let may_miss = |s: &&mut Subscription| s.is_pending() && (self.venue.wholesale || s.is_of_products());
            let oldest = self.subscriptions.iter_mut().filter(may_miss).min_by_key(|s| s.asked_since());
            signed.extend(oldest.and_then(|subscription| subscription.accept_as_it_is(accepted)));
        }
        self.take_back();
        if signed.contains(&true) {
            self.stance.refusals = 0;
            if !std::mem::replace(&mut self.signed_accepted, true) {
                self.told.push_back(Told::Accepted);
            }
        }
        if !signed.is_empty() {
            self.stance.divided = 0;
            self.subscribed_told = false;
        }
        self.tell_subscribed(now);
        // It may list what is being let go.
        self.forget_coverage();
    }

    /// From now on what the venue says that it sends is to come.
    fn expect(&mut self, accepted: &[(String, Vec<String>)], recv: SystemTime, now: Instant) {
        for (name, listed) in accepted.iter().filter(|(_, listed)| !listed.is_empty()) {
            let Some(channel) = self.venue.channel(name).filter(|channel| !channel.heartbeat) else { continue };
            self.cadences.accept(name, listed, now);
            if channel.names_products() {
                for product in listed {
                    self.stance.coverage.expect(channel, product, recv);
                }
            } else {
                self.stance.coverage.expect(channel, "", recv);
            }
        }
    }

    /// The credentials are good again: everything is asked anew with them, on the same connection.
    fn resume_signing(&mut self, now: Instant) {
        self.stance.signing = Signing::Every;
        self.stance.refusals = 0;
        self.signed_accepted = true;
        self.told.push_back(Told::Accepted);
        self.fold();
        // What was accepted unsigned stays so until the next connection, where asking again would change nothing of it.
        let asked_anew = self.subscriptions.iter_mut().filter(|s| self.venue.resigns || !s.is_accepted());
        for subscription in asked_anew {
            subscription.ask_anew(now);
            self.subscribed_told = false;
        }
    }

    /// Once everything that can be asked has been answered, says how.
    pub(super) fn tell_subscribed(&mut self, now: Instant) {
        let open = self.subscriptions.iter().any(|s| self.signs(s).is_some() && !s.is_answered());
        if self.subscribed_told || open {
            return;
        }
        self.subscribed_told = true;
        if self.subscriptions.iter().all(Subscription::is_accepted) {
            self.stance.approach = Approach::Together;
        }
        self.keep_left_out(now);
        let accepted = self.subscriptions.iter().filter(|s| s.is_accepted() && !s.subscribe.unsubscribes);
        let channels: BTreeSet<_> =
            accepted.flat_map(|subscription| subscription.channels(true).map(|channel| channel.name)).collect();
        let left_out = self.subscriptions.iter().filter(|subscription| subscription.is_left_out());
        let mut omitted: Vec<_> = left_out.flat_map(|subscription| subscription.subscribe.left_out(&[])).collect();
        omitted.extend(self.kept_apart());
        self.told.push_back(Told::Subscribed { channels: channels.into_iter().collect(), omitted });
    }

    /// What the venue left out is asked for apart from the rest from now on, each hour.
    fn keep_left_out(&mut self, now: Instant) {
        let mut apart = Vec::new();
        let is_apart = |subscription: &&Subscription| subscription.is_left_out();
        // A piece that a connection before has put apart already stands beside what it was a part of.
        let known: Vec<_> =
            self.subscriptions.iter().filter(is_apart).flat_map(|s| s.subscribe.left_out(&[])).collect();
        for subscription in self.subscriptions.iter_mut().filter(|subscription| !subscription.omitted.is_empty()) {
            let mut omitted = std::mem::take(&mut subscription.omitted);
            if subscription.subscribe.channels.len() > 1 {
                omitted.retain(|pair| !known.contains(pair));
            }
            let is_of = |channel: &Channel, product: &Product| {
                omitted.iter().any(|(name, id)| *name == channel.name && product.as_str() == id)
            };
            let vanished = std::mem::take(&mut subscription.has_vanished);
            let until = now + if vanished { FIRST_PROBE } else { LEFT_OUT_AGAIN };
            let of = &mut subscription.subscribe;
            for channel in &of.channels {
                let products: Vec<_> = of.products.iter().filter(|id| is_of(channel, id)).cloned().collect();
                if !products.is_empty() {
                    apart.push((Subscribe { channels: vec![channel], products, ..of.clone() }, until));
                }
            }
            if let [channel] = of.channels[..] {
                of.products.retain(|id| !is_of(channel, id));
                if of.products.is_empty() {
                    // All of it is: it keeps its place.
                    *of = apart.pop().expect("it was put there just now").0;
                    subscription.leave_out(until);
                }
            }
        }
        for (subscribe, until) in apart {
            let mut subscription = Subscription::new(subscribe, now);
            subscription.leave_out(until);
            self.subscriptions.push(subscription);
        }
    }
}
