//! How a connection asks, and what it teaches the next one.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::Coverage;
use crate::venue::{Product, Subscribe};

/// What one connection teaches the next of the same leg.
#[derive(Clone, Debug)]
pub struct Stance {
    /// How to ask.
    pub approach: Approach,
    /// Whether to sign.
    pub signing: Signing,
    /// Refusals of these credentials since they were last accepted.
    pub refusals: u32,
    /// Products for which the venue refused all that was asked with them: each is asked for alone from then on, and seldom.
    pub apart: BTreeSet<Product>,
    /// As many products as one message may name, where one that named more was too long for the venue.
    pub most: Option<usize>,
    /// What a connection asked for, in the parts to which refusals have taken it.
    pub parts: Vec<Part>,
    /// How often a refused subscribe was divided since one was accepted.
    pub divided: u32,
    /// What has come up to now, of each channel and product.
    pub coverage: Coverage,
    /// How many connections were given up for the silence of a channel since it last brought anything.
    pub in_vain: BTreeMap<&'static str, u32>,
}

/// A part of what a leg asks for, as one connection leaves it to the next.
#[derive(Clone, Debug)]
pub struct Part {
    /// It.
    pub subscribe: Subscribe,
    /// When it is asked for again, and how often it was refused for itself.
    pub put_off: Option<(Instant, u32)>,
}

/// What a feed does while the venue refuses its credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IfRefused {
    /// Public channels go on unsigned, loudly, and signing is tried again.
    #[default]
    Public,
    /// Nothing goes on; signing is tried again.
    Wait,
}

/// How several subscribes are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approach {
    /// One after the other, without waiting for answers.
    Together,
    /// Each when the one before has been answered: a refusal does not say what it refuses.
    OneByOne,
}

/// Whether subscribes are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    /// There are no credentials.
    None,
    /// Every one is.
    Every,
    /// The venue refuses the credentials: public channels go unsigned, and signing is tried again.
    Refused {
        /// When.
        probe: Instant,
        /// How long after the last try that is.
        wait: Duration,
    },
}

impl Stance {
    /// That of a leg's first connection.
    #[must_use]
    pub fn new(credentials: bool) -> Self {
        Self {
            approach: Approach::Together,
            signing: if credentials { Signing::Every } else { Signing::None },
            refusals: 0,
            apart: BTreeSet::new(),
            most: None,
            parts: Vec::new(),
            divided: 0,
            coverage: Coverage::default(),
            in_vain: BTreeMap::new(),
        }
    }

    /// Whether the venue refuses the credentials.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self.signing, Signing::Refused { .. })
    }

    /// Signs again, as if nothing had been refused yet but once: one more refusal settles it.
    pub fn sign_again(&mut self) {
        self.signing = Signing::Every;
        self.refusals = 1;
    }
}
