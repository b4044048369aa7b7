//! Missed trades, asked for by REST: of a made venue, and of the built-in exchange, over in-memory streams, under tokio's
//! paused time.

use std::{
    io,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures::{FutureExt, future::BoxFuture};
use serde_json::Value;
use tickerd::{
    clock::Clock,
    config::WhenSlow,
    net::{Dial, DialError, Opened, Wire},
    output::{Queue, Recorder, Sink, Target, Writer},
    random::Random,
    record::{Form, Origin, rfc3339},
    refill::{Refiller, Wanted},
    rest::Client,
    shutdown::Stop,
    simulator::{Options, Simulator},
    venue::{Venue, advanced_trade::MARKET, exchange::EXCHANGE},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::{Instant, sleep},
};

type Shared<T> = Arc<Mutex<T>>;

/// 2026-11-24T17:00:00Z.
const START: u64 = 1_795_539_600;

fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(START)
}

/// A pipe to whoever serves it.
struct Pipe(Box<dyn Fn(DuplexStream) + Send + Sync>);

impl Dial for Pipe {
    fn open<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Opened, DialError>> {
        Box::pin(async {
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            (self.0)(theirs);
            Ok(Opened { wire: Wire::new(ours), peer: "a pipe".into() })
        })
    }
}

/// What fills gaps, with its output and what it asked for.
struct Stage {
    refiller: Refiller,
    keeping: tokio::task::JoinHandle<()>,
    stop: Stop,
    queue: Arc<Queue>,
    origin: Arc<Origin>,
    asked: Shared<Vec<String>>,
}

impl Stage {
    fn new(dial: impl Fn(DuplexStream) + Send + Sync + 'static, clock: Clock) -> Self {
        let random = Random::seeded(1);
        let client = Client::new(Arc::new(Pipe(Box::new(dial))), clock.clone(), random.clone());
        let made = Refiller::new(client, MARKET.rest, "https://api.coinbase.com", clock, random);
        let (refiller, refilling) = made.expect("the venue tells its trades");
        let (stop, stopping) = Stop::new();
        let origin = Origin::lone("tape", 1, 2);
        Self {
            refiller,
            keeping: tokio::spawn(refilling.keep(stopping)),
            stop,
            queue: Arc::new(Queue::new(64 * 1024 * 1024, WhenSlow::Block)),
            origin: Arc::new(origin),
            asked: Shared::default(),
        }
    }

    /// Of a server that answers what is asked, counted from 0, and the venue's time with the right one.
    fn of(answer: impl Fn(&str, usize) -> Option<String> + Send + Sync + 'static) -> Self {
        let asked = Shared::<Vec<String>>::default();
        let (answer, clock) = (Arc::new(answer), Clock::from(start()));
        let dial = {
            let (asked, clock) = (asked.clone(), clock.clone());
            move |mut stream: DuplexStream| {
                let (answer, asked, clock) = (answer.clone(), asked.clone(), clock.clone());
                tokio::spawn(async move {
                    let target = target(&mut stream).await;
                    let answered = if target.ends_with("/time") {
                        Some(http("200 OK", &format!("{{\"epochMillis\":\"{}000\"}}", clock.unix())))
                    } else {
                        let turn = asked.lock().expect("whole").len();
                        asked.lock().expect("whole").push(target.clone());
                        answer(&target, turn)
                    };
                    match answered {
                        Some(text) => drop(stream.write_all(text.as_bytes()).await),
                        None => std::future::pending().await,
                    }
                });
            }
        };
        Self { asked, ..Self::new(dial, clock) }
    }

    /// `expected` to `got` are missing; the times are those of the made venue's trades.
    fn wants(&self, rate: u64, expected: u64, got: u64) {
        let at = |id: u64| start() + Duration::from_secs(id / rate);
        self.wants_between(expected, got, at(expected), at(got));
    }

    fn wants_between(&self, expected: u64, got: u64, from: SystemTime, until: SystemTime) {
        self.refiller.wants(self.wanted(expected, got, from, until));
    }

    fn wanted(&self, expected: u64, got: u64, from: SystemTime, until: SystemTime) -> Wanted {
        let (origin, recorder) = (self.origin.clone(), Recorder::new(self.queue.clone(), 0, Some(0)));
        Wanted { origin, channel: "market_trades", product: "BTC-USD".into(), expected, got, from, until, recorder }
    }

