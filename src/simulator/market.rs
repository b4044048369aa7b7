//! A synthetic market: pure and seeded. It is moved by the time that has passed, given as an argument, and every
//! connection looks at the same one, so that everybody sees the same prices.

mod book;
mod calendar;
mod listing;
mod orders;

pub use book::{Book, Change, Side, TooLate};
pub use calendar::Calendar;
pub use listing::{Listing, Trade};
pub use orders::{Step, What};

use std::time::Duration;

use jiff::Timestamp;

use super::dice::Dice;
use crate::venue::Product;

/// The finest the market moves in; level2 is sent each 50 to 100 ms.
pub const STEP: Duration = Duration::from_millis(50);

/// What nobody watched for longer than this is not walked: a simulator that idled for a day answers at once.
const UNWATCHED: Duration = Duration::from_secs(60);

/// All that is traded.
pub struct Market {
    listings: Vec<Listing>,
    opened: Timestamp,
    walked: Duration,
    /// How far it was last moved, to the moment.
    now: Duration,
    calendar: Calendar,
    dice: Dice,
}

impl Market {
    /// Opens at `opened` with a past of a day. `quiet` products trade once in ten minutes, the others the less the
    /// further back they stand. Each side of a book has about `depth` levels.
    #[must_use]
    pub fn new(products: &[Product], quiet: &[Product], depth: usize, seed: u64, opened: Timestamp) -> Self {
        let mut dice = Dice::new(seed, 0);
        let mut listings: Vec<_> = Vec::new();
        for (place, product) in products.iter().enumerate() {
            let rate = if quiet.contains(product) { QUIET_RATE } else { rate(place) };
            listings.push(Listing::new(product.as_str(), rate, depth, &mut dice, opened));
        }
        let (walked, now, calendar) = (Duration::ZERO, Duration::ZERO, Calendar::default());
        Self { listings, opened, walked, now, calendar, dice }
    }

    /// It keeps to `calendar`.
    #[must_use]
    pub fn with(self, calendar: Calendar) -> Self {
        Self { calendar, ..self }
    }

    /// Moves on to `elapsed` after the opening. It never goes back.
    pub fn advance(&mut self, elapsed: Duration) {
        self.now = self.now.max(elapsed);
        if elapsed > self.walked + UNWATCHED {
            self.walked = elapsed.saturating_sub(UNWATCHED);
        }
        while self.walked + STEP <= elapsed {
            self.walked += STEP;
            if self.calendar.is_closed(self.walked) {
                continue;
            }
            let at = self.at(self.walked);
            for listing in &mut self.listings {
                if !self.calendar.is_unlisted(listing.product(), self.walked) {
                    listing.step(&mut self.dice, at);
                }
            }
        }
    }

    /// The time of day in this market.
    #[must_use]
    pub fn at(&self, elapsed: Duration) -> Timestamp {
        self.opened.checked_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    /// Whether nothing is traded now, and nothing told.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.calendar.is_closed(self.now)
    }

    /// Whether nobody knows `product` now.
    #[must_use]
    pub fn is_unlisted(&self, product: &str) -> bool {
        self.calendar.is_unlisted(product, self.now)
    }

    /// All that is traded.
    pub fn listings(&self) -> impl Iterator<Item = &Listing> {
        self.listings.iter().filter(|listing| !self.is_unlisted(listing.product()))
    }

    /// What is traded as `product`.
    #[must_use]
    pub fn listing(&self, product: &str) -> Option<&Listing> {
        self.listings().find(|listing| listing.product() == product)
    }

    /// The product whose data the public channels show for `asked`: `BTC-USDC` trades in the book of `BTC-USD`, unless
    /// it is listed itself, as `USDT-USDC` is. None where nobody knows it.
    #[must_use]
    pub fn answers(&self, asked: &str) -> Option<&str> {
        let listed = |id: &str| self.listing(id).map(Listing::product);
        let its_book = || listed(&format!("{}-USD", asked.strip_suffix("-USDC")?));
        listed(asked).or_else(its_book).filter(|_| !self.is_unlisted(asked))
    }
}

/// Trades a second of a product that hardly trades.
const QUIET_RATE: f64 = 1.0 / 600.0;

/// Trades a second of the product at `place` in the list; the recorded BTC-USD had about three.
fn rate(place: usize) -> f64 {
    let place = u32::try_from(place).unwrap_or(u32::MAX);
    3.0 / f64::from(place.saturating_add(1))
}

