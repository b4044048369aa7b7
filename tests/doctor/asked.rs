//! The doctor asks a simulated Exchange, by the real binary: what the venue says is judged by its own words.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Command, Output},
    sync::Arc,
};

use serde_json::Value;
use tickerd::{
    auth::{KeyFile, Secret},
    clock::Clock,
    simulator::{self, Faults, Simulator},
    venue::exchange::EXCHANGE,
};
use tokio::runtime::Runtime;

/// Dummy text; the secrets are base64 of 64 bytes.
const KEY: &str = "0123456789abcdef0123456789abcdef";
const SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg==";
const OTHER: &str = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTBmZWRjYmE5ODc2NTQzMjEwZmVkY2JhOTg3NjU0MzIxMA==";
const PASSPHRASE: &str = "n3ver-sh0wn-this";

/// An exchange in this process that knows our key, and where it is.
fn exchange(faults: &[&str]) -> (Runtime, String) {
    let passphrase = Some(Secret::new(PASSPHRASE.to_owned()));
    let file = KeyFile { passphrase, ..KeyFile::of_halves(KEY, Secret::new(SECRET.to_owned())) };
    let credentials = file.credentials("main").expect("a good key");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("one");
    let address = runtime.block_on(async {
        let options = simulator::Options {
            venue: &EXCHANGE,
            credentials: vec![Arc::new(credentials)],
            faults: Faults::parse(&faults.iter().map(|fault| (*fault).to_owned()).collect::<Vec<_>>()).expect("faults"),
            ..simulator::Options::new(Clock::system())
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(Simulator::new(options).listen(listener, None));
        address
    });
    (runtime, format!("ws://{address}"))
}

/// `tickerd doctor …` with these in the environment, in a folder with this configuration.
fn doctor(config: &str, arguments: &[&str], [key, secret, passphrase]: [&str; 3]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("config.toml"), config).expect("writes");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickerd"));
    command.arg("doctor").args(arguments).current_dir(folder.path()).env_clear();
    for (name, value) in [("KEY", key), ("SECRET", secret), ("PASSPHRASE", passphrase)] {
        command.env(format!("COINBASE_API_{name}"), value);
    }
    let output = command.output().expect("runs");
    let told = [&output.stdout[..], &output.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    assert!(!told.contains(SECRET) && !told.contains(PASSPHRASE), "{told}");
    output
}

fn config(url: &str, channels: &str, products: &str) -> String {
    format!(
        "[[feed]]\nname = \"book\"\nvenue = \"exchange\"\nurl = \"{url}\"\nchannels = {channels}\nproducts = {products}\n\
         credentials = \"main\"\n[credentials.main]\nkey = {{ env = \"COINBASE_API_KEY\" }}\n\
         secret = {{ env = \"COINBASE_API_SECRET\" }}\npassphrase = {{ env = \"COINBASE_API_PASSPHRASE\" }}\n"
    )
}

/// The exit code, the row that is named first, and all that was said.
fn asked(output: &Output) -> (Option<i32>, Option<u64>, String) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let checks = report["checks"].as_array().cloned().unwrap_or_default();
    let first = checks.iter().flat_map(|check| check["findings"].as_array().expect("a list")).next();
    (output.status.code(), first.map(|finding| finding["row"].as_u64().expect("a number")), text)
}

