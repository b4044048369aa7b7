//! A channel that fell silent, or a book with a hole in it, is asked for anew on the same connection: let go first, for a
//! subscribe to what one has brings an ack and no snapshot.

use std::time::Instant;

use super::{Approach, Session, Subscription, subscription::Errand};
use crate::venue::{Channel, Products, Subscribe};

impl Session {
    /// Whether a channel may be asked for anew now: its answers must not be taken for those to something else.
    pub(super) fn may_renew(&self) -> bool {
        self.subscribed_told && self.change.is_none() && self.in_hand.is_none() && self.pending() == 0
    }

    /// Asks for those anew of which it is time.
    pub(super) fn take_renewals(&mut self, now: Instant) {
        while self.may_renew()
            && let Some(channel) = self.cadences.probe(now)
        {
            if !self.renew(channel, now) {
                self.cadences.refuse(channel, false);
            }
        }
    }

    /// Whether there was anything to ask for anew.
    fn renew(&mut self, channel: &'static Channel, now: Instant) -> bool {
        self.fold();
        let (mut pieces, mut emptied) = (Vec::new(), Vec::new());
        for index in 0..self.subscriptions.len() {
            let subscription = &self.subscriptions[index];
            let is_its = subscription.is_accepted() && subscription.subscribe.channels.contains(&channel);
            if !is_its || self.signs(subscription).is_none() {
                continue;
            }
            let subscription = &mut self.subscriptions[index];
            let of = &mut subscription.subscribe;
            let accounts = if channel.products == Products::Accounts { of.accounts.clone() } else { Vec::new() };
            let piece =
                Subscribe { unsubscribes: false, channels: vec![channel], products: of.products.clone(), accounts };
            of.channels.retain(|other| *other != channel);
            if of.channels.is_empty() {
                emptied.push(index);
            }
            for anew in piece.in_pieces(self.stance.most.unwrap_or(usize::MAX)) {
                let let_go = Subscribe { unsubscribes: true, ..anew.clone() };
                for (subscribe, errand) in [(let_go, Errand::Plain), (anew, Errand::Renewed)] {
                    let mut piece = Subscription::new(subscribe, now);
                    (piece.errand, piece.goes_unsigned) = (errand, subscription.goes_unsigned);
                    pieces.push(piece);
                }
            }
        }
        emptied.into_iter().rev().for_each(|index| drop(self.subscriptions.remove(index)));
        let is_any = !pieces.is_empty();
        if is_any {
            self.stance.approach = Approach::OneByOne;
            self.subscribed_told = false;
        }
        self.subscriptions.extend(pieces);
        is_any
    }
}
