//! The real binary against its own exchange, over real sockets: what is promised to those who run it.

mod canary;
mod stage;

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify,
    process::Signal,
};
use stage::{Running, Scene, lines};
use tickerd::{
    auth::{Credentials, Secret},
    clock::Clock,
    simulator::{self, Simulator},
    venue::Permissions,
};

impl Scene {
    /// An exchange in this process that knows our key and lets it do so much, and where it is.
    fn exchange_with(&self, permissions: Permissions) -> (tokio::runtime::Runtime, String) {
        let json = fs::read_to_string(self.path("cdp_api_key.json")).expect("ours");
        let key = Credentials::from_key_file("main", &Secret::new(json)).expect("a good key");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("one");
        let address = runtime.block_on(async {
            let options = simulator::Options {
                credentials: vec![Arc::new(key)],
                permissions,
                ..simulator::Options::new(Clock::system())
            };
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("bound");
            tokio::spawn(Simulator::new(options).listen(listener, None));
            address
        });
        (runtime, format!("ws://{address}"))
    }
}

fn peak_kb(process: &Running) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.0.id())).expect("alive");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("VmHWM");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}

/// The genuine session where it is at hand, and a made one with a message of five megabytes everywhere.
fn recordings(scene: &Scene) -> Vec<(PathBuf, Vec<u8>)> {
    let mut made = Vec::new();
    for number in 0..2_000 {
        let body = "9".repeat(if number == 700 { 5_000_000 } else { 300 + number % 70 });
        let channel = ["heartbeats", "ticker_batch", "l2_data"][number % 3];
        writeln!(
            made,
            "{{\"channel\":\"{channel}\",\"timestamp\":\"2026-08-09T21:05:48.{number:09}Z\",\"sequence_num\":{number},\"events\":[\"{body}\"]}}"
        )
        .expect("memory");
    }
    let mut all = vec![(scene.file("made.ndjson", &made), made)];
    let genuine = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/at_session_20260809_all.ndjson.gz");
    if let Ok(packed) = fs::read(&genuine) {
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut bytes).expect("gzip");
        all.push((genuine, bytes));
    } else {
        let _ = writeln!(std::io::stderr(), "skipped: the genuine session is not here");
    }
    all
}

/// `ccxt#23597`, `Coinbase.AdvancedTrade#12`, `hummingbot PR#7220`: snapshots of megabytes broke clients, or were split over
/// lines (websocat). Here TCP writes are cut at random, messages come in fragments, with pings between them.
#[test]
fn a_recorded_session_over_tls_is_recorded_byte_for_byte() {
    let scene = Scene::new();
    for (recording, bytes) in recordings(&scene) {
        let recording = recording.to_str().expect("UTF-8");
        let (_exchange, url, certificate) =
            scene.exchange(&["--tls", "--speed", "max", "--fault", "fragment", "--recording", recording]);
        let channels = ["ticker_batch", "ticker", "level2", "market_trades", "candles"];
        let more = format!("[tls]\nca_file = \"{certificate}\"\n[output]\npath = \"tape.ndjson\"\n");
        scene.config(&url, &channels, &more);
        let count = lines_in(&bytes);
        let mut run = scene.run(&["run", "-c", "config.toml"]);
        let tape = scene.path("tape.ndjson");
        await_lines(&tape, count);
        let peak = peak_kb(&run);
        run.signal(Signal::TERM);
        assert!(run.wait().success(), "{}", run.stderr());
        let written = fs::read(&tape).expect("a tape");
        assert!(written.starts_with(&bytes), "{recording}: the tape is not the recording");
        assert!(peak < 100_000, "{peak} kB");
        fs::remove_file(&tape).expect("ours");
    }
}

/// Waits, as `tail -F` does, until the file has so many lines.
fn await_lines(path: &Path, count: usize) {
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC).expect("inotify");
    let folder = path.parent().expect("a folder");
    inotify::add_watch(&watch, folder, inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE).expect("a watch");
    let deadline = Timespec { tv_sec: 60, tv_nsec: 0 };
    while fs::read(path).map_or(0, |bytes| lines_in(&bytes)) < count {
        let changed = poll(&mut [PollFd::new(&watch, PollFlags::IN)], Some(&deadline)).expect("polls");
        assert!(changed > 0, "{} has no {count} lines after a minute without a change", path.display());
        rustix::io::read(&watch, &mut [0; 4096]).expect("reads");
    }
}

fn lines_in(bytes: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', bytes).count()
}

