//! A stage for plays in simulated time: the exchange, a feed and its output in one runtime, with duplex pipes for sockets
//! and nothing that the real process would do by a thread.

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context as Poller, Poll, ready},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures::future::BoxFuture;
use tickerd::{
    auth::{Credentials, KeyFile, Scheme, Secret},
    clock::Clock,
    config::{Feed, WhenSlow},
    desk::Desk,
    feed::{Context, Run, keep_alive},
    inquiry::{Inquiry, List},
    net::{Dial, DialError, Opened, Wire},
    output::{Queue, Recorder, Sink, Target, Writer},
    pace::Pace,
    random::Random,
    record::Form,
    refill::Refiller,
    rest::Client,
    session::IfRefused,
    shutdown::Stop,
    simulator::{Observed, Options, Simulator},
    status::Board,
    venue::{Listed, Selection, Venue, advanced_trade::MARKET},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    sync::watch,
    time::sleep,
};

pub const QUEUE: u64 = 4 * 1024 * 1024;

/// Where the exchange is asked by REST: credentials go unencrypted to loopback alone.
const REST: &str = "http://127.0.0.1";

const STAGE: &str = "ws://stage";
const DIRECT: &str = "ws://direct";

/// 2026-11-24T17:00:00Z.
pub fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_539_600)
}

/// A CDP key, made now.
pub fn cdp_key() -> Arc<Credentials> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let der = pair.to_pkcs8v1().expect("DER");
    let key = "organizations/00000000-1111-2222-3333-444444444444/apiKeys/55555555-6666-7777-8888-999999999999";
    let secret = Secret::new(STANDARD.encode(der.as_ref()));
    Arc::new(Credentials::new("main", Scheme::Auto, key, &secret).expect("a good key"))
}

/// A legacy key, of the documentation's own dummy text.
pub fn hmac_key() -> Arc<Credentials> {
    let secret = Secret::new("M4009eFnOoPwhNoMwJlsAHgIgleGVFPl".to_owned());
    Arc::new(Credentials::new("main", Scheme::Hmac, "AbCdEfGh12345678", &secret).expect("a good key"))
}

/// A key of Coinbase Exchange, of dummy text.
pub fn exchange_key() -> Arc<Credentials> {
    let secret = Secret::new(STANDARD.encode("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"));
    let file = KeyFile {
        passphrase: Some(Secret::new("a phrase".to_owned())),
        ..KeyFile::of_halves("0123456789abcdef0123456789abcdef", secret)
    };
    Arc::new(file.credentials("main").expect("a good key"))
}

/// What the exchange saw and what the socket delivered, by the exchange's count of connections.
#[derive(Default)]
pub struct Seen {
    pub subscribes: Vec<(u64, String, SystemTime, bool)>,
    pub sent: HashMap<u64, Vec<Bytes>>,
    /// How often it was pinged.
    pub pings: HashMap<u64, usize>,
    /// What the venue published and lost.
    pub lost: HashMap<u64, Vec<Bytes>>,
    dialled: Vec<(u64, Tape)>,
}

/// What was read from one socket.
pub type Tape = Arc<Mutex<Vec<u8>>>;

impl Seen {
    /// Of each WebSocket that came about, what the socket delivered.
    pub fn delivered(&self) -> Vec<(u64, Tape)> {
        let came_about = |tape: &Tape| tape.lock().expect("whole").starts_with(b"HTTP/1.1 101");
        self.dialled.iter().filter(|(_, tape)| came_about(tape)).cloned().collect()
    }
}

pub type Shared<T> = Arc<Mutex<T>>;

/// A feed that runs against an exchange, and what comes out.
pub struct Play {
    pub seen: Shared<Seen>,
    pub written: Shared<Vec<u8>>,
    pub run: Arc<Run>,
    pub board: Board,
    pub exchange: Arc<Simulator>,
    stop: Stop,
    list: watch::Sender<List>,
    queue: Arc<Queue>,
    feed: tokio::task::JoinHandle<()>,
    refilling: Option<tokio::task::JoinHandle<()>>,
    writer: tokio::task::JoinHandle<()>,
}

/// What is played.
pub struct Plot {
    pub venue: &'static Venue,
    pub channels: Vec<&'static str>,
    /// As the configuration would say it.
    pub products: Vec<&'static str>,
    pub credentials: Option<Arc<Credentials>>,
    pub exchange: Options,
    pub clock: Clock,
    /// How long the reader of the output takes for each batch.
    pub reader: Box<dyn FnMut() -> Duration + Send>,
    pub when_slow: WhenSlow,
    /// In bytes.
    pub queue: u64,
    pub pipe: usize,
    pub if_refused: IfRefused,
    /// The venue is asked by REST as well, as the process does.
    pub inquire: bool,
    /// Missed trades are asked for by REST, as the process does.
    pub refill: bool,
    /// How long the way to the venue takes: a name, TCP, TLS.
    pub dial_takes: Duration,
    /// What answers first upgrades, and then reads nothing more and says nothing.
    pub first_is_deaf: bool,
    /// From the start on nobody answers for so long...
    pub down_for: Duration,
    /// ...and REST answers for so long only.
    pub rest_for: Duration,
    /// Its first address answers after so long only, and the stage is its failover.
    pub direct_after: Option<Duration>,
    /// What paces subscribes and connects, with other plays of the process.
    pub paces: [Arc<Pace>; 2],
}

