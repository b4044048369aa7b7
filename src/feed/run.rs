//! One run of the process: its id, and what its connections brought, by feed and in all.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

use crate::{
    account::{Account, Totals},
    random::Random,
    record::{Annals, Origin},
    venue::Channel,
};

/// One run of the process.
#[derive(Debug)]
pub struct Run {
    /// Its random id.
    pub id: u32,
    /// Connections made so far.
    pub connections: AtomicU64,
    /// What all of them received, and what became of it.
    pub account: Arc<Account>,
    by_feed: Mutex<HashMap<Arc<str>, Count>>,
}

/// What one feed brought so far, over all of its connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Connections made.
    pub connections: u64,
    /// What they received, and what became of it.
    pub totals: Totals,
}

#[derive(Debug, Default)]
struct Count {
    connections: u64,
    account: Arc<Account>,
    annals: Arc<Annals>,
}

impl Run {
    /// A run that has made no connection yet.
    #[must_use]
    pub fn new(random: &Random) -> Self {
        let [a, b, c, d, ..] = random.bytes();
        let id = u32::from_le_bytes([a, b, c, d]);
        Self { id, connections: AtomicU64::new(0), account: Arc::default(), by_feed: Mutex::default() }
    }

    /// A feed is to be kept alive, with these channels, from this time on.
    pub fn enlist(&self, feed: &str, channels: &[&'static Channel], since: SystemTime) {
        let count = Count { annals: Arc::new(Annals::new(channels, since)), ..Count::default() };
        self.by_feed.lock().unwrap_or_else(PoisonError::into_inner).insert(feed.into(), count);
    }

    /// What happened to this feed so far, and what its connections received.
    #[must_use]
    pub fn annals(&self, feed: &str) -> (Arc<Annals>, Arc<Account>) {
        let mut by_feed = self.by_feed.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_feed.entry(feed.into()).or_default();
        (count.annals.clone(), count.account.clone())
    }

    /// What happens to a feed on no connection of its own: number 0.
    #[must_use]
    pub fn aside(&self, feed: &str) -> Origin {
        self.origin(feed, 0)
    }

    /// What this feed brought so far.
    #[must_use]
    pub fn tally(&self, feed: &str) -> Tally {
        let by_feed = self.by_feed.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_feed.get(feed);
        count.map_or_else(Tally::default, |count| Tally {
            connections: count.connections,
            totals: count.account.totals(),
        })
    }

    pub(super) fn connect(&self, feed: &str) -> Origin {
        self.origin(feed, self.connections.fetch_add(1, Relaxed) + 1)
    }

    fn origin(&self, feed: &str, count: u64) -> Origin {
        let feed: Arc<str> = feed.into();
        let mut by_feed = self.by_feed.lock().unwrap_or_else(PoisonError::into_inner);
        let of_feed = by_feed.entry(feed.clone()).or_default();
        of_feed.connections += u64::from(count > 0);
        let (run, feed_account, run_account) = (self.id, of_feed.account.clone(), self.account.clone());
        let annals = of_feed.annals.clone();
        Origin { feed, run, count, account: Account::default(), feed_account, run_account, annals }
    }
}
