//! The command line. What it means is decided elsewhere: `config` makes one configuration of options and file, and `main`
//! the exit code of a usage error.

mod audit;
mod credential;
mod doctor;
mod sign;
mod status;

pub use audit::Audit;
pub use credential::{Add, Credential};
pub use doctor::Doctor;
pub use sign::{Rest, Sign, Signing, Which, Ws};
pub use status::Status;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::{
    config::Flags,
    simulator::{Faults, Speed},
};

/// Records authenticated Coinbase WebSocket feeds as NDJSON, and never goes silent without saying so.
#[derive(Clone, Debug, Parser)]
#[expect(clippy::doc_markdown, reason = "people read it as help, where a backtick is a backtick")]
#[command(name = "tickerd", version = env!("TICKERD_VERSION"), after_help = EXAMPLES, propagate_version = true)]
pub struct Cli {
    /// The configuration [default: $TICKERD_CONFIG, ./config.toml, /etc/tickerd/config.toml]
    #[arg(short, long, global = true, display_order = 900, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Log more; twice, still more
    #[arg(short, long, global = true, display_order = 900, action = ArgAction::Count)]
    pub verbose: u8,
    /// Log only warnings and errors; `check` then prints nothing but those
    #[arg(short, long, global = true, display_order = 900, conflicts_with = "verbose")]
    pub quiet: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Keep every configured feed alive and record what it delivers
    #[command(after_help = RUN_EXAMPLES)]
    Run(Run),
    /// See it work: a built-in exchange, real signatures, a cut and the way back; no network, keys or files
    #[command(after_help = DEMO_EXAMPLES)]
    Demo(Demo),
    /// Print a commented configuration to start from
    #[command(after_help = INIT_EXAMPLES)]
    Init,
    /// Print what `run` would do, and what is wrong with the configuration
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Check),
    /// Say how each feed of the running daemon is: all well is 0, less is 1, nothing is 2
    #[command(after_help = status::EXAMPLES)]
    Status(Status),
    /// Prove a recording whole, or show where it is not: whole is 0, not whole is 1
    #[command(after_help = audit::EXAMPLES)]
    Audit(Audit),
    /// Say why a venue refuses the credentials, or why it would
    #[command(after_help = doctor::EXAMPLES)]
    Doctor(Doctor),
    /// Print what is signed for one message or request, its signature, and what to send
    #[command(subcommand, after_help = sign::EXAMPLES)]
    Sign(Sign),
    /// Store credentials where `run` finds them
    #[command(subcommand, after_help = credential::EXAMPLES)]
    Credential(Credential),
    /// Be the exchange: serve a market or a recording to any Coinbase client, with faults on request
    #[command(after_help = SIMULATOR_EXAMPLES)]
    Simulator(Simulator),
}

/// `tickerd run`.
#[derive(Clone, Debug, Default, Args)]
pub struct Run {
    /// What to record.
    #[command(flatten)]
    pub wanted: Wanted,
    /// When to end.
    #[command(flatten)]
    pub until: Until,
}