/// `units` of `10^-places`, as the venue writes numbers: without trailing zeros, whole ones without a point.
#[must_use]
pub fn decimal(units: i64, places: u32) -> String {
    let scale = 10_u64.pow(places);
    let (whole, part) = (units.unsigned_abs() / scale, units.unsigned_abs() % scale);
    let sign = if units < 0 { "-" } else { "" };
    if part == 0 {
        return format!("{sign}{whole}");
    }
    let part = format!("{part:0width$}", width = places as usize);
    format!("{sign}{whole}.{}", part.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn products(ids: &[&str]) -> Vec<Product> {
        ids.iter().map(|id| Product::parse(id).expect(id)).collect()
    }

    fn market(seed: u64) -> Market {
        let all = products(&["BTC-USD", "ETH-USD", "USDT-USDC", "DULL-USD"]);
        Market::new(&all, &all[3..], 50, seed, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn the_same_seed_and_time_show_the_same_prices() {
        let (mut once, mut again) = (market(1), market(1));
        once.advance(Duration::from_secs(30));
        for millis in (0..=30_000).step_by(10) {
            again.advance(Duration::from_millis(millis));
        }
        let prices = |market: &Market| -> Vec<_> {
            market.listings.iter().map(|listing| (listing.price(), listing.last_trade())).collect()
        };
        assert_eq!(prices(&once), prices(&again));
        assert_ne!(prices(&once), prices(&market(1)));
    }

    #[test]
    fn books_never_cross_and_stay_about_as_deep_as_they_were() {
        let mut market = market(2);
        for second in 0..600 {
            market.advance(Duration::from_secs(second));
            for listing in &market.listings {
                let book = listing.book();
                let ((bid, _), (ask, _)) = (book.best_bid(), book.best_ask());
                assert!(bid < ask, "{}: {bid} {ask}", listing.product());
                assert!((25..=100).contains(&book.levels().filter(|l| l.side == Side::Bid).count()));
            }
        }
    }

    #[test]
    fn changes_lead_from_one_book_to_the_next() {
        let mut market = market(3);
        let listed = |market: &Market| -> std::collections::BTreeMap<_, _> {
            let book = market.listing("BTC-USD").expect("listed").book();
            book.levels().map(|l| ((l.side == Side::Bid, l.price), l.quantity)).collect()
        };
        let mut mine = listed(&market);
        let since = market.listing("BTC-USD").expect("listed").book().version();
        market.advance(Duration::from_secs(20));
        for change in market.listing("BTC-USD").expect("listed").book().since(since).expect("not too late") {
            if change.quantity == 0 {
                mine.remove(&(change.side == Side::Bid, change.price));
            } else {
                mine.insert((change.side == Side::Bid, change.price), change.quantity);
            }
        }
        assert_eq!(mine, listed(&market));
    }

    #[test]
    fn a_quiet_product_hardly_trades() {
        let mut market = market(4);
        let trades = |market: &Market, id| market.listing(id).expect("listed").last_trade();
        let (busy, quiet) = (trades(&market, "BTC-USD"), trades(&market, "DULL-USD"));
        market.advance(Duration::from_secs(60));
        assert!(trades(&market, "BTC-USD") - busy > 100);
        assert!(trades(&market, "DULL-USD") - quiet < 3);
    }

    #[test]
    fn a_day_that_nobody_watched_costs_nothing() {
        let mut market = market(5);
        market.advance(Duration::from_secs(86_400 * 365));
        assert_eq!(market.walked, Duration::from_secs(86_400 * 365));
    }

    #[test]
    fn what_is_closed_or_unlisted_stands_still_and_goes_on_where_it_was() {
        let seconds = Duration::from_secs;
        let calendar = Calendar {
            closed: vec![seconds(10)..seconds(30)],
            unlisted: vec![(Product::parse("ETH-USD").expect("spelt right"), seconds(0)..seconds(50))],
        };
        let mut market = market(7).with(calendar);
        let trades = |market: &Market, id| market.listing(id).map(Listing::last_trade);
        let first = trades(&market, "BTC-USD");
        market.advance(seconds(10));
        let before = trades(&market, "BTC-USD");
        assert!(market.is_closed() && before > first);
        market.advance(seconds(29));
        assert_eq!(trades(&market, "BTC-USD"), before);
        assert_eq!((trades(&market, "ETH-USD"), market.answers("ETH-USDC")), (None, None));
        market.advance(seconds(50));
        assert!(!market.is_closed() && trades(&market, "BTC-USD") > before);
        assert_eq!(trades(&market, "ETH-USD"), Some(1_000_099));
        market.advance(seconds(70));
        assert!(trades(&market, "ETH-USD") > Some(1_000_099));
    }

    #[test]
    fn a_usdc_product_is_answered_as_its_usd_book_unless_it_has_its_own() {
        let market = market(6);
        assert_eq!(market.answers("BTC-USDC"), Some("BTC-USD"));
        assert_eq!(market.answers("USDT-USDC"), Some("USDT-USDC"));
        assert_eq!(market.answers("FOO-USDC"), None);
        assert_eq!(market.answers("ETH_USD"), None);
    }

    #[test]
    fn numbers_are_written_as_the_venue_writes_them() {
        for (units, places, text) in
            [(6_508_367, 2, "65083.67"), (12_629_600, 2, "126296"), (6_506_250, 2, "65062.5"), (11, 8, "0.00000011")]
        {
            assert_eq!(decimal(units, places), text);
        }
        assert_eq!(decimal(-50, 2), "-0.5");
    }
}
