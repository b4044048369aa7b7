//! Whether a connection lives: connected is not enough. Clocks that are set by what arrives and shifted while we do not
//! read.

use std::time::{Duration, Instant};

use super::Cause;

/// Heartbeats come each second, so ten seconds without a byte are ten of them lost.
const BYTE_WITHIN: Duration = Duration::from_secs(10);

/// Fifteen heartbeats: what a second transport (another TCP connection of the venue's own) may need to recover.
const HEARTBEAT_WITHIN: Duration = Duration::from_secs(15);

/// The promise of contract.md: a connection that delivers nothing is noticed within 15 s of the first subscribe.
const DELIVERY_WITHIN: Duration = Duration::from_secs(15);

/// A ping costs six bytes; with its answer it shows that the other side still reads.
const PING_EVERY: Duration = Duration::from_secs(5);

/// With a ping every 5 s, a peer that stopped reading is noticed within 15 s.
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// A message of more than this is a snapshot, and what comes behind it had to wait for it: thirty of 5 MB on a slow line
/// hold heartbeats, pongs and acks back for longer than any of the limits above. Updates are under 4 KB; one read brings
/// 128 KiB of them at the most.
const BULK: usize = 256 * 1024;

/// The clocks of one connection.
pub(super) struct Liveness {
    byte: Instant,
    heartbeat: Instant,
    first_subscribe: Option<Instant>,
    delivered: bool,
    ping: Ping,
    bytes: u64,
    bytes_at_message: u64,
}

enum Ping {
    Due(Instant),
    Out(Instant),
}

impl Liveness {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            byte: now,
            heartbeat: now,
            first_subscribe: None,
            delivered: false,
            ping: Ping::Due(now + PING_EVERY),
            bytes: 0,
            bytes_at_message: 0,
        }
    }

    /// Whether it was a snapshot, behind which answers waited.
    pub(super) fn handle_message(&mut self, length: usize, now: Instant) -> bool {
        self.byte = now;
        self.bytes_at_message = self.bytes;
        if length > BULK {
            self.excuse(now);
        }
        length > BULK
    }

    /// Whether a snapshot is on its way, behind which answers wait.
    pub(super) fn handle_bytes(&mut self, total: u64, now: Instant) -> bool {
        if total == self.bytes {
            return false;
        }
        self.bytes = total;
        // These bytes may have come before a stall of ours, for which the clock was set on since.
        self.byte = self.byte.max(now);
        let bulk = self.bytes - self.bytes_at_message > BULK as u64;
        if bulk {
            self.excuse(now);
        }
        bulk
    }

    pub(super) fn handle_heartbeat(&mut self, now: Instant) {
        self.heartbeat = now;
        self.delivered = true;
    }

    pub(super) fn handle_delivery(&mut self) {
        self.delivered = true;
    }

    pub(super) fn handle_pong(&mut self, now: Instant) {
        self.ping = Ping::Due(now + PING_EVERY);
    }

    /// A subscribe is on the wire, maybe that of the heartbeats, which may begin from now.
    pub(super) fn handle_subscribed(&mut self, heartbeats: bool, now: Instant) {
        self.first_subscribe.get_or_insert(now);
        if heartbeats {
            self.heartbeat = now;
        }
    }

    pub(super) fn has_asked(&self) -> bool {
        self.first_subscribe.is_some()
    }

    pub(super) fn has_delivered(&self) -> bool {
        self.delivered
    }

    /// Whether a ping is to be sent now; it is taken as sent.
    pub(super) fn ping_due(&mut self, now: Instant) -> bool {
        let due = matches!(self.ping, Ping::Due(at) if at <= now);
        if due {
            self.ping = Ping::Out(now);
        }
        due
    }

    pub(super) fn overdue(&self, now: Instant, heartbeats: bool) -> Option<Cause> {
        self.limits(heartbeats).find(|(at, _)| *at <= now).map(|(_, cause)| cause)
    }

    pub(super) fn deadline(&self, heartbeats: bool) -> Instant {
        let ping = match self.ping {
            Ping::Due(at) => at,
            Ping::Out(since) => since + PONG_WITHIN,
        };
        self.limits(heartbeats).map(|(at, _)| at).fold(ping, Instant::min)
    }

    pub(super) fn shift(&mut self, by: Duration) {
        self.byte += by;
        self.heartbeat += by;
        if let Some(at) = &mut self.first_subscribe {
            *at += by;
        }
        match &mut self.ping {
            Ping::Due(at) | Ping::Out(at) => *at += by,
        }
    }

    /// When each clock runs out, and what that means.
    fn limits(&self, heartbeats: bool) -> impl Iterator<Item = (Instant, Cause)> {
        let asked = self.first_subscribe.filter(|_| !self.delivered);
        let pong = match self.ping {
            Ping::Due(_) => None,
            Ping::Out(since) => Some(since),
        };
        // Before the first subscribe a venue says nothing, and the ping alone watches.
        let byte = self.first_subscribe.map(|_| self.byte);
        [
            byte.map(|at| (at + BYTE_WITHIN, Cause::Silent)),
            (heartbeats && self.has_asked()).then_some((self.heartbeat + HEARTBEAT_WITHIN, Cause::NoHeartbeat)),
            pong.map(|at| (at + PONG_WITHIN, Cause::NoPong)),
            asked.map(|at| (at + DELIVERY_WITHIN, Cause::Mute)),
        ]
        .into_iter()
        .flatten()
    }

    fn excuse(&mut self, now: Instant) {
        // As with bytes: this may be of before a stall.
        self.heartbeat = self.heartbeat.max(now);
        if let Ping::Out(since) = &mut self.ping {
            *since = now.max(*since);
        }
        if !self.delivered {
            self.first_subscribe = self.first_subscribe.map(|at| at.max(now));
        }
    }
}