/// What to record, for `run` and `check`.
#[derive(Clone, Debug, Default, Args)]
pub struct Wanted {
    /// Record these channels and read no configuration
    #[arg(long, value_name = "CHANNELS", value_delimiter = ',')]
    pub channel: Vec<String>,
    /// Of these products, as in BTC-USD,ETH-USD
    #[arg(long, value_name = "PRODUCTS", value_delimiter = ',', requires = "channel")]
    pub product: Vec<String>,
    /// Of these accounts, by their ids: for exchange's balance
    #[arg(long, value_name = "ACCOUNTS", value_delimiter = ',', requires = "channel")]
    pub account: Vec<String>,
    /// From this venue: advanced-trade-user, exchange [default: advanced-trade]
    #[arg(long, value_name = "VENUE", requires = "channel")]
    pub venue: Option<String>,
    /// By this of its endpoints: direct, sandbox [default: the venue's first]
    #[arg(long, value_name = "NAME", requires = "channel", conflicts_with = "url")]
    pub endpoint: Option<String>,
    /// At this address [default: the venue's own]
    #[arg(long, value_name = "URL", requires = "channel")]
    pub url: Option<String>,
    /// Sign in with this `cdp_api_key.json`
    #[arg(long, value_name = "FILE", requires = "channel")]
    pub key_file: Option<String>,
    /// Sign in with the credentials that are stored under this name
    #[arg(long, value_name = "NAME", requires = "channel", conflicts_with = "key_file")]
    pub credentials: Option<String>,
    /// Write records to this file, or to stdout: -
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<String>,
    /// The form of a record
    #[arg(long, value_name = "FORM", value_parser = ["raw", "envelope"])]
    pub record: Option<String>,
    /// This one of the configured feeds; with --channel, what the feed is called
    #[arg(long, value_name = "NAME")]
    pub feed: Option<String>,
}

/// When to end.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Until {
    /// End after so many lines: no `disconnected` is written behind them, and an audit says so
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub lines: Option<u64>,
    /// End after so many seconds
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub seconds: Option<Duration>,
}

/// `tickerd demo`.
#[derive(Clone, Debug, Default, Args)]
pub struct Demo {
    /// When to end.
    #[command(flatten)]
    pub until: Until,
    /// Show it with this venue [default: advanced-trade]
    #[arg(long, value_name = "VENUE")]
    pub venue: Option<String>,
}

/// `tickerd check`.
#[derive(Clone, Debug, Default, Args)]
pub struct Check {
    /// What would be recorded.
    #[command(flatten)]
    pub wanted: Wanted,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `tickerd simulator`.
#[derive(Clone, Debug, Args)]
pub struct Simulator {
    /// Be this venue: advanced-trade, advanced-trade-user or exchange
    #[arg(long, value_name = "NAME", default_value = "advanced-trade")]
    pub venue: String,
    /// Where to listen; the first line of stdout is the URL
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0", value_parser = address)]
    pub listen: SocketAddr,
    /// How many times faster than life, or max
    #[arg(long, value_name = "N", default_value = "1")]
    pub speed: Speed,
    /// Serve the lines of this file (plain, .gz or .zst, or - for stdin) in place of a market
    #[arg(long, value_name = "FILE")]
    pub recording: Option<PathBuf>,
    /// Begin the recording again at its end
    #[arg(long = "loop", requires = "recording")]
    pub again: bool,
    /// Speak wss://, with a certificate made for it
    #[arg(long)]
    pub tls: bool,
    /// Let the certificate be for this host too, which /etc/hosts points here; repeat it for several
    #[arg(long, value_name = "HOST", requires = "tls")]
    pub name: Vec<String>,
    /// What chance is drawn from, for the same run again
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Do this harm; repeat it for several
    #[arg(long, value_name = "FAULT")]
    #[arg(long_help = format!("Do this harm; repeat it for several. There are {}", Faults::KNOWN))]
    pub fault: Vec<String>,
    /// The products of the market
    #[arg(long, value_name = "PRODUCTS", value_delimiter = ',', default_value = "BTC-USD,ETH-USD")]
    pub product: Vec<String>,
}

impl Cli {
    /// What is logged: the configured level, or what `-v` and `-q` make of it.
    #[must_use]
    pub fn level(&self, configured: tracing::Level) -> tracing::Level {
        match (self.quiet, self.verbose) {
            (true, _) => configured.min(tracing::Level::WARN),
            (false, 0) => configured,
            (false, 1) => configured.max(tracing::Level::DEBUG),
            (false, _) => tracing::Level::TRACE,
        }
    }

