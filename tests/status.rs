//! The real binary, asked how it is: `tickerd status` beside daemons that record from `tickerd simulator`, end, or die.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify,
    process::{Pid, Signal, kill_process},
};
use serde_json::Value;
use tokio::time::Instant;

/// A process that does not outlive its test.
struct Running(Child);

impl Running {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).expect("alive");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder, and in it the one in which its daemons say how they are.
struct Scene(tempfile::TempDir);

impl Scene {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn runtime(&self) -> PathBuf {
        self.0.path().join("tickerd")
    }

    fn tickerd(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickerd"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null()).env_clear();
        command.env("RUNTIME_DIRECTORY", self.runtime());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn exchange(&self) -> (Running, String) {
        let mut command = self.tickerd(&["simulator", "--speed", "20"]);
        let mut exchange = Running(command.stderr(Stdio::null()).spawn().expect("starts"));
        let mut url = String::new();
        BufReader::new(exchange.0.stdout.take().expect("piped")).read_line(&mut url).expect("a line");
        (exchange, url.trim_end().to_owned())
    }

    /// A daemon that is run by hand, and records public data to a file of its own.
    fn daemon(&self, url: &str, feed: &str) -> Running {
        fs::create_dir_all(self.runtime()).expect("ours");
        let tape = format!("{feed}.ndjson");
        let arguments = [
            "run",
            "--channel",
            "ticker_batch",
            "--product",
            "BTC-USD",
            "--url",
            url,
            "--output",
            &tape,
            "--feed",
            feed,
        ];
        Running(self.tickerd(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts"))
    }

    fn status(&self, more: &[&str]) -> Output {
        let runtime = self.runtime();
        let arguments = [&["status", "--runtime", runtime.to_str().expect("UTF-8")], more].concat();
        self.tickerd(&arguments).output().expect("runs")
    }

    /// Asks each time that a file in the runtime folder changes, until the answer is this; both forms of it.
    fn status_until(&self, what: impl Fn(&Value, Option<i32>) -> bool) -> (String, Value) {
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC).expect("inotify");
        let changes = inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::DELETE;
        inotify::add_watch(&watch, self.runtime(), changes).expect("a watch");
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let output = self.status(&["--json"]);
            let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            assert_eq!(told["exit"].as_i64(), output.status.code().map(i64::from), "{told}");
            if what(&told, output.status.code()) {
                return (String::from_utf8(self.status(&[]).stdout).expect("UTF-8"), told);
            }
            assert!(Instant::now() < deadline, "it never came to that: {told}");
            let second = Timespec { tv_sec: 1, tv_nsec: 0 };
            if poll(&mut [PollFd::new(&watch, PollFlags::IN)], Some(&second)).expect("polls") > 0 {
                rustix::io::read(&watch, &mut [0; 4096]).expect("reads");
            }
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).expect("there").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// `AdamastorX/adamastorx#283` (29 hours) and `QuantConnect/Lean.Brokerages.Tastytrade#31` (six days): it had gone silent, and
/// nobody was told. `tardis-machine`'s `/health-check` says Healthy all the while.
#[test]
fn well_then_down_when_the_venue_is_gone_then_gone_itself() {
    let scene = Scene::new();
    let (exchange, url) = scene.exchange();
    let daemon = scene.daemon(&url, "tickers");
    let pid = daemon.0.id();
    let (line, told) = scene
        .status_until(|told, code| code == Some(0) && told["daemons"][0]["report"]["feeds"][0]["last_ms"].is_u64());
    let report = &told["daemons"][0]["report"];
    assert_eq!((&report["v"], &report["pid"], &report["supervised"]), (&1.into(), &pid.into(), &false.into()));
    let feed = &report["feeds"][0];
    assert_eq!((&feed["state"], &feed["health"], &feed["connected"]), (&"recording".into(), &"well".into(), &1.into()));
    assert!(line.starts_with("tickers   recording  1 connection, ") && line.contains("last "), "{line}");
    // Its pace is known after a minute.
    let output = &told["daemons"][0]["report"]["output"];
    assert!(line.contains("\n(output)  measuring  ") && line.contains("tickers.ndjson; "), "{line}");
    assert_eq!((&output["health"], &output["bytes_a_day"]), (&"well".into(), &Value::Null));
    assert_eq!(scene.status(&["--feed", "tickers"]).status.code(), Some(0));
    assert_eq!(scene.status(&["--feed", "others"]).status.code(), Some(2));

    let file = scene.runtime().join(format!("status-{pid}.json"));
    assert_eq!(&files(&scene.runtime())[..], std::slice::from_ref(&file), "one file, and nothing beside it");
    assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777 & !0o640, 0);

    drop(exchange);
    let (line, told) = scene.status_until(|_, code| code == Some(2));
    let feed = &told["daemons"][0]["report"]["feeds"][0];
    assert_eq!((&feed["state"], &feed["health"]), (&"down".into(), &"down".into()));
    assert!(feed["for_ms"].is_u64() && feed["why"].is_string(), "{told}");
    assert!(line.starts_with("tickers   DOWN "), "{line}");

    daemon.signal(Signal::KILL);
    drop(daemon);
    let output = scene.status(&[]);
    let line = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2));
    assert!(line.contains("DEAD ") && line.contains(&format!("process {pid} is gone")), "{line}");
    assert!(line.contains(file.to_str().expect("UTF-8")), "what to remove: {line}");
}

