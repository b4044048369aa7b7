//! One product: its price on a random walk, its trades, candles and book.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use super::{
    STEP,
    book::{Book, quantity},
    orders::Orders,
};
use crate::simulator::dice::Dice;

/// A day of candles is what the 24-hour fields are made of.
const CANDLES_A_DAY: usize = 288;
const CANDLE_SECONDS: i64 = 300;
/// The venue's snapshot has a hundred; the rest is for readers that fell behind, and for those who ask by REST for what they
/// missed: at three a second, the most that is traded at real pace, two hours, in a megabyte.
const TRADES_KEPT: usize = 20_000;

/// One product.
pub struct Listing {
    product: String,
    places: u32,
    trades_a_step: f64,
    price: i64,
    book: Book,
    orders: Orders,
    trades: VecDeque<Trade>,
    candles: VecDeque<Candle>,
    year: (i64, i64),
}

/// One trade; `price` in the listing's units, `size` in units of 10^-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    /// One more than that of the trade before.
    pub id: u64,
    /// In the listing's units.
    pub price: i64,
    /// In units of 10^-8.
    pub size: u64,
    /// When, to the microsecond.
    pub time: Timestamp,
    /// Whether the maker bought.
    pub buy: bool,
    /// The matching engine's number.
    pub sequence: u64,
}

/// Five minutes; prices in the listing's units, volume in units of 10^-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candle {
    /// Seconds since 1970.
    pub start: i64,
    /// The first price.
    pub open: i64,
    /// The highest.
    pub high: i64,
    /// The lowest.
    pub low: i64,
    /// The last.
    pub close: i64,
    /// What was traded.
    pub volume: u64,
}

/// The last 24 hours and 52 weeks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Day {
    /// The first price of the day.
    pub open: i64,
    /// What was traded, in units of 10^-8.
    pub volume: u64,
    /// The lowest price of the day.
    pub low: i64,
    /// The highest price of the day.
    pub high: i64,
    /// The lowest price of the year.
    pub year_low: i64,
    /// The highest price of the year.
    pub year_high: i64,
    /// By how many percent the price changed.
    pub change: f64,
}

impl Listing {
    pub(super) fn new(product: &str, rate: f64, depth: usize, dice: &mut Dice, opened: Timestamp) -> Self {
        let (price, places) = first_price(product, dice);
        let book = Book::new(price, depth, dice);
        let mut listing = Self {
            product: product.to_owned(),
            places,
            trades_a_step: rate * STEP.as_secs_f64(),
            price,
            orders: Orders::new(product, &book),
            book,
            trades: VecDeque::new(),
            candles: VecDeque::new(),
            year: (price / 2, price * 2),
        };
        listing.live_through_a_day(rate, dice, opened);
        listing
    }

    /// Its id.
    #[must_use]
    pub fn product(&self) -> &str {
        &self.product
    }

    /// Its price is in units of 10 to the minus this.
    #[must_use]
    pub fn places(&self) -> u32 {
        self.places
    }

    /// What was last paid.
    #[must_use]
    pub fn price(&self) -> i64 {
        self.trades.back().map_or(self.price, |trade| trade.price)
    }

    /// The open orders.
    #[must_use]
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// The same, order by order.
    #[must_use]
    pub fn orders(&self) -> &Orders {
        &self.orders
    }

    /// What was traded last.
    #[must_use]
    pub fn newest(&self) -> Option<&Trade> {
        self.trades.back()
    }

    /// The id of the last trade.
    #[must_use]
    pub fn last_trade(&self) -> u64 {
        self.trades.back().map_or(0, |trade| trade.id)
    }

    /// The trades after the one of id `seen`, newest first, as the venue lists them.
    pub fn trades_since(&self, seen: u64) -> impl Iterator<Item = &Trade> {
        self.trades.iter().rev().take_while(move |trade| trade.id > seen)
    }

    /// The last five minutes of which anything was traded, and those before, oldest first.
    #[must_use]
    pub fn candles(&self) -> &VecDeque<Candle> {
        &self.candles
    }

    /// The last 24 hours.
    #[must_use]
    pub fn day(&self) -> Day {
        let price = self.price();
        let first = self.candles.front().map_or(price, |candle| candle.open);
        Day {
            open: first,
            volume: self.candles.iter().map(|candle| candle.volume).sum(),
            low: self.candles.iter().map(|candle| candle.low).min().unwrap_or(price),
            high: self.candles.iter().map(|candle| candle.high).max().unwrap_or(price),
            year_low: self.year.0,
            year_high: self.year.1,
            change: percent(first, price),
        }
    }

