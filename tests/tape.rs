//! The real binary and its files: what a kill, a second daemon, a signal or a careless hand makes of a tape.

use std::{
    fmt::Write as _,
    fs,
    io::{self, BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tickerd::{
    clock::Clock,
    segment::{Seal, State},
    simulator::{Options, Simulator, Speed},
};

/// An exchange, a folder with a configuration, and who records there.
struct Scene {
    folder: tempfile::TempDir,
    _exchange: tokio::runtime::Runtime,
}

/// A process that does not outlive its test, and its log.
struct Running {
    process: Child,
    log: Receiver<String>,
    said: String,
}

impl Scene {
    fn new(output: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("one");
        let address = runtime.block_on(async {
            let options = Options { speed: Speed::Times(20.0), ..Options::new(Clock::system()) };
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("bound");
            tokio::spawn(Simulator::new(options).listen(listener, None));
            address
        });
        let folder = tempfile::tempdir().expect("a folder");
        let config = format!(
            "[output]\npath = \"out/tape.ndjson\"\nrecord = \"envelope\"\n{output}\n[[feed]]\nname = \"t\"\n\
             url = \"ws://{address}\"\nchannels = [\"ticker\", \"market_trades\"]\nproducts = [\"BTC-USD\"]\n"
        );
        fs::write(folder.path().join("config.toml"), config).expect("writes");
        fs::create_dir(folder.path().join("out")).expect("makes");
        Self { folder, _exchange: runtime }
    }

    fn run(&self) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickerd"));
        command.args(["run", "-v", "-c", "config.toml"]).current_dir(self.folder.path()).env_clear();
        let mut process =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
        let log = follow(process.stderr.take().expect("piped"));
        Running { process, log, said: String::new() }
    }

    fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join("out").join(name)
    }

    /// Until the growing file has one message more than it has now.
    fn await_growth(&self) {
        let messages = || {
            let text = fs::read_to_string(self.out("tape.ndjson")).unwrap_or_default();
            text.lines().filter(|line| line.contains(",\"msg\":")).count()
        };
        let before = messages();
        while messages() <= before {
            thread::yield_now();
        }
    }

    /// The segments in their order, each as its seal says.
    fn segments(&self) -> Vec<(PathBuf, Seal)> {
        let is_segment = |path: &PathBuf| path.to_string_lossy().contains("/tape-");
        let all = fs::read_dir(self.out("")).expect("reads").map(|entry| entry.expect("reads").path());
        let mut segments: Vec<_> = all.filter(is_segment).map(|path| (path.clone(), seal(&path))).collect();
        segments.sort_by_key(|(_, seal)| (seal.first, seal.last));
        for (path, seal) in &segments {
            let bytes = unpacked(path);
            let sealed = &bytes[..usize::try_from(seal.bytes).expect("fits")];
            assert_eq!(hex::encode(Sha256::digest(sealed)), seal.sha256, "{}", path.display());
            assert_eq!(fs::metadata(path).expect("there").permissions().mode() & 0o777, 0o440);
        }
        segments
    }

    /// Numbers of messages in all segments and the growing file, by connection, in order.
    fn numbers(&self) -> Vec<(String, u64)> {
        let mut files: Vec<_> = self.segments().into_iter().map(|(path, _)| path).collect();
        files.extend(Some(self.out("tape.ndjson")).filter(|path| path.exists()));
        let read = |path: &PathBuf| String::from_utf8(unpacked(path)).expect("UTF-8");
        let lines: Vec<Value> = files
            .iter()
            .flat_map(|path| {
                read(path).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<_>>()
            })
            .collect();
        let messages = lines.iter().filter(|line| line["msg"].is_object());
        messages.map(|line| (line["conn"].as_str().expect("text").to_owned(), line["n"].as_u64().expect("n"))).collect()
    }
}

fn is_packed(segment: &Path) -> bool {
    segment.extension().is_some_and(|extension| extension == "gz")
}

/// What is in a segment, compressed or not: one that lacks its end is none.
fn unpacked(segment: &Path) -> Vec<u8> {
    let bytes = fs::read(segment).expect("reads");
    if !is_packed(segment) {
        return bytes;
    }
    let mut unpacked = Vec::new();
    let decoder = flate2::read::MultiGzDecoder::new(&*bytes).read_to_end(&mut unpacked);
    decoder.unwrap_or_else(|error| panic!("{}: {error}", segment.display()));
    unpacked
}

/// What is being written, and has not its name yet.
fn is_part(entry: &io::Result<fs::DirEntry>) -> bool {
    entry.as_ref().expect("an entry").file_name().to_string_lossy().ends_with(".part")
}

fn seal(segment: &Path) -> Seal {
    let name = segment.file_name().expect("a name").to_string_lossy();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let path = segment.with_file_name(".tickerd").join(format!("{name}.seal"));
    serde_json::from_slice(&fs::read(path).expect("a seal")).expect("a seal")
}