    /// Stops it, and reads what was written.
    async fn end(self) -> Vec<String> {
        self.stop.stop();
        self.keeping.await.expect("it ends");
        self.queue.close();
        let paper = Shared::<Vec<u8>>::default();
        let target = Target { name: "paper".into(), sink: Box::new(Paper(paper.clone())) };
        let mut writer = Writer::new(vec![target], Form::Envelope);
        while let Some(batch) = self.queue.take().now_or_never().expect("at once") {
            writer.write(batch, &self.queue).expect("paper takes everything");
        }
        let totals = self.origin.account.totals();
        assert_eq!((totals.received, totals.written), (0, 0), "no messages of the socket");
        let text = String::from_utf8(std::mem::take(&mut *paper.lock().expect("whole"))).expect("UTF-8");
        text.lines().map(str::to_owned).collect()
    }

    fn asked(&self) -> usize {
        self.asked.lock().expect("whole").len()
    }
}

struct Paper(Shared<Vec<u8>>);

impl Sink for Paper {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("whole").extend_from_slice(bytes);
        Ok(bytes.len())
    }
}

async fn target(stream: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a request"));
    }
    String::from_utf8(head).expect("text").split(' ').nth(1).expect("a target").to_owned()
}

fn http(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\n{body}")
}

/// The trade of that number at a venue with so many a second, the first at the start.
fn trade(id: u64, rate: u64) -> String {
    let time = rfc3339(start() + Duration::from_millis(id * 1_000 / rate));
    format!("{{\"trade_id\":\"{id}\",\"product_id\":\"BTC-USD\",\"price\":\"1.10\",\"time\":\"{time}\",\"bid\":\"\"}}")
}

fn answer(trades: impl Iterator<Item = String>) -> String {
    let trades: Vec<_> = trades.collect();
    http("200 OK", &format!("{{\"trades\":[{}],\"best_bid\":\"1\"}}", trades.join(",")))
}

/// What a venue answers that has all trades of these numbers: the newest thousand between the times asked for.
fn told(target: &str, rate: u64, ids: std::ops::Range<u64>) -> String {
    let asked = |name: &str| -> u64 {
        let mut parts = target.split(['?', '&']).filter_map(|part| part.split_once('='));
        parts.find(|(key, _)| *key == name).expect("asked").1.parse().expect("a number")
    };
    let between = ids.rev().filter(|id| {
        let ms = START * 1_000 + id * 1_000 / rate;
        (asked("start") * 1_000..=asked("end") * 1_000).contains(&ms)
    });
    answer(between.take(1_000).map(|id| trade(id, rate)))
}

/// The numbers of the recovered trades, in the order of the lines, and the data of each event.
fn read(lines: &[String]) -> (Vec<u64>, Vec<Value>) {
    let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let (events, trades): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line["event"] == "refilled");
    assert!(trades.iter().all(|line| line["recovered"] == true && line["conn"] == "00000001/2" && line["n"] == 0));
    let id = |line: &Value| line["msg"]["trade_id"].as_str().expect("text").parse().expect("a number");
    (trades.iter().map(id).collect(), events.into_iter().map(|event| event["data"].clone()).collect())
}

fn counts(event: &Value) -> (u64, u64) {
    (event["recovered"].as_u64().expect("a count"), event["missing"].as_u64().expect("a count"))
}

/// `altangent/ccxws#185`: whether trades were missed in silent reconnects nobody could tell, and people kept their own state to
/// ask by REST for what lay between two trade ids.
#[tokio::test(start_paused = true)]
async fn what_lies_between_two_numbers_is_recovered_over_pages_in_order_and_once() {
    let stage = Stage::of(|target, _| told(target, 10, 0..10_000).into());
    stage.wants(10, 2_000, 4_500);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(stage.asked(), 3);
    let lines = stage.end().await;
    let (ids, events) = read(&lines);
    assert_eq!(ids, (2_000..4_500).collect::<Vec<_>>());
    assert!(lines[0].ends_with(&format!(",\"n\":0,\"recovered\":true,\"msg\":{}}}", trade(2_000, 10))), "{}", lines[0]);
    assert!(lines.last().expect("lines").contains("\"event\":\"refilled\""), "behind what it counts");
    assert_eq!(counts(&events[0]), (2_500, 0));
    assert_eq!(
        (&events[0]["expected"], &events[0]["got"], &events[0]["why"]),
        (&2_000.into(), &4_500.into(), &Value::Null)
    );
}

