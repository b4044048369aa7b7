//! The built-in exchange: a venue to test clients against, over any stream, by WebSocket and by REST. It checks what the
//! venue checks, says what the venue says, and goes wrong when asked to.

mod advanced_trade;
mod connection;
mod counterpart;
mod dice;
mod exchange;
mod faults;
mod gate;
mod market;
mod mishaps;
mod observed;
mod outbox;
mod pace;
mod recording;
mod refusal;
mod rest;
pub mod tls;
mod wire;

pub use faults::{Fault, FaultError, Faults};
pub use observed::{Ending, Observed, Observer};
pub use pace::{Speed, SpeedError};
pub use recording::{Recording, RecordingError};

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::{
    accept_hdr_async_with_config,
    tungstenite::{
        handshake::server::{self, ErrorResponse, Response},
        http::{HeaderValue, StatusCode, header::RETRY_AFTER},
        protocol::WebSocketConfig,
    },
};
use tracing::{info, warn};

use crate::{
    auth::Credentials,
    clock::Clock,
    venue::{self, Listed, Permissions, Product, Venue},
};
use connection::Connection;
use counterpart::{Counterpart, Request};
use gate::Gate;
use market::{Calendar, Listing, Market};
use pace::Pace;
use recording::Playback;
use refusal::Refusal;
use wire::Wire;

/// Levels a side of a book. A snapshot of 23,000 a side is as large as the venue's of BTC-USD, five megabytes.
pub const DEPTH: usize = 500;

/// TLS and the upgrade must be done by then, each.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// What a client may send in one message: a subscribe to a thousand products is 12 kB.
const LONGEST_REQUEST: usize = 1 << 20;
/// Connections at a time; above that one waits in the listener's backlog.
const CONNECTIONS: usize = 1_024;
/// After an accept that failed, for want of descriptors most of all.
const BREATH: Duration = Duration::from_millis(100);

/// What the exchange is like.
pub struct Options {
    /// Which venue it plays.
    pub venue: &'static Venue,
    /// How fast its market runs.
    pub speed: Speed,
    /// Who may sign. None: form and freshness of signatures are all that is checked.
    pub credentials: Vec<Arc<Credentials>>,
    /// What every key may do.
    pub permissions: Permissions,
    /// What is traded, busiest first.
    pub products: Vec<Product>,
    /// Those of them that trade once in ten minutes.
    pub quiet: Vec<Product>,
    /// Levels a side of a book.
    pub depth: usize,
    /// What the first connection is sent instead of the market.
    pub recording: Option<Arc<Recording>>,
    /// The recording starts again at its end.
    pub repeat: bool,
    /// What goes wrong.
    pub faults: Faults,
    /// What chance starts from: prices and faults are the same for the same seed.
    pub seed: u64,
    /// The venue's clock.
    pub clock: Clock,
    /// Who is told what happens.
    pub observer: Option<Observer>,
}

/// An exchange. It serves any number of connections at once, all from one market.
pub struct Simulator {
    options: Options,
    counterpart: &'static dyn Counterpart,
    pace: Pace,
    market: Mutex<Market>,
    calendar: Calendar,
    gate: Mutex<Gate>,
    listing: Mutex<Vec<Listed>>,
    opened: Instant,
    tape: Option<Tape>,
    connections: AtomicU64,
}

/// The recording, which one connection at a time may play; without repeat, one in all.
struct Tape {
    recording: Arc<Recording>,
    repeat: bool,
    taken: AtomicBool,
}

impl Options {
    /// A healthy exchange at real pace, with a handful of products, that knows nobody.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let products = ["BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD", "DOGE-USD", "USDT-USDC"];
        Self {
            venue: &venue::advanced_trade::MARKET,
            speed: Speed::Times(1.0),
            credentials: Vec::new(),
            permissions: Permissions { can_view: true, can_trade: false, can_transfer: false },
            products: products.iter().filter_map(|id| Product::parse(id).ok()).collect(),
            quiet: Vec::new(),
            depth: DEPTH,
            recording: None,
            repeat: false,
            faults: Faults::default(),
            seed: 1,
            clock,
            observer: None,
        }
    }
}

