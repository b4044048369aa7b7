//! What a refusal changes: who is asked again, when, and with or without a signature.

use std::time::Instant;

use super::{ASK_AGAIN, Approach, Cause, FIRST_PROBE, IfRefused, LONGEST_PROBE, Session, Signing, Told};
use crate::venue::Reason;

impl Session {
    pub(super) fn handle_refusal(&mut self, message: String, now: Instant) {
        let reason = self.venue.reason(&message);
        let pending: Vec<_> = (0..self.subscriptions.len()).filter(|&i| self.subscriptions[i].is_pending()).collect();
        let asked_together = pending.len() > 1;
        match (self.probing.take(), &pending[..]) {
            (Some(_), _) => self.refuse_probe(message, reason, now),
            (None, &[index]) => self.refuse(index, message, reason, now),
            (None, _) => {
                if pending.is_empty() {
                    self.complaint = Some((now, message.clone()));
                }
                if reason == Reason::TooLong {
                    self.shorten();
                }
                self.told.push_back(Told::Refused {
                    channel: None,
                    product: None,
                    message,
                    reason,
                    signed: self.stance.signing == Signing::Every,
                    confirmed: pending.is_empty() && !reason.is_of_credentials(),
                });
                if asked_together {
                    // Which of them it was is told only by asking again, one at a time.
                    self.stance.approach = Approach::OneByOne;
                    self.over = Some(Cause::Refused);
                }
            }
        }
    }

    fn refuse_probe(&mut self, message: String, reason: Reason, now: Instant) {
        let index = self.probe_index();
        let waits = !self.subscriptions[index].is_accepted();
        if waits && !reason.is_of_credentials() && self.take_apart(index, &message, reason, 2, now) {
            // It is no verdict on the credentials, which are asked about again without what spoilt the question.
            if let Signing::Refused { probe, .. } = &mut self.stance.signing {
                *probe = now + ASK_AGAIN;
            }
            return;
        }
        let wait = match self.stance.signing {
            Signing::Refused { wait, .. } => (wait * 2).min(LONGEST_PROBE),
            Signing::None | Signing::Every => FIRST_PROBE,
        };
        self.stance.signing = Signing::Refused { probe: now + wait, wait };
        let confirmed = true;
        self.told.push_back(Told::Refused { channel: None, product: None, message, reason, signed: true, confirmed });
    }

    fn refuse(&mut self, index: usize, message: String, reason: Reason, now: Instant) {
        self.stance.approach = Approach::OneByOne;
        let of_credentials = reason.is_of_credentials() && !self.signed_accepted;
        for channel in &self.subscriptions[index].subscribe.channels {
            let others = self.subscriptions.iter().enumerate().filter(|(other, s)| *other != index && s.is_in_force());
            let is_all = !others.map(|(_, s)| &s.subscribe).any(|s| !s.unsubscribes && s.channels.contains(channel));
            self.cadences.refuse(channel, is_all);
        }
        let subscription = &mut self.subscriptions[index];
        let (channel, signed) = (subscription.channel(), subscription.is_signed());
        // What was on its way when the first refusal came is in the same breath, and settles nothing.
        let anew = self.refused.is_none_or(|at| subscription.asked_since() >= Some(at + ASK_AGAIN));
        // A product that is not traded is not traded a second later either, and no message gets shorter.
        let for_good = self.venue.wholesale && matches!(reason, Reason::Product | Reason::TooLong);
        let tries = if for_good { subscription.refuse_for_good() } else { subscription.refuse() };
        if subscription.subscribe.unsubscribes {
            // No verdict on anybody: what it was to take away was accepted, and goes on until the connection ends.
            let confirmed = tries >= 2;
            if confirmed {
                subscription.let_be();
            } else {
                subscription.ask_at(now + ASK_AGAIN);
            }
            self.told.push_back(Told::Refused { channel, product: None, message, reason, signed, confirmed });
            return self.tell_subscribed(now);
        }
        let confirmed = if signed && of_credentials {
            if anew {
                self.stance.refusals += 1;
                self.refused = Some(now);
            }
            anew && self.stance.refusals >= 2
        } else {
            tries >= 2
        };
        if !(confirmed && self.take_apart(index, &message, reason, tries, now)) {
            self.told.push_back(Told::Refused { channel, product: None, message, reason, signed, confirmed });
            self.ask_later(index, reason, confirmed, tries, now);
        }
        self.tell_subscribed(now);
    }

    /// When a refused subscribe is asked again, and how.
    pub(super) fn ask_later(&mut self, index: usize, reason: Reason, confirmed: bool, tries: u32, now: Instant) {
        let public_goes_on = self.if_refused == IfRefused::Public;
        let of_credentials = reason.is_of_credentials() && !self.signed_accepted;
        let subscription = &mut self.subscriptions[index];
        let signed = subscription.is_signed();
        if !confirmed {
            subscription.ask_at(now + ASK_AGAIN);
            if signed && of_credentials {
                // What else is to be signed waits too.
                self.subscriptions.iter_mut().for_each(|other| other.wait_until(now + ASK_AGAIN));
            }
        } else if signed && of_credentials {
            self.stance.signing = Signing::Refused { probe: now + FIRST_PROBE, wait: FIRST_PROBE };
            if public_goes_on {
                subscription.ask_anew(now);
            } else {
                self.over = Some(Cause::Refused);
            }
        } else if signed && reason.is_of_credentials() && public_goes_on && !subscription.is_private() {
            subscription.ask_anew(now);
            subscription.goes_unsigned = true;
        } else {
            let wait = FIRST_PROBE.saturating_mul(1 << (tries - 2).min(10)).min(LONGEST_PROBE);
            subscription.ask_at(now + wait);
        }
    }
}
