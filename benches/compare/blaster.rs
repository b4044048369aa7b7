//! A venue that only sends, as fast as it is read or at a rate: what every client of `benches/compare/run` is fed by.
//!
//! It prints its URL, waits until all of its connections have subscribed, prepares their frames in memory, prints `ready`,
//! and waits for a line on stdin. Behind the last message it closes, and prints as one line of JSON what it sent.

#![allow(clippy::disallowed_methods, reason = "it measures: no time here is paused, and it has no signals to hear")]

mod echo;
mod frames;

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    io::{
        self,
        ErrorKind::{TimedOut, WouldBlock},
        Read, Write,
    },
    net::{TcpListener, TcpStream},
    path::PathBuf,
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tickerd::simulator::tls::Identity;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

use echo::{Echo, Sent};
use frames::{Frames, Kind};

type Failed = Box<dyn Error + Send + Sync>;

/// Enough that a write costs nothing a message, and so little that a ping is answered soon.
const AT_ONCE: usize = 256 * 1024;

#[derive(Parser)]
struct Options {
    kind: Kind,
    /// Messages over all connections, the answers to subscribes not counted.
    #[arg(long, default_value_t = 400_000)]
    messages: usize,
    /// Messages a second and connection; at full blast without.
    #[arg(long)]
    rate: Option<f64>,
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// wss://, with a certificate that is written here for clients to trust.
    #[arg(long, value_name = "FILE")]
    tls: Option<PathBuf>,
    /// The client hangs up when it has all: some forget the last messages when they are closed.
    #[arg(long)]
    stay_open: bool,
    /// Where the client's lines come out, whose delay is to be measured: a pipe.
    #[arg(long, value_name = "FILE")]
    echo: Option<PathBuf>,
}

