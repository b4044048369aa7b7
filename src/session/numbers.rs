//! What the numbers of a message say of those that did not come.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant, SystemTime},
};

use super::{Found, Gap, Session, Told, count::Step, subscription::Subscription};
use crate::venue::{Arrival, Channel, Counted, Counts, Kind, MendedBy};

/// What is missing may be the answer to a subscribe, which comes within 0.2 s: without one it is asked again after this.
const LOST_ANSWER: Duration = Duration::from_secs(5);

impl Session {
    /// Looks for holes: in the connection's own count, whatever the message is, and in what each channel and product has.
    pub(super) fn count(&mut self, arrival: &Arrival<'_>, recv: SystemTime, now: Instant) {
        if let Some(sequence) = arrival.sequence {
            self.last_sequence = Some(sequence);
            match self.count.step(sequence, sequence) {
                Step::On => {}
                Step::Hole(expected) | Step::Back(expected) => {
                    let gap = self.gap(expected, sequence, recv);
                    self.told.push_back(Told::Gap(gap));
                    self.stance.coverage.hole();
                    self.cadences.hole();
                    for subscription in self.subscriptions.iter_mut().filter(|subscription| subscription.is_pending()) {
                        subscription.again.get_or_insert(now + LOST_ANSWER);
                    }
                }
            }
        }
        self.recv = Some(recv);
        match arrival.kind {
            Kind::Heartbeat => arrival.counted.iter().for_each(|counted| self.cadences.count(counted, now)),
            Kind::Data(Some(channel)) => self.cover(channel, &arrival.counted, recv, now),
            Kind::Data(None) | Kind::Ack(_) | Kind::Refusal(_) => {}
        }
    }

    /// Data came: of the channel as which it reads, or of others whose messages read so.
    fn cover(&mut self, read: &'static Channel, counted: &[Counted<'_>], recv: SystemTime, now: Instant) {
        self.cadences.deliver(read, counted, now);
        let none = [Counted::of("")];
        // What names no product where others do says nothing of any, as level3's schema.
        let of_channel = |channel: &Channel| if channel.names_products() { counted } else { &none };
        let carries = self.cadences.channels().filter(|channel| channel.reads_as(read));
        let (shares, late) = (carries.clone().nth(1).is_some(), self.count.is_behind());
        for channel in carries {
            if !self.stance.in_vain.is_empty() && self.cadences.lives(channel, now) {
                self.stance.in_vain.remove(channel.name);
            }
            for counted in of_channel(channel) {
                if let Some(gap) = self.stance.coverage.see(channel, *counted, (shares, late), recv) {
                    self.told.push_back(Told::Gap(gap));
                }
            }
        }
    }

    /// The connection's count is of all that it carries, so any of it may be what is missing.
    fn gap(&self, expected: u64, got: u64, recv: SystemTime) -> Gap {
        // Snapshots stand before their ack.
        let may_send = |s: &&Subscription| (s.is_in_force() || s.is_pending()) && !s.subscribe.unsubscribes;
        let (mut channels, mut products) = (Vec::<&'static Channel>::new(), BTreeSet::new());
        for subscription in self.subscriptions.iter().filter(may_send) {
            for channel in &subscription.subscribe.channels {
                if !channels.contains(channel) {
                    channels.push(channel);
                }
            }
            products.extend(subscription.subscribe.products.iter().map(ToString::to_string));
        }
        let mut data = channels.iter().filter(|channel| !channel.heartbeat).peekable();
        let is_mended = data.peek().is_some() && data.all(|channel| channel.is_book());
        Gap {
            found: if got < expected { Found::Back } else { Found::Hole },
            counted_by: Counts::Connection.name(),
            expected: Some(expected),
            got: Some(got),
            missed: Some(got.saturating_sub(expected)),
            channels: channels.iter().map(|channel| channel.name).collect(),
            products: products.into_iter().collect(),
            from: self.recv,
            until: Some(recv),
            mended_by: if is_mended { MendedBy::Book } else { MendedBy::Nothing },
        }
    }
}
