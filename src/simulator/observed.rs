//! What happens on the exchange, for whoever wants to be told.

use std::{fmt, sync::Arc, time::SystemTime};

use bytes::Bytes;

use super::Fault;
use crate::venue::Request;

/// Is told what happens, at once and in the connection's own task.
pub type Observer = Arc<dyn Fn(&Observed) + Send + Sync>;

/// What happens. A connection is a WebSocket; they are counted from 1.
#[derive(Clone, Debug)]
pub enum Observed {
    /// A client asks for a WebSocket, and has none yet.
    Connected {
        /// Which.
        conn: u64,
    },
    /// A client sent a message.
    Subscribe {
        /// Which.
        conn: u64,
        /// Its text, verbatim: it may hold a signature.
        text: String,
        /// When, by the venue's clock.
        at: SystemTime,
        /// Whether it was let in.
        accepted: bool,
    },
    /// A client sent a ping.
    Pinged {
        /// Which.
        conn: u64,
    },
    /// A client asked by REST. That is no connection, and is not counted as one.
    Asked {
        /// What.
        request: Request,
        /// The signature or token that it showed.
        signature: Option<String>,
        /// The HTTP status that it was answered with.
        status: u16,
    },
    /// A message was given to the socket; whether it arrived is another matter.
    Sent {
        /// To which.
        conn: u64,
        /// Its payload, text or binary.
        message: Bytes,
    },
    /// A message was made and never given to the socket: a fault lost it.
    Lost {
        /// On which.
        conn: u64,
        /// Its payload.
        message: Bytes,
    },
    /// A fault began.
    Fault {
        /// On which.
        conn: u64,
        /// What.
        fault: Fault,
    },
    /// A connection ended.
    Ended {
        /// Which.
        conn: u64,
        /// How.
        how: Ending,
    },
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The client closed it or went away.
    Left,
    /// It was a REST request, and was answered.
    Answered,
    /// It was closed with this code.
    Closed(u16),
    /// A fault reset it.
    Reset,
    /// A fault cut it in the middle of a frame.
    Cut,
    /// A fault made it dead, and the client gave up.
    Dead,
    /// The client did not read for 30 s.
    Slow,
    /// The upgrade was answered with this status.
    Refused(u16),
    /// The socket or the protocol failed.
    Failed(String),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Left => f.write_str("the client left"),
            Self::Answered => f.write_str("a REST request, answered"),
            Self::Closed(code) => write!(f, "closed with {code}"),
            Self::Reset => f.write_str("reset"),
            Self::Cut => f.write_str("cut in mid-frame"),
            Self::Dead => f.write_str("dead until the client gave up"),
            Self::Slow => f.write_str("the client read nothing for 30 s"),
            Self::Refused(status) => write!(f, "the upgrade was answered with {status}"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}
