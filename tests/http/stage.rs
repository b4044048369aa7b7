//! The real binary with an exchange of its own, and whoever asks it over HTTP.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::time::Instant;

/// A process that does not outlive its test.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder, an exchange, and a daemon that records from it.
pub struct Stage {
    pub folder: tempfile::TempDir,
    pub exchange: Running,
    /// Held for as long as the stage stands.
    pub _daemon: Running,
    /// Where metrics are.
    pub at: String,
    pub secret: String,
}

/// What was answered.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Stage {
    /// A daemon that signs, with these variables beside its own, and what it says until it listens.
    pub fn new(speed: &str, output: &str, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        let secret = STANDARD.encode(pair.to_pkcs8v1().expect("DER").as_ref());
        let name = "organizations/00000000-1111-2222-3333-444444444444/apiKeys/55555555-6666-7777-8888-999999999999";
        let key = folder.path().join("key.json");
        fs::write(&key, serde_json::json!({ "name": name, "privateKey": secret }).to_string()).expect("writes");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("is ours");
        let tickerd = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_tickerd"));
            command.args(arguments).current_dir(folder.path()).stdin(Stdio::null()).env_clear();
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command
        };
        let mut simulator = tickerd(&["simulator", "--speed", speed]);
        let mut exchange = Running(simulator.stderr(Stdio::null()).spawn().expect("starts"));
        let mut url = String::new();
        BufReader::new(exchange.0.stdout.take().expect("piped")).read_line(&mut url).expect("a line");
        let channels = "ticker_batch,market_trades,level2";
        let arguments = [
            "run",
            "--channel",
            channels,
            "--product",
            "BTC-USD",
            "--url",
            url.trim_end(),
            "--output",
            output,
            "--key-file",
            "key.json",
        ];
        let mut run = tickerd(&arguments);
        run.env("TICKERD_HTTP__LISTEN", "127.0.0.1:0")
            .env("TICKERD_OUTPUT__RECORD", "envelope")
            .envs(variables.to_vec());
        let mut daemon = Running(run.spawn().expect("starts"));
        let mut said = BufReader::new(daemon.0.stderr.take().expect("piped")).lines();
        let at = said.find_map(|line| {
            let line = line.expect("UTF-8");
            let (_, rest) = line.split_once("metrics at http://")?;
            Some(rest.strip_suffix("/metrics").expect("the page").to_owned())
        });
        // What it says later is read too, so that it never waits for us.
        thread::spawn(move || said.for_each(drop));
        Self { exchange, _daemon: daemon, at: at.expect("it says where it listens"), secret, folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.at).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit");
        stream
    }

    /// Sends this as it is.
    pub fn say(&self, request: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut text = Vec::new();
        // One that is refused while it still talks is cut off.
        let _ = stream.read_to_end(&mut text);
        let text = String::from_utf8(text).expect("UTF-8");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.say(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.at))
    }

    /// Asks until the answer is this one.
    pub fn get_until(&self, path: &str, what: impl Fn(&Answer) -> bool) -> Answer {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let answer = self.get(path);
            if what(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "it never came to that: {} {}", answer.status, answer.body);
        }
    }
}

impl Answer {
    /// Each sample with its value.
    pub fn samples(&self) -> BTreeMap<&str, f64> {
        let lines = self.body.lines().filter(|line| !line.starts_with('#'));
        lines
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(sample, value)| (sample, value.parse().expect(value)))
            .collect()
    }

    /// The sum over all samples of a family that have this label.
    pub fn sum(&self, family: &str, label: &str) -> f64 {
        let samples = self.samples();
        let is_of = |sample: &str| sample.split('{').next() == Some(family) && sample.contains(label);
        samples.iter().filter(|(sample, _)| is_of(sample)).map(|(_, value)| value).sum()
    }
}
