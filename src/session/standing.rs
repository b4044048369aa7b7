//! What can be asked of a session: how the conversation stands.

use std::time::{Duration, Instant};

use super::{Session, Subscription};

/// A connection that ends within this after a complaint ends for it: the venue says why, sends what it had begun, and cuts.
pub(super) const COMPLAINT_HOLDS: Duration = Duration::from_secs(10);

impl Session {
    /// What the venue said just now against the connection, and not of a subscribe: where it then ends it, that is why.
    #[must_use]
    pub fn complaint(&self, now: Instant) -> Option<&str> {
        let fresh = |at: Instant| now.duration_since(at) < COMPLAINT_HOLDS;
        self.complaint.as_ref().filter(|(at, _)| fresh(*at)).map(|(_, words)| words.as_str())
    }

    /// Whether it is worth what it promised: data came, or heartbeats alone where nothing else was to come at once.
    #[must_use]
    pub fn has_delivered(&self) -> bool {
        self.liveness.has_delivered() && (self.cadences.has_delivered() || !self.cadences.awaits(self.subscribed_told))
    }

    /// The channels for whose silence the connection is given up.
    #[must_use]
    pub fn dead(&self) -> &[&'static str] {
        &self.dead
    }

    /// The channels that were accepted and are silent for longer than they should be.
    #[must_use]
    pub fn silent(&self, now: Instant) -> Vec<&'static str> {
        self.cadences.silent(now).map(|channel| channel.name).collect()
    }

    /// On how many channels a product is missing, since the venue does not know it.
    #[must_use]
    pub fn left_out(&self) -> usize {
        let left_out = self.subscriptions.iter().filter(|subscription| subscription.is_left_out());
        left_out.map(|s| s.subscribe.products.len() * s.subscribe.channels.len()).sum()
    }

    /// Whether heartbeats come and nothing else, though more was to come.
    #[must_use]
    pub fn is_mute(&self, now: Instant) -> bool {
        let silent: Vec<_> = self.cadences.silent(now).collect();
        let carried = self.subscriptions.iter().flat_map(|subscription| subscription.channels(true));
        !silent.is_empty() && carried.filter(|channel| !channel.heartbeat).all(|channel| silent.contains(&channel))
    }

    /// The channels, heartbeats apart, that were asked for and of which nothing is in the venue's list, or nothing comes.
    #[must_use]
    pub fn missing(&self, now: Instant) -> Vec<&'static str> {
        let adds = || self.subscriptions.iter().filter(|subscription| !subscription.subscribe.unsubscribes);
        let channels = |accepted| adds().flat_map(move |subscription| subscription.channels(accepted));
        let mut missing = Vec::new();
        for channel in channels(false).filter(|channel| !channel.heartbeat) {
            if !channels(true).any(|accepted| accepted == channel) && !missing.contains(&channel.name) {
                missing.push(channel.name);
            }
        }
        missing.extend(self.cadences.silent(now).map(|channel| channel.name));
        missing
    }

    /// Whether the venue has refused everything but heartbeats: a connection that stands and records nothing.
    #[must_use]
    pub fn is_refused_all(&self) -> bool {
        let data = |s: &&Subscription| !s.is_heartbeat_alone() && !s.subscribe.unsubscribes;
        let mut data = self.subscriptions.iter().filter(data).peekable();
        self.subscribed_told && data.peek().is_some() && !data.any(Subscription::is_in_force)
    }

    /// Whether every subscribe that can be asked has been answered.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.subscribed_told
    }
}