#[test]
fn two_daemons_by_hand_are_two_and_take_their_files_with_them() {
    let scene = Scene::new();
    let (_exchange, url) = scene.exchange();
    let (mut first, mut second) = (scene.daemon(&url, "first"), scene.daemon(&url, "second"));
    let (lines, _) =
        scene.status_until(|told, code| told["daemons"].as_array().map(Vec::len) == Some(2) && code == Some(0));
    for (name, daemon) in [("first", &first), ("second", &second)] {
        let of_it = |line: &str| line.starts_with(name) && line.ends_with(&format!("(process {})", daemon.0.id()));
        assert!(lines.lines().any(of_it), "{lines}");
    }
    // A torn file of somebody else's beside them is named, and costs them no line.
    fs::write(scene.runtime().join("status-1.json"), "{\"v\":1,\"pid\":").expect("ours");
    let output = scene.status(&[]);
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.code() == Some(1) && lines.lines().count() == 5, "{lines}");
    assert!(lines.contains("status-1.json is not believed"), "{lines}");
    fs::remove_file(scene.runtime().join("status-1.json")).expect("ours");

    for daemon in [&mut first, &mut second] {
        daemon.signal(Signal::TERM);
        assert!(daemon.0.wait().expect("ends").success());
    }
    assert_eq!(files(&scene.runtime()), Vec::<PathBuf>::new());
    let output = scene.status(&[]);
    let line = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        line.contains(scene.runtime().to_str().expect("UTF-8")) && line.contains("systemctl status tickerd"),
        "{line}"
    );
}

