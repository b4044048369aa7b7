//! What a segment holds so far, counted as it is written, for its seal.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sha2::{Digest, Sha256};

use crate::{
    record::{Body, Origin, Record},
    segment::{Connection, Seal, State},
};

/// Counts of one segment.
#[derive(Debug, Default)]
pub(super) struct Tally {
    messages: u64,
    lines: u64,
    bytes: u64,
    first: Option<SystemTime>,
    last: Option<SystemTime>,
    hash: Sha256,
    connections: Vec<(Arc<Origin>, Connection)>,
    unlisted: u64,
}

impl Tally {
    /// Counts a record that is on its way into the segment.
    pub fn count(&mut self, record: &Record) {
        let messages = match &record.body {
            Body::Messages(run) => run.count(),
            Body::Recovered(_) | Body::Event(_) => 0,
        };
        self.lines += messages.max(1);
        self.first.get_or_insert(record.recv);
        self.last = Some(record.recv);
        if messages == 0 {
            return;
        }
        self.messages += messages;
        let to = record.n + messages - 1;
        // From the end, where the connections are that stand.
        let place = self.connections.iter().rposition(|(origin, _)| Arc::ptr_eq(origin, &record.origin));
        if let Some(place) = place {
            let (_, connection) = &mut self.connections[place];
            connection.to = to;
            connection.messages += messages;
        } else if self.connections.len() < Seal::MOST_CONNECTIONS {
            let (feed, conn) = (record.origin.feed.to_string(), record.origin.to_string());
            let connection = Connection { feed, conn, from: record.n, to, messages };
            self.connections.push((record.origin.clone(), connection));
        } else {
            self.unlisted += messages;
        }
    }

    /// Counts bytes that the disk took.
    pub fn wrote(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.hash.update(bytes);
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.lines == 0 && self.bytes == 0
    }

    /// How many messages are in it, and bytes.
    pub fn messages_and_bytes(&self) -> (u64, u64) {
        (self.messages, self.bytes)
    }

    /// What is to be said of it where it ends here. The segment has no name yet.
    pub fn seal(&self, state: State, now: SystemTime) -> Seal {
        Seal {
            v: Seal::V,
            segment: String::new(),
            state,
            messages: self.messages,
            lines: self.lines,
            bytes: self.bytes,
            first: self.first,
            last: self.last,
            sha256: hex::encode(self.hash.clone().finalize()),
            connections: self.connections.iter().map(|(_, connection)| connection.clone()).collect(),
            unlisted: self.unlisted,
            sealed: now,
            tickerd: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// The next multiple of `every` behind `time`, counted from 1970, UTC.
pub(super) fn boundary(time: SystemTime, every: Duration) -> SystemTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let every = every.as_nanos().max(1);
    let next = (since / every + 1).saturating_mul(every);
    let seconds = u64::try_from(next / 1_000_000_000).unwrap_or(u64::MAX);
    let nanos = u32::try_from(next % 1_000_000_000).unwrap_or(0);
    UNIX_EPOCH.checked_add(Duration::new(seconds, nanos)).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_ends_where_the_clock_of_utc_strikes() {
        let at = |second: u64, nano: u32| UNIX_EPOCH + Duration::new(second, nano);
        let hour = Duration::from_secs(3600);
        assert_eq!(boundary(at(1_795_539_599, 999_999_999), hour), at(1_795_539_600, 0));
        assert_eq!(boundary(at(1_795_539_600, 0), hour), at(1_795_543_200, 0));
        assert_eq!(boundary(at(0, 0), Duration::from_secs(7)), at(7, 0));
    }
}
