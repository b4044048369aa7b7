//! A soak: the real binary, an exchange that goes wrong every few seconds, a reader that stalls now and then, as long as one
//! likes. `.ci/soak SECONDS` builds and runs it; of `cargo test` it is no part, since it takes its time.

use std::{
    collections::{BTreeMap, HashMap},
    env, fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tickerd::{
    clock::Clock,
    simulator::{Ending, Faults, Observed, Options, Simulator, Speed},
    venue::{Product, advanced_trade::MARKET},
};
use tokio::time::Instant;

const PRODUCTS: [&str; 10] =
    ["BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD", "DOGE-USD", "ADA-USD", "LTC-USD", "LINK-USD", "AVAX-USD", "DOT-USD"];

/// What lies between network and output at most: small, so that each stall fills it, and what else grows stands out.
const QUEUE: &str = "4MiB";

/// What tickerd may have in memory at most, whenever it is looked at: 12 MiB of its own program, as built for tests; 8 of a
/// queue of 4, since a deque that grows is twice what it holds, and a message keeps the 128 KiB alive that it was read with;
/// 2 of lines put together for a write of 1; 16 of one answer by REST, at its most; 10 of what the allocator has been given
/// back and not returned, over its arenas. 22 are seen. In ten minutes there are 11 million messages: were 8 bytes
/// of each kept, that would be 84 MiB.
const MEMORY_KB: u64 = 48 * 1024;

/// The sockets and files that tickerd may have open at once: a pair for its signals; a connection and the one before it; one
/// that asks by REST for trades and one for products; a file of names and one of the system's. 3 are seen.
const DESCRIPTORS: usize = 8;

/// The number of a message that has none.
const NONE: u64 = u64::MAX;

/// What the exchange published on one connection: the numbers of what it gave to the socket, in order, and of what it lost.
#[derive(Default)]
struct Published {
    sent: Vec<u64>,
    lost: Vec<u64>,
    refused: bool,
}

type Exchange = Arc<Mutex<BTreeMap<u64, Published>>>;

fn exchange(faults: Faults, speed: f64) -> (tokio::runtime::Runtime, String, Exchange) {
    let published = Exchange::default();
    let observer = {
        let published = published.clone();
        move |observed: &Observed| {
            let mut published = published.lock().expect("whole");
            match observed {
                Observed::Connected { conn } => drop(published.entry(*conn).or_default()),
                Observed::Sent { conn, message } => published.entry(*conn).or_default().sent.push(number(message)),
                Observed::Lost { conn, message } => published.entry(*conn).or_default().lost.push(number(message)),
                Observed::Ended { conn, how: Ending::Refused(_) } => {
                    published.entry(*conn).or_default().refused = true;
                }
                _ => {}
            }
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("one");
    let address = runtime.block_on(async {
        let options = Options {
            speed: Speed::Times(speed),
            products: PRODUCTS.iter().map(|id| Product::parse(id).expect("spelt right")).collect(),
            faults,
            observer: Some(Arc::new(observer)),
            ..Options::new(Clock::system())
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(Simulator::new(options).listen(listener, None));
        address
    });
    (runtime, format!("ws://{address}"), published)
}

/// A fault may have made a message one that is no text; that has none either.
fn number(message: &[u8]) -> u64 {
    str::from_utf8(message).ok().and_then(|text| (MARKET.read)(text).sequence).unwrap_or(NONE)
}

/// What has come out of one connection.
#[derive(Default)]
struct Recorded {
    lines: u64,
    numbers: DefaultHasher,
    last: Option<u64>,
    /// As gaps say it: from, up to.
    missing: Vec<(u64, u64)>,
}

/// Reads the output and holds it against what was published.
struct Reader {
    published: Exchange,
    recorded: HashMap<u64, Recorded>,
    lines: Arc<AtomicU64>,
    owned: u64,
    gaps: u64,
    ends: u64,
    recovered: u64,
}

impl Reader {
    fn read(&mut self, line: &str) {
        let conn = line.split_once(r#""conn":""#).and_then(|(_, rest)| rest.split_once('"')).expect("a connection").0;
        let conn: u64 = conn.split_once('/').expect("a count").1.parse().expect("a count");
        if let Some((head, message)) = line.split_once(r#","msg":"#) {
            if head.ends_with(r#","recovered":true"#) {
                self.recovered += 1;
                return;
            }
            let recorded = self.recorded.entry(conn).or_default();
            let n = head.rsplit_once(r#""n":"#).expect("a number").1;
            assert_eq!(n.parse(), Ok(recorded.lines), "n counts without a hole: {head}");
            recorded.lines += 1;
            let number = number(&message.as_bytes()[..message.len() - 1]);
            number.hash(&mut recorded.numbers);
            recorded.last = if number == NONE { recorded.last } else { Some(number) };
            self.lines.fetch_add(1, Relaxed);
            return;
        }
        let event: Value = serde_json::from_str(line).expect("JSON");
        let data = &event["data"];
        let number = |key: &str| data[key].as_u64();
        match event["event"].as_str().expect("an event") {
            "gap" => {
                self.gaps += 1;
                if let (Some(expected), Some(got), "sequence_num") =
                    (number("expected"), number("got"), data["counted_by"].as_str().unwrap_or_default())
                {
                    self.recorded.entry(conn).or_default().missing.push((expected, got));
                }
            }
            "disconnected" => {
                let recorded = self.recorded.remove(&conn).unwrap_or_default();
                let [received, written, dropped] =
                    ["received", "written", "dropped"].map(|key| number(key).expect(key));
                assert_eq!(received, written + dropped, "{line}");
                // What the WebSocket layer could not hand over is counted, and has no line.
                assert_eq!(written, recorded.lines, "{line}");
                self.compare(conn, &recorded);
                self.ends += 1;
            }
            _ => {}
        }
    }

    /// What came out is what was sent, up to where the connection ended; what was lost before that lies inside a gap.
    fn compare(&mut self, conn: u64, recorded: &Recorded) {
        let mut published = self.published.lock().expect("whole");
        // The exchange counts what asks for a WebSocket, tickerd counts what became one.
        let place = usize::try_from(conn - 1).expect("few");
        let (key, _) = published.iter().filter(|(_, published)| !published.refused).nth(place).expect("it was there");
        let key = *key;
        let published = published.get_mut(&key).expect("it was there");
        let lines = usize::try_from(recorded.lines).expect("fits");
        assert!(lines <= published.sent.len(), "connection {conn}: more than was sent");
        let mut numbers = DefaultHasher::new();
        published.sent[..lines].iter().for_each(|number| number.hash(&mut numbers));
        assert_eq!(
            numbers.finish(),
            recorded.numbers.finish(),
            "connection {conn}: other messages, or in another order"
        );
        for lost in published.lost.iter().filter(|lost| Some(**lost) < recorded.last) {
            let owned = recorded.missing.iter().any(|(expected, got)| (*expected..*got).contains(lost));
            assert!(owned, "connection {conn}: message {lost} is missing and no gap says so");
            self.owned += 1;
        }
        self.owned += (published.sent.len() - lines) as u64;
        (published.sent, published.lost) = (Vec::new(), Vec::new());
    }
}

/// A fault every second or two, and the end of each connection after some seconds; one in twenty falls silent, which costs ten.
fn trouble(seconds: u64) -> Vec<String> {
    let ends = ["close:1001", "reset", "cut", "close:1000", "close:1011", "reset", "cut", "close:4000"];
    let mut list = Vec::new();
    for conn in 1..=seconds {
        let end = if conn % 20 == 0 { "silence" } else { ends[usize::try_from(conn).expect("few") % ends.len()] };
        list.push(format!("conn{conn}:{end}@{}s", 5 + conn % 4));
        for (fault, at) in [("hole", 1), ("back", 2), ("late", 3), ("garbage", 4)] {
            list.push(format!("conn{conn}:{fault}@{at}s"));
        }
    }
    list
}

/// Kilobytes of memory that the process had at most since it began, as the kernel notes it, and the descriptors that it has
/// now: those whose like this process has not, so neither the ones that it was born with nor the runtime's own.
fn size(process: &Child) -> Option<(u64, usize)> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
    let memory = status.lines().find(|line| line.starts_with("VmHWM:"))?.split_whitespace().nth(1)?.parse().ok()?;
    let links = |process: &str| -> Option<Vec<_>> {
        let folder = fs::read_dir(format!("/proc/{process}/fd")).ok()?;
        Some(folder.flatten().filter_map(|entry| fs::read_link(entry.path()).ok()).collect())
    };
    let inherited = links("self")?;
    let own = links(&process.id().to_string())?.iter().filter(|link| !inherited.contains(link)).count();
    Some((memory, own))
}

#[test]
#[ignore = "takes as long as it is told to: .ci/soak SECONDS"]
fn received_is_written_and_nothing_grows() {
    let asked = |name: &str, or: u64| env::var(name).map_or(or, |value| value.parse().expect("a number"));
    let seconds = asked("TICKERD_SOAK", 60);
    let faults = Faults::parse(&trouble(seconds)).expect("known");
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let (_runtime, url, published) = exchange(faults, asked("TICKERD_SOAK_SPEED", 600) as f64);
    let folder = tempfile::tempdir().expect("a folder");
    let config = format!(
        "[output]\nrecord = \"envelope\"\nqueue = \"{QUEUE}\"\n[log]\nlevel = \"warn\"\n[[feed]]\nname = \"soak\"\nurl = \"{url}\"\n\
         channels = [\"level2\", \"ticker\", \"market_trades\"]\nproducts = {PRODUCTS:?}\n"
    );
    let path = folder.path().join("config.toml");
    fs::write(&path, config).expect("writes");
    let mut tickerd = Command::new(env!("CARGO_BIN_EXE_tickerd"))
        .args(["run", "--config"])
        .arg(&path)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let (lines, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut reader =
        Reader { published, recorded: HashMap::new(), lines: lines.clone(), owned: 0, gaps: 0, ends: 0, recovered: 0 };
    let stdout = BufReader::with_capacity(1 << 20, tickerd.stdout.take().expect("piped"));
    let stopping = stop.clone();
    let reading = thread::spawn(move || {
        let mut stalled = Instant::now();
        for line in stdout.lines() {
            reader.read(&line.expect("UTF-8"));
            // A reader that takes nothing for two seconds in ten: at 7,000 messages a second that fills the queue.
            if stalled.elapsed() > Duration::from_secs(10) && !stopping.load(Relaxed) {
                wait(Duration::from_secs(2));
                stalled = Instant::now();
            }
        }
        reader
    });
    let begun = Instant::now();
    let (mut memory, mut descriptors) = (0, 0);
    while begun.elapsed() < Duration::from_secs(seconds) {
        wait(Duration::from_secs(1));
        let now = size(&tickerd).expect("it lives");
        (memory, descriptors) = (now.0, now.1.max(descriptors));
    }
    stop.store(true, Relaxed);
    kill_process(Pid::from_child(&tickerd), Signal::TERM).expect("it lives");
    let ended = tickerd.wait().expect("it ends");
    let reader = reading.join().expect("the output is as published");
    assert!(ended.success(), "{ended}");
    assert!(reader.recorded.is_empty(), "each connection has its end");
    let total = lines.load(Relaxed);
    let said = format!(
        "{seconds} s: {total} messages, {} a second, over {} connections; each written or owned up to, {} in {} gaps and \
         ends, {} trades recovered; memory at most {memory} kB, descriptors {descriptors}\n",
        total / seconds.max(1),
        reader.ends,
        reader.owned,
        reader.gaps,
        reader.recovered,
    );
    std::io::stderr().write_all(said.as_bytes()).expect("somebody listens");
    assert!(reader.ends > seconds / 20 && reader.gaps > 0 && reader.owned > 0, "trouble was made");
    assert!(memory <= MEMORY_KB, "more memory than is accounted for: {memory} kB, not {MEMORY_KB}");
    assert!(descriptors <= DESCRIPTORS, "descriptors leak: {descriptors}, not {DESCRIPTORS}");
}

/// Real time passes: a soak is nothing else.
fn wait(time: Duration) {
    let (_keep, never) = std::sync::mpsc::channel::<()>();
    let _ = never.recv_timeout(time);
}
