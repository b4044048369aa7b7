//! How a feed is spread over connections, and how it stays spread so when its products change.

use std::collections::HashSet;

use super::{Channel, Product, Products, Subscribe, Venue};

impl Venue {
    /// Splits a feed into legs, one a connection, each within the venue's limits: the first carries every channel, the
    /// further ones what went over a limit. Heartbeats are on all of them.
    #[must_use]
    pub fn legs(
        &self,
        channels: &[&'static Channel],
        products: &[Product],
        accounts: &[String],
    ) -> Vec<Vec<Subscribe>> {
        self.legs_after(&[], channels, products, accounts)
    }

    /// The legs after a change of products: what stays is in the leg it was in, what is new goes where there is room, and
    /// only then into a further one. A leg of which nothing is left is empty, and its place is the first to be filled when
    /// a further one is wanted.
    #[must_use]
    pub fn legs_after(
        &self,
        legs: &[Vec<Subscribe>],
        channels: &[&'static Channel],
        products: &[Product],
        accounts: &[String],
    ) -> Vec<Vec<Subscribe>> {
        let channels: Vec<_> = channels.iter().copied().filter(|channel| !channel.heartbeat).collect();
        let wanted: HashSet<_> = products.iter().collect();
        let mut shares: Vec<Vec<Vec<Product>>> =
            legs.iter().map(|leg| channels.iter().map(|channel| carried(leg, channel, &wanted)).collect()).collect();
        if shares.is_empty() {
            shares.push(vec![Vec::new(); channels.len()]);
        }
        for (at, channel) in channels.iter().enumerate().filter(|(_, channel)| channel.has_products()) {
            let most = channel.per_connection.unwrap_or(usize::MAX);
            let placed: HashSet<_> = shares.iter().flat_map(|leg| leg[at].clone()).collect();
            for product in products.iter().filter(|product| !placed.contains(product)) {
                let room = |leg: &Vec<Vec<Product>>| leg[at].len() < most;
                let stands = |leg: &Vec<Vec<Product>>| leg.iter().any(|share| !share.is_empty());
                let leg =
                    shares.iter().position(|leg| room(leg) && stands(leg)).or_else(|| shares.iter().position(room));
                let leg = leg.unwrap_or_else(|| {
                    shares.push(vec![Vec::new(); channels.len()]);
                    shares.len() - 1
                });
                shares[leg][at].push(product.clone());
            }
        }
        let leg = |(leg, shares): (usize, &Vec<Vec<Product>>)| {
            let mut leg = self.leg(leg == 0, &channels, shares, products);
            let of_accounts = |subscribe: &&mut Subscribe| {
                subscribe.channels.iter().any(|channel| channel.products == Products::Accounts)
            };
            leg.iter_mut().filter(of_accounts).for_each(|subscribe| subscribe.accounts = accounts.to_vec());
            leg
        };
        shares.iter().enumerate().map(leg).collect()
    }

    /// One leg as messages; channels of the same products may go into one, where the venue takes that.
    fn leg(
        &self,
        first: bool,
        channels: &[&'static Channel],
        shares: &[Vec<Product>],
        products: &[Product],
    ) -> Vec<Subscribe> {
        let mut groups: Vec<(Vec<&'static Channel>, &[Product])> = Vec::new();
        // Those that have products make the groups, and the others join the first.
        let (with, without): (Vec<_>, Vec<_>) = channels.iter().zip(shares).partition(|(_, share)| !share.is_empty());
        for (&channel, share) in with.into_iter().chain(without) {
            // Without products of its own it belongs on the first leg; and to a channel for which none means all, none can
            // only have been meant where there are none for any leg.
            if share.is_empty() && !(first && channel.products != Products::Required) {
                continue;
            }
            match groups.iter_mut().find(|(_, products)| share.is_empty() || *products == &share[..]) {
                Some((group, _)) => group.push(channel),
                None => groups.push((vec![channel], share)),
            }
        }
        let heartbeats: Vec<_> = self.channels.iter().filter(|channel| channel.heartbeat).collect();
        // Those that beat for a product beat for every one, though nothing else be wanted of it.
        let beat_for = if heartbeats.iter().any(|channel| channel.has_products()) { products } else { &[] };
        match groups.first_mut() {
            Some((group, share)) => {
                group.splice(0..0, heartbeats).for_each(drop);
                if share.is_empty() {
                    *share = beat_for;
                }
            }
            None if first && channels.is_empty() => groups.push((heartbeats, beat_for)),
            None => {}
        }
        groups.into_iter().flat_map(|(channels, products)| (self.messages)(&channels, products)).collect()
    }
}

/// What a leg carries of a channel and is still wanted.
fn carried(leg: &[Subscribe], channel: &'static Channel, wanted: &HashSet<&Product>) -> Vec<Product> {
    let of_channel = leg.iter().filter(|subscribe| channel.has_products() && subscribe.channels.contains(&channel));
    of_channel.flat_map(|subscribe| &subscribe.products).filter(|product| wanted.contains(product)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::subsequence};

    use super::*;
    use crate::venue::advanced_trade::MARKET;

    fn products(numbers: impl IntoIterator<Item = usize>) -> Vec<Product> {
        numbers.into_iter().map(|i| Product::parse(&format!("P{i}-USD")).expect("spelt right")).collect()
    }

    fn channels(names: &[&str]) -> Vec<&'static Channel> {
        names.iter().map(|name| MARKET.channel(name).expect("a channel")).collect()
    }

    /// Where each product of a channel is.
    fn places(legs: &[Vec<Subscribe>], channel: &str) -> Vec<(Product, usize)> {
        let on = |(leg, subscribes): (usize, &Vec<Subscribe>)| {
            let of = subscribes.iter().filter(|subscribe| subscribe.channels[0].name == channel);
            of.flat_map(|subscribe| subscribe.products.clone()).map(|product| (product, leg)).collect::<Vec<_>>()
        };
        legs.iter().enumerate().flat_map(on).collect()
    }

    #[test]
    fn spreads_level2_over_connections() {
        let legs = MARKET.legs(&channels(&["level2", "ticker_batch"]), &products(0..65), &[]);
        let level2: Vec<_> =
            legs.iter().flatten().filter(|s| s.channels[0].name == "level2").map(|s| s.products.len()).collect();
        assert_eq!(level2, [30, 30, 5]);
        assert!(legs.iter().all(|leg| leg[0].channels[0].name == "heartbeats"));
        assert!(places(&legs, "ticker_batch").iter().all(|(_, leg)| *leg == 0), "on the first");
        assert_eq!(places(&legs, "ticker_batch").len(), 65);
    }

    #[test]
    fn channels_without_products_are_on_the_first_leg() {
        for (names, first) in [
            (&["heartbeats"][..], &["heartbeats"][..]),
            (&["user"], &["heartbeats", "user"]),
            (&["level2", "futures_balance_summary"], &["heartbeats", "level2", "futures_balance_summary"]),
        ] {
            let listed = if names.contains(&"level2") { products(0..31) } else { Vec::new() };
            let legs = MARKET.legs(&channels(names), &listed, &[]);
            let on_first: Vec<_> = legs[0].iter().map(|subscribe| subscribe.channels[0].name).collect();
            assert_eq!(on_first, first);
            assert_eq!(legs.len(), if listed.is_empty() { 1 } else { 2 });
        }
    }

    #[test]
    fn a_leg_of_which_nothing_is_left_is_empty_and_filled_again() {
        let level2 = channels(&["level2"]);
        let legs = MARKET.legs(&level2, &products(0..65), &[]);
        let fewer = MARKET.legs_after(&legs, &level2, &products((0..30).chain(60..65)), &[]);
        assert_eq!(fewer.iter().map(Vec::len).collect::<Vec<_>>(), [2, 0, 2], "heartbeats alone are nothing");
        let more = MARKET.legs_after(&fewer, &level2, &products((0..30).chain(60..91)), &[]);
        assert_eq!(places(&more, "level2").iter().filter(|(_, leg)| *leg == 1).count(), 1, "the third is filled first");
    }

    proptest! {
        /// Whatever the lists: all that is wanted and nothing else, once a channel, within the limits, and what stays does
        /// not move.
        #[test]
        fn what_stays_stays_where_it_is(lists in vec(subsequence((0..100).collect::<Vec<usize>>(), 0..100), 1..8)) {
            let channels = channels(&["ticker_batch", "level2", "futures_balance_summary"]);
            let mut legs: Vec<Vec<Subscribe>> = Vec::new();
            for list in lists {
                let wanted = products(list);
                let next = MARKET.legs_after(&legs, &channels, &wanted, &[]);
                prop_assert_eq!(&next, &MARKET.legs_after(&legs, &channels, &wanted, &[]));
                for channel in ["ticker_batch", "level2"] {
                    let (before, after) = (places(&legs, channel), places(&next, channel));
                    let mut carried: Vec<_> = after.iter().map(|(product, _)| product.clone()).collect();
                    carried.sort();
                    let mut sorted = wanted.clone();
                    sorted.sort();
                    prop_assert_eq!(carried, sorted);
                    for (product, leg) in before.iter().filter(|(product, _)| wanted.contains(product)) {
                        prop_assert!(after.contains(&(product.clone(), *leg)), "{} moved", product);
                    }
                }
                for leg in 0..next.len() {
                    prop_assert!(places(&next, "level2").iter().filter(|(_, on)| *on == leg).count() <= 30);
                }
                legs = next;
            }
        }
    }
}
