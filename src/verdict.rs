//! Why credentials are refused, or would be. Pure; the running daemon asks it as well as people do.

mod cause;
mod credentials;
mod message;
mod mistake;
mod object;
mod paste;
mod recipe;
mod shell;
mod spelling;
mod standing;
mod token;

pub use cause::{Evidence, RestSaid, SchemeUsed, causes, of_clock, of_left_out, sentence};
pub use credentials::{allowed_ips, of_credentials, of_key_error, shadowed};
pub use message::{message, venue_meant};
pub use mistake::Mistake;
pub use paste::NotAMessage;
pub use spelling::{of_channel, of_product, of_url};
pub use standing::Standing;

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// It is refused, or never delivers.
    Wrong,
    /// It fits the evidence, as others do.
    Possible,
    /// Set right here, or harmless; another client may break on it.
    Noted,
}

/// A mistake that was found in what was examined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which of the table's.
    pub mistake: Mistake,
    /// How sure it is.
    pub certainty: Certainty,
    /// This case: which field, which value, how far off. Never a secret, a signature or a token.
    pub what: String,
}

impl Finding {
    pub(crate) fn wrong(mistake: Mistake, what: impl Into<String>) -> Self {
        Self { mistake, certainty: Certainty::Wrong, what: what.into() }
    }

    pub(crate) fn possible(mistake: Mistake, what: impl Into<String>) -> Self {
        Self { mistake, certainty: Certainty::Possible, what: what.into() }
    }

    pub(crate) fn noted(mistake: Mistake, what: impl Into<String>) -> Self {
        Self { mistake, certainty: Certainty::Noted, what: what.into() }
    }
}

/// Whether the venue refuses what was examined.
#[must_use]
pub fn is_refusal(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.certainty == Certainty::Wrong)
}
