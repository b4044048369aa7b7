//! How a connection ended. A disconnect is an ending, not an error: whatever it was, another try follows.

use std::fmt;

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The venue closed it, with a code or without.
    Closed,
    /// It broke: reset, cut off, or ended without a close.
    Lost,
    /// Not a byte came.
    Silent,
    /// Heartbeats stopped, though the other side may still answer.
    NoHeartbeat,
    /// A ping was not answered.
    NoPong,
    /// Connected and subscribed, and nothing but acks ever came.
    Mute,
    /// Heartbeats live, and a channel that was accepted never brought anything.
    NoData,
    /// Heartbeats live, a channel fell silent, and asked for anew it brought no snapshot.
    NoSnapshot,
    /// Heartbeats count what a channel does not bring.
    Behind,
    /// A subscribe was not answered.
    NoAck,
    /// What was to be sent did not leave.
    SendTimeout,
    /// The venue refused a subscribe, and another connection is to find out which, or later.
    Refused,
    /// A message over the limit of 64 MiB.
    TooLarge,
    /// What came was no WebSocket.
    Protocol,
    /// The reader of the output stalled, the socket was not read, and the venue gave up on us.
    ReaderStalled,
    /// tickerd was told to stop.
    Stopped,
}

/// The end of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Why.
    pub cause: Cause,
    /// The venue's close code.
    pub code: Option<u16>,
    /// What there is to say beyond that; empty if nothing.
    pub detail: String,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Closed,
        Self::Lost,
        Self::Silent,
        Self::NoHeartbeat,
        Self::NoPong,
        Self::Mute,
        Self::NoData,
        Self::NoSnapshot,
        Self::Behind,
        Self::NoAck,
        Self::SendTimeout,
        Self::Refused,
        Self::TooLarge,
        Self::Protocol,
        Self::ReaderStalled,
        Self::Stopped,
    ];

    /// As records and logs spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Lost => "lost",
            Self::Silent => "silent",
            Self::NoHeartbeat => "no_heartbeat",
            Self::NoPong => "no_pong",
            Self::Mute => "mute",
            Self::NoData => "no_data",
            Self::NoSnapshot => "no_snapshot",
            Self::Behind => "behind",
            Self::NoAck => "no_ack",
            Self::SendTimeout => "send_timeout",
            Self::Refused => "refused",
            Self::TooLarge => "too_large",
            Self::Protocol => "protocol",
            Self::ReaderStalled => "reader_stalled",
            Self::Stopped => "stopped",
        }
    }
}

impl From<Cause> for Ending {
    fn from(cause: Cause) -> Self {
        Self { cause, code: None, detail: String::new() }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cause.name())?;
        if let Some(code) = self.code {
            write!(f, " {code}")?;
        }
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}