impl Plot {
    pub fn new(channels: &[&'static str], credentials: Option<Arc<Credentials>>) -> Self {
        let clock = Clock::from(start());
        let exchange = Options {
            credentials: credentials.clone().into_iter().collect(),
            depth: 50,
            ..Options::new(clock.clone())
        };
        Self {
            venue: &MARKET,
            channels: channels.to_vec(),
            products: vec!["BTC-USD", "ETH-USD"],
            credentials,
            exchange,
            clock,
            reader: Box::new(|| Duration::ZERO),
            when_slow: WhenSlow::Block,
            queue: QUEUE,
            pipe: 64 * 1024,
            if_refused: IfRefused::Public,
            inquire: false,
            refill: false,
            dial_takes: Duration::ZERO,
            first_is_deaf: false,
            down_for: Duration::ZERO,
            rest_for: Duration::MAX,
            direct_after: None,
            paces: <[Arc<Pace>; 2]>::default(),
        }
    }

    pub fn at(venue: &'static Venue, channels: &[&'static str], credentials: Option<Arc<Credentials>>) -> Self {
        let mut plot = Self { venue, ..Self::new(channels, credentials) };
        plot.exchange.venue = venue;
        plot
    }

    pub fn play(mut self) -> Play {
        let (seen, written) = (Shared::<Seen>::default(), Shared::<Vec<u8>>::default());
        self.exchange.observer = Some(Arc::new({
            let seen = seen.clone();
            move |observed: &Observed| hear(&mut seen.lock().expect("whole"), observed)
        }));
        let random = Random::seeded(7);
        let (stop, stopping) = Stop::new();
        let (queue, run, board) =
            (Arc::new(Queue::new(self.queue, self.when_slow)), Arc::new(Run::new(&random)), Board::default());
        let desk = self.credentials.clone().map(|credentials| Arc::new(Desk::new(credentials)));
        let mut products = Selection::default();
        for entry in &self.products {
            products.add(entry).expect("it selects");
        }
        let feed = Feed {
            name: "play".into(),
            venue: self.venue,
            url: if self.direct_after.is_some() { DIRECT } else { STAGE }.into(),
            rest: REST.into(),
            failover: self.direct_after.map(|_| STAGE.into()),
            accounts: vec!["7d0f7d8e-dd34-4d9c-a846-06f431c381ba".into()],
            channels: self.channels.iter().map(|name| self.venue.channel(name).expect("a channel")).collect(),
            products,
            credentials: self.credentials,
            if_refused: self.if_refused,
        };
        let exchange = Simulator::new(self.exchange);
        let dial: Arc<dyn Dial> = Arc::new(Pipes {
            exchange: exchange.clone(),
            seen: seen.clone(),
            pipe: self.pipe,
            begun: tokio::time::Instant::now(),
            dial_takes: self.dial_takes,
            first_is_deaf: self.first_is_deaf,
            down_for: self.down_for,
            rest_for: self.rest_for,
            direct_after: self.direct_after,
        });
        let recorder = Recorder::new(queue.clone(), 0, Some(0));
        let (list, mut lists) = watch::channel(List::Awaited);
        if self.inquire {
            let client = Client::new(dial.clone(), self.clock.clone(), random.clone());
            let mut inquiry =
                Inquiry::new(client, self.venue.rest, REST, self.clock.clone(), random.clone(), board.clone());
            lists = inquiry.add(run.aside("play"), recorder.clone(), desk.as_ref(), !feed.products.is_fixed());
            tokio::spawn(inquiry.keep(stopping.clone()));
        }
        let client = Client::new(dial.clone(), self.clock.clone(), random.clone());
        let refill =
            self.refill.then(|| Refiller::new(client, self.venue.rest, REST, self.clock.clone(), random.clone()));
        let (refill, refilling) = refill.flatten().unzip();
        let refilling = refilling.map(|refilling| tokio::spawn(refilling.keep(stopping.clone())));
        let context = Context {
            feed,
            desk,
            dial,
            recorder,
            connects: self.paces[0].clone(),
            subscribes: self.paces[1].clone(),
            clock: self.clock,
            random,
            run: run.clone(),
            refill,
            stopping,
        };
        let feed = tokio::spawn(keep_alive(Arc::new(context), &board, lists));
        let writer = tokio::spawn(write(queue.clone(), written.clone(), self.reader));
        Play { seen, written, run, board, exchange, stop, list, queue, feed, refilling, writer }
    }
}