#[test]
fn records_to_a_pipe_and_ends_with_its_reader() {
    let scene = Scene::new();
    let (_exchange, url, _) = scene.exchange(&["--speed", "20"]);
    scene.config(&url, &["ticker_batch"], "[output]\nrecord = \"envelope\"\n");
    let mut run = scene.run(&["run", "-c", "config.toml"]);
    let mut reader = run.out();
    let seen = lines(&mut reader, 20);
    let connected: serde_json::Value = serde_json::from_str(&seen[0]).expect("JSON");
    assert_eq!(
        (&connected["event"], &connected["n"], &connected["data"]["url"]),
        (&"connected".into(), &0.into(), &url.into())
    );
    assert!(seen.iter().any(|line| line.contains("\"msg\":{\"channel\":\"ticker_batch\"")));
    drop(reader);
    assert!(run.wait().success(), "by hand a reader that has seen enough is a good end");
    assert!(run.stderr().contains("the reader of stdout went away"));
}

#[test]
fn lines_end_a_run_exactly() {
    let scene = Scene::new();
    let (_exchange, url, _) = scene.exchange(&["--speed", "20"]);
    let arguments = ["run", "--channel", "ticker_batch", "--product", "BTC-USD", "--url", &url, "--lines", "7"];
    let output = scene.output(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(lines_in(&output.stdout), 7);

    // Lines of the tape, not of the events beside it.
    let arguments = [&arguments[..6], &[&url, "--lines", "7", "--output", "tape.ndjson"]].concat();
    assert!(scene.output(&arguments).status.success());
    assert_eq!(lines_in(&fs::read(scene.path("tape.ndjson")).expect("a tape")), 7);
    assert!(lines_in(&fs::read(scene.path("tape.events")).expect("events")) > 0);
    for line in String::from_utf8(output.stdout).expect("UTF-8").lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("JSON");
    }
}

