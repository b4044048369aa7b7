//! What the matching engine does to single orders, each step with its number: a level of the book is one order, and a trade
//! is two that meet.

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;

use super::{
    Book, Trade,
    book::{Change, Side, TooLate},
};
use crate::simulator::dice::Dice;

/// Steps that are remembered: at some hundred a second, half a minute for a reader that fell behind.
const REMEMBERED: usize = 16_384;

/// One product's orders. An order is known by the number of the step in which it was received.
pub struct Orders {
    salt: u64,
    sequence: u64,
    /// By level: the order, and its size.
    standing: HashMap<(Side, i64), (u64, u64)>,
    steps: VecDeque<Step>,
}

/// What happened to one order; `price` in the listing's units, `size` in units of 10^-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// One more than that of the step before.
    pub sequence: u64,
    /// To which order; of a match, the maker's.
    pub order: u64,
    /// Its side.
    pub side: Side,
    /// Its price.
    pub price: i64,
    /// Its size; once it stands, what is left of it; of a match, what was traded.
    pub size: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// What can happen to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It came in.
    Received,
    /// It stands in the book.
    Open,
    /// It was made smaller, and was of this size.
    Change(u64),
    /// It left the book, or never got there: filled, or else canceled.
    Done {
        /// It was filled.
        filled: bool,
    },
    /// It met another one, in the trade of this id.
    Match {
        /// The trade.
        trade: u64,
        /// The order that came to it.
        taker: u64,
    },
}

impl Orders {
    /// Those that `book` has when it opens.
    pub(super) fn new(product: &str, book: &Book) -> Self {
        // Orders of different products must not have the same id.
        let salt = product.bytes().fold(0, |salt: u64, byte| salt.wrapping_mul(31).wrapping_add(byte.into()));
        let mut orders = Self { salt, sequence: 1_000_000, standing: HashMap::new(), steps: VecDeque::new() };
        for level in book.levels() {
            orders.sequence += 2;
            orders.standing.insert((level.side, level.price), (orders.sequence - 1, level.quantity));
        }
        orders
    }

    /// The number of the last step.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// An order's id, as it is told to people.
    #[must_use]
    pub fn id(&self, order: u64) -> String {
        Dice::new(self.salt, order).uuid()
    }

    /// The two orders that met in a trade: maker and taker.
    #[must_use]
    pub fn of(&self, trade: &Trade) -> (String, String) {
        (self.id(trade.sequence - 3), self.id(trade.sequence - 1))
    }

    /// What has happened since step `sequence`.
    ///
    /// # Errors
    /// When that is longer ago than is remembered.
    pub fn since(&self, sequence: u64) -> Result<impl Iterator<Item = &Step> + '_, TooLate> {
        let behind = usize::try_from(self.sequence - sequence).map_err(|_| TooLate)?;
        let skip = self.steps.len().checked_sub(behind).ok_or(TooLate)?;
        Ok(self.steps.iter().skip(skip))
    }

    /// What happened up to step `sequence`, newest first, as far as it is remembered.
    pub fn up_to(&self, sequence: u64) -> impl Iterator<Item = &Step> + '_ {
        self.steps.iter().rev().skip_while(move |step| step.sequence > sequence)
    }

    /// A level was given a new quantity: its order is made smaller, or goes and another one comes.
    pub(super) fn change(&mut self, change: &Change) {
        let Change { side, price, quantity, at } = *change;
        let step = |order, size, what| Step { sequence: 0, order, side, price, size, at, what };
        let had = self.standing.get(&(side, price)).copied();
        if let Some((order, size)) = had {
            if (1..=size).contains(&quantity) {
                self.standing.insert((side, price), (order, quantity));
                self.push(step(order, quantity, What::Change(size)));
                return;
            }
            self.standing.remove(&(side, price));
            self.push(step(order, size, What::Done { filled: false }));
        }
        if quantity > 0 {
            let order = self.sequence + 1;
            self.standing.insert((side, price), (order, quantity));
            self.push(step(order, quantity, What::Received));
            self.push(step(order, quantity, What::Open));
        }
    }

    /// Two orders meet: one comes to stand, the other comes to it, both go. `trade` does not know the number of its match
    /// yet; it is returned.
    pub(super) fn trade(&mut self, trade: &Trade) -> u64 {
        let (side, other) = if trade.buy { (Side::Bid, Side::Offer) } else { (Side::Offer, Side::Bid) };
        let (maker, taker) = (self.sequence + 1, self.sequence + 3);
        for (order, side, size, what) in [
            (maker, side, trade.size, What::Received),
            (maker, side, trade.size, What::Open),
            (taker, other, trade.size, What::Received),
            (maker, side, trade.size, What::Match { trade: trade.id, taker }),
            (maker, side, 0, What::Done { filled: true }),
            (taker, other, 0, What::Done { filled: true }),
        ] {
            self.push(Step { sequence: 0, order, side, price: trade.price, size, at: trade.time, what });
        }
        maker + 3
    }

    fn push(&mut self, step: Step) {
        self.sequence += 1;
        self.steps.push_back(Step { sequence: self.sequence, ..step });
        if self.steps.len() > REMEMBERED {
            self.steps.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use super::*;
    use crate::{simulator::market::Market, venue::Product};

    #[test]
    fn steps_are_numbered_one_by_one_and_lead_from_one_book_to_the_next() {
        let products = [Product::parse("BTC-USD").expect("spelt right")];
        let mut market = Market::new(&products, &[], 50, 1, Timestamp::UNIX_EPOCH);
        let listing = |market: &Market| -> BTreeMap<_, _> {
            let book = market.listing("BTC-USD").expect("listed").book();
            book.levels().map(|level| ((level.side == Side::Bid, level.price), level.quantity)).collect()
        };
        let mut before = listing(&market);
        let start = market.listing("BTC-USD").expect("listed");
        let (mut number, mut trades) = (start.orders().sequence(), start.last_trade());
        let (first_number, first_trade) = (number, trades);
        market.advance(Duration::from_secs(20));
        let orders = market.listing("BTC-USD").expect("listed").orders();
        let mut open = BTreeMap::new();
        for step in orders.since(first_number).expect("not too late") {
            number += 1;
            assert_eq!(step.sequence, number);
            let level = (step.side == Side::Bid, step.price);
            match step.what {
                What::Received => assert_eq!(step.order, number),
                What::Open => assert_eq!(open.insert(step.order, (level, step.size)), None),
                What::Change(from) if open.contains_key(&step.order) => {
                    assert_eq!(open.insert(step.order, (level, step.size)), Some((level, from)));
                }
                What::Change(from) => assert_eq!(before.insert(level, step.size), Some(from)),
                What::Match { trade, .. } => {
                    trades += 1;
                    assert_eq!(trade, trades);
                }
                What::Done { filled: true } => drop(open.remove(&step.order)),
                What::Done { filled: false } => {
                    let gone = open.remove(&step.order).or_else(|| before.remove(&level).map(|size| (level, size)));
                    assert_eq!(gone, Some((level, step.size)));
                }
            }
        }
        assert_eq!(number, orders.sequence());
        before.extend(open.into_values());
        assert_eq!(before, listing(&market));
        assert!(trades > first_trade + 10);
    }
}
