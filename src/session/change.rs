//! What a living connection carries changes: the new is asked for, the gone is taken away, the rest never notices.

use std::time::Instant;

use super::{Approach, Session, Subscription, subscription::State};
use crate::venue::{Channel, Product, Subscribe};

impl Session {
    /// The connection is to carry this from now on. It waits until all that was asked before is answered: an ack lists the
    /// whole set, and would be taken for the answer to what it was sent before.
    pub fn change(&mut self, leg: &[Subscribe]) {
        self.change = Some(leg.to_vec());
    }

    /// Asks for what is new and takes away what is gone, one by one for the same reason.
    pub(super) fn take_change(&mut self, now: Instant) {
        if self.pending() > 0 || self.subscriptions.iter().any(Subscription::is_renewed) {
            return;
        }
        let Some(leg) = self.change.take() else { return };
        self.fold();
        let (mut moved, mut emptied) = (Vec::new(), Vec::new());
        for (index, subscription) in self.subscriptions.iter_mut().enumerate() {
            let Subscribe { unsubscribes, channels, products, .. } = &mut subscription.subscribe;
            let stays = |product: &Product| channels.iter().all(|channel| carries(&leg, channel, product));
            let (staying, gone): (Vec<_>, Vec<_>) = products.drain(..).partition(stays);
            // An unsubscribe that is not sent yet, and what of it is wanted again: the venue has that still.
            let (left, other) = if *unsubscribes { (gone, staying) } else { (staying, gone) };
            *products = left;
            if other.is_empty() {
                continue;
            }
            if products.is_empty() {
                emptied.push(index);
            }
            let (channels, is_back) = (channels.clone(), *unsubscribes);
            let piece = Subscribe { unsubscribes: !is_back, channels, products: other, accounts: Vec::new() };
            let mut piece = Subscription::new(piece, now);
            piece.goes_unsigned = subscription.goes_unsigned;
            if is_back {
                piece.let_be();
                moved.push(piece);
            } else if subscription.is_accepted() {
                // What the venue never took needs no taking away.
                moved.push(piece);
            }
        }
        emptied.into_iter().rev().for_each(|index| drop(self.subscriptions.remove(index)));
        // First what is gone: there may be no room for the new beside it.
        let nothing_moved = moved.is_empty();
        self.subscriptions.extend(moved);

        let held: Vec<_> = self.subscriptions.iter().map(|subscription| subscription.subscribe.clone()).collect();
        let further = leg.iter().filter_map(|subscribe| {
            let is_new =
                |product: &&Product| !subscribe.channels.iter().all(|channel| carries(&held, channel, product));
            let products: Vec<_> = subscribe.products.iter().filter(is_new).cloned().collect();
            (!products.is_empty()).then(|| Subscription::new(Subscribe { products, ..subscribe.clone() }, now))
        });
        let further: Vec<_> = further.collect();
        if !(nothing_moved && further.is_empty()) {
            self.stance.approach = Approach::OneByOne;
            self.subscribed_told = false;
        }
        self.subscriptions.extend(further);
        // What was open may be just what is wanted no more, and then no answer follows.
        self.tell_subscribed(now);
        self.forget_coverage();
    }

    /// Of what nobody asks for any more nothing is missing, and nothing is behind.
    pub(super) fn forget_coverage(&mut self) {
        let adds = || self.subscriptions.iter().map(|s| &s.subscribe).filter(|subscribe| !subscribe.unsubscribes);
        let wanted = |channel: &str, product: &str| {
            adds()
                .filter(|subscribe| subscribe.channels.iter().any(|asked| asked.name == channel))
                .any(|subscribe| product.is_empty() || subscribe.products.iter().any(|asked| asked.answers_to(product)))
        };
        self.stance.coverage.retain(wanted);
        self.cadences.retain(|channel, product| wanted(channel.name, product));
    }

    /// What was accepted piece by piece is one subscription again, and what was taken away is forgotten. Indices move:
    /// nothing may be in hand.
    pub(super) fn fold(&mut self) {
        let mut folded: Vec<Subscription> = Vec::new();
        for subscription in self.subscriptions.drain(..) {
            if subscription.subscribe.unsubscribes && subscription.is_accepted() {
                continue;
            }
            let alike = |other: &&mut Subscription| {
                matches!((&other.state, &subscription.state), (State::Accepted, State::Accepted))
                    && other.subscribe.channels == subscription.subscribe.channels
                    && other.goes_unsigned == subscription.goes_unsigned
            };
            match folded.iter_mut().find(alike) {
                Some(other) => {
                    other.subscribe.products.extend(subscription.subscribe.products);
                    other.omitted.extend(subscription.omitted);
                }
                None => folded.push(subscription),
            }
        }
        self.subscriptions = folded;
    }
}

fn carries(leg: &[Subscribe], channel: &'static Channel, product: &Product) -> bool {
    let adds = leg.iter().filter(|subscribe| !subscribe.unsubscribes);
    adds.filter(|subscribe| subscribe.channels.contains(&channel)).any(|subscribe| subscribe.products.contains(product))
}
