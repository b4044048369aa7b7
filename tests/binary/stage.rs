//! The folder, the key and the processes of a test.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio},
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustix::process::{Pid, Signal, kill_process};

pub const KEY_NAME: &str =
    "organizations/00000000-1111-2222-3333-444444444444/apiKeys/55555555-6666-7777-8888-999999999999";

/// A process that does not outlive its test.
pub struct Running(pub Child);

impl Running {
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).expect("alive");
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.0.wait().expect("ends")
    }

    pub fn out(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.0.stdout.take().expect("piped"))
    }

    pub fn stderr(&mut self) -> String {
        let mut text = String::new();
        self.0.stderr.take().expect("piped").read_to_string(&mut text).expect("UTF-8");
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder with a CDP key's file and a configuration, and the processes that use them.
pub struct Scene {
    pub folder: tempfile::TempDir,
    pub secret: String,
}

impl Scene {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        let secret = STANDARD.encode(pair.to_pkcs8v1().expect("DER").as_ref());
        let scene = Self { folder, secret };
        let json = serde_json::json!({ "name": KEY_NAME, "privateKey": scene.secret });
        scene.file("cdp_api_key.json", json.to_string().as_bytes());
        scene
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).expect("writes");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("is ours");
        path
    }

    pub fn config(&self, url: &str, channels: &[&str], more: &str) -> PathBuf {
        let text = format!(
            "{more}\n[[feed]]\nname = \"tickers\"\nvenue = \"advanced-trade\"\nurl = \"{url}\"\nchannels = {channels:?}\n\
             products = [\"BTC-USD\", \"ETH-USD\"]\ncredentials = \"main\"\n[credentials.main]\nkey_file = \"cdp_api_key.json\"\n"
        );
        self.file("config.toml", text.as_bytes())
    }

    pub fn tickerd(&self, arguments: &[&str]) -> Command {
        tickerd(self.folder.path(), arguments)
    }

    /// An exchange that knows our key; the lines it prints: URL, and certificate with --tls.
    pub fn exchange(&self, arguments: &[&str]) -> (Running, String, String) {
        let config = self.config("wss://127.0.0.1:1", &["ticker_batch"], "");
        let mut command = self.tickerd(&["simulator", "-c", config.to_str().expect("UTF-8")]);
        let mut exchange = Running(command.args(arguments).stderr(Stdio::null()).spawn().expect("starts"));
        let mut lines = exchange.out().lines();
        let mut line = || lines.next().expect("a line").expect("UTF-8");
        let url = line();
        let certificate = if arguments.contains(&"--tls") { line() } else { String::new() };
        (exchange, url, certificate)
    }

    pub fn run(&self, arguments: &[&str]) -> Running {
        Running(self.tickerd(arguments).spawn().expect("starts"))
    }

    pub fn output(&self, arguments: &[&str]) -> Output {
        self.tickerd(arguments).output().expect("runs")
    }
}

pub fn tickerd(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickerd"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command.env_clear().stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub fn lines(reader: &mut impl BufRead, count: usize) -> Vec<String> {
    reader.lines().take(count).map(|line| line.expect("UTF-8")).collect()
}
