//! `tickerd status`, as it is typed.

use std::path::PathBuf;

use clap::Args;

/// `tickerd status`.
#[derive(Clone, Debug, Default, Args)]
#[expect(clippy::doc_markdown, reason = "people read it as help, where a backtick is a backtick")]
pub struct Status {
    /// Only this feed
    #[arg(long, value_name = "NAME")]
    pub feed: Option<String>,
    /// Look again each second until ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// As one JSON object; with --watch, one a line
    #[arg(long)]
    pub json: bool,
    /// Look here [default: $RUNTIME_DIRECTORY, /run/tickerd, $XDG_RUNTIME_DIR/tickerd]
    #[arg(long, value_name = "FOLDER")]
    pub runtime: Option<PathBuf>,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  tickerd status                    one line a feed
  tickerd status --watch            each second
  tickerd status --feed tickers > /dev/null || page-someone
  tickerd status --json | jq '.daemons[].report.feeds[] | {name, health, why}'

Exit: 0  all well
      1  something is starting, missing, unsigned, down, stalled or dropped, the clock is wrong, or the disk full within a day
      2  nothing is recorded: every feed is down, or no daemon is there
     69  its folder may not be looked into";
