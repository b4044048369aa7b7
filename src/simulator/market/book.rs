//! The open orders of one product, by price level, with a memory of what changed.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use crate::simulator::dice::Dice;

/// Changes that are remembered: at up to eight a step, more than half a minute for a reader that fell behind.
const REMEMBERED: usize = 8_192;

/// Bids and offers. Prices are in the product's own units, quantities in units of 10^-8.
pub struct Book {
    bids: BTreeMap<i64, u64>,
    offers: BTreeMap<i64, u64>,
    depth: usize,
    changes: VecDeque<Change>,
    version: u64,
}

/// Which side of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Who buys.
    Bid,
    /// Who sells.
    Offer,
}

/// A level's new quantity; 0 removes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Of which side.
    pub side: Side,
    /// In the product's own units.
    pub price: i64,
    /// In units of 10^-8; what is there now, not by how much it changed.
    pub quantity: u64,
    /// When it changed.
    pub at: Timestamp,
}

/// The reader is further behind than the book remembers.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLate;

impl Book {
    pub(super) fn new(middle: i64, depth: usize, dice: &mut Dice) -> Self {
        let mut book = Self {
            bids: BTreeMap::new(),
            offers: BTreeMap::new(),
            depth: depth.max(1),
            changes: VecDeque::new(),
            version: 0,
        };
        for _ in 0..book.depth {
            book.deepen(Side::Bid, middle, dice, Timestamp::UNIX_EPOCH);
            book.deepen(Side::Offer, middle, dice, Timestamp::UNIX_EPOCH);
        }
        book.changes.clear();
        book
    }

    /// The highest price that somebody would buy at, with its quantity.
    #[must_use]
    pub fn best_bid(&self) -> (i64, u64) {
        self.bids.last_key_value().map_or((0, 0), |(price, quantity)| (*price, *quantity))
    }

    /// The lowest price that somebody would sell at, with its quantity.
    #[must_use]
    pub fn best_ask(&self) -> (i64, u64) {
        self.offers.first_key_value().map_or((i64::MAX, 0), |(price, quantity)| (*price, *quantity))
    }

    /// The whole book, the best levels first, bids before offers.
    pub fn levels(&self) -> impl Iterator<Item = Change> + '_ {
        let level = |side| {
            move |(price, quantity): (&i64, &u64)| Change {
                side,
                price: *price,
                quantity: *quantity,
                at: Timestamp::UNIX_EPOCH,
            }
        };
        self.bids.iter().rev().map(level(Side::Bid)).chain(self.offers.iter().map(level(Side::Offer)))
    }

    /// How many changes there have been.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What has changed since `version`.
    ///
    /// # Errors
    /// When that is longer ago than the book remembers.
    pub fn since(&self, version: u64) -> Result<impl Iterator<Item = &Change> + '_, TooLate> {
        let behind = usize::try_from(self.version - version).map_err(|_| TooLate)?;
        let skip = self.changes.len().checked_sub(behind).ok_or(TooLate)?;
        Ok(self.changes.iter().skip(skip))
    }

    /// Some orders come and go; then the book stands around `middle` again.
    pub(super) fn step(&mut self, middle: i64, dice: &mut Dice, at: Timestamp) {
        for _ in 0..dice.below(6) {
            let side = if dice.chance(0.5) { Side::Bid } else { Side::Offer };
            let top = dice.index(20);
            let levels = self.side(side);
            let price = match side {
                Side::Bid => levels.keys().rev().nth(top).copied(),
                Side::Offer => levels.keys().nth(top).copied(),
            };
            let quantity = if dice.chance(0.3) { 0 } else { quantity(dice) };
            if let Some(price) = price {
                self.set(side, price, quantity, at);
            }
        }
        self.stand_around(middle, dice, at);
    }

    fn stand_around(&mut self, middle: i64, dice: &mut Dice, at: Timestamp) {
        while let Some((&price, _)) = self.bids.last_key_value().filter(|(price, _)| **price >= middle) {
            self.set(Side::Bid, price, 0, at);
        }
        while let Some((&price, _)) = self.offers.first_key_value().filter(|(price, _)| **price <= middle) {
            self.set(Side::Offer, price, 0, at);
        }
        self.set(Side::Bid, middle - 1, quantity(dice), at);
        self.set(Side::Offer, middle + 1, quantity(dice), at);
        while self.bids.len() < self.depth {
            self.deepen(Side::Bid, middle, dice, at);
        }
        while self.offers.len() < self.depth {
            self.deepen(Side::Offer, middle, dice, at);
        }
        while let Some((&price, _)) = self.bids.first_key_value().filter(|_| self.bids.len() > self.depth + 1) {
            self.set(Side::Bid, price, 0, at);
        }
        while let Some((&price, _)) = self.offers.last_key_value().filter(|_| self.offers.len() > self.depth + 1) {
            self.set(Side::Offer, price, 0, at);
        }
    }

    /// Adds the next level below the lowest bid, or above the highest offer.
    fn deepen(&mut self, side: Side, middle: i64, dice: &mut Dice, at: Timestamp) {
        let gap = 1 + i64::try_from(dice.below(40)).unwrap_or(0);
        let price = match side {
            Side::Bid => self.bids.first_key_value().map_or(middle, |(price, _)| *price) - gap,
            Side::Offer => self.offers.last_key_value().map_or(middle, |(price, _)| *price) + gap,
        };
        self.set(side, price, quantity(dice), at);
    }

    fn set(&mut self, side: Side, price: i64, quantity: u64, at: Timestamp) {
        let levels = self.side(side);
        if quantity == 0 {
            levels.remove(&price);
        } else {
            levels.insert(price, quantity);
        }
        self.version += 1;
        self.changes.push_back(Change { side, price, quantity, at });
        if self.changes.len() > REMEMBERED {
            self.changes.pop_front();
        }
    }

    fn side(&mut self, side: Side) -> &mut BTreeMap<i64, u64> {
        match side {
            Side::Bid => &mut self.bids,
            Side::Offer => &mut self.offers,
        }
    }
}

/// From crumbs to lumps, as order sizes are: each power of ten is as likely as the next.
pub(super) fn quantity(dice: &mut Dice) -> u64 {
    let magnitude = 10_u64.pow(u32::try_from(2 + dice.below(6)).unwrap_or(2));
    magnitude + dice.below(9 * magnitude)
}
