//! What the venue has made of all that was asked, for the log and the status.

use std::time::Instant;

use super::{Connection, now};
use crate::{
    feed::outage::Outage,
    status::{REFUSES_ALL, State},
};

/// Why nothing is recorded though heartbeats come.
const MUTE: &str = "heartbeats come and no data: the venue is in maintenance, or something in it is broken";

/// What the venue has made of all that was asked.
pub(super) enum Answered {
    NotYet,
    Delivers,
    Nothing { since: Instant, why: &'static str },
}

impl Connection<'_> {
    /// Says what has changed of it.
    pub(super) fn announce(&mut self, outage: &mut Outage) {
        self.said.tell_silent(&self.session.silent(now()), &self.origin);
        let nothing = match () {
            () if self.session.is_refused_all() => Some(REFUSES_ALL),
            () if self.session.is_mute(now()) => Some(MUTE),
            () => None,
        };
        match (nothing, &self.answered) {
            (Some(_), Answered::Nothing { .. }) | (None, Answered::Delivers) => {}
            (Some(why), Answered::NotYet | Answered::Delivers) => {
                let since = outage.begins(why, Some(&self.origin), None, now());
                self.answered = Answered::Nothing { since, why };
            }
            (None, Answered::NotYet | Answered::Nothing { .. }) => {
                if self.session.has_delivered() && self.session.is_settled() {
                    self.answered = Answered::Delivers;
                    outage.over(&self.origin, &self.session.missing(now()), now());
                }
            }
        }
    }

    /// None while it is not known yet: then it is as it was before this connection.
    pub(super) fn state(&self) -> Option<State> {
        Some(match self.answered {
            Answered::NotYet => return None,
            Answered::Delivers => {
                let unsigned = self.session.stance().is_refused();
                State::Recording { unsigned, missing: self.session.missing(now()), left_out: self.session.left_out() }
            }
            Answered::Nothing { since, why } => State::Down { since, why: why.to_owned() },
        })
    }
}
