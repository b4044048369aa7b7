//! Minutes of trouble that a seed makes up: what was published is in the output or is owned up to, whatever happens.
//!
//! `TICKERD_SEEDS=10000 cargo test --release --test simulation seeds` plays as many as one has time for, and `TICKERD_SEED=7`
//! the seventh alone.

use std::{
    env,
    io::Write as _,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::Duration,
};

use tickerd::{
    config::WhenSlow,
    venue::{Venue, exchange::EXCHANGE},
};
use tokio::{runtime::Builder, time::sleep};

use super::{
    faults,
    oracle::{Output, assert_owned_up},
    stage::{Plot, Seen, Shared, exchange_key},
};

/// As many as `cargo test` has time for.
const SEEDS: u64 = 150;

#[test]
fn whatever_a_seed_makes_up_is_recorded_or_owned_up_to() {
    let asked = |name: &str| env::var(name).ok().map(|value| value.parse::<u64>().expect("a number"));
    let (first, last) = match asked("TICKERD_SEED") {
        Some(seed) => (seed, seed),
        None => (1, asked("TICKERD_SEEDS").unwrap_or(SEEDS)),
    };
    let (next, owned, gaps, lines) = (AtomicU64::new(first), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Relaxed);
                    if seed > last {
                        return;
                    }
                    let _guard = Again(seed);
                    let (venue, sent, output) = play(seed);
                    let read = Output::read(&output);
                    owned.fetch_add(assert_owned_up(venue, &sent.lock().expect("whole"), &read) as u64, Relaxed);
                    gaps.fetch_add(read.told("gap").count() as u64, Relaxed);
                    lines.fetch_add(read.messages.values().map(Vec::len).sum::<usize>() as u64, Relaxed);
                    if seed % 10 == 1 {
                        assert!(play(seed).2 == output, "the same seed makes the same bytes");
                    }
                }
            });
        }
    });
    let (owned, gaps, lines) = (owned.into_inner(), gaps.into_inner(), lines.into_inner());
    say(&format!("seeds {first} to {last}: {lines} messages written, {owned} missing and owned up to, {gaps} gaps"));
    assert!(owned > 0 && gaps > 0 || first == last, "trouble was made");
}

/// Says how to play a seed again that failed.
struct Again(u64);

impl Drop for Again {
    fn drop(&mut self) {
        if thread::panicking() {
            say(&format!("seed {} failed; again: TICKERD_SEED={0} cargo test --test simulation seeds", self.0));
        }
    }
}

fn say(text: &str) {
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}

fn play(seed: u64) -> (&'static Venue, Shared<Seen>, Vec<u8>) {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let (plot, lasts) = plot(seed);
        let venue = plot.venue;
        let play = plot.play();
        sleep(lasts).await;
        let (sent, output) = play.end().await;
        (venue, sent, output)
    })
}

/// The trouble of one seed, and how long it lasts.
fn plot(seed: u64) -> (Plot, Duration) {
    let mut draw = Draw(seed);
    if draw.below(4) == 0 {
        return at_the_exchange(seed, draw);
    }
    let channels = draw.one_of(&[
        &["ticker_batch", "market_trades"][..],
        &["ticker", "market_trades", "candles"],
        &["ticker_batch"],
        &["level2", "market_trades"],
        &["status", "ticker_batch"],
        &["ticker", "ticker_batch", "market_trades", "candles", "level2"],
    ]);
    let mut plot = Plot::new(channels, None);
    plot.exchange.seed = seed;
    let mut list = vec![format!("random:{}", draw.below(12) + 1)];
    let more = [
        "holes:0.02",
        "fragment",
        "conn1:back@n40",
        "conn1:late@n30",
        "late@n60",
        "conn2:only-heartbeats",
        "conn2:mute",
        "conn1:dead-channel:ticker_batch@20s",
        "conn3:dead-channel:market_trades@5s",
        "maintenance:40s-80s",
        "unlisted:ETH-USD:0s-60s",
        "conn1:503:1",
    ];
    list.extend(more.iter().filter(|_| draw.below(4) == 0).map(ToString::to_string));
    plot.exchange.faults = faults(&list.iter().map(String::as_str).collect::<Vec<_>>());
    plot.refill = draw.below(2) == 0;
    surround(&mut plot, &mut draw);
    (plot, Duration::from_secs(60 + draw.below(240)))
}

fn at_the_exchange(seed: u64, mut draw: Draw) -> (Plot, Duration) {
    let channels = draw.one_of(&[
        &["ticker", "matches"][..],
        &["ticker_batch", "matches", "level2_batch"],
        &["full"],
        &["full", "level2", "ticker"],
    ]);
    let mut plot = Plot::at(&EXCHANGE, channels, Some(exchange_key()));
    plot.exchange.seed = seed;
    let mut list = vec![format!("random:{}", draw.below(12) + 1)];
    let more = [
        "holes:0.02",
        "fragment",
        "conn2:only-heartbeats",
        "conn2:mute",
        "conn1:dead-channel:matches@20s",
        "conn3:dead-channel:full@5s",
        "maintenance:40s-80s",
        "unlisted:ETH-USD:0s-60s",
        "conn1:503:1",
    ];
    list.extend(more.iter().filter(|_| draw.below(4) == 0).map(ToString::to_string));
    plot.exchange.faults = faults(&list.iter().map(String::as_str).collect::<Vec<_>>());
    surround(&mut plot, &mut draw);
    (plot, Duration::from_secs(60 + draw.below(240)))
}

/// Pipe, queue and reader.
fn surround(plot: &mut Plot, draw: &mut Draw) {
    plot.pipe = 1 << (10 + draw.below(8));
    if draw.below(3) == 0 {
        plot.when_slow = draw.one_of(&[WhenSlow::Block, WhenSlow::Drop]);
        plot.queue = 4_096 << draw.below(6);
        let (often, long) = (draw.below(40) + 2, draw.below(20) + 1);
        let mut batches = 0;
        plot.reader = Box::new(move || {
            batches += 1;
            Duration::from_secs(if batches % often == 0 { long } else { 0 })
        });
    }
}

/// `SplitMix64`, as Steele, Lea and Flood published it: the next number is the last one's, well stirred.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).expect("few")]
    }
}
