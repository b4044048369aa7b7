//! `tickerd demo`: the daemon against the built-in exchange, on one machine, with nothing else. Records go to stdout; what
//! is being shown is told on stderr.

use std::{
    collections::HashMap,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::{net::TcpListener, time::Instant};
use tracing::Level;

use super::block_on;
use crate::{
    auth::{Credentials, Scheme, Secret, jwt},
    cli::{self, Cli},
    clock::Clock,
    config::{Config, Destination, Events, Feed, Log, LogFormat, Output, Ready, Sync},
    exit::{Failure, Status},
    log,
    net::{Network, client_config},
    random::Random,
    record::Form,
    service::{self, Limits, Run, Signals, Surroundings},
    session::IfRefused,
    simulator::{self, Ending, Fault, Faults, Observed, Simulator, Speed},
    venue::{Product, advanced_trade},
};

/// Ten times real pace: a `ticker_batch` each half second.
const SPEED: f64 = 10.0;

/// When the first connection is closed, as the venue does at each of its deploys: soon enough that `--lines 50` sees it.
const CUT: &str = "conn1:close:1001@1500ms";

const KEY_NAME: &str =
    "organizations/00000000-0000-0000-0000-000000000000/apiKeys/11111111-1111-1111-1111-111111111111";

/// Shows it until the limits are met, or until TERM or INT.
///
/// # Errors
/// When the exchange can not be started, or stdout fails.
pub fn run(cli: &Cli, typed: &cli::Demo) -> Result<(), Failure> {
    log::start(Log { level: cli.level(Level::ERROR), format: LogFormat::Auto });
    if let Some(other) = typed.venue.as_ref().filter(|name| *name != advanced_trade::MARKET.name) {
        let message = format!("the demo knows no venue \"{other}\" yet: {}", advanced_trade::MARKET.name);
        return Err(Failure::new(Status::Usage, message));
    }
    let credentials = Arc::new(throw_away_key()?);
    let tls = client_config(None).map_err(|error| Failure::new(Status::Config, error))?;
    let limits = Limits { lines: typed.until.lines, time: typed.until.seconds };
    block_on(async {
        let signals = Signals::listen().map_err(|error| Failure::new(Status::Bug, error))?;
        let (clock, random) = (Clock::system(), Random::system());
        let run = Arc::new(Run::new(&random));
        let narrator = Arc::new(Narrator::new(run.clone()));
        let exchange = open_exchange(credentials.clone(), narrator.clone(), clock.clone()).await?;

        tell("an exchange of our own is open on loopback, ten times real pace; it checks every signature");
        let reread = Box::new(|_: &Config| Ok(Vec::new()));
        let surroundings = Surroundings { dial: Arc::new(Network::new(tls)), clock, random, run, signals, reread };
        let result = service::run(config(exchange, credentials)?, limits, surroundings).await;
        narrator.farewell();
        result
    })?
}

/// A CDP key as the portal would hand it out, made now and forgotten at the end.
fn throw_away_key() -> Result<Credentials, Failure> {
    let bug = |error: &dyn std::fmt::Display| Failure::new(Status::Bug, format!("no throw-away key: {error}"));
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|error| bug(&error))?;
    let der = pair.to_pkcs8v1().map_err(|error| bug(&error))?;
    let secret = Secret::new(STANDARD.encode(der.as_ref()));
    Credentials::new("demo", Scheme::Jwt, KEY_NAME, &secret).map_err(|error| bug(&error))
}

