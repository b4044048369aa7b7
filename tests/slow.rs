//! The real binary with a reader of stdout that stalls while the venue floods, and `when_slow = "drop"`.

use std::{
    fs,
    io::Read,
    os::unix::net::UnixDatagram,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tickerd::{
    clock::Clock,
    simulator::{Options, Simulator, Speed},
};

/// A process that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn flood() -> (tokio::runtime::Runtime, String) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("one");
    let address = runtime.block_on(async {
        let options = Options { speed: Speed::Max, ..Options::new(Clock::system()) };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(Simulator::new(options).listen(listener, None));
        address
    });
    (runtime, format!("ws://{address}"))
}

/// The number before a word of the status line: "7 dropped".
fn told(status: &str, word: &str) -> u64 {
    let before = status.split_once(&format!(" {word}")).map_or("", |(before, _)| before);
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn peak_kb(process: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).expect("alive");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("VmHWM");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}

/// `bmoscon/cryptofeed#426`: a queue without a bound behind a slow writer took all memory. And `hummingbot` and `ccxt#28385`
/// dropped in silence: here lines and counts in records of losses are what was received, to the message.
#[test]
fn a_reader_that_stalls_costs_the_oldest_messages_and_each_is_counted() {
    let (_runtime, url) = flood();
    let folder = tempfile::tempdir().expect("a folder");
    let config = format!(
        "[output]\nrecord = \"envelope\"\nqueue = \"2MiB\"\nwhen_slow = \"drop\"\n[service]\ndrain = \"60s\"\n\
         [[feed]]\nname = \"tickers\"\nurl = \"{url}\"\nchannels = [\"ticker\", \"market_trades\"]\n\
         products = [\"BTC-USD\", \"ETH-USD\"]\n"
    );
    fs::write(folder.path().join("config.toml"), config).expect("writes");
    let manager = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
    manager.set_read_timeout(Some(Duration::from_secs(60))).expect("a deadline");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickerd"));
    command.args(["run", "-c", "config.toml"]).current_dir(folder.path()).env_clear().stdin(Stdio::null());
    command.env("NOTIFY_SOCKET", folder.path().join("notify")).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut run = Running(command.spawn().expect("starts"));

    let mut buffer = [0; 4096];
    loop {
        let length = manager.recv(&mut buffer).expect("a status each second");
        let status = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert!(!status.contains("blocked"), "no connection waits for the reader: {status}");
        if told(&status, "dropped") >= 3_000 {
            assert!(status.contains("STATUS=tickers recording; "), "{status}");
            break;
        }
    }
    assert!(peak_kb(&run.0) < 60_000, "{} kB", peak_kb(&run.0));
    kill_process(Pid::from_child(&run.0), Signal::TERM).expect("alive");
    let (mut output, mut log) = (String::new(), String::new());
    run.0.stdout.take().expect("piped").read_to_string(&mut output).expect("UTF-8");
    run.0.stderr.take().expect("piped").read_to_string(&mut log).expect("UTF-8");
    assert!(run.0.wait().expect("ends").success(), "{log}");

    assert!(output.ends_with('\n'));
    let (mut next, mut lost) = (0, 0);
    let mut end = Value::Null;
    for line in output.lines() {
        let record: Value = serde_json::from_str(line).expect("a whole line");
        if record["event"] == "dropped" {
            assert_eq!(record["n"], next, "in their place");
            let count = record["data"]["count"].as_u64().expect("a number");
            (next, lost) = (next + count, lost + count);
        } else if record["msg"].is_object() {
            assert_eq!(record["n"], next);
            next += 1;
        }
        end = record;
    }
    let data = &end["data"];
    assert_eq!(
        (&end["event"], &data["received"], &data["dropped"]),
        (&"disconnected".into(), &next.into(), &lost.into())
    );
    assert_eq!((&data["written"], &data["dropped_by"]), (&(next - lost).into(), &serde_json::json!({ "slow": lost })));
    assert!(log.contains(&format!("stopped: {next} received, {} written, {lost} dropped", next - lost)), "{log}");
    assert_eq!(log.matches("messages are lost").count(), 1, "{log}");
}