fn follow(stderr: ChildStderr) -> Receiver<String> {
    let (send, log) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines() {
            if send.send(line.expect("UTF-8")).is_err() {
                return;
            }
        }
    });
    log
}

impl Running {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).expect("alive");
    }

    /// Reads the log up to a line with these words.
    fn says(&mut self, words: &str) {
        while !self.said.lines().last().is_some_and(|line| line.contains(words)) {
            let line = self.log.recv().unwrap_or_else(|_| panic!("never said {words:?}:\n{}", self.said));
            self.said = format!("{}{line}\n", self.said);
        }
        self.said.push('\n');
    }

    /// Its exit status, and all that it said.
    fn end(&mut self) -> (Option<i32>, String) {
        self.said.extend(self.log.iter().map(|line| line + "\n"));
        (self.process.wait().expect("ends").code(), std::mem::take(&mut self.said))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn assert_whole(numbers: &[(String, u64)]) {
    for (place, (conn, n)) in numbers.iter().enumerate() {
        let before = numbers[..place].iter().rev().find(|(other, _)| other == conn).map(|(_, n)| n + 1);
        assert_eq!(*n, before.unwrap_or(0), "{conn}: each message once, in order");
    }
}

/// hftbacktest's collector overwrote the day's file after a restart, and nautilus and others lost the tail of what a kill cut.
#[test]
fn a_killed_run_leaves_a_segment_and_a_torn_line_is_set_apart() {
    let scene = Scene::new("");
    let mut run = scene.run();
    run.says("event=connected");
    scene.await_growth();
    run.signal(Signal::KILL);
    run.end();
    // As a kill within a write leaves it.
    let tape = scene.out("tape.ndjson");
    let mut bytes = fs::read(&tape).expect("reads");
    bytes.extend_from_slice(b"{\"v\":1,\"recv\":\"2026-11-24T17:3");
    fs::write(&tape, &bytes).expect("writes");

    let mut run = scene.run();
    run.says("event=recovered");
    run.says("left by a predecessor that was killed");
    scene.await_growth();
    run.signal(Signal::TERM);
    let (code, log) = run.end();
    assert_eq!(code, Some(0), "{log}");
    let segments = scene.segments();
    let [(path, seal)] = &segments[..] else { panic!("{segments:?}\n{log}") };
    assert_eq!(seal.state, State::Recovered);
    assert!(fs::read(path).expect("reads").ends_with(b"\n"));
    let torn = scene.out(".tickerd").join(format!("{}.torn", seal.segment));
    assert_eq!(fs::read_to_string(torn).expect("reads"), "{\"v\":1,\"recv\":\"2026-11-24T17:3");
    let text = fs::read_to_string(&tape).expect("reads");
    let first: Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
    assert_eq!((&first["event"], &first["data"]["bytes"]), (&"recovered".into(), &30.into()));
    assert_eq!(first["data"]["segment"], seal.segment.as_str());
    assert_whole(&scene.numbers());
}

#[test]
fn a_second_daemon_is_refused_and_told_whose_tape_it_is() {
    let scene = Scene::new("");
    let mut first = scene.run();
    first.says("event=connected");
    let (code, log) = scene.run().end();
    assert_eq!(code, Some(74), "{log}");
    assert!(log.contains(&format!("process {} records to it", first.process.id())), "{log}");
    first.signal(Signal::TERM);
    assert_eq!(first.end().0, Some(0));
}

#[test]
fn usr1_ends_a_segment_and_nothing_is_missing_between_two() {
    let scene = Scene::new("rotate = { size = \"1GiB\" }");
    let mut run = scene.run();
    run.says("event=connected");
    for _ in 0..3 {
        scene.await_growth();
        run.signal(Signal::USR1);
        run.says("event=sealed");
    }
    scene.await_growth();
    run.signal(Signal::TERM);
    let (code, log) = run.end();
    assert_eq!(code, Some(0), "{log}");
    let segments = scene.segments();
    assert_eq!(segments.len(), 4, "the last one at the end: {log}");
    assert!(!scene.out("tape.ndjson").exists() || fs::read(scene.out("tape.ndjson")).expect("reads").is_empty());
    for (path, seal) in &segments {
        assert_eq!(seal.state, State::Sealed);
        let text = fs::read_to_string(path).expect("UTF-8");
        let last: Value = serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
        assert_eq!((&last["event"], &last["data"]["sha256"]), (&"sealed".into(), &seal.sha256.as_str().into()));
        let messages = text.lines().filter(|line| line.contains(",\"msg\":")).count() as u64;
        assert_eq!((messages, text.lines().count() as u64), (seal.messages, seal.lines + 1));
        assert_eq!(seal.connections.iter().map(|connection| connection.messages).sum::<u64>(), messages);
    }
    for pair in segments.windows(2) {
        let (end, begin) = (pair[0].1.connections.last().expect("one"), &pair[1].1.connections[0]);
        assert_eq!((&end.conn, end.to + 1), (&begin.conn, begin.from), "seals alone show that none is missing");
    }
    assert_whole(&scene.numbers());
}

/// hftbacktest's collector compressed as it recorded, and what a TERM met had no trailer. Here it meets a segment of megabytes
/// in the middle of its compression.
#[test]
fn term_in_the_middle_of_a_compression_leaves_nothing_half_and_the_next_run_compresses_it() {
    let scene = Scene::new("rotate = { size = \"1GiB\" }\ncompress = \"gzip\"");
    let mut tape = String::new();
    for number in 0..200_000u64 {
        // Nothing that gzip is done with at once.
        let noise = hex::encode(Sha256::digest(number.to_le_bytes()));
        let _ = writeln!(tape, "{{\"of\":\"a predecessor\",\"number\":{number},\"noise\":\"{noise}\"}}");
    }
    fs::write(scene.out("tape.ndjson"), tape).expect("writes");
    let packed = || scene.segments().iter().filter(|(path, _)| is_packed(path)).count();
    let parts = || fs::read_dir(scene.out(".tickerd")).expect("reads").filter(is_part).count();

    let mut run = scene.run();
    run.says("event=connected");
    scene.await_growth();
    run.signal(Signal::USR1);
    run.says("event=sealed");
    run.signal(Signal::TERM);
    let (code, log) = run.end();
    assert_eq!(code, Some(0), "{log}");
    // On a machine that is slow to send the signal it is done by then: what is there is whole all the same.
    let (all, done) = (scene.segments().len(), packed());
    assert!(all > 0 && parts() == 0, "{log}");

    let mut run = scene.run();
    for _ in done..all {
        run.says("is compressed");
    }
    scene.await_growth();
    run.signal(Signal::TERM);
    let (code, log) = run.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(packed() >= all && parts() == 0, "{log}");
    assert_whole(&scene.numbers());
}

#[test]
fn a_run_that_came_to_a_good_end_is_gone_on_from() {
    let scene = Scene::new("");
    for _ in 0..2 {
        let mut run = scene.run();
        run.says("event=connected");
        scene.await_growth();
        run.signal(Signal::TERM);
        assert_eq!(run.end().0, Some(0));
    }
    assert!(scene.segments().is_empty());
    let conns: std::collections::BTreeSet<_> = scene.numbers().into_iter().map(|(conn, _)| conn).collect();
    assert_eq!(conns.len(), 2, "one file holds both");
    assert_whole(&scene.numbers());

    // What is sealed at last was read from its beginning, since most of it was counted by others.
    let mut run = scene.run();
    run.says("event=connected");
    scene.await_growth();
    run.signal(Signal::USR1);
    run.says("event=sealed");
    run.signal(Signal::TERM);
    assert_eq!(run.end().0, Some(0));
    let segments = scene.segments();
    assert_eq!(segments[0].1.messages, {
        let text = fs::read_to_string(&segments[0].0).expect("UTF-8");
        text.lines().filter(|line| line.contains(",\"msg\":")).count() as u64
    });
}

/// logrotate moves the file away and sends HUP; a person removes it, and until somebody says so everything goes nowhere.
#[test]
fn a_file_that_was_moved_is_left_alone_and_one_that_was_removed_is_owned_up_to() {
    let scene = Scene::new("");
    let mut run = scene.run();
    run.says("event=connected");
    scene.await_growth();
    fs::rename(scene.out("tape.ndjson"), scene.out("moved")).expect("moves");
    run.signal(Signal::HUP);
    run.says("reloaded");
    while !scene.out("tape.ndjson").exists() {
        thread::yield_now();
    }
    scene.await_growth();
    fs::remove_file(scene.out("tape.ndjson")).expect("removes");
    run.says("was removed while it grew");
    while !scene.out("tape.ndjson").exists() {
        thread::yield_now();
    }
    fs::remove_dir_all(scene.out("")).expect("removes");
    run.says("tried each second");
    fs::create_dir(scene.out("")).expect("makes");
    run.says("takes records again");
    scene.await_growth();
    run.signal(Signal::TERM);
    let (code, log) = run.end();
    assert_eq!(code, Some(0), "{log}");
    let text = fs::read_to_string(scene.out("tape.ndjson")).expect("UTF-8");
    let removed = text.lines().filter(|line| line.contains("\"event\":\"dropped\"") && line.contains("\"removed\""));
    assert_eq!(removed.count(), 1, "the second removal's, in the file that came after it: {text}");
    assert!(!text.contains("\"disconnected\",\"data\":{\"cause\":\"lost\""), "the feed lived on");
}
