//! A venue may refuse all that one message asks for where it dislikes a part of it. Then the part is found, kept apart and
//! named, and the rest is asked for without it.

use std::{collections::BTreeSet, time::Instant};

use super::{Approach, FIRST_PROBE, Part, Session, Stance, Told, subscription::Subscription};
use crate::venue::{Product, Reason, Subscribe};

/// Divisions without anything accepted between them. One bad part leaves a good half at each, and a dozen such parts a good piece
/// soon; at eight subscribes a second it takes three seconds to find out that it is none of that.
const IN_VAIN: u32 = 12;

/// What a connection asks for: its leg in the parts to which refusals have taken it, none longer than the venue reads; what was
/// refused for itself is asked for later.
pub(super) fn of(leg: &[Subscribe], stance: &Stance, now: Instant) -> Vec<Subscription> {
    let whole: Vec<_> = leg.iter().map(|subscribe| Part { subscribe: subscribe.clone(), put_off: None }).collect();
    let parts =
        if covered(leg) == covered(stance.parts.iter().map(|part| &part.subscribe)) { &stance.parts } else { &whole };
    // Something must be asked for at once, or the venue closes.
    let all_later = parts.iter().all(|part| part.put_off.is_some());
    let subscriptions = |part: &Part| match part.put_off {
        Some((at, refusals)) => {
            vec![Subscription::put_off(part.subscribe.clone(), if all_later { now } else { at.max(now) }, refusals)]
        }
        None => {
            let pieces = part.subscribe.clone().in_pieces(stance.most.unwrap_or(usize::MAX));
            pieces.into_iter().map(|piece| Subscription::new(piece, now)).collect()
        }
    };
    parts.iter().flat_map(subscriptions).collect()
}

/// Every channel with every product that is asked for.
fn covered<'a>(subscribes: impl IntoIterator<Item = &'a Subscribe>) -> BTreeSet<(&'a str, Option<&'a Product>)> {
    let mut covered = BTreeSet::new();
    for subscribe in subscribes {
        for channel in &subscribe.channels {
            covered.insert((channel.name, None));
            covered.extend(subscribe.products.iter().map(|product| (channel.name, Some(product))));
        }
    }
    covered
}

/// One that was refused for itself just now.
fn put_off(subscribe: Subscribe, now: Instant) -> Subscription {
    Subscription::put_off(subscribe, now + FIRST_PROBE, 2)
}

impl Session {
    /// Takes a refused subscribe to parts, and tells. False where it is one thing, or where the refusal is
    /// not of what is asked for but of who asks, or how fast.
    pub(super) fn take_apart(&mut self, index: usize, message: &str, reason: Reason, tries: u32, now: Instant) -> bool {
        let subscription = &self.subscriptions[index];
        let subscribe = &subscription.subscribe;
        let parts = match reason {
            _ if !self.venue.wholesale => None,
            Reason::Product => {
                let named = subscribe.named_in(message);
                if !named.is_empty() || subscribe.products.len() == 1 {
                    self.keep_apart(index, &named, message, tries, now);
                    return true;
                }
                subscribe.halved()
            }
            Reason::TooLong => {
                let halved = subscribe.halved();
                self.shorten();
                halved
            }
            // Of a key that the venue has taken on this connection: it has no right to some of the channels.
            reason if reason.is_of_credentials() && self.signed_accepted => subscribe.halved_by_channel(),
            reason if reason.is_of_credentials() => None,
            Reason::TooFast | Reason::TooSlow => None,
            // Of what it is, it does not say.
            _ => subscribe.halved_by_channel().or_else(|| subscribe.halved()),
        };
        // In a venue's own trouble all is refused, and no part would be taken.
        let Some([one, other]) = parts.filter(|_| self.stance.divided < IN_VAIN) else { return false };
        self.stance.divided += 1;
        let (channel, signed) = (self.subscriptions[index].channel(), self.subscriptions[index].is_signed());
        let message = message.to_owned();
        self.told.push_back(Told::Refused { channel, product: None, message, reason, signed, confirmed: false });
        self.replace(index, Subscription::new(one, now), vec![Subscription::new(other, now)]);
        true
    }

    /// The products that the words name, or the only one, are asked for alone from now on; each is told once.
    fn keep_apart(&mut self, index: usize, named: &[Product], message: &str, tries: u32, now: Instant) {
        let subscription = &self.subscriptions[index];
        let (channel, signed) = (subscription.channel(), subscription.is_signed());
        let subscribe = subscription.subscribe.clone();
        let (bad, rest): (Vec<_>, Vec<_>) =
            subscribe.products.iter().cloned().partition(|product| named.is_empty() || named.contains(product));
        let mut alone: Vec<_> = bad.iter().map(|product| put_off(subscribe.of(vec![product.clone()]), now)).collect();
        for product in bad {
            if self.stance.apart.insert(product.clone()) {
                let (message, reason) = (message.to_owned(), Reason::Product);
                self.told.push_back(Told::Refused {
                    channel,
                    product: Some(product),
                    message,
                    reason,
                    signed,
                    confirmed: true,
                });
            }
        }
        if !rest.is_empty() {
            self.replace(index, Subscription::new(subscribe.of(rest), now), alone);
        } else if subscribe.products.len() > 1 {
            let one = alone.remove(0);
            self.replace(index, one, alone);
        } else {
            self.ask_later(index, Reason::Product, true, tries, now);
        }
    }

    /// The venue does not read messages as long as the longest that is out.
    pub(super) fn shorten(&mut self) {
        let in_hand = self.in_hand.map(|ask| ask.index);
        let all = self.subscriptions.iter().enumerate();
        let out = all.filter(|(index, subscription)| subscription.is_pending() || in_hand == Some(*index));
        let longest = out.map(|(_, subscription)| subscription.subscribe.products.len()).max().unwrap_or_default();
        if longest > 1 {
            self.stance.most = Some(longest.div_ceil(2));
        }
    }

    /// What the venue has taken is no longer kept apart.
    pub(super) fn take_back(&mut self) {
        if self.stance.apart.is_empty() {
            return;
        }
        let accepted = self.subscriptions.iter().filter(|s| s.is_accepted() && !s.subscribe.unsubscribes);
        for product in accepted.flat_map(|subscription| &subscription.subscribe.products) {
            self.stance.apart.remove(product);
        }
    }

    /// Channel and product of what is kept apart and not accepted.
    pub(super) fn kept_apart(&self) -> Vec<(&'static str, String)> {
        let apart = |subscription: &&Subscription| {
            let products = &subscription.subscribe.products;
            !subscription.is_accepted() && products.len() == 1 && self.stance.apart.contains(&products[0])
        };
        let each = |subscription: &Subscription| subscription.subscribe.left_out(&[]);
        self.subscriptions.iter().filter(apart).flat_map(each).collect()
    }

    /// One in the place of the refused, the others behind all: what is in hand keeps its index.
    fn replace(&mut self, index: usize, mut one: Subscription, others: Vec<Subscription>) {
        self.stance.approach = Approach::OneByOne;
        one.goes_unsigned = self.subscriptions[index].goes_unsigned;
        self.subscriptions[index] = one;
        for mut other in others {
            other.goes_unsigned = self.subscriptions[index].goes_unsigned;
            self.subscriptions.push(other);
        }
    }
}
