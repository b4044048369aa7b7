//! What the venue's list of subscriptions answers, and what is told of it.

use std::{collections::BTreeSet, time::Instant};

use super::{Approach, Session, Signing, Told, subscription::Subscription};

impl Session {
    pub(super) fn handle_ack(&mut self, accepted: &[(String, Vec<String>)], now: Instant) {
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
            return self.tell_subscribed();
        }
        for subscription in &mut self.subscriptions {
            if subscription.find_absent(accepted) {
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
                self.told.push(Told::Accepted);
            }
        }
        if !signed.is_empty() {
            self.stance.divided = 0;
            self.subscribed_told = false;
        }
        self.tell_subscribed();
    }

    /// The credentials are good again: everything is asked anew with them, on the same connection.
    fn resume_signing(&mut self, now: Instant) {
        self.stance.signing = Signing::Every;
        self.stance.refusals = 0;
        self.signed_accepted = true;
        self.told.push(Told::Accepted);
        self.fold();
        // What was accepted unsigned stays so until the next connection, where asking again would change nothing of it.
        let asked_anew = self.subscriptions.iter_mut().filter(|s| self.venue.resigns || !s.is_accepted());
        for subscription in asked_anew {
            subscription.ask_anew(now);
            self.subscribed_told = false;
        }
    }

    /// Once everything that can be asked has been answered, says how.
    pub(super) fn tell_subscribed(&mut self) {
        let open = self.subscriptions.iter().any(|s| self.signs(s).is_some() && !s.is_answered());
        if self.subscribed_told || open {
            return;
        }
        self.subscribed_told = true;
        if self.subscriptions.iter().all(Subscription::is_accepted) {
            self.stance.approach = Approach::Together;
        }
        let accepted = self.subscriptions.iter().filter(|s| s.is_accepted() && !s.subscribe.unsubscribes);
        let channels: BTreeSet<_> =
            accepted.flat_map(|subscription| subscription.channels(true).map(|channel| channel.name)).collect();
        let mut omitted: Vec<_> = self.subscriptions.iter_mut().flat_map(|s| std::mem::take(&mut s.omitted)).collect();
        omitted.extend(self.kept_apart());
        self.told.push(Told::Subscribed { channels: channels.into_iter().collect(), omitted });
    }
}