/// One client's connection.
struct Peer {
    socket: WebSocket<Wire>,
    /// All that it was sent before its frames.
    before: Frames,
    products: Vec<String>,
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

fn main() -> Result<(), Failed> {
    let options = Arc::new(Options::parse());
    let tls = options.tls.as_ref().map(identity).transpose()?;
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let scheme = if tls.is_some() { "wss" } else { "ws" };
    say(&format!("{scheme}://127.0.0.1:{}", listener.local_addr()?.port()))?;

    let subscribed = Arc::new(AtomicUsize::new(0));
    // Of all connections, and of this thread, which tells of it.
    let (prepared, go) = (barrier(&options), barrier(&options));
    let peer = |stream| {
        let (options, tls, subscribed) = (options.clone(), tls.clone(), subscribed.clone());
        let (prepared, go) = (prepared.clone(), go.clone());
        thread::spawn(move || {
            let mut peer = Peer::accept(stream, tls)?;
            peer.converse(&subscribed, options.connections)?;
            let count = options.messages / options.connections;
            let frames = options.kind.frames(count, &peer.products, peer.before.len() as u64);
            let sent = Arc::new(Sent::new(peer.before.len(), count));
            let echo = options.echo.clone().map(|path| Echo::listen(path, sent.clone()));
            prepared.wait();
            go.wait();
            let mut told = peer.send(&frames, &options, &sent)?;
            told["delay_us"] = echo.map_or(Ok(Value::Null), Echo::told)?;
            Ok::<_, Failed>(told)
        })
    };
    let peers = (0..options.connections).map(|_| Ok(peer(listener.accept()?.0))).collect::<io::Result<Vec<_>>>()?;
    // Who is closed and dials again is refused.
    drop(listener);
    prepared.wait();
    say("ready")?;
    io::stdin().read_line(&mut String::new())?;
    go.wait();
    let told = peers.into_iter().map(|peer| peer.join().map_err(|_| "a connection's thread panicked")?);
    say(&Value::Array(told.collect::<Result<_, Failed>>()?).to_string())?;
    Ok(())
}

fn barrier(options: &Options) -> Arc<Barrier> {
    Arc::new(Barrier::new(options.connections + 1))
}

fn identity(path: &PathBuf) -> Result<Arc<ServerConfig>, Failed> {
    let identity = Identity::generate(&[])?;
    fs::write(path, &identity.certificate)?;
    Ok(identity.acceptor.config().clone())
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

impl Peer {
    fn accept(stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> Result<Self, Failed> {
        stream.set_nodelay(true)?;
        let wire = match tls {
            Some(tls) => Wire::Tls(Box::new(StreamOwned::new(ServerConnection::new(tls)?, stream))),
            None => Wire::Plain(stream),
        };
        let socket = tungstenite::accept(wire).map_err(|error| error.to_string())?;
        Ok(Self { socket, before: Frames::default(), products: Vec::new() })
    }

    /// Answers subscribes until there are heartbeats and something else, here and on all the other connections.
    fn converse(&mut self, subscribed: &AtomicUsize, connections: usize) -> Result<(), Failed> {
        let mut subscriptions = BTreeMap::new();
        let mut beat = Instant::now();
        while subscribed.load(SeqCst) < connections {
            self.socket.get_mut().stream().set_read_timeout(Some(Duration::from_millis(10)))?;
            let text = self.hear()?;
            if let Some(text) = text {
                let wanted: Value = serde_json::from_str(&text)?;
                let channel = wanted["channel"].as_str().ok_or("a subscribe without a channel")?;
                let products: Vec<String> = serde_json::from_value(wanted["product_ids"].clone()).unwrap_or_default();
                if channel != "heartbeats" {
                    self.products.clone_from(&products);
                }
                let listed = if products.is_empty() { vec![channel.to_owned()] } else { products };
                subscriptions.insert(channel.to_owned(), listed);
                self.tell(&frames::ack(&subscriptions, self.before.len() as u64))?;
                if subscriptions.len() == 2 {
                    subscribed.fetch_add(1, SeqCst);
                }
            } else if beat.elapsed() >= Duration::from_secs(1) {
                beat = Instant::now();
                self.tell(&frames::heartbeat(self.before.len() as u64))?;
            }
        }
        Ok(())
    }

    /// Sends all, closes, and says what it was.
    fn send(mut self, frames: &Frames, options: &Options, sent: &Sent) -> Result<Value, Failed> {
        let (begun, rate) = (Instant::now(), options.rate);
        let mut next = 0;
        while next < frames.len() {
            let due = match rate {
                None => next + frames.within(next, AT_ONCE),
                Some(rate) => Sent::due(begun.elapsed(), rate).min(frames.len()),
            };
            if due > next {
                sent.stamp(next..due);
                self.socket.get_mut().write_all(frames.of(next..due))?;
                next = due;
            } else if let Some(rate) = rate {
                thread::sleep(Sent::at(next, rate).saturating_sub(begun.elapsed()));
            }
            if rate.is_none_or(|rate| rate < 100.0) || next.is_multiple_of(512) {
                self.socket.get_mut().stream().set_nonblocking(true)?;
                self.hear()?;
            }
        }
        // Whoever has read all of it answers, or hangs up.
        self.socket.get_mut().stream().set_read_timeout(None)?;
        if !options.stay_open {
            let _ = self.socket.close(None);
        }
        while self.socket.read().is_ok() {}
        let seconds = begun.elapsed().as_secs_f64();
        let mut hash = Sha256::new();
        let mut bytes = 0;
        for message in self.before.messages().chain(frames.messages()) {
            hash.update(message);
            hash.update(b"\n");
            bytes += message.len() + 1;
        }
        let lines = self.before.len() + frames.len();
        Ok(json!({ "seconds": seconds, "lines": lines, "bytes": bytes, "sha256": hex::encode(hash.finalize()) }))
    }

    /// A text that has come, if any; pings are answered on the way. The stream blocks again from then on.
    fn hear(&mut self) -> Result<Option<String>, Failed> {
        let heard = self.socket.read();
        self.socket.get_mut().stream().set_nonblocking(false)?;
        let heard = match heard {
            Ok(Message::Text(text)) => Some(text.to_string()),
            Ok(_) => None,
            Err(tungstenite::Error::Io(error)) if matches!(error.kind(), WouldBlock | TimedOut) => None,
            // Who has enough hangs up.
            Err(error) => return Err(error.into()),
        };
        self.socket.flush()?;
        Ok(heard)
    }

    fn tell(&mut self, message: &str) -> io::Result<()> {
        self.before.push(message);
        let last = self.before.len();
        self.socket.get_mut().write_all(self.before.of(last - 1..last))
    }
}

impl Wire {
    fn stream(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buf),
            Self::Tls(stream) => stream.read(buf),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(buf),
            Self::Tls(stream) => stream.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