    /// What the command line tells the configuration.
    #[must_use]
    pub fn flags(&self) -> Flags {
        let config = self.config.clone();
        match &self.command {
            Command::Run(Run { wanted, .. }) | Command::Check(Check { wanted, .. }) => Flags {
                config,
                feed: wanted.feed.clone(),
                channels: wanted.channel.clone(),
                products: wanted.product.clone(),
                accounts: wanted.account.clone(),
                venue: wanted.venue.clone(),
                endpoint: wanted.endpoint.clone(),
                url: wanted.url.clone(),
                key_file: wanted.key_file.clone(),
                credentials: wanted.credentials.clone(),
                output: wanted.output.clone(),
                record: wanted.record.clone(),
            },
            Command::Demo(_)
            | Command::Init
            | Command::Status(_)
            | Command::Audit(_)
            | Command::Doctor(_)
            | Command::Sign(_)
            | Command::Credential(_)
            | Command::Simulator(_) => Flags { config, ..Flags::default() },
        }
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        let port = text.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(8080_u16);
        format!("no address to listen at; write it as 127.0.0.1:{port}, [::1]:{port} or 0.0.0.0:{port}")
    })
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.filter(|seconds| !seconds.is_zero()).ok_or("a number above 0")
}

const EXAMPLES: &str = "\
Examples:
  tickerd demo                                                   see it work
  tickerd run --channel ticker_batch --product BTC-USD,ETH-USD   record public data, no key
  tickerd credential add main                                    store a key
  tickerd run --channel user --credentials main                  record what it may see
  tickerd init > config.toml                                     start a configuration
  tickerd check                                                  see what it would do
  tickerd run > tape.ndjson                                      do it
  tickerd status                                                 see how it is
  tickerd audit tape.ndjson                                      prove that it is whole";

const RUN_EXAMPLES: &str = "\
Examples:
  tickerd run --channel ticker_batch --product BTC-USD,ETH-USD
  tickerd run --channel level2 --product BTC-USD --output tape.ndjson --seconds 60
  tickerd run --channel user --key-file cdp_api_key.json --record envelope
  tickerd run --channel user --credentials main
  tickerd run --venue exchange --channel full --product BTC-USD --credentials exchange --endpoint direct
  tickerd run -c config.toml --feed tickers --lines 100 | jq .channel";

const DEMO_EXAMPLES: &str = "\
Examples:
  tickerd demo
  tickerd demo --lines 50 | jq -r .channel | sort | uniq -c";

const INIT_EXAMPLES: &str = "\
Examples:
  tickerd init > config.toml && tickerd check";

const CHECK_EXAMPLES: &str = "\
Examples:
  tickerd check
  tickerd check -c /etc/tickerd/config.toml --json | jq .feeds
  tickerd check -q && systemctl restart tickerd
  tickerd check --channel level2 --product BTC-USD";