/// Under a service manager the file has no number, and none is written where there is no folder, which is no failure.
#[test]
fn the_file_of_a_unit_is_status_json_and_without_a_folder_there_is_none() {
    let scene = Scene::new();
    let (_exchange, url) = scene.exchange();
    fs::create_dir(scene.runtime()).expect("ours");
    let arguments =
        ["run", "--channel", "ticker_batch", "--product", "BTC-USD", "--url", &url, "--output", "tape.ndjson"];
    let mut command = scene.tickerd(&arguments);
    command.env("NOTIFY_SOCKET", scene.0.path().join("nobody")).stdout(Stdio::null()).stderr(Stdio::null());
    let daemon = Running(command.spawn().expect("starts"));
    let (_, told) = scene.status_until(|_, code| code == Some(0));
    assert_eq!(told["daemons"][0]["file"], scene.runtime().join("status.json").to_str().expect("UTF-8"));
    assert_eq!(told["daemons"][0]["report"]["supervised"], true);
    drop(daemon);

    let mut command = scene.tickerd(&[&arguments[..7], &["--lines", "3"]].concat());
    let output = command.env("RUNTIME_DIRECTORY", scene.0.path().join("gone")).output().expect("runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert_eq!(told.matches("can not be written").count(), 1, "{told}");

    // Beside a demo nobody asks.
    assert!(scene.tickerd(&["demo", "--lines", "3"]).output().expect("runs").status.success());
    assert_eq!(files(&scene.runtime()).len(), 1, "that of the daemon that was killed");
}

/// Each second a block, and at the end the status of the last.
#[test]
fn it_is_watched_until_told_to_stop_or_until_nobody_reads() {
    let scene = Scene::new();
    fs::create_dir(scene.runtime()).expect("ours");
    let runtime = scene.runtime();
    let arguments = ["status", "--watch", "--json", "--runtime", runtime.to_str().expect("UTF-8")];
    let mut watch = Running(scene.tickerd(&arguments).spawn().expect("starts"));
    let mut out = BufReader::new(watch.0.stdout.take().expect("piped"));
    for _ in 0..2 {
        let mut line = String::new();
        out.read_line(&mut line).expect("a line");
        let told: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(told["exit"], 2);
    }
    watch.signal(Signal::INT);
    assert_eq!(watch.0.wait().expect("ends").code(), Some(2));

    let arguments = [&arguments[..2], &arguments[3..]].concat();
    let mut watch = Running(scene.tickerd(&arguments).spawn().expect("starts"));
    let mut out = BufReader::new(watch.0.stdout.take().expect("piped"));
    let mut text = String::new();
    while text.matches("no daemon").count() < 2 {
        assert!(out.read_line(&mut text).expect("a line") > 0, "{text}");
    }
    assert!(text.contains("\n\n") && !text.contains('\x1b'), "a block each, and no screen to clear: {text:?}");
    drop(out);
    assert_eq!(watch.0.wait().expect("ends").code(), Some(2));
}

/// The promise that no secret reaches a status line: with a key that the venue refuses, which has most to tell.
#[test]
fn no_secret_is_in_the_file_or_in_what_is_said_of_it() {
    let scene = Scene::new();
    fs::create_dir(scene.runtime()).expect("ours");
    let (_exchange, url) = scene.exchange();
    // No venue issued these: words that look like an HMAC key and its secret.
    let (key, secret) = ["kVlJUIsXUFIGCVuV", "M4009eFnOoPwhNoMwJlsAHgIgleGVFPl"].into();
    let config = format!(
        "[output]\npath = \"tape.ndjson\"\n[[feed]]\nname = \"orders\"\nvenue = \"advanced-trade\"\nurl = \"{url}\"\n\
         channels = [\"ticker_batch\", \"user\"]\nproducts = [\"BTC-USD\"]\ncredentials = \"main\"\n\
         [credentials.main]\nkey = {{ env = \"KEY\" }}\nsecret = {{ env = \"SECRET\" }}\n"
    );
    fs::write(scene.0.path().join("config.toml"), config).expect("ours");
    let mut command = scene.tickerd(&["run", "-c", "config.toml"]);
    command.env("KEY", key).env("SECRET", secret).stdout(Stdio::null());
    let mut daemon = Running(command.spawn().expect("starts"));
    let (line, told) = scene.status_until(|told, _| told["daemons"][0]["report"]["feeds"][0]["state"] == "recording");
    let mut seen = line + &told.to_string();
    for file in files(&scene.runtime()) {
        seen.push_str(&fs::read_to_string(file).expect("there"));
    }
    daemon.signal(Signal::TERM);
    daemon.0.stderr.take().expect("piped").read_to_string(&mut seen).expect("UTF-8");
    for window in secret.as_bytes().windows(12) {
        assert!(!seen.contains(std::str::from_utf8(window).expect("ASCII")), "{seen}");
    }
    assert!(!seen.contains("signature\":") && !seen.contains("eyJhbGci"), "{seen}");
}
