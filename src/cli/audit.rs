//! `tickerd audit`, as it is typed.

use std::path::PathBuf;

use clap::Args;

/// `tickerd audit`.
#[derive(Clone, Debug, Default, Args)]
pub struct Audit {
    /// Recordings: files (plain, .gz, .zst), folders with all tapes in them, or - for stdin
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// As one JSON object; docs/AUDIT.md lists its fields
    #[arg(long)]
    pub json: bool,
    /// Also write a page with the timeline as a picture; it is not overwritten
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Twice as fast: neither the hashes of seals nor the grammar of each line
    #[arg(long)]
    pub quick: bool,
    /// Write a clean copy to this file, or into this folder (OUT/), and list what is left out of it
    #[arg(long, value_name = "OUT")]
    pub repair: Option<PathBuf>,
    /// Exit 1 only for what nothing in the recording owns up to: reconnects and drops that it tells of are 0
    #[arg(long)]
    pub silent_only: bool,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  tickerd audit /var/lib/tickerd                       all tapes in a folder
  tickerd audit tape.ndjson                            one file
  tickerd audit --html audit.html tape-2026*.ndjson.zst
  tickerd audit - < tape.ndjson.zst                    a stream, compressed or not
  tickerd audit --silent-only --quick /var/lib/tickerd > /dev/null || page-someone
  tickerd audit --json tape.ndjson | jq '.tapes[].totals'
  tickerd audit --repair clean/ /var/lib/tickerd       what is good, without what is not

Exit: 0  whole: nothing is missing, nothing is wrong
      1  not whole: something is missing or wrong; the first line says whether the recording owns up to it
      2  a file could not be read";