impl Simulator {
    /// Opens the market. It must be called within a tokio runtime, whose time is the market's.
    #[must_use]
    pub fn new(mut options: Options) -> Arc<Self> {
        let off = options.faults.clock_ms();
        if off != 0 {
            options.clock = options.clock.off_by(off);
        }
        let opened = Timestamp::try_from(options.clock.now()).unwrap_or(Timestamp::UNIX_EPOCH);
        let counterpart = counterpart::of(options.venue);
        // Whoever comes after the recording has seen it all, and gets heartbeats as they really come.
        let speed = if options.recording.is_some() { Speed::Times(1.0) } else { options.speed };
        let calendar = options.faults.calendar(speed);
        let market = Market::new(&options.products, &options.quiet, options.depth, options.seed, opened);
        let tape = options.recording.take().map(|recording| Tape {
            recording,
            repeat: options.repeat,
            taken: AtomicBool::new(false),
        });
        Arc::new(Self {
            pace: Pace::new(speed),
            market: Mutex::new(market.with(calendar.clone())),
            calendar,
            gate: Mutex::new(Gate::new(counterpart, options.credentials.clone())),
            listing: Mutex::new(rest::listing(&options.products)),
            opened: Instant::now(),
            tape,
            connections: AtomicU64::new(0),
            counterpart,
            options,
        })
    }

    /// From now on no signature of `key` is taken, by WebSocket or REST; connections stand.
    pub fn revoke(&self, key: &str) {
        self.gate().revoke(key);
    }

    /// Signatures of `key` are taken again.
    pub fn restore(&self, key: &str) {
        self.gate().restore(key);
    }

    /// From now on REST lists these products. What the market trades stays as it is.
    pub fn list(&self, products: Vec<Listed>) {
        *self.listing.lock().unwrap_or_else(PoisonError::into_inner) = products;
    }

    /// The id of the last trade of `product` by now; one trade of it has an id of one more than the one before. None where it
    /// is not known, or never was traded.
    #[must_use]
    pub fn last_trade(&self, product: &str) -> Option<u64> {
        let mut market = self.market();
        market.advance(self.pace.now());
        market.listing(product).map(Listing::last_trade).filter(|id| *id > 0)
    }