const SIMULATOR_EXAMPLES: &str = "\
Examples:
  tickerd simulator
  tickerd simulator --listen 127.0.0.1:8080 --product BTC-USD,SOL-USD --speed 10
  tickerd simulator --venue exchange -c config.toml
  tickerd simulator --fault conn1:close:1001@30s --fault holes:0.001 --fault maintenance:5m-10m
  tickerd simulator --recording tape.ndjson.gz --loop --tls
  tickerd simulator --tls --listen 127.0.0.1:443 --name api.coinbase.com";

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, error::ErrorKind};

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_declaration_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_examples_of_the_help_are_understood() {
        let ours = [
            EXAMPLES,
            RUN_EXAMPLES,
            DEMO_EXAMPLES,
            INIT_EXAMPLES,
            CHECK_EXAMPLES,
            SIMULATOR_EXAMPLES,
            status::EXAMPLES,
            audit::EXAMPLES,
        ];
        let all = [&ours[..], &sign::ALL_EXAMPLES, &credential::ALL_EXAMPLES].concat();
        for line in all.iter().flat_map(|examples| examples.lines()).filter(|line| line.contains("tickerd ")) {
            let command = line.split(['|', '>', '<', '&']).next().unwrap_or_default();
            let command = command.trim().split("   ").next().unwrap_or_default();
            parse(command).unwrap_or_else(|error| panic!("{command}: {error}"));
        }
    }

    #[test]
    fn options_reach_the_configuration() {
        let line = "tickerd run --channel ticker,level2 --channel status --product BTC-USD,ETH-USD --account a,b \
                    --venue v --url u --key-file k --output o --record envelope --feed f";
        let flags = parse(line).expect("understood").flags();
        assert_eq!(flags.channels, ["ticker", "level2", "status"]);
        assert_eq!(flags.products, ["BTC-USD", "ETH-USD"]);
        assert_eq!(flags.accounts, ["a", "b"]);
        let rest = [flags.venue, flags.url, flags.key_file, flags.output, flags.record, flags.feed];
        assert_eq!(rest.map(Option::unwrap), ["v", "u", "k", "o", "envelope", "f"]);
        let direct = parse("tickerd run --channel full --endpoint direct").expect("understood").flags();
        assert_eq!(direct.endpoint, Some("direct".into()));
        assert_eq!(parse("tickerd check -c x").expect("understood").flags().config, Some("x".into()));
        assert_eq!(parse("tickerd -c x check").expect("understood").flags().config, Some("x".into()));
    }

    #[test]
    fn what_contradicts_itself_is_a_usage_error() {
        for (line, kind) in [
            ("tickerd run --product BTC-USD", ErrorKind::MissingRequiredArgument),
            ("tickerd run --record csv", ErrorKind::InvalidValue),
            ("tickerd run --seconds 0", ErrorKind::ValueValidation),
            ("tickerd run --lines 0", ErrorKind::ValueValidation),
            ("tickerd simulator --speed 0", ErrorKind::ValueValidation),
            ("tickerd simulator --loop", ErrorKind::MissingRequiredArgument),
            ("tickerd simulator --name api.coinbase.com", ErrorKind::MissingRequiredArgument),
            ("tickerd run --channel user --key-file f --credentials main", ErrorKind::ArgumentConflict),
            ("tickerd run --channel full --endpoint direct --url u", ErrorKind::ArgumentConflict),
            ("tickerd sign rest GET /a --key-file f --feed f", ErrorKind::ArgumentConflict),
            ("tickerd sign ws --product BTC-USD", ErrorKind::MissingRequiredArgument),
            ("tickerd credential add", ErrorKind::MissingRequiredArgument),
            ("tickerd -q -v check", ErrorKind::ArgumentConflict),
            ("tickerd rnu", ErrorKind::InvalidSubcommand),
            ("tickerd --version", ErrorKind::DisplayVersion),
        ] {
            match parse(line) {
                Err(error) => assert_eq!(error.kind(), kind, "{line}: {error}"),
                Ok(cli) => panic!("{line}: {cli:?}"),
            }
        }
    }

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for (typed, written) in
            [("80", "127.0.0.1:80, [::1]:80"), (":80", "0.0.0.0:80"), ("localhost", "127.0.0.1:8080")]
        {
            let error = parse(&format!("tickerd simulator --listen {typed}")).expect_err(typed).to_string();
            assert!(error.contains("no address to listen at") && error.contains(written), "{error}");
        }
        parse("tickerd simulator --listen [::1]:0").expect("an address");
    }

    #[test]
    fn v_logs_more_and_q_less() {
        use tracing::Level;
        for (line, level) in [
            ("tickerd init", Level::INFO),
            ("tickerd init -v", Level::DEBUG),
            ("tickerd -vv init", Level::TRACE),
            ("tickerd init -q", Level::WARN),
        ] {
            assert_eq!(parse(line).expect("understood").level(Level::INFO), level, "{line}");
        }
        let error = parse("tickerd init -q").expect("understood").level(Level::ERROR);
        assert_eq!(error, Level::ERROR, "q does not log more");
    }
}