#[test]
fn the_demo_shows_a_cut_a_fresh_signature_and_nothing_missed() {
    let output = Scene::new().output(&["demo", "--lines", "50"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let records = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(records.lines().count(), 50);
    for channel in ["\"channel\":\"ticker_batch\"", "\"channel\":\"heartbeats\""] {
        assert!(records.contains(channel), "{channel}");
    }
    for word in ["cut: ", "signed afresh at timestamp", "0 missed", "next: tickerd"] {
        assert!(told.contains(word), "{word}: {told}");
    }
}

/// The doctor's exit codes, and the cause that it names first.
#[test]
fn the_doctor_names_the_cause_and_ends_as_the_contract_says() {
    let scene = Scene::new();
    let (_exchange, url, _) = scene.exchange(&[]);
    let doctor = |arguments: &[&str]| {
        let output = scene.output(&[&["doctor", "--json"], arguments].concat());
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let checks = report["checks"].as_array().cloned().unwrap_or_default();
        let first = checks.iter().flat_map(|check| check["findings"].as_array().expect("a list")).next();
        (output.status.code(), first.map(|finding| finding["row"].as_u64().expect("a number")))
    };
    let key = ["--key-file", "cdp_api_key.json", "--url", &url];
    assert_eq!(doctor(&key), (Some(0), None), "a good key");
    scene.config(&url, &["ticker_batch", "user"], "");
    assert_eq!(doctor(&["-c", "config.toml"]), (Some(0), None), "a good configuration");

    let stranger = Scene::new();
    let stranger = stranger.path("cdp_api_key.json");
    let stranger = ["--key-file", stranger.to_str().expect("UTF-8"), "--url", &url];
    assert_eq!(doctor(&stranger), (Some(77), Some(26)), "the exchange knows another key of that name");
    assert_eq!(doctor(&["--key-file", "cdp_api_key.json", "--url", "ws://127.0.0.1:1"]), (Some(69), None));
    assert_eq!(doctor(&["--key-file", "gone.json"]).0, Some(78), "a file that can not be read");
    // Where tickerd is in use there is something.
    let stored = fs::read_dir("/etc/credstore").into_iter().flatten().flatten();
    if !stored.map(|file| file.file_name()).any(|name| name.to_string_lossy().starts_with("tickerd-")) {
        assert_eq!(Scene::new().output(&["doctor"]).status.code(), Some(64), "nothing to examine");
    }

    let text = fs::read_to_string(scene.path("config.toml")).expect("ours");
    scene.file("phrase", b"a phrase");
    for (what, bent, code, row) in [
        ("a product", text.replace("\"ETH-USD\"", "\"ETH_USD\""), 77, Some(20)),
        ("a channel", text.replace("\"user\"", "\"l2_data\""), 77, Some(21)),
        ("an address", text.replace("ws://", "https://"), 77, Some(35)),
        ("a passphrase", format!("{text}passphrase = {{ file = \"phrase\" }}\n"), 77, Some(3)),
        ("no TOML", format!("{text}[["), 78, None),
        ("a key that is not there", text.replace("cdp_api_key.json", "gone.json"), 78, None),
    ] {
        let path = scene.file("bent.toml", bent.as_bytes());
        assert_eq!(doctor(&["-c", path.to_str().expect("UTF-8")]), (Some(code), row), "{what}");
    }
}

/// The README's sample is what a reader gets: a REST token in a WebSocket's message.
#[test]
fn the_sample_of_the_readme_is_what_the_doctor_says() {
    let scene = Scene::new();
    let key = ["--key-file", "cdp_api_key.json"];
    let sign = scene.output(&[&["sign", "rest", "GET", "/api/v3/brokerage/accounts", "--json"][..], &key].concat());
    let signed: serde_json::Value = serde_json::from_slice(&sign.stdout).expect("JSON");
    let message = serde_json::json!({ "type": "subscribe", "channel": "user", "jwt": signed["signature"] });
    scene.file("request.txt", message.to_string().as_bytes());
    let output = scene.output(&[&["doctor", "--message", "request.txt", "--offline"][..], &key].concat());
    assert_eq!(output.status.code(), Some(77));
    let told = String::from_utf8(output.stdout).expect("UTF-8");
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("there is one");
    let (_, why) = told.split_once("\nWhy\n").expect("a reason");
    assert!(readme.contains(why) && readme.contains(told.lines().next().expect("a line")), "{told}");
}

/// With a legacy key the headline is that Coinbase expired it, and where to make another; then the mistakes in the code.
#[test]
fn an_expired_key_is_the_headline_and_the_mistakes_in_the_code_come_next() {
    let scene = Scene::new();
    let message = r#"{"type":"subscribe","product_ids":["ETH_USD"],"channel":"level2","api_key":"kVlJUIsXUFIGCVuV","timestamp":"1700000000","signature":"QUJD"}"#;
    scene.file("request.txt", message.as_bytes());
    let key = r#"{"key":"kVlJUIsXUFIGCVuV","secret":"M4009eFnOoPwhNoMwJlsAHgIgleGVFPl"}"#;
    scene.file("key.json", key.as_bytes());
    let output = scene.output(&["doctor", "--message", "request.txt", "--offline", "--key-file", "key.json"]);
    assert_eq!(output.status.code(), Some(77));
    let told = String::from_utf8(output.stdout).expect("UTF-8");
    let at = |words: &str| told.find(words).unwrap_or_else(|| panic!("{words}: {told}"));
    assert!(at("1. an HMAC key of Advanced Trade") < at("https://portal.cdp.coinbase.com"), "{told}");
    assert!(at("https://portal.cdp.coinbase.com") < at("a product's name is misspelt"), "{told}");
    assert!(at("the signature is in another encoding") > 0, "{told}");
}

/// A clock off by 90 s is seen from the venue. A token outlives one that is behind; none is taken from one that is ahead.
#[test]
fn the_doctor_sees_a_clock_that_is_off() {
    let scene = Scene::new();
    for (fault, side, code) in [("clock:+90s", "behind", 0), ("clock:-90s", "ahead", 77)] {
        let (_exchange, url, _) = scene.exchange(&["--fault", fault]);
        let output = scene.output(&["doctor", "--key-file", "cdp_api_key.json", "--url", &url]);
        let told = String::from_utf8(output.stdout).expect("UTF-8");
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(told.contains(side) && told.contains("1. this machine's clock is wrong"), "{told}");
        assert!(told.contains("user taken"), "and signatures are made by the venue's: {told}");
    }
}

/// A recorder needs View and no more: a key that can do harm is said to, and a key that may not view is the cause.
#[test]
fn the_doctor_says_what_a_key_may_do() {
    let scene = Scene::new();
    for (permissions, code, words) in [
        (Permissions { can_view: true, can_trade: true, can_transfer: false }, 0, "IT MAY TRADE AS WELL"),
        (
            Permissions { can_view: true, can_trade: true, can_transfer: true },
            0,
            "IT MAY TRADE AND TRANSFER MONEY AS WELL",
        ),
        (Permissions { can_view: false, can_trade: false, can_transfer: false }, 77, "may not view"),
    ] {
        let (_runtime, url) = scene.exchange_with(permissions);
        let output = scene.output(&["doctor", "--key-file", "cdp_api_key.json", "--url", &url]);
        let told = String::from_utf8(output.stdout).expect("UTF-8");
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(told.contains(words), "{told}");

        let add = ["credential", "add", "main", "--user", "--replace", "--key-file", "cdp_api_key.json", "--rest"];
        let mut add = scene.tickerd(&[&add[..], &[&url.replace("ws://", "http://")]].concat());
        let output = add.env("HOME", scene.folder.path()).output().expect("runs");
        let told = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(output.status.success() && told.contains("warning     the venue takes them, and they may"), "{told}");
    }
}

/// A service manager that listens on a socket of ours.
struct Manager(UnixDatagram, PathBuf);

impl Manager {
    fn new(scene: &Scene) -> Self {
        let path = scene.path("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a deadline");
        Self(socket, path)
    }

    /// The next message that contains `word`.
    fn hears(&self, word: &str) -> String {
        let mut buffer = [0; 4096];
        loop {
            let length = self.0.recv(&mut buffer).unwrap_or_else(|error| panic!("never heard {word}: {error}"));
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.contains(word) {
                return text;
            }
        }
    }
}

#[test]
fn a_service_manager_hears_ready_status_reloading_stopping_and_the_watchdog() {
    let scene = Scene::new();
    let (_exchange, url, _) = scene.exchange(&["--speed", "20"]);
    let config = scene.config(&url, &["ticker_batch"], "[output]\npath = \"tape.ndjson\"\n");
    let manager = Manager::new(&scene);
    let mut command = scene.tickerd(&["run", "-c", "config.toml"]);
    command.env("NOTIFY_SOCKET", &manager.1).env("WATCHDOG_USEC", "200000");
    let mut run = Running(command.spawn().expect("starts"));
    manager.hears("READY=1");
    manager.hears("STATUS=tickers recording");
    manager.hears("WATCHDOG=1");

    // logrotate: the file is moved, HUP opens a new one, and the configuration is looked at again.
    await_lines(&scene.path("tape.ndjson"), 5);
    fs::rename(scene.path("tape.ndjson"), scene.path("tape.1")).expect("moves");
    let text = fs::read_to_string(&config).expect("reads");
    fs::write(&config, text.replace("\"ticker_batch\"", "\"ticker\"")).expect("writes");
    run.signal(Signal::HUP);
    assert!(manager.hears("RELOADING=1").contains("MONOTONIC_USEC="));
    manager.hears("READY=1");
    await_lines(&scene.path("tape.ndjson"), 5);

    run.signal(Signal::TERM);
    manager.hears("STOPPING=1");
    assert!(run.wait().success());
    assert!(run.stderr().contains("feed.tickers"), "the key that needs a restart is named");
    let mut all = fs::read(scene.path("tape.1")).expect("reads");
    all.extend(fs::read(scene.path("tape.ndjson")).expect("reads"));
    let numbers: Vec<u64> = String::from_utf8(all)
        .expect("UTF-8")
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).expect("JSON")["sequence_num"].as_u64().expect("a number")
        })
        .collect();
    assert!(numbers.windows(2).all(|two| two[1] == two[0] + 1), "nothing was lost between the files: {numbers:?}");
}