impl Play {
    /// The venue lists these as traded, from now on.
    pub fn list(&self, ids: &[&str]) {
        let listed = |id: &&str| Listed { id: (*id).to_owned(), alias: None, online: true };
        self.list.send_replace(List::Known(ids.iter().map(listed).collect()));
    }

    /// Stops the feed as TERM would, and waits until all is written.
    pub async fn end(self) -> (Shared<Seen>, Vec<u8>) {
        self.stop.stop();
        self.feed.await.expect("the feed ends");
        if let Some(refilling) = self.refilling {
            refilling.await.expect("whoever fills gaps ends");
        }
        self.queue.close();
        self.writer.await.expect("the writer ends");
        let totals = self.run.account.totals();
        assert_eq!(totals.received, totals.written + totals.dropped, "the account adds up");
        (self.seen, std::mem::take(&mut *self.written.lock().expect("whole")))
    }
}

fn hear(seen: &mut Seen, observed: &Observed) {
    match observed {
        Observed::Subscribe { conn, text, at, accepted } => {
            seen.subscribes.push((*conn, text.clone(), *at, *accepted));
        }
        Observed::Pinged { conn } => *seen.pings.entry(*conn).or_default() += 1,
        Observed::Lost { conn, message } => seen.lost.entry(*conn).or_default().push(message.clone()),
        Observed::Sent { conn, message } => seen.sent.entry(*conn).or_default().push(message.clone()),
        _ => {}
    }
}

async fn write(queue: Arc<Queue>, written: Shared<Vec<u8>>, mut reader: Box<dyn FnMut() -> Duration + Send>) {
    struct Paper(Shared<Vec<u8>>);
    impl Sink for Paper {
        fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("whole").extend_from_slice(bytes);
            Ok(bytes.len())
        }
    }
    let target = Target { name: "paper".into(), sink: Box::new(Paper(written)) };
    let mut writer = Writer::new(vec![target], Form::Envelope);
    while let Some(batch) = queue.take().await {
        sleep(reader()).await;
        writer.write(batch, &queue).expect("paper takes everything");
    }
}

/// Reaches the exchange over a pipe, and keeps what comes out of each WebSocket.
struct Pipes {
    exchange: Arc<Simulator>,
    seen: Shared<Seen>,
    pipe: usize,
    begun: tokio::time::Instant,
    dial_takes: Duration,
    first_is_deaf: bool,
    down_for: Duration,
    rest_for: Duration,
    direct_after: Option<Duration>,
}

impl Dial for Pipes {
    fn open<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Opened, DialError>> {
        Box::pin(async move {
            let passed = self.begun.elapsed();
            let no_rest = url.starts_with("http") && passed >= self.rest_for;
            let no_direct = url == DIRECT && self.direct_after.is_some_and(|after| passed < after);
            if passed < self.down_for || no_rest || no_direct {
                return Err(DialError::Connect("stage".into(), io::ErrorKind::ConnectionRefused.into()));
            }
            if !self.dial_takes.is_zero() {
                sleep(self.dial_takes).await;
            }
            let (ours, theirs) = tokio::io::duplex(self.pipe);
            let tape = Tape::default();
            let mut deaf = false;
            // The exchange counts WebSockets and no REST requests, so this does as well; one that it never sees is 0.
            if url.starts_with("ws") {
                let mut seen = self.seen.lock().expect("whole");
                deaf = self.first_is_deaf && seen.dialled.is_empty();
                let conn = seen.dialled.len() as u64 + u64::from(!self.first_is_deaf);
                seen.dialled.push((conn, tape.clone()));
            }
            if deaf {
                tokio::spawn(go_deaf(theirs));
            } else {
                let exchange = self.exchange.clone();
                tokio::spawn(async move { exchange.serve(theirs).await });
            }
            Ok(Opened { wire: Wire::new(Tapped { stream: ours, tape }), peer: "the stage".into() })
        })
    }
}

/// Upgrades, and is never heard of again; the connection stays open.
async fn go_deaf(stream: DuplexStream) {
    let _held = tokio_tungstenite::accept_async(stream).await;
    std::future::pending::<()>().await;
}

/// A stream that remembers what was read from it.
struct Tapped {
    stream: DuplexStream,
    tape: Tape,
}

impl AsyncRead for Tapped {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Poller<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        self.tape.lock().expect("whole").extend_from_slice(&buf.filled()[before..]);
        Poll::Ready(result)
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Poller<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Poller<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Poller<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
