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

use super::{block_on, venue_named};
use crate::{
    auth::{Credentials, KeyFile, Scheme, Secret, jwt},
    cli::{self, Cli},
    clock::Clock,
    config::{
        Config, Destination, Events, Feed, Keep, Log, LogFormat, Net, Output, Packing, Ready, Rotate, Sync, WhenSlow,
    },
    exit::{Failure, Status},
    log,
    net::{Network, client_config},
    random::Random,
    record::Form,
    service::{self, Limits, Run, Signals, Surroundings},
    session::IfRefused,
    simulator::{self, Ending, Fault, Faults, Observed, Simulator, Speed},
    venue::{self, Product, Venue},
};

/// Ten times real pace: a `ticker_batch` each half second.
const SPEED: f64 = 10.0;

/// What is shown: both of Coinbase's venues have it.
const SHOWN: &str = "ticker_batch";

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
    let venue = match &typed.venue {
        Some(name) => named(name)?,
        None => venue::ALL[0],
    };
    let credentials = Arc::new(throw_away_key(venue)?);
    let tls = client_config(None).map_err(|error| Failure::new(Status::Config, error))?;
    let limits = Limits { lines: typed.until.lines, time: typed.until.seconds };
    block_on(async {
        let signals = Signals::listen().map_err(|error| Failure::new(Status::Bug, error))?;
        let (clock, random) = (Clock::system(), Random::system());
        let run = Arc::new(Run::new(&random));
        let narrator = Arc::new(Narrator::new(venue, run.clone()));
        let exchange = open_exchange(venue, credentials.clone(), narrator.clone(), clock.clone()).await?;

        tell("an exchange of our own is open on loopback, ten times real pace; it checks every signature");
        let reread = Box::new(|_: &Config| Ok(Vec::new()));
        let surroundings =
            Surroundings { dial: Arc::new(Network::new(tls)), clock, random, run, sheet: None, signals, reread };
        let result = service::run(config(venue, exchange, credentials)?, limits, surroundings).await;
        narrator.farewell();
        result
    })?
}

/// A venue that has what the demo shows.
fn named(name: &str) -> Result<&'static Venue, Failure> {
    let venue = venue_named(name)?;
    match venue.channel(SHOWN) {
        Some(_) => Ok(venue),
        None => Err(Failure::new(Status::Usage, format!("{name} has no {SHOWN}, which is what the demo shows"))),
    }
}

/// Credentials as the venue would hand them out, made now and forgotten at the end.
fn throw_away_key(venue: &Venue) -> Result<Credentials, Failure> {
    let bug = |error: &dyn std::fmt::Display| Failure::new(Status::Bug, format!("no throw-away key: {error}"));
    if !venue.tokens {
        let random = Random::system();
        let secret = [random.bytes(), random.bytes(), random.bytes(), random.bytes()].concat();
        let file = KeyFile {
            passphrase: Some(Secret::new(hex::encode(random.bytes()))),
            ..KeyFile::of_halves(&hex::encode(random.bytes()), Secret::new(STANDARD.encode(secret)))
        };
        return file.credentials("demo").map_err(|error| bug(&error));
    }
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|error| bug(&error))?;
    let der = pair.to_pkcs8v1().map_err(|error| bug(&error))?;
    let secret = Secret::new(STANDARD.encode(der.as_ref()));
    Credentials::new("demo", Scheme::Jwt, KEY_NAME, &secret).map_err(|error| bug(&error))
}

async fn open_exchange(
    venue: &'static Venue,
    credentials: Arc<Credentials>,
    narrator: Arc<Narrator>,
    clock: Clock,
) -> Result<SocketAddr, Failure> {
    let options = simulator::Options {
        venue,
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

fn config(venue: &'static Venue, exchange: SocketAddr, credentials: Arc<Credentials>) -> Result<Config, Failure> {
    let product = |id| Product::parse(id).map_err(|error| Failure::new(Status::Bug, error));
    let feed = Feed {
        name: "demo".into(),
        venue,
        url: format!("ws://{exchange}"),
        rest: format!("http://{exchange}"),
        failover: None,
        accounts: Vec::new(),
        channels: venue.channel(SHOWN).into_iter().collect(),
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
            when_slow: WhenSlow::Block,
            rotate: Rotate::default(),
            compress: Packing::None,
            keep: Keep::default(),
        },
        feeds: vec![feed],
        credentials: Vec::new(),
        service: crate::config::Service { ready: Ready::Started, drain: Duration::from_secs(10) },
        log: Log { level: Level::ERROR, format: LogFormat::Auto },
        ca_file: None,
        net: Net::default(),
        http: None,
        warnings: Vec::new(),
    })
}

/// Sits in the exchange and tells what it sees there: what was sent, what was signed, and when.
struct Narrator {
    venue: &'static Venue,
    run: Arc<Run>,
    story: Mutex<Story>,
}

#[derive(Default)]
struct Story {
    sent: u64,
    cut: Option<Instant>,
    cuts: u64,
    stamps: HashMap<u64, String>,
    missed: u64,
}

impl Narrator {
    fn new(venue: &'static Venue, run: Arc<Run>) -> Self {
        Self { venue, run, story: Mutex::default() }
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
                if story.stamps.insert(*conn, stamp.clone()).is_none() {
                    self.subscribed(&mut story, *conn, &stamp);
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

    fn subscribed(&self, story: &mut Story, conn: u64, stamp: &str) {
        match (story.cut.take(), story.stamps.get(&(conn - 1))) {
            (Some(cut), Some(before)) => {
                let after = cut.elapsed().as_millis();
                tell(&format!(
                    "back after {after} ms, signed afresh at timestamp {stamp} (was {before}), {} missed of the {} messages sent before",
                    story.missed, story.sent
                ));
            }
            _ => tell(&format!(
                "subscribed to {SHOWN} and {}, signed at timestamp {stamp}; records go to stdout",
                self.venue.channels.iter().find(|channel| channel.heartbeat).map_or("nothing else", |beat| beat.name)
            )),
        }
    }

    fn farewell(&self) {
        let story = self.story.lock().unwrap_or_else(PoisonError::into_inner);
        let totals = self.run.account.totals();
        let connections = story.stamps.len();
        let plural = if connections == 1 { "" } else { "s" };
        tell(&format!(
            "{} messages written over {connections} connection{plural}, {} cut, {} missed",
            totals.written, story.cuts, story.missed
        ));
        if totals.dropped > 0 {
            tell(&format!("{} more were received and not written: it ended before", totals.dropped));
        }
        if story.cuts == 0 {
            tell("it ended before the exchange closes, and tickerd comes back: --lines 50 shows that");
        }
        let of =
            if self.venue.name == venue::ALL[0].name { String::new() } else { format!("--venue {} ", self.venue.name) };
        tell(&format!("next: tickerd run {of}--channel {SHOWN} --product BTC-USD,ETH-USD"));
    }
}

/// The time at which a subscribe was signed, in seconds.
fn stamp(text: &str) -> Option<String> {
    let message: serde_json::Value = serde_json::from_str(text).ok()?;
    let token = || Some((jwt::Claims::read(message.get("jwt")?.as_str()?)?.nbf + jwt::SKEW).to_string());
    message.get("timestamp").and_then(|stamp| stamp.as_str().map(str::to_owned)).or_else(token)
}

fn tell(line: &str) {
    // Nobody to tell is no reason to stop showing.
    let _ = writeln!(io::stderr(), "demo: {line}");
}
