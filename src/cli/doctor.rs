//! `tickerd doctor`, as it is typed.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::{Which, seconds};

/// `tickerd doctor`.
#[derive(Clone, Debug, Default, Args)]
pub struct Doctor {
    /// Whom to examine.
    #[command(flatten)]
    pub which: Which,
    /// Ask nobody: only what can be told here
    #[arg(long, conflicts_with = "live")]
    pub offline: bool,
    /// Take this message or these headers apart: a subscribe, a request's headers, a line for curl; - is stdin
    #[arg(long, value_name = "FILE", conflicts_with = "live")]
    pub message: Option<PathBuf>,
    /// Watch a connection for so long, and report where the venue is not as tickerd believes
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub live: Option<Duration>,
    /// With --key-file, --credentials or the environment: at this address [default: the venue's own]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// With --key-file, --credentials or the environment: of this venue [default: the one that takes them]
    #[arg(long, value_name = "VENUE")]
    pub venue: Option<String>,
    /// As one JSON object
    #[arg(long, conflicts_with = "live")]
    pub json: bool,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  tickerd doctor                                     everything that the configuration says
  tickerd doctor --key-file cdp_api_key.json         one key, no configuration
  tickerd doctor --message subscribe.json --offline  what your own client sends, taken apart
  pbpaste | tickerd doctor --message -
  tickerd doctor --venue exchange --message sent.json
  tickerd doctor --live 60                           a report on the venue, to paste into an issue";
