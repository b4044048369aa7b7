//! Keeps one feed alive: resolves its products, spreads them over legs, and keeps both up to date with the venue's list.

mod connection;
mod leg;
mod outage;
mod roster;
mod run;

pub use run::{Run, Tally};

use std::{future::Future, sync::Arc, time::Instant};

use tokio::sync::watch;

use self::{outage::Outage, roster::Roster};
use crate::{
    clock::Clock,
    config::Feed,
    desk::Desk,
    inquiry::List,
    net::Dial,
    output::Recorder,
    pace::Pace,
    random::Random,
    refill::Refiller,
    shutdown::Stopping,
    status::{Board, Place, State},
};

/// What the legs of one feed share.
pub struct Context {
    /// What is to be kept alive.
    pub feed: Feed,
    /// Who signs for it.
    pub desk: Option<Arc<Desk>>,
    /// Who opens connections.
    pub dial: Arc<dyn Dial>,
    /// Where messages go.
    pub recorder: Recorder,
    /// The rate of connects, over the process.
    pub connects: Arc<Pace>,
    /// The rate of subscribes, over the process.
    pub subscribes: Arc<Pace>,
    /// The time of day.
    pub clock: Clock,
    /// Nonces and jitter.
    pub random: Random,
    /// This run, over all feeds.
    pub run: Arc<Run>,
    /// Who is told of missed trades; none where they can not be asked for, or not be marked as recovered.
    pub refill: Option<Refiller>,
    /// When to stop.
    pub stopping: Stopping,
}

/// Keeps one feed alive until told to stop. What is named begins at once; what patterns match begins with the first list of
/// the venue's, and follows each later one: what is new is subscribed, what is gone is let go, and the rest never notices.
///
/// The places on the board are taken before the first poll.
pub fn keep_alive(
    context: Arc<Context>,
    board: &Board,
    list: watch::Receiver<List>,
) -> impl Future<Output = ()> + Send + use<> {
    let mut roster = Roster::new(context.clone(), board.clone());
    let products = &context.feed.products;
    if products.is_fixed() || !products.named().is_empty() {
        roster.carry(products.named().to_vec());
    }
    let waits = (!products.is_fixed()).then(|| {
        let place = board.place(context.feed.name.as_str().into(), now());
        place.is(State::Waiting);
        place.retire();
        place
    });
    follow(context, roster, waits, list)
}

async fn follow(context: Arc<Context>, mut roster: Roster, mut waits: Option<Place>, mut list: watch::Receiver<List>) {
    let feed = context.feed.name.as_str();
    let mut stopping = context.stopping.clone();
    let mut outage = Outage::new(feed, now());
    if waits.is_some() {
        tracing::info!(%feed, "waiting for the venue's list of products: {}", context.feed.products);
        list.mark_changed();
    }
    while !stopping.is_stopping() {
        tokio::select! {
            biased;
            Ok(()) = list.changed(), if !context.feed.products.is_fixed() => {
                match list.borrow_and_update().clone() {
                    List::Known(listed) => if roster.heed(&listed) && let Some(place) = waits.take() {
                        place.leave();
                    },
                    List::Failed(why) => if let Some(place) = &waits {
                        outage.attempt();
                        let since = outage.begins(&why, None, None, now());
                        place.is(State::Down { since, why });
                    },
                    List::Awaited => {}
                }
            }
            () = roster.ended() => {}
            () = stopping.stopped() => {}
        }
    }
    roster.stopped().await;
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