    /// Accepts clients until it is dropped, and with it every connection that it accepted.
    pub async fn listen(self: Arc<Self>, listener: TcpListener, tls: Option<TlsAcceptor>) {
        let mut clients = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                Some(_) = clients.join_next() => {}
                accepted = listener.accept(), if clients.len() < CONNECTIONS => match accepted {
                    Ok((stream, _)) => {
                        clients.spawn(Arc::clone(&self).welcome(stream, tls.clone()));
                    }
                    Err(error) => {
                        warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(BREATH).await;
                    }
                },
            }
        }
    }

    async fn welcome(self: Arc<Self>, mut stream: TcpStream, tls: Option<TlsAcceptor>) {
        // Each write is to leave as it was cut.
        if let Err(error) = stream.set_nodelay(true) {
            warn!(%error, "TCP_NODELAY could not be set");
        }
        let Some(tls) = tls else {
            let ending = self.serve(&mut stream).await;
            return reset_if(&ending, &stream);
        };
        match timeout(HANDSHAKE, tls.accept(stream)).await {
            Ok(Ok(mut encrypted)) => {
                let ending = self.serve(&mut encrypted).await;
                reset_if(&ending, encrypted.get_ref().0);
            }
            Ok(Err(error)) => info!(%error, "a TLS handshake failed"),
            Err(_) => info!("a TLS handshake took too long"),
        }
    }

    /// Serves one client over `stream`: a WebSocket from the upgrade to the end, or one REST request.
    pub async fn serve(self: Arc<Self>, stream: impl AsyncRead + AsyncWrite + Unpin + Send) -> Ending {
        let mut wire = Wire::new(stream);
        match timeout(HANDSHAKE, wire.read_head()).await {
            Ok(Ok([])) => Ending::Left,
            Ok(Ok(head)) if rest::is_upgrade(head) => self.serve_websocket(wire).await,
            Ok(Ok(_)) => self.serve_rest(wire).await,
            Ok(Err(error)) => Ending::Failed(error.to_string()),
            Err(_) => Ending::Failed("nothing was asked for".to_owned()),
        }
    }

    async fn serve_websocket(&self, wire: Wire<impl AsyncRead + AsyncWrite + Unpin + Send>) -> Ending {
        let conn = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        info!(conn, "connected");
        self.tell(&Observed::Connected { conn });
        let how = self.serve_as(conn, wire).await;
        info!(conn, "ended: {how}");
        self.tell(&Observed::Ended { conn, how: how.clone() });
        how
    }

    async fn serve_as(&self, conn: u64, wire: Wire<impl AsyncRead + AsyncWrite + Unpin + Send>) -> Ending {
        let plan = self.options.faults.plan(conn, self.options.seed);
        if let Some(fault) = plan.upgrade.clone() {
            self.tell(&Observed::Fault { conn, fault });
        }
        let config = WebSocketConfig::default().max_message_size(Some(LONGEST_REQUEST));
        let upgrade = accept_hdr_async_with_config(wire, upgrade(plan.upgrade.clone()), Some(config));
        match timeout(HANDSHAKE, upgrade).await {
            Ok(Ok(socket)) => Connection::new(self, conn, socket, plan).run().await,
            Ok(Err(error)) => match &plan.upgrade {
                Some(fault) => Ending::Refused(status(fault).as_u16()),
                None => Ending::Failed(error.to_string()),
            },
            Err(_) => Ending::Failed("the upgrade took too long".to_owned()),
        }
    }

    fn check(&self, request: &Request) -> Result<(), Refusal> {
        if request.is_signed() {
            self.check_revoked()?;
        }
        self.gate().check(request, self.options.clock.unix())?;
        if request.is_private() && !self.options.permissions.can_view { Err(Refusal::MayNotView) } else { Ok(()) }
    }

    /// A fault may have revoked every key for a while.
    fn check_revoked(&self) -> Result<(), Refusal> {
        if self.options.faults.revokes(self.opened.elapsed()) { Err(Refusal::Revoked) } else { Ok(()) }
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn market(&self) -> MutexGuard<'_, Market> {
        self.market.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, observed: &Observed) {
        if let Some(observer) = &self.options.observer {
            observer(observed);
        }
    }
}

impl Tape {
    /// Whether nobody plays it, or has.
    fn is_free(&self) -> bool {
        !self.taken.load(Ordering::Relaxed)
    }

    /// Whether it was still free.
    fn take(&self) -> bool {
        !self.taken.swap(true, Ordering::Relaxed)
    }

    /// With repeat the next may have it; else nobody gets a line twice.
    fn release(&self) {
        if self.repeat {
            self.taken.store(false, Ordering::Relaxed);
        }
    }

    fn play(&self) -> io::Result<Playback> {
        self.recording.play()
    }
}

/// Answers the upgrade, or refuses it as the fault has it.
#[expect(clippy::result_large_err, reason = "the type is tungstenite's")]
fn upgrade(fault: Option<Fault>) -> impl FnOnce(&server::Request, Response) -> Result<Response, ErrorResponse> + Unpin {
    move |_, response| {
        let Some(fault) = fault else { return Ok(response) };
        let mut refusal = ErrorResponse::new(Some(String::new()));
        *refusal.status_mut() = status(&fault);
        if let Fault::TooMany(seconds) | Fault::Unavailable(seconds) = fault {
            refusal.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        Err(refusal)
    }
}

fn status(fault: &Fault) -> StatusCode {
    if let Fault::TooMany(_) = fault { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::SERVICE_UNAVAILABLE }
}

fn reset_if(ending: &Ending, stream: &TcpStream) {
    if *ending == Ending::Reset
        && let Err(error) = stream.set_zero_linger()
    {
        warn!(%error, "a reset could not be arranged");
    }
}