/// `knowm/XChange#3554`: two hours were missing in a recording of matches, and nothing asked for them. At three trades a second
/// they are all had, at ten as many as one gap may cost.
#[tokio::test(start_paused = true)]
async fn two_hours_are_recovered_within_bounds() {
    for (rate, recovered) in [(3, 21_600), (10, 50_000)] {
        let missed = rate * 7_200;
        let stage = Stage::of(move |target, _| told(target, rate, 0..100_000).into());
        stage.wants(rate, 1_000, 1_000 + missed);
        sleep(Duration::from_secs(60)).await;
        assert!(stage.asked() <= 51, "{}", stage.asked());
        let (ids, events) = read(&stage.end().await);
        let (found, missing) = counts(&events[0]);
        // The first page is not of the gap alone.
        assert!(found <= recovered && found + 1_000 > recovered, "{found}");
        assert_eq!((ids.len() as u64, found + missing), (found, missed));
        assert_eq!(ids, (1_000 + missing..1_000 + missed).collect::<Vec<_>>(), "the newest of them");
        assert_eq!(events[0]["why"].is_null(), missing == 0);
    }
}

/// `ccxt#26945`: after a 1006 nothing was backfilled, and nobody asked again. Here a venue in trouble is asked until it is over.
#[tokio::test(start_paused = true)]
async fn a_venue_in_trouble_is_asked_again() {
    let begun = Instant::now();
    let stage = Stage::of(|target, turn| match turn {
        0 => Some(http("503 Service Unavailable", "")),
        1 => Some("HTTP/1.1 429 Too Many Requests\r\nretry-after: 20\r\nconnection: close\r\n\r\n".to_owned()),
        2 => Some(String::new()),
        3 => Some(http("200 OK", "<html>sign in to the hotel's network</html>")),
        4 => None,
        _ => Some(told(target, 10, 0..1_000)),
    });
    stage.wants(10, 100, 140);
    while stage.asked() < 6 {
        sleep(Duration::from_millis(100)).await;
    }
    assert!(
        begun.elapsed() >= Duration::from_secs(80),
        "Retry-After was kept, and an answer that did not come had its time"
    );
    sleep(Duration::from_secs(1)).await;
    let (ids, events) = read(&stage.end().await);
    assert_eq!((ids, counts(&events[0])), ((100..140).collect(), (40, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_venue_that_stays_down_or_says_no_is_given_up_and_the_next_gap_has_its_turn() {
    for (status, seconds) in [("503 Service Unavailable", 310), ("404 Not Found", 10), ("403 Forbidden", 10)] {
        let stage = Stage::of(move |_, _| Some(http(status, "")));
        for _ in 0..2 {
            stage.wants(10, 100, 140);
        }
        sleep(Duration::from_secs(2 * seconds)).await;
        assert!(stage.asked() < 200, "politely: {}", stage.asked());
        // It had given up both of them before it was stopped.
        let (ids, events) = read(&stage.end().await);
        assert_eq!((ids.len(), events.len()), (0, 2));
        for event in events {
            let why = event["why"].as_str().expect("a reason");
            assert_eq!((counts(&event), why.contains(status)), ((0, 40), true), "{why}");
        }
    }
}

/// `ccxt#27606`: several trades came in one frame, and all but one of them were lost. A hole of a few is filled with these and no
/// others; what the venue itself lacks is told as missing.
#[tokio::test(start_paused = true)]
async fn a_hole_of_three_is_filled_with_what_there_is_of_three() {
    let stage = Stage::of(|_, _| Some(answer([8, 7, 5, 5, 4, 3].into_iter().map(|id| trade(id, 10)))));
    stage.wants(10, 5, 8);
    sleep(Duration::from_secs(10)).await;
    let (ids, events) = read(&stage.end().await);
    assert_eq!((ids, counts(&events[0])), (vec![5, 7], (2, 1)));
    assert_eq!(events[0]["why"], "the venue does not tell them by REST");
}

/// The same page whatever is asked, as of a venue that does not know `end`, or with a thousand trades in one second.
#[tokio::test(start_paused = true)]
async fn an_answer_that_goes_in_circles_is_left() {
    let stage = Stage::of(|_, _| Some(answer((500..1_500).rev().map(|id| trade(id, 10)))));
    stage.wants(10, 100, 600);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(stage.asked(), 5, "the seconds before are tried too, and then it is left");
    let (ids, events) = read(&stage.end().await);
    assert_eq!((ids, counts(&events[0])), ((500..600).collect(), (100, 400)));
}

/// One empty answer between good ones, as of a cache: it is no end.
#[tokio::test(start_paused = true)]
async fn one_empty_answer_is_asked_again() {
    let stage = Stage::of(|_, turn| {
        let all: &[u64] = if turn == 0 { &[] } else { &[9, 8, 7, 6, 5] };
        Some(answer(all.iter().map(|id| trade(*id, 10))))
    });
    stage.wants(10, 5, 9);
    sleep(Duration::from_secs(30)).await;
    let (ids, events) = read(&stage.end().await);
    assert_eq!((ids, counts(&events[0])), (vec![5, 6, 7, 8], (4, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_pretty_answer_with_numbers_is_one_line_a_trade() {
    let body = "{\n  \"trades\": [\n    {\n      \"trade_id\": 7,\n      \"price\": 1.10,\n      \"time\": \"2026-11-24T17:00:00Z\"\n    }\n  ]\n}";
    let stage = Stage::of(move |_, _| Some(http("200 OK", body)));
    stage.wants(10, 7, 8);
    sleep(Duration::from_secs(10)).await;
    let lines = stage.end().await;
    assert_eq!(lines.len(), 2);
    let line =
        "\"msg\":{       \"trade_id\": 7,       \"price\": 1.10,       \"time\": \"2026-11-24T17:00:00Z\"     }}";
    assert!(lines[0].ends_with(line), "{}", lines[0]);
}

/// The stop is not held up; what had come by then is recorded, and the rest is told, of this gap and of those that waited.
#[tokio::test(start_paused = true)]
async fn a_stop_in_the_middle_keeps_what_had_come_and_says_what_had_not() {
    let stage = Stage::of(|target, turn| (turn < 2).then(|| told(target, 10, 0..10_000)));
    stage.wants(10, 1_000, 4_000);
    stage.wants(10, 5_000, 5_007);
    sleep(Duration::from_secs(20)).await;
    assert_eq!(stage.asked(), 3, "the third page does not come");
    let begun = Instant::now();
    let (refiller, late) = (stage.refiller.clone(), stage.wanted(1, 2, start(), start()));
    let queue = stage.queue.clone();
    let (ids, events) = read(&stage.end().await);
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let (found, missing) = counts(&events[0]);
    assert!(found > 1_000 && found + missing == 3_000, "{found}");
    assert_eq!(ids, (4_000 - found..4_000).collect::<Vec<_>>());
    assert_eq!(counts(&events[1]), (0, 7));
    assert!(events.iter().all(|event| event["why"].as_str().expect("a reason").contains("stopped")));
    // The output is closed as well by now, and nobody waits for anything.
    refiller.wants(late);
    assert_eq!(queue.depth().0, 0);
}

#[tokio::test(start_paused = true)]
async fn too_many_gaps_at_once_are_answered_at_once() {
    let stage = Stage::of(|_, _| None);
    for _ in 0..1_100 {
        stage.wants(10, 5, 8);
    }
    stage.wants(10, 8, 8);
    stage.wants(10, 8, 5);
    assert_eq!(stage.queue.depth().0, 76, "nothing is missing where nothing lies between");
    let (_, events) = read(&stage.end().await);
    let too_many =
        events.iter().filter(|event| event["why"].as_str().expect("a reason").starts_with("too many gaps at once"));
    assert_eq!((events.len(), too_many.count()), (1_100, 76));
}

/// Trades are looked for by the venue's times. A machine whose clock is off by more than the slack would look beside them.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_off_looks_at_the_right_time() {
    for off in [90_000, -90_000] {
        let exchange = Simulator::new(Options::new(Clock::from(start())));
        let clock = Clock::from(start()).off_by(off);
        let now = clock.now();
        let stage = Stage::new(move |stream| drop(tokio::spawn(exchange.clone().serve(stream))), clock);
        // Of the past that its market opens with: a hundred trades, three a second.
        stage.wants_between(1_000_060, 1_000_090, now - Duration::from_secs(14), now - Duration::from_secs(3));
        sleep(Duration::from_secs(10)).await;
        let (ids, events) = read(&stage.end().await);
        assert_eq!((ids, counts(&events[0])), ((1_000_060..1_000_090).collect(), (30, 0)), "{off}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_trades_are_not_told_nobody_asks() {
    let made = |venue: &'static Venue| {
        let client = Client::new(Arc::new(Pipe(Box::new(drop))), Clock::from(start()), Random::seeded(1));
        Refiller::new(client, venue.rest, venue.rest.url, Clock::from(start()), Random::seeded(1))
    };
    assert!(made(&MARKET).is_some() && made(&EXCHANGE).is_none());
}