    pub(super) fn step(&mut self, dice: &mut Dice, at: Timestamp) {
        let trades = dice.chance(self.trades_a_step);
        if trades {
            self.trade(dice, at);
        }
        // A product that hardly trades has a book that hardly moves; a busy one's changes each 50 to 100 ms.
        if trades || dice.chance((self.trades_a_step * 8.0).min(0.7)) {
            let version = self.book.version();
            self.book.step(self.price, dice, at);
            for change in self.book.since(version).into_iter().flatten() {
                self.orders.change(change);
            }
        }
    }

    fn trade(&mut self, dice: &mut Dice, at: Timestamp) {
        let far = i64::try_from(dice.below(u64::try_from(self.price / 20_000).unwrap_or(0) + 2)).unwrap_or(0);
        let up = dice.chance(0.5);
        // A price that walks for years must not walk out of its range.
        let up = if self.price < self.year.0 { true } else { up && self.price < self.year.1 };
        self.price += if up { far } else { -far };
        let buy = dice.chance(0.5);
        let price = self.price + if buy { -1 } else { 1 };
        self.record(price, quantity(dice), buy, at);
    }

    fn record(&mut self, price: i64, size: u64, buy: bool, at: Timestamp) {
        self.tell(price, size, buy, at);
        let start = at.as_second().div_euclid(CANDLE_SECONDS) * CANDLE_SECONDS;
        match self.candles.back_mut() {
            Some(candle) if candle.start == start => {
                candle.high = candle.high.max(price);
                candle.low = candle.low.min(price);
                candle.close = price;
                candle.volume += size;
            }
            _ => self.open_candle(Candle { start, open: price, high: price, low: price, close: price, volume: size }),
        }
    }

    fn tell(&mut self, price: i64, size: u64, buy: bool, at: Timestamp) {
        let id = self.trades.back().map_or(1_000_000, |trade| trade.id + 1);
        let time = Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at);
        let mut trade = Trade { id, price, size, time, buy, sequence: 0 };
        trade.sequence = self.orders.trade(&trade);
        self.trades.push_back(trade);
        if self.trades.len() > TRADES_KEPT {
            self.trades.pop_front();
        }
    }

    fn open_candle(&mut self, candle: Candle) {
        self.candles.push_back(candle);
        if self.candles.len() > CANDLES_A_DAY {
            self.candles.pop_front();
        }
    }

    /// The past: a day of candles, and a hundred trades.
    fn live_through_a_day(&mut self, rate: f64, dice: &mut Dice, opened: Timestamp) {
        let now = opened.as_second().div_euclid(CANDLE_SECONDS) * CANDLE_SECONDS;
        let mut price = self.price;
        let mut past = Vec::new();
        for ago in (1..=CANDLE_SECONDS).take(CANDLES_A_DAY - 1) {
            let reach = u64::try_from(self.price / 500).unwrap_or(0) + 2;
            let mut throw = || i64::try_from(dice.below(reach)).unwrap_or(0);
            let open = (price + throw() - throw()).max(1);
            let (high, low) = (open.max(price) + throw() / 4, (open.min(price) - throw() / 4).max(1));
            let volume = quantity(dice);
            past.push(Candle { start: now - ago * CANDLE_SECONDS, open, high, low, close: price, volume });
            price = open;
        }
        self.candles.extend(past.into_iter().rev());
        for ago in (1..=100).rev() {
            let ago = SignedDuration::try_from_secs_f64(f64::from(ago) / rate.max(0.05)).unwrap_or_default();
            let buy = dice.chance(0.5);
            let price = self.price + if buy { -1 } else { 1 };
            self.tell(price, quantity(dice), buy, opened.checked_sub(ago).unwrap_or(opened));
        }
    }
}

/// What a product costs at first, with the places of its price.
fn first_price(product: &str, dice: &mut Dice) -> (i64, u32) {
    match product.split('-').next().unwrap_or_default() {
        "BTC" => (6_500_000, 2),
        "ETH" => (191_900, 2),
        "SOL" => (15_000, 2),
        "XRP" => (21_500, 4),
        "DOGE" => (18_000, 5),
        "USDT" | "USDC" | "DAI" | "EURC" => (100_000, 5),
        _ => (1_000 + i64::try_from(dice.below(500_000)).unwrap_or(0), 4),
    }
}

#[expect(clippy::cast_precision_loss, reason = "prices are far below 2^53 units")]
fn percent(from: i64, to: i64) -> f64 {
    (to - from) as f64 / from.max(1) as f64 * 100.0
}
