//! What the numbers of a message say of those that did not come.

use std::time::{Instant, SystemTime};

use super::{Found, Gap, Session, Told, count::Step};
use crate::venue::{Arrival, Channel, Counted, Counts, Kind, MendedBy, Products};

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
        let of_channel = |channel: &Channel| match (channel.products, counted) {
            (_, []) => &none[..],
            (Products::Required, counted) => counted,
            _ => &none,
        };
        let carries = self.cadences.channels().filter(|channel| channel.reads_as(read));
        let shares = carries.clone().nth(1).is_some();
        for channel in carries {
            self.stance.in_vain.remove(channel.name);
            for counted in of_channel(channel) {
                if let Some(gap) = self.stance.coverage.see(channel, *counted, shares, recv) {
                    self.told.push_back(Told::Gap(gap));
                }
            }
        }
    }

    /// The connection's count is of all that it carries, so any of it may be what is missing.
    fn gap(&self, expected: u64, got: u64, recv: SystemTime) -> Gap {
        let carried = self.subscriptions.iter().filter(|s| s.is_in_force() && !s.subscribe.unsubscribes);
        let (mut channels, mut products, mut mended_by) = (Vec::new(), Vec::new(), MendedBy::Nothing);
        for subscription in carried {
            for channel in subscription.channels(true) {
                if !channels.contains(&channel.name) {
                    channels.push(channel.name);
                }
                if channel.is_book {
                    mended_by = MendedBy::Snapshot;
                }
            }
            for product in &subscription.subscribe.products {
                if !products.iter().any(|known| known == product.as_str()) {
                    products.push(product.to_string());
                }
            }
        }
        Gap {
            found: if got < expected { Found::Back } else { Found::Hole },
            counted_by: Counts::Connection.name(),
            expected: Some(expected),
            got: Some(got),
            missed: Some(got.saturating_sub(expected)),
            channels,
            products,
            from: self.recv,
            until: Some(recv),
            mended_by,
        }
    }
}
