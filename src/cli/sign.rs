//! `tickerd sign`, as it is typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::config::Choice;

/// `tickerd sign`.
#[derive(Clone, Debug, Subcommand)]
pub enum Sign {
    /// A subscribe: what is hashed, and the message to send
    #[command(after_help = WS_EXAMPLES)]
    Ws(Ws),
    /// A REST request: what is hashed, the headers, and a line for curl
    #[command(after_help = REST_EXAMPLES)]
    Rest(Rest),
}

/// `tickerd sign ws`.
#[derive(Clone, Debug, Args)]
pub struct Ws {
    /// The channel to subscribe to; several where the venue takes several in one message
    #[arg(long, value_name = "CHANNEL", value_delimiter = ',', required = true)]
    pub channel: Vec<String>,
    /// Of these products, as in BTC-USD,ETH-USD; Advanced Trade signs their order
    #[arg(long, value_name = "PRODUCTS", value_delimiter = ',')]
    pub product: Vec<String>,
    /// Of these accounts, for the Exchange's balance
    #[arg(long, value_name = "ACCOUNTS", value_delimiter = ',')]
    pub account: Vec<String>,
    /// Who signs, when, and how it is printed.
    #[command(flatten)]
    pub signing: Signing,
}

/// `tickerd sign rest`.
#[derive(Clone, Debug, Args)]
pub struct Rest {
    /// GET, POST, …
    #[arg(value_name = "METHOD")]
    pub method: String,
    /// The path, as in /api/v3/brokerage/accounts; a query is sent, and signed where the venue signs it
    #[arg(value_name = "PATH")]
    pub target: String,
    /// What is sent in the body: this file, or stdin: -
    #[arg(long, value_name = "FILE")]
    pub body: Option<PathBuf>,
    /// Who signs, when, and how it is printed.
    #[command(flatten)]
    pub signing: Signing,
}

/// Who signs, when, for whom, and how it is printed.
#[derive(Clone, Debug, Default, Args)]
pub struct Signing {
    /// Who signs.
    #[command(flatten)]
    pub which: Which,
    /// For this venue [default: the feed's, else the one that takes the credentials]
    #[arg(long, value_name = "VENUE")]
    pub venue: Option<String>,
    /// As at this second since 1970 [default: now]
    #[arg(long, value_name = "SECONDS")]
    pub at: Option<u64>,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Which credentials are meant.
#[derive(Clone, Debug, Default, Args)]
#[group(multiple = false)]
pub struct Which {
    /// These, of the configuration or stored [default: the only ones, else those of the environment]
    #[arg(long, value_name = "NAME")]
    pub credentials: Option<String>,
    /// Those of this feed
    #[arg(long, value_name = "NAME")]
    pub feed: Option<String>,
    /// Those in this `cdp_api_key.json`
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<String>,
}

impl Which {
    /// What that tells the configuration.
    #[must_use]
    pub fn choice(&self, config: Option<PathBuf>) -> Choice {
        Choice {
            config,
            credentials: self.credentials.clone(),
            feed: self.feed.clone(),
            key_file: self.key_file.clone(),
        }
    }
}

impl Sign {
    /// Who signs, when, and how it is printed.
    #[must_use]
    pub fn signing(&self) -> &Signing {
        match self {
            Self::Ws(ws) => &ws.signing,
            Self::Rest(rest) => &rest.signing,
        }
    }
}

pub(super) const EXAMPLES: &str = "\
Examples:
  tickerd sign ws --channel ticker_batch --product BTC-USD,ETH-USD
  tickerd sign rest GET /api/v3/brokerage/accounts";

const WS_EXAMPLES: &str = "\
Examples:
  tickerd sign ws --channel ticker_batch --product BTC-USD,ETH-USD
  tickerd sign ws --channel user --key-file cdp_api_key.json --json | jq -r .message
  tickerd sign ws --channel level2 --product BTC-USD --at 1700000000 --credentials main
  tickerd sign ws --venue exchange --channel ticker,full --product BTC-USD";

const REST_EXAMPLES: &str = "\
Examples:
  tickerd sign rest GET /api/v3/brokerage/accounts
  tickerd sign rest POST /api/v3/brokerage/orders --body order.json --credentials main
  tickerd sign rest GET /api/v3/brokerage/accounts?limit=1 --json | jq .headers
  tickerd sign rest GET /accounts --venue exchange";

/// Each of them, to be tried.
#[cfg(test)]
pub(super) const ALL_EXAMPLES: [&str; 3] = [EXAMPLES, WS_EXAMPLES, REST_EXAMPLES];
