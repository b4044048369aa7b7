//! One connection, as its lines show it.

use super::stamp::{SECOND, Stamp};

/// Heartbeats come each second. A span without any that is longer than this is told: five are lost, or late.
pub const SILENT: Stamp = 5 * SECOND;

/// A connection of which nothing comes for 15 s has been replaced, which takes a few seconds and is said. One whose lines stop for so
/// long, while others of its run go on, has vanished.
pub const VANISHED: Stamp = 60 * SECOND;

/// A recording begins in the middle of those connections that stood by then: each is heard of within 15 s, as it would else have
/// been replaced. One that is heard of later has lost its beginning.
pub const BEGINNING: Stamp = 15 * SECOND;

/// What is known of a connection.
#[derive(Debug)]
pub struct Connection {
    /// Its feed's place.
    pub feed: usize,
    /// Its run, and its number there.
    pub id: (u32, u64),
    /// The number on it of the next message.
    pub next: u64,
    /// The first of its numbers that this recording can have: it begins in the middle of what began before.
    pub from: u64,
    /// The venue's number of the next message, where it counts.
    pub sequence: Option<u64>,
    /// How many messages of it are there, and their bytes.
    pub messages: u64,
    /// The bytes of those.
    pub bytes: u64,
    /// When the first line of it was received, and the last.
    pub span: (Stamp, Stamp),
    /// How many lines there were in all when its first came.
    pub first_line: u64,
    /// The same of its last.
    pub last_line: u64,
    /// When its last heartbeat came.
    pub heartbeat: Option<Stamp>,
    /// Messages that were dropped, as events say that stand among its lines.
    pub dropped: u64,
    /// Messages that are missing.
    pub missing: u64,
    /// Of its numbers, those that are not there since the last message that the venue had numbered: it may miss as many.
    pub skipped: u64,
    /// What it brought, by the channel's place in its feed.
    pub channels: Vec<(usize, u64)>,
    /// What `disconnected` says.
    pub ended: Option<Ended>,
    /// In the file that is being read: its first number and its last, and how many.
    pub part: Option<(usize, u64, u64, u64)>,
}

/// What `disconnected` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Why it ended.
    pub cause: String,
    /// Messages off the socket.
    pub received: u64,
    /// Of these, written.
    pub written: u64,
    /// Of these, not.
    pub dropped: u64,
}

/// What a message's number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is the next.
    On,
    /// Those from the first up to before the second are missing.
    Hole(u64, u64),
    /// It was there, or should have been.
    Again,
}

impl Connection {
    /// One of which the first line was just seen.
    #[must_use]
    pub fn new(feed: usize, id: (u32, u64), n: u64, at: Stamp) -> Self {
        Self {
            feed,
            id,
            next: n,
            from: n,
            sequence: (n == 0).then_some(0),
            messages: 0,
            bytes: 0,
            span: (at, at),
            first_line: 0,
            last_line: 0,
            heartbeat: None,
            dropped: 0,
            missing: 0,
            skipped: 0,
            channels: Vec::new(),
            ended: None,
            part: None,
        }
    }

    /// As records write it.
    #[must_use]
    pub fn name(&self) -> String {
        name(self.id)
    }

    /// The message of this number is there.
    pub fn message(&mut self, n: u64) -> Step {
        let due = self.next;
        if n < due {
            return Step::Again;
        }
        self.next = n.saturating_add(1);
        if n == due {
            return Step::On;
        }
        self.missing += n - due;
        self.skipped += n - due;
        Step::Hole(due, n)
    }

    /// A message came in this file.
    #[inline]
    pub fn in_part(&mut self, part: usize, n: u64) {
        match &mut self.part {
            Some((of, _, to, count)) if *of == part => (*to, *count) = (n, *count + 1),
            other => *other = Some((part, n, n, 1)),
        }
    }

    /// A message of the channel in this place came.
    #[inline]
    pub fn of_channel(&mut self, channel: usize) {
        match self.channels.iter_mut().find(|(known, _)| *known == channel) {
            Some((_, count)) => *count += 1,
            None => self.channels.push((channel, 1)),
        }
    }

    /// The numbers from here on are dropped, as an event says; what is missing before it.
    pub fn drop_from(&mut self, n: u64, count: u64) -> Option<(u64, u64)> {
        let due = self.next;
        self.dropped += count;
        let end = n.saturating_add(count);
        // Of those that are missing already, it owns up to some.
        self.missing = self.missing.saturating_sub(end.min(due).saturating_sub(n.min(due)));
        self.next = due.max(end);
        self.skipped += self.next - due;
        (n > due).then(|| {
            self.missing += n - due;
            (due, n)
        })
    }
}

/// "3f2a0000/1", as records write it.
#[must_use]
pub fn name((run, count): (u32, u64)) -> String {
    format!("{run:08x}/{count}")
}
