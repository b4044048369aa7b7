//! What a session wants done, and what it wants told.

use super::{Cause, Gap};
use crate::venue::{Product, Reason};

/// A subscribe that the edge is to sign and send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Which, in the order of the leg.
    pub index: usize,
    /// Whether it is to be signed.
    pub signed: bool,
    /// The first on the connection: the venue closes if it does not come soon.
    pub first: bool,
    pub(super) probe: bool,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Sign, if need be, and send; then say [`super::Session::sent`].
    Ask(Ask),
    /// Send a ping.
    Ping,
    /// Let people and records know.
    Tell(Told),
    /// Give the connection up.
    End(Cause),
}

/// What is worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Every subscribe of the connection has been answered.
    Subscribed {
        /// What was accepted.
        channels: Vec<&'static str>,
        /// Channel and product that were asked for and left out of the answer.
        omitted: Vec<(&'static str, String)>,
    },
    /// A subscribe was refused.
    Refused {
        /// Of which channel, where that can be told.
        channel: Option<&'static str>,
        /// The product for which it was, where it is kept apart from now on.
        product: Option<Product>,
        /// The venue's words.
        message: String,
        /// What they mean.
        reason: Reason,
        /// Whether it had been signed.
        signed: bool,
        /// Whether the same was refused before with another signature.
        confirmed: bool,
    },
    /// The venue took the credentials.
    Accepted,
    /// Something did not come.
    Gap(Gap),
}
