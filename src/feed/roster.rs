//! The legs of one feed that stand, and what each carries.

use std::sync::Arc;

use tokio::{sync::watch, task::JoinSet};

use super::{Context, leg, now};
use crate::{
    status::Board,
    venue::{Listed, Product, Subscribe},
};

/// As many products as a line of the log names.
const NAMED: usize = 10;

/// Who carries what.
pub(super) struct Roster {
    context: Arc<Context>,
    board: Board,
    products: Vec<Product>,
    legs: Vec<Leg>,
    running: JoinSet<()>,
}

/// One leg; it runs while it carries something.
struct Leg {
    carries: watch::Sender<Vec<Subscribe>>,
}

impl Roster {
    /// No legs yet.
    pub(super) fn new(context: Arc<Context>, board: Board) -> Self {
        Self { context, board, products: Vec::new(), legs: Vec::new(), running: JoinSet::new() }
    }

    /// Takes the venue's list; whether it was of use. One that is empty, or in which nothing matches, is a mistake of
    /// somebody's: to let go of everything for it would be worse than to go on.
    pub(super) fn heed(&mut self, listed: &[Listed]) -> bool {
        let config = &self.context.feed;
        let (feed, selection) = (config.name.as_str(), &config.products);
        let Some(products) = selection.resolve(listed, &config.channels) else {
            let then = if self.products.is_empty() {
                "NOTHING of this feed is recorded: look at the pattern"
            } else {
                "what was recorded goes on"
            };
            tracing::warn!(%feed, "of {} products that the venue lists none matches {selection}; {then}. The list is asked for again", listed.len());
            return false;
        };
        let gone: Vec<_> = self.products.iter().filter(|product| !products.contains(product)).collect();
        let new: Vec<_> = products.iter().filter(|product| !self.products.contains(product)).collect();
        if self.products.is_empty() {
            tracing::info!(%feed, "{} products match {selection}: {}", products.len(), bounded(&new));
        } else {
            match (new.len(), gone.len()) {
                (0, 0) => return true,
                (n, 0) => tracing::info!(%feed, "{n} new products: {}", bounded(&new)),
                (0, n) => tracing::info!(%feed, "{n} products let go: {}", bounded(&gone)),
                (n, m) => tracing::info!(%feed, "{n} new products: {}; {m} let go: {}", bounded(&new), bounded(&gone)),
            }
        }
        self.carry(products);
        true
    }

    /// Spreads the products over legs: those that stand learn of their changes, and what has no room gets further ones.
    pub(super) fn carry(&mut self, products: Vec<Product>) {
        let standing: Vec<_> = self.legs.iter().map(|leg| leg.carries.borrow().clone()).collect();
        let feed = &self.context.feed;
        let plan = feed.venue.legs_after(&standing, &feed.channels, &products, &feed.accounts);
        for (index, carried) in plan.into_iter().enumerate() {
            match self.legs.get(index) {
                Some(leg) if leg.is_the_same(&carried) => {}
                Some(leg) if leg.stands() => drop(leg.carries.send(carried)),
                Some(_) => self.legs[index] = self.begin(carried),
                None => {
                    let leg = self.begin(carried);
                    self.legs.push(leg);
                }
            }
        }
        self.products = products;
    }

    /// Until a leg has ended, for ever where none does. One that broke off takes the feed with it, and the process.
    pub(super) async fn ended(&mut self) {
        match self.running.join_next().await {
            Some(Err(broken)) if broken.is_panic() => std::panic::resume_unwind(broken.into_panic()),
            Some(_) => {}
            None => std::future::pending().await,
        }
    }

    /// Until every leg has ended, as it was told to.
    pub(super) async fn stopped(mut self) {
        while self.running.join_next().await.is_some() {}
    }

    fn begin(&mut self, leg: Vec<Subscribe>) -> Leg {
        let (carries, changes) = watch::channel(leg);
        let place = self.board.place(self.context.feed.name.as_str().into(), now());
        self.running.spawn(leg::keep_alive(self.context.clone(), changes, place));
        Leg { carries }
    }
}

impl Leg {
    /// It has something to carry. One that has not is about to end, if it has not yet.
    fn stands(&self) -> bool {
        !self.carries.borrow().is_empty()
    }

    fn is_the_same(&self, carried: &[Subscribe]) -> bool {
        *self.carries.borrow() == carried
    }
}

fn bounded(products: &[&Product]) -> String {
    let named: Vec<_> = products.iter().take(NAMED).map(|product| product.as_str()).collect();
    match products.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}
