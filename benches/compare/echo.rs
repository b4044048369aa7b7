//! How long a message takes through a client: from just before it is sent until its line comes out of a pipe. Lines and
//! messages are matched by their order, so that nothing is put into a message for it, and both times are of one clock.

use std::{
    fs::File,
    io::Read,
    ops::Range,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::Failed;

/// When each message was sent.
pub struct Sent {
    clock: Instant,
    /// Messages before those that count.
    before: usize,
    at: Vec<AtomicU64>,
}

/// Whoever reads the lines that a client writes.
pub struct Echo(JoinHandle<Result<Vec<u64>, Failed>>);

impl Sent {
    pub fn new(before: usize, count: usize) -> Self {
        Self { clock: Instant::now(), before, at: (0..count).map(|_| AtomicU64::new(0)).collect() }
    }

    /// How many messages should have left by then.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "seconds times a rate: no more than usize"
    )]
    pub fn due(elapsed: Duration, rate: f64) -> usize {
        (elapsed.as_secs_f64() * rate) as usize + 1
    }

    /// When this message is to leave.
    #[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^52 messages")]
    pub fn at(message: usize, rate: f64) -> Duration {
        Duration::from_secs_f64(message as f64 / rate)
    }

    /// These leave now.
    pub fn stamp(&self, messages: Range<usize>) {
        let now = self.now();
        self.at[messages].iter().for_each(|at| at.store(now, Relaxed));
    }

    fn now(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Echo {
    /// Reads lines from `path` until all have come.
    pub fn listen(path: PathBuf, sent: Arc<Sent>) -> Self {
        Self(thread::spawn(move || {
            let (mut file, mut buffer) = (File::open(path)?, vec![0; 64 * 1024]);
            let (mut seen, mut delays) = (0, Vec::with_capacity(sent.at.len()));
            while delays.len() < sent.at.len() {
                let read = file.read(&mut buffer)?;
                let now = sent.now();
                if read == 0 {
                    return Err("the client's output ended early".into());
                }
                for _ in memchr::memchr_iter(b'\n', &buffer[..read]) {
                    if seen >= sent.before {
                        delays.push(now - sent.at[seen - sent.before].load(Relaxed));
                    }
                    seen += 1;
                }
            }
            Ok(delays)
        }))
    }

    /// Percentiles, in microseconds.
    pub fn told(self) -> Result<Value, Failed> {
        let mut delays = self.0.join().map_err(|_| "the reader panicked")??;
        delays.sort_unstable();
        let of = |share: usize| delays[(delays.len() * share / 1_000).min(delays.len() - 1)] / 1_000;
        Ok(json!({ "p50": of(500), "p99": of(990), "p999": of(999), "max": of(1_000) }))
    }
}
