//! `tickerd credential`, as it is typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `tickerd credential`.
#[derive(Clone, Debug, Subcommand)]
pub enum Credential {
    /// Ask for a key, its secret and what else it has without echo, check them, and store them
    #[command(after_help = ADD_EXAMPLES)]
    Add(Add),
    /// Print what is stored, and where; never a secret
    #[command(after_help = EXAMPLES)]
    List,
    /// Delete what is stored under a name
    #[command(after_help = EXAMPLES)]
    Remove {
        /// The name
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// `tickerd credential add`.
#[derive(Clone, Debug, Args)]
pub struct Add {
    /// What they are to be called, as in credentials = "main"
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Read them from this `cdp_api_key.json` and do not ask
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// They are for this venue: exchange's have a passphrase, which is asked for too [default: what the key looks like]
    #[arg(long, value_name = "VENUE")]
    pub venue: Option<String>,
    /// Store them in place of those that have the name
    #[arg(long)]
    pub replace: bool,
    /// Do not ask the venue whether it takes them
    #[arg(long)]
    pub offline: bool,
    /// Ask here [default: the venue's own]
    #[arg(long, value_name = "URL", conflicts_with = "offline")]
    pub rest: Option<String>,
    /// Store them in your own folder, not in the system's, though you may write there
    #[arg(long)]
    pub user: bool,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  tickerd credential add main
  tickerd credential list
  tickerd credential remove main";

const ADD_EXAMPLES: &str = "\
Examples:
  tickerd credential add main
  tickerd credential add main --key-file cdp_api_key.json
  tickerd credential add main < cdp_api_key.json
  tickerd credential add exchange --venue exchange";

/// Each of them, to be tried.
#[cfg(test)]
pub(super) const ALL_EXAMPLES: [&str; 2] = [EXAMPLES, ADD_EXAMPLES];