/// A stalled reader fills the pipe and the queue; then the socket is not read. The watchdog goes on, STATUS says why, memory
/// stays within bounds, and the drain of a reader that never comes back ends with 74 and a count.
#[test]
fn a_reader_that_stalls_blocks_the_feed_and_not_the_watchdog() {
    let scene = Scene::new();
    let (_exchange, url, _) = scene.exchange(&["--speed", "max", "--product", "BTC-USD,ETH-USD"]);
    scene.config(
        &url,
        &["ticker", "level2", "market_trades"],
        "[output]\nqueue = \"4MiB\"\n[service]\ndrain = \"1s\"\n",
    );
    let manager = Manager::new(&scene);
    let mut command = scene.tickerd(&["run", "-c", "config.toml"]);
    command.env("NOTIFY_SOCKET", &manager.1).env("WATCHDOG_USEC", "200000");
    let mut run = Running(command.spawn().expect("starts"));
    manager.hears("STATUS=tickers blocked");
    for _ in 0..5 {
        manager.hears("WATCHDOG=1");
    }
    assert!(peak_kb(&run) < 60_000, "{} kB", peak_kb(&run));
    run.signal(Signal::TERM);
    assert_eq!(run.wait().code(), Some(74));
    let told = run.stderr();
    let (before, counts) = told.split_once(" messages were received and not written (").expect("a count");
    let left = before.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok()).expect("a number");
    let count =
        |words: &str| -> u64 { words.split(' ').next().and_then(|count| count.parse().ok()).expect("a number") };
    let counts: Vec<_> = counts.split(", ").map(count).collect();
    assert!(left > 0 && counts[..] == [counts[1] + left, counts[1], left], "received = written + dropped: {told}");
}

