//! What the doctor found, for people on one screen and for programs on one line.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::{
    venue::Venue,
    verdict::{self, Certainty, Finding, Mistake},
};

/// Checks in the order in which they were made.
#[derive(Default)]
pub(super) struct Report {
    checks: Vec<Check>,
}

/// One thing that was looked at.
struct Check {
    /// What: "clock", "feed tickers".
    subject: String,
    outcome: Outcome,
    /// In a few words, with the figures.
    detail: String,
    /// What may be behind it, likeliest first.
    reasons: Vec<Reason>,
}

/// A finding, and the venue in whose words it is explained.
struct Reason {
    finding: Finding,
    venue: &'static Venue,
}

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// As it should be.
    Well,
    /// It works, and is not as it should be.
    Doubtful,
    /// The venue refuses it, or would.
    Ill,
    /// It could not be found out.
    Unknown,
}

/// Whether colours are shown.
#[derive(Clone, Copy)]
pub(super) struct Paint(pub bool);

const GREEN: &str = "32";
const RED: &str = "31";
const YELLOW: &str = "33";
const BOLD: &str = "1";

impl Report {
    /// All of another's, behind one's own.
    pub fn append(&mut self, other: Self) {
        self.checks.extend(other.checks);
    }

    /// One more.
    pub fn add(&mut self, subject: impl Into<String>, outcome: Outcome, detail: impl Into<String>) {
        self.checks.push(Check { subject: subject.into(), outcome, detail: detail.into(), reasons: Vec::new() });
    }

    /// One more, and what may be behind it, likeliest first.
    pub fn add_because(
        &mut self,
        subject: impl Into<String>,
        outcome: Outcome,
        detail: impl Into<String>,
        venue: &'static Venue,
        findings: Vec<Finding>,
    ) {
        let reasons = findings.into_iter().map(|finding| Reason { finding, venue }).collect();
        self.checks.push(Check { subject: subject.into(), outcome, detail: detail.into(), reasons });
    }

    /// One more, judged by what was found.
    pub fn found(
        &mut self,
        subject: impl Into<String>,
        detail: impl Into<String>,
        venue: &'static Venue,
        findings: Vec<Finding>,
    ) {
        let outcome = if verdict::is_refusal(&findings) { Outcome::Ill } else { Outcome::Well };
        self.add_because(subject, outcome, detail, venue, findings);
    }

    /// Whether the venue refuses something, or would.
    pub fn is_ill(&self) -> bool {
        self.checks.iter().any(|check| check.outcome == Outcome::Ill)
    }

    /// As text: the checks, then the reasons, each once, the likeliest first; what is merely noted last.
    pub fn print(&self, paint: Paint, out: &mut impl Write) -> io::Result<()> {
        for check in &self.checks {
            let mark = match check.outcome {
                Outcome::Well => paint.with(GREEN, "✓"),
                Outcome::Doubtful => paint.with(YELLOW, "!"),
                Outcome::Ill => paint.with(RED, "✗"),
                Outcome::Unknown => paint.with(YELLOW, "?"),
            };
            writeln!(out, "{mark} {:<16} {}", check.subject, check.detail.replace('\n', "\n                   "))?;
        }
        let (noted, reasons): (Vec<_>, Vec<_>) =
            self.reasons().into_iter().partition(|reason| reason.finding.certainty == Certainty::Noted);
        if !reasons.is_empty() {
            let several =
                reasons.len() > 1 && reasons.iter().all(|reason| reason.finding.certainty == Certainty::Possible);
            let title = if several {
                "Why: one of these, likeliest first; the evidence does not tell them apart"
            } else {
                "Why"
            };
            writeln!(out, "\n{}", paint.with(BOLD, title))?;
        }
        for (number, Reason { finding, venue }) in reasons.iter().enumerate() {
            let colour = if finding.certainty == Certainty::Wrong { RED } else { YELLOW };
            let sure = if finding.certainty == Certainty::Wrong { "" } else { " (possible)" };
            writeln!(out, "\n{}. {}{sure}", number + 1, paint.with(colour, finding.mistake.title(venue)))?;
            writeln!(out, "   found {}", finding.what)?;
            writeln!(out, "   why   {}", finding.mistake.why(venue))?;
            writeln!(out, "   do    {}", finding.mistake.remedy(venue))?;
        }
        if !noted.is_empty() {
            writeln!(out, "\n{}", paint.with(BOLD, "Noted: no harm here, but another client may break on it"))?;
        }
        for Reason { finding, venue } in noted {
            writeln!(out, "-  {}: {}", finding.mistake.title(venue), finding.what)?;
        }
        out.flush()
    }

    /// As one JSON object on one line.
    pub fn print_json(&self, out: &mut impl Write) -> io::Result<()> {
        let checks: Vec<_> = self.checks.iter().map(Check::json).collect();
        let whole = json!({ "tickerd": env!("CARGO_PKG_VERSION"), "refused": self.is_ill(), "checks": checks });
        writeln!(out, "{whole}")?;
        out.flush()
    }

    /// Certain ones first, else in the order in which they were found, each once; what is but possible is named as its
    /// evidence first had it.
    fn reasons(&self) -> Vec<&Reason> {
        let mut all: Vec<&Reason> = Vec::new();
        for reason in self.checks.iter().flat_map(|check| &check.reasons) {
            let finding = &reason.finding;
            if !all.iter().any(|Reason { finding: known, venue }| {
                known.mistake == finding.mistake
                    && venue.name == reason.venue.name
                    && (known.what == finding.what || finding.certainty == Certainty::Possible)
            }) {
                all.push(reason);
            }
        }
        // Whoever has a legacy key must make another before anything else matters: that is the headline.
        all.sort_by_key(|Reason { finding, .. }| {
            (finding.certainty != Certainty::Wrong, finding.mistake != Mistake::LegacyKey)
        });
        all
    }
}

impl Check {
    fn json(&self) -> Value {
        let findings: Vec<_> = self.reasons.iter().map(Reason::json).collect();
        let ok = match self.outcome {
            Outcome::Well | Outcome::Doubtful => json!(true),
            Outcome::Ill => json!(false),
            Outcome::Unknown => Value::Null,
        };
        json!({ "check": self.subject, "ok": ok, "detail": self.detail, "findings": findings })
    }
}

impl Reason {
    fn json(&self) -> Value {
        let Self { finding, venue } = self;
        let certainty = match finding.certainty {
            Certainty::Wrong => "wrong",
            Certainty::Possible => "possible",
            Certainty::Noted => "noted",
        };
        json!({
            "row": finding.mistake.row(), "mistake": finding.mistake.title(venue), "certainty": certainty,
            "what": finding.what, "why": finding.mistake.why(venue), "do": finding.mistake.remedy(venue),
        })
    }
}

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