#[test]
fn the_exchanges_own_words_are_the_verdict() {
    let (_runtime, url) = exchange(&[]);
    let config = config(&url, r#"["ticker", "matches", "full"]"#, r#"["BTC-USD"]"#);
    for (what, credentials, code, row, words) in [
        ("a good key", [KEY, SECRET, PASSPHRASE], 0, None, "heartbeat, ticker, matches, full taken, signed"),
        ("another key's secret", [KEY, OTHER, PASSPHRASE], 77, Some(1), "invalid signature"),
        ("another passphrase", [KEY, SECRET, "another one"], 77, Some(37), "nvalid"),
        ("an unknown key", ["fedcba9876543210fedcba9876543210", SECRET, PASSPHRASE], 77, Some(26), "refuses it"),
        ("the secret for a passphrase", [KEY, SECRET, SECRET], 77, Some(1), "is sent to exchange"),
    ] {
        // A secret that was told would be found in the words of the last one: it is not.
        let output = doctor(&config, &["-c", "config.toml", "--json"], credentials);
        let (status, first, text) = asked(&output);
        assert_eq!((status, first), (Some(code), row), "{what}: {text}");
        assert!(text.contains(words), "{what}: {text}");
        assert!(!text.contains("CDP") && !text.contains("February 2025"), "{what}: {text}");
    }
}

/// One product that the venue does not know keeps back all that is asked with it: it is named, and the rest is asked for.
#[test]
fn a_product_that_is_refused_is_named_and_the_others_are_asked_for() {
    let (_runtime, url) = exchange(&[]);
    let config = config(&url, r#"["ticker", "full"]"#, r#"["BTC-USD", "FOO-USD"]"#);
    let (status, first, text) = asked(&doctor(&config, &["-c", "config.toml", "--json"], [KEY, SECRET, PASSPHRASE]));
    assert_eq!((status, first), (Some(77), Some(20)), "{text}");
    assert!(text.contains("heartbeat of FOO-USD: refused"), "{text}");
    assert!(text.contains("heartbeat, ticker, full taken, signed"), "{text}");
}

#[test]
fn credentials_alone_are_asked_about_where_they_are_from() {
    let (_runtime, url) = exchange(&["clock:+90s"]);
    let output = doctor("", &["-c", "config.toml", "--url", &url], [KEY, SECRET, PASSPHRASE]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(77), "{told}");
    assert!(told.contains(" s behind") && told.contains("1. this machine's clock is wrong"), "{told}");
    assert!(told.contains("user taken"), "and signatures are made by the venue's: {told}");
}

#[test]
fn what_is_believed_of_the_exchange_holds_of_the_simulated_one() {
    let (_runtime, url) = exchange(&[]);
    let config = config(&url, r#"["ticker", "matches", "full"]"#, r#"["BTC-USD", "ETH-USD"]"#);
    let output = doctor(&config, &["-c", "config.toml", "--live", "6"], [KEY, SECRET, PASSPHRASE]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && !told.lines().any(|line| line.starts_with("DIFFERS")), "{told}");
    for what in ["a heartbeat each second of each product", "full: each", "matches: each", "each subscribe has its ack"]
    {
        assert!(told.contains(&format!("as believed  {what}")), "{what}: {told}");
    }
}

#[test]
fn a_refusal_is_no_difference_to_be_reported() {
    let (_runtime, url) = exchange(&[]);
    let config = config(&url, r#"["full"]"#, r#"["BTC-USD"]"#);
    let output = doctor(&config, &["-c", "config.toml", "--live", "1"], [KEY, OTHER, PASSPHRASE]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(77), "{told}");
    assert!(!told.contains("DIFFERS") && !told.contains("issue"), "{told}");
    for what in ["refused      subscribes are not refused", "refused      each subscribe has its ack: 0 of"] {
        assert!(told.contains(what), "{what}: {told}");
    }
    assert!(String::from_utf8_lossy(&output.stderr).contains("which is no difference"), "{output:?}");
}

/// What `tickerd init` prints is a feed of Advanced Trade that signs nothing: of a message for the Exchange it says nothing.
#[test]
fn a_feed_that_signs_nothing_does_not_say_whose_a_message_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("writes");
    write("config.toml", "[[feed]]\nname = \"tickers\"\nchannels = [\"ticker\"]\nproducts = [\"BTC-USD\"]\n");
    write("good.json", r#"{"type":"subscribe","channels":[{"name":"ticker","product_ids":["BTC-USD"]}]}"#);
    write("answer.json", r#"{"type":"subscriptions","channels":[{"name":"ticker","product_ids":["BTC-USD"]}]}"#);
    let examine = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickerd"));
        command.args(["doctor", "-c", "config.toml", "--offline"]).args(arguments);
        command.current_dir(folder.path()).env_clear().output().expect("runs")
    };
    let output = examine(&["--message", "good.json"]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("as one for exchange") && !told.contains('✗'), "{told}");
    // Who names the feed has named its venue.
    let output = examine(&["--message", "good.json", "--feed", "tickers"]);
    assert_eq!(output.status.code(), Some(77), "{output:?}");
    let output = examine(&["--message", "answer.json"]);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("what the venue answered"), "{output:?}");
}

/// `run` and `check` warn of it, and whoever is refused asks the doctor.
#[test]
fn a_key_file_that_everyone_can_read_is_said_to_be_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("key.json");
    let text = format!(r#"{{"key":"{KEY}","secret":"{SECRET}","passphrase":"{PASSPHRASE}"}}"#);
    fs::write(&path, text).expect("writes");
    let path = path.to_str().expect("UTF-8");
    let config = format!("[credentials.main]\nkey_file = \"{path}\"\n");
    let warning = format!("! credentials      {path} holds a secret and everyone can read it: chmod 600 {path}\n");
    for chosen in [["--key-file", path], ["--credentials", "main"]] {
        for (mode, is_open) in [(0o644, true), (0o640, false), (0o600, false)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
            let arguments = [&["-c", "config.toml", "--offline"], &chosen[..]].concat();
            let output = doctor(&config, &arguments, ["", "", ""]);
            let told = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{output:?}");
            assert_eq!(told.contains(&warning), is_open, "{chosen:?}, {mode:o}: {told}");
        }
    }
}