#[test]
fn exit_codes_are_those_of_the_contract() {
    let scene = Scene::new();
    assert_eq!(scene.output(&["run", "--colour"]).status.code(), Some(64));
    assert_eq!(scene.output(&["--version"]).status.code(), Some(0));
    assert_eq!(scene.output(&["run"]).status.code(), Some(78), "no configuration");
    for wrong in [["--channel", "ticker_bach"], ["--venue", "exchnge"], ["--product", "BTC_USD"], ["--feed", "nofeed"]]
    {
        let mut arguments = vec!["run", "--channel", "ticker", "--product", "BTC-USD"];
        if wrong[0] == "--feed" {
            scene.file("config.toml", b"[[feed]]\nname = \"x\"\nchannels = [\"ticker\"]\nproducts = [\"BTC-USD\"]\n");
            arguments.truncate(1);
        }
        arguments.extend(wrong);
        assert_eq!(scene.output(&arguments).status.code(), Some(64), "{wrong:?} is of the command line");
    }
    scene.file("config.toml", b"[[feed]]\nname = \"x\"\nchanels = [\"ticker\"]\n");
    let output = scene.output(&["check"]);
    assert_eq!(output.status.code(), Some(78));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("config.toml:3") && told.contains("channels"), "{told}");
    // What `check -q && systemctl restart tickerd` relies on.
    let nowhere = ["--channel", "ticker", "--product", "BTC-USD", "--output", "nowhere/tape.ndjson"];
    for command in ["check", "run"] {
        let output = scene.output(&[&[command][..], &nowhere].concat());
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(78) && told.contains("make the folder first: mkdir -p "), "{told}");
    }

    let arguments =
        ["run", "--channel", "ticker", "--product", "BTC-USD", "--url", "ws://127.0.0.1:1", "--seconds", "0.2"];
    assert_eq!(scene.output(&arguments).status.code(), Some(0), "an exchange that is down is no failure of ours");
    let mut full = scene.tickerd(&["demo", "--lines", "3"]);
    let full = full.stdout(fs::File::create("/dev/full").expect("a device")).output().expect("runs");
    assert_eq!(full.status.code(), Some(74));
    let told = String::from_utf8_lossy(&full.stderr);
    assert!(told.contains("No space left") && told.contains("not written"), "{told}");
}

/// timeout(1) sends TERM to its child and then to its group: the second was taken for "at once", and the run ended without a
/// drain, a seal or a word.
#[test]
fn two_signals_at_once_are_one() {
    let scene = Scene::new();
    let (_exchange, url, _) = scene.exchange(&["--speed", "20"]);
    let arguments =
        ["run", "--channel", "ticker_batch", "--product", "BTC-USD", "--url", &url, "--output", "tape.ndjson"];
    for _ in 0..5 {
        let mut run = scene.run(&arguments);
        while !scene.path("tape.ndjson").exists() {
            std::thread::yield_now();
        }
        run.signal(Signal::TERM);
        run.signal(Signal::INT);
        assert_eq!(run.wait().code(), Some(0));
        assert!(run.stderr().contains("stopped: "), "in good order");
        fs::remove_file(scene.path("tape.ndjson")).expect("ours");
    }
}

/// journald cuts lines at 48 KiB and drops bursts: records never go there.
#[test]
fn stdout_that_is_the_journal_is_refused() {
    let scene = Scene::new();
    let journal = fs::File::create(scene.path("journal")).expect("a file");
    let stat = rustix::fs::fstat(&journal).expect("stat");
    let mut command =
        scene.tickerd(&["run", "--channel", "ticker", "--product", "BTC-USD", "--url", "ws://127.0.0.1:1"]);
    command.env("JOURNAL_STREAM", format!("{}:{}", stat.st_dev, stat.st_ino)).stdout(journal);
    let output = command.output().expect("runs");
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).contains("output.path"));
}

/// coinbase-advanced-py verifies no certificate; we refuse one that nobody vouches for, and say so.
#[test]
fn a_certificate_that_nobody_vouches_for_is_refused() {
    let scene = Scene::new();
    let (_exchange, url, _) = scene.exchange(&["--tls"]);
    let arguments = ["run", "--channel", "ticker", "--product", "BTC-USD", "--url", &url, "--seconds", "2"];
    let output = scene.output(&arguments);
    assert!(output.stdout.is_empty());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("TLS with 127.0.0.1") && told.contains("certificate"), "{told}");
}