async fn open_exchange(
    credentials: Arc<Credentials>,
    narrator: Arc<Narrator>,
    clock: Clock,
) -> Result<SocketAddr, Failure> {
    let options = simulator::Options {
        speed: Speed::Times(SPEED),
        credentials: vec![credentials],
        faults: Faults::parse(&[CUT.to_owned()]).map_err(|error| Failure::new(Status::Bug, error))?,
        observer: Some(Arc::new(move |observed: &Observed| narrator.hear(observed))),
        ..simulator::Options::new(clock)
    };
    let closed = |error| Failure::new(Status::Unreachable, format!("no port on loopback: {error}"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(closed)?;
    let address = listener.local_addr().map_err(closed)?;
    tokio::spawn(Simulator::new(options).listen(listener, None));
    Ok(address)
}

fn config(exchange: SocketAddr, credentials: Arc<Credentials>) -> Result<Config, Failure> {
    let product = |id| Product::parse(id).map_err(|error| Failure::new(Status::Bug, error));
    let venue = &advanced_trade::MARKET;
    let feed = Feed {
        name: "demo".into(),
        venue,
        url: format!("ws://{exchange}"),
        rest: format!("http://{exchange}"),
        failover: None,
        accounts: Vec::new(),
        channels: venue.channel("ticker_batch").into_iter().collect(),
        products: vec![product("BTC-USD")?, product("ETH-USD")?].into(),
        credentials: Some(credentials),
        if_refused: IfRefused::Wait,
    };
    Ok(Config {
        source: None,
        output: Output {
            path: Destination::Stdout,
            record: Form::Raw,
            events: Events::Log,
            sync: Sync::Never,
            queue: 32 * 1024 * 1024,
        },
        feeds: vec![feed],
        credentials: Vec::new(),
        service: crate::config::Service { ready: Ready::Started, drain: Duration::from_secs(10) },
        log: Log { level: Level::ERROR, format: LogFormat::Auto },
        ca_file: None,
        warnings: Vec::new(),
    })
}

/// Sits in the exchange and tells what it sees there: what was sent, what was signed, and when.
struct Narrator {
    run: Arc<Run>,
    story: Mutex<Story>,
}

#[derive(Default)]
struct Story {
    sent: u64,
    cut: Option<Instant>,
    cuts: u64,
    stamps: HashMap<u64, u64>,
    missed: u64,
}

impl Narrator {
    fn new(run: Arc<Run>) -> Self {
        Self { run, story: Mutex::default() }
    }

    fn hear(&self, observed: &Observed) {
        let mut story = self.story.lock().unwrap_or_else(PoisonError::into_inner);
        match observed {
            Observed::Sent { .. } => story.sent += 1,
            Observed::Fault { fault: Fault::Close(code), .. } => {
                tell(&format!("cut: the exchange closes with {code}, as the venue does when it deploys"));
                story.cut = Some(Instant::now());
                story.cuts += 1;
            }
            Observed::Subscribe { conn, text, accepted: true, .. } => {
                let Some(stamp) = stamp(text) else { return };
                if story.stamps.insert(*conn, stamp).is_none() {
                    Self::subscribed(&mut story, *conn, stamp);
                }
            }
            // By now the first connection has been read to its end, and the second has brought nothing.
            Observed::Connected { conn } if *conn > 1 => {
                story.missed = story.sent.saturating_sub(self.run.account.totals().received);
            }
            Observed::Ended { how: Ending::Failed(why), .. } => {
                tell(&format!("the exchange ended a connection: {why}"));
            }
            _ => {}
        }
    }

    fn subscribed(story: &mut Story, conn: u64, stamp: u64) {
        match (story.cut.take(), story.stamps.get(&(conn - 1))) {
            (Some(cut), Some(before)) => {
                let after = cut.elapsed().as_millis();
                tell(&format!(
                    "back after {after} ms, signed afresh at timestamp {stamp} (was {before}), {} missed of the {} messages sent before",
                    story.missed, story.sent
                ));
            }
            _ => tell(&format!(
                "subscribed to ticker_batch and heartbeats, signed at timestamp {stamp}; records go to stdout"
            )),
        }
    }

    fn farewell(&self) {
        let story = self.story.lock().unwrap_or_else(PoisonError::into_inner);
        let totals = self.run.account.totals();
        tell(&format!(
            "{} messages written over {} connections, {} cut, {} missed",
            totals.written,
            story.stamps.len(),
            story.cuts,
            story.missed
        ));
        tell("next: tickerd run --channel ticker_batch --product BTC-USD,ETH-USD");
    }
}

/// The second in which a subscribe was signed.
fn stamp(text: &str) -> Option<u64> {
    let message: serde_json::Value = serde_json::from_str(text).ok()?;
    Some(jwt::Claims::read(message.get("jwt")?.as_str()?)?.nbf + jwt::SKEW)
}

fn tell(line: &str) {
    // Nobody to tell is no reason to stop showing.
    let _ = writeln!(io::stderr(), "demo: {line}");
}
