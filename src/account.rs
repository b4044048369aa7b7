//! What one connection received, and what became of it: counters that must add up.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// received = written + dropped, once everything queued has been written. Counted where it happens, never derived.
#[derive(Debug, Default)]
pub struct Account {
    received: AtomicU64,
    written: AtomicU64,
    /// By [`Loss`].
    dropped: [AtomicU64; Loss::ALL.len()],
    gaps: AtomicU64,
}

/// Why a message that the socket delivered is not in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The WebSocket layer could not hand it over.
    Protocol,
    /// The reader of the output was too slow, and `when_slow = "drop"` lets the oldest go.
    Slow,
    /// The output was closed already.
    Closed,
    /// It was on its way when the output ended: it failed, `drain` ran out, or as many lines were written as were asked for.
    Unwritten,
    /// The disk took nothing for so long that there was no room left to keep it in.
    Disk,
    /// It was written, and its file was removed while it grew: no account counts it, since it had been handed over.
    Removed,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Messages that came off the socket.
    pub received: u64,
    /// Of these, handed to the output.
    pub written: u64,
    /// Of these, lost and owned up to, for whatever reason.
    pub dropped: u64,
    /// Holes and steps back in what the venue sent, and what was missed between two connections.
    pub gaps: u64,
}

impl Loss {
    /// Every reason, in the order of the counters.
    pub const ALL: [Self; 6] = [Self::Protocol, Self::Slow, Self::Closed, Self::Unwritten, Self::Disk, Self::Removed];

    /// Whether the account of a message counts it: what was removed after it had been written is counted as written.
    #[must_use]
    pub fn is_counted(self) -> bool {
        self != Self::Removed
    }

    /// As records and logs spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Protocol => "protocol",
            Self::Slow => "slow",
            Self::Closed => "closed",
            Self::Unwritten => "unwritten",
            Self::Disk => "disk",
            Self::Removed => "removed",
        }
    }
}

impl Account {
    /// Counts messages off the socket; the first one's number, from 0.
    pub fn receive(&self, messages: u64) -> u64 {
        self.received.fetch_add(messages, Relaxed)
    }

    /// Counts messages handed to the output.
    pub fn write(&self, messages: u64) {
        self.written.fetch_add(messages, Relaxed);
    }

    /// Counts messages lost.
    pub fn lose(&self, messages: u64, why: Loss) {
        self.dropped[why as usize].fetch_add(messages, Relaxed);
    }

    /// Counts a gap.
    pub fn gap(&self) {
        self.gaps.fetch_add(1, Relaxed);
    }

    /// How many messages were lost for this reason.
    #[must_use]
    pub fn dropped(&self, why: Loss) -> u64 {
        self.dropped[why as usize].load(Relaxed)
    }

    /// The counters now.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals {
            received: self.received.load(Relaxed),
            written: self.written.load(Relaxed),
            dropped: Loss::ALL.into_iter().map(|why| self.dropped(why)).sum(),
            gaps: self.gaps.load(Relaxed),
        }
    }
}

/// "1234 received, 1230 written, 4 dropped, 2 gaps"; what is good news when it is 0 is left out then.
impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} received, {} written", self.received, self.written)?;
        if self.dropped > 0 {
            write!(f, ", {} dropped", self.dropped)?;
        }
        match self.gaps {
            0 => Ok(()),
            1 => f.write_str(", 1 gap"),
            gaps => write!(f, ", {gaps} gaps"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_was_lost_only_where_something_was() {
        let account = Account::default();
        account.receive(3);
        account.write(1);
        assert_eq!(account.totals().to_string(), "3 received, 1 written");
        account.lose(1, Loss::Slow);
        account.gap();
        assert_eq!(account.totals().to_string(), "3 received, 1 written, 1 dropped, 1 gap");
        account.lose(1, Loss::Unwritten);
        account.gap();
        assert_eq!(account.totals().to_string(), "3 received, 1 written, 2 dropped, 2 gaps");
    }
}
