//! The real binary: what it prints, writes, and exits with.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;
use tickerd::{record::Form, segment::State, session::Cause};

use super::tape::Tape;

/// A process that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn tickerd(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickerd"));
    command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

fn audit(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = tickerd(folder, &[&["audit"], arguments].concat()).output().expect("runs");
    (status.code(), String::from_utf8(stdout).expect("UTF-8") + &String::from_utf8_lossy(&stderr))
}

#[test]
fn what_the_daemon_records_is_whole_and_a_line_taken_out_of_it_is_missed() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut exchange = tickerd(folder, &["simulator", "--speed", "50"]);
    let mut exchange = Running(exchange.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts"));
    let mut url = String::new();
    BufReader::new(exchange.0.stdout.take().expect("piped")).read_line(&mut url).expect("a line");
    for (form, file) in [("envelope", "tape.ndjson"), ("raw", "raw.ndjson")] {
        let arguments = [
            "run",
            "--channel",
            "ticker,market_trades,level2",
            "--product",
            "BTC-USD,ETH-USD",
            "--url",
            url.trim(),
            "--record",
            form,
            "--output",
            file,
            "--lines",
            "2000",
        ];
        let recorded = tickerd(folder, &arguments).stderr(Stdio::null()).output().expect("runs");
        assert!(recorded.status.success());
        let (code, said) = audit(folder, &[file]);
        assert!(code == Some(0) && said.starts_with("WHOLE  "), "{said}");
        let text = fs::read_to_string(folder.join(file)).expect("there");
        let without: Vec<_> = text.lines().enumerate().filter(|(at, _)| *at != 1000).map(|(_, line)| line).collect();
        fs::write(folder.join("less.ndjson"), without.join("\n") + "\n").expect("ours");
        let (code, said) = audit(folder, &["less.ndjson"]);
        assert!(code == Some(1) && said.contains("1 missing message"), "{said}");
    }
}

#[test]
fn the_exit_status_and_json_say_how_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut tape = Tape::new(Form::Envelope);
    tape.begin(1);
    (0..9).for_each(|_| tape.message());
    tape.end(Cause::Lost);
    tape.run(5);
    tape.wait(9);
    tape.connection(1, 9);
    fs::write(folder.join("told.ndjson"), tape.bytes()).expect("ours");
    let (code, said) = audit(folder, &["told.ndjson"]);
    assert!(code == Some(1) && said.starts_with("NOT WHOLE, AND IT SAYS SO  "), "{said}");
    assert_eq!(audit(folder, &["--silent-only", "told.ndjson"]).0, Some(0));
    let (code, said) = audit(folder, &["--json", "told.ndjson"]);
    let told: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((code, &told["exit"], &told["verdict"]), (Some(1), &1.into(), &"owned_up".into()));
    let feed = &told["tapes"][0]["feeds"][0];
    assert_eq!((&feed["feed"], &feed["messages"]), (&"tickers".into(), &18.into()));
    assert_eq!(feed["channels"][0]["hours"], serde_json::json!({ "2026-11-24T17:00:00Z": 6 }));
    assert_eq!(told["tapes"][0]["connections"][0]["channels"]["level2"], 4);

    let (code, said) = audit(folder, &["gone.ndjson"]);
    assert!(code == Some(2) && said.contains("gone.ndjson can not be read"), "{said}");
    let (code, said) = audit(folder, &[]);
    assert!(code == Some(64) && said.contains("<FILE>"), "{said}");
    fs::create_dir(folder.join("empty")).expect("ours");
    assert_eq!(audit(folder, &["empty"]).0, Some(2));
}

#[test]
fn stdin_is_a_recording_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut tape = Tape::new(Form::Envelope);
    tape.connection(1, 9);
    let mut command = tickerd(folder.path(), &["audit", "-", "--quick"]);
    let mut audit = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
    audit.stdin.take().expect("piped").write_all(&tape.bytes()).expect("reads");
    let output = audit.wait_with_output().expect("ends");
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).starts_with("WHOLE  stdin"));
    let nothing = tickerd(folder.path(), &["audit", "-"]).stdin(Stdio::null()).output().expect("ends");
    assert_eq!(nothing.status.code(), Some(2), "whatever was to be piped in failed");
}

#[test]
fn a_page_and_a_clean_copy_are_written_and_overwrite_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut tape = Tape::new(Form::Envelope);
    tape.begin(1);
    (0..9).for_each(|_| tape.message());
    tape.seal(folder, State::Sealed);
    (0..9).for_each(|_| tape.message());
    let whole = tape.bytes();
    let harmed = [&whole[..], &tape.lines[3], b"{\"torn\":\n\0\0\0\0\n\xff\xfe\n", &whole[..50]].concat();
    fs::write(folder.join("tape.ndjson"), harmed).expect("ours");
    let (code, said) = audit(folder, &[".", "--html", "page.html", "--repair", "clean/"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("left out 5 lines") && said.contains("zeros") && said.contains("duplicate"), "{said}");
    assert_eq!(fs::read(folder.join("clean/tape.ndjson")).expect("there"), whole);
    let mode = fs::metadata(folder.join("clean/tape.ndjson")).expect("there").permissions().mode();
    assert_eq!(mode & 0o007, 0, "who may not read the tape may not read its copy");
    let page = fs::read_to_string(folder.join("page.html")).expect("there");
    assert!(page.contains("<svg") && page.contains("NOT WHOLE") && !page.contains("http") && !page.contains("<script"));
    assert_eq!(audit(folder, &["clean", "--silent-only"]).0, Some(0), "{}", audit(folder, &["clean"]).1);

    for arguments in [[".", "--html", "page.html"], [".", "--repair", "clean/"]] {
        let (code, said) = audit(folder, &arguments);
        assert!(code == Some(74) && said.contains("nothing is overwritten"), "{said}");
    }
    assert_eq!(audit(folder, &[".", "--repair", "all.ndjson"]).0, Some(1));
    let segments = fs::read_dir(folder.join("clean")).expect("there").count();
    assert_eq!(segments, 2);
    let joined = fs::read(folder.join("all.ndjson")).expect("there");
    assert!(joined.ends_with(&whole) && joined.len() > whole.len());
}
