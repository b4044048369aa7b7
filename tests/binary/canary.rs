//! The real binary and what nobody may see: keys, secrets, passphrases, signatures and tokens, in whatever it writes or says.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    thread,
    time::Duration,
};

use aws_lc_rs::rand;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustix::process::Signal;
use serde_json::Value;
use tickerd::{
    auth::{KeyFile, Secret},
    clock::Clock,
    simulator::{Faults, Observed, Options, Simulator, Speed},
    venue::exchange::EXCHANGE,
};

use super::stage::{KEY_NAME, Running, Scene, lines, tickerd};

/// The promise that a secret reaches nothing: not at the most talkative level, not in an error, not in a title.
/// (alpaca-rs#75, binance-connector-js#561; Lean and tiagosiebler/coinbase-api log the token, waifu-capital the key.)
#[test]
fn no_secret_signature_or_token_is_seen_anywhere() {
    let scene = Scene::new();
    let (_exchange, url, certificate) = scene.exchange(&["--tls", "--speed", "20", "--fault", "conn1:close:1001@n5"]);
    let more = format!("[tls]\nca_file = \"{certificate}\"\n[output]\nrecord = \"envelope\"\n");
    scene.config(&url, &["ticker_batch", "user"], &more);
    let mut run = scene.run(&["run", "-vv", "-c", "config.toml"]);
    let mut reader = run.out();
    let mut seen = lines(&mut reader, 60).join("\n");
    seen.push_str(&fs::read_to_string(format!("/proc/{}/cmdline", run.0.id())).expect("alive"));
    run.signal(Signal::TERM);
    reader.read_to_string(&mut seen).expect("UTF-8");
    assert!(run.wait().success());
    seen.push_str(&run.stderr());
    assert!(seen.contains("\"user\"") && seen.contains("disconnected"), "it did happen");
    // Tokens begin with the base64 of `{"alg"`, whatever is in them.
    for canary in [&scene.secret[..], &scene.secret[40..60], "eyJhbGci", "privateKey", "\"jwt\"", "signature\":\""] {
        assert!(!seen.contains(canary), "{canary} was seen");
    }

    // A key that was pasted where its file's name belongs is not echoed.
    for pasted in [&scene.secret[..], &format!("-----BEGIN PRIVATE KEY-----\n{}", &scene.secret[..64])] {
        let output = scene.output(&["run", "--channel", "user", "--key-file", pasted]);
        assert_eq!(output.status.code(), Some(64));
        assert!(!String::from_utf8_lossy(&output.stderr).contains(&scene.secret[..12]), "echoed");
    }

    // And a broken key is named without being shown.
    let broken = scene.secret[..100].to_owned();
    let json = serde_json::json!({ "name": KEY_NAME, "privateKey": broken });
    scene.file("cdp_api_key.json", json.to_string().as_bytes());
    let output = scene.output(&["run", "-vv", "-c", "config.toml"]);
    assert_eq!(output.status.code(), Some(78));
    let told = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(
        !broken.as_bytes().windows(12).any(|part| told.contains(std::str::from_utf8(part).expect("ASCII"))),
        "{told}"
    );
}

/// Whether any twelve characters of `secret` stand in `text`.
fn shows(text: &str, secret: &str) -> bool {
    secret.as_bytes().windows(12).any(|part| text.contains(std::str::from_utf8(part).expect("ASCII")))
}

/// The same of everything that explains: the signature and the token are on the stdout of `sign`, and nowhere else.
#[test]
fn no_command_that_explains_shows_a_secret_signature_or_token() {
    let scene = Scene::new();
    let (_exchange, url, _) = scene.exchange(&["--speed", "20"]);
    scene.config(&url, &["ticker_batch", "user"], "");
    let hmac = ["kVlJUIsXUFIGCVuV", "M4009eFnOoPwhNoMwJlsAHgIgleGVFPl"];
    let run = |arguments: &[&str], pair: Option<[&str; 2]>, home: &str, stdin: &[u8]| {
        let mut command = scene.tickerd(arguments);
        if let Some([key, secret]) = pair {
            command.env("COINBASE_API_KEY", key).env("COINBASE_API_SECRET", secret).current_dir(scene.path(home));
        }
        let path = scene.file("stdin", stdin);
        command.env("HOME", scene.path(home));
        command.stdin(fs::File::open(path).expect("ours")).output().expect("runs")
    };
    fs::create_dir(scene.path("home")).expect("ours");
    let mut signed = Vec::new();
    let mut told = String::new();
    let is_proof =
        |word: &&str| word.starts_with("eyJhbGci") || word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
    for (arguments, pair) in [
        (&["sign", "ws", "--channel", "user", "-vv", "-c", "config.toml"][..], None),
        (&["sign", "rest", "get", "api/v3/brokerage/accounts?limit=1", "--json", "-c", "config.toml"], None),
        (&["sign", "ws", "--channel", "l2_data", "--product", "ETH_USD", "--key-file", "cdp_api_key.json"], None),
        (&["sign", "ws", "--channel", "l2_data", "--product", "ETH_USD", "-vv"], Some(hmac)),
        (&["sign", "rest", "get", "api/v3/brokerage/accounts", "--json", "--at", "1700000000"], Some(hmac)),
    ] {
        let output = run(arguments, pair, "home", b"");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        let out = String::from_utf8(output.stdout).expect("UTF-8");
        let before = signed.len();
        signed.extend(out.split(['"', ' ', '\n', '\\']).filter(is_proof).map(str::to_owned));
        assert!(signed.len() > before, "it is what sign is for: {out}");
        assert!(!shows(&out, &scene.secret) && !shows(&out, hmac[1]), "{arguments:?}");
        told.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    let subscribe = format!("{{\"type\":\"subscribe\",\"channel\":\"user\",\"jwt\":\"{}\"}}", signed[0]);
    let headers = format!("GET /api/v3/brokerage/accounts\nAuthorization: Bearer {}\n", signed[0]);
    let nonsense = format!("what is {} ?", signed[0]);
    let stored = format!("{{\"name\":\"{KEY_NAME}\",\"privateKey\":\"{}\"}}", scene.secret);
    let broken = format!("{{\"name\":\"{KEY_NAME}\",\"privateKey\":\"{}\"}}", &scene.secret[..90]);
    for (arguments, pair, stdin) in [
        (&["doctor", "-vv", "-c", "config.toml"][..], None, ""),
        (&["doctor", "-c", "config.toml", "--json"], None, ""),
        (&["doctor", "-c", "config.toml", "--live", "1"], None, ""),
        (&["doctor", "-c", "config.toml", "--message", "-"], None, &subscribe),
        (&["doctor", "-c", "config.toml", "--message", "-", "--json"], None, &headers),
        (&["doctor", "-c", "config.toml", "--message", "-"], None, &nonsense),
        (&["doctor", "--offline"], Some(hmac), ""),
        (&["doctor", "--offline", "--json"], Some([hmac[1], hmac[0]]), ""),
        (&["doctor", "--offline"], Some([&scene.secret[..], KEY_NAME]), ""),
        (&["doctor", "--key-file", "cdp_api_key.json", "--url", "ws://127.0.0.1:1"], None, ""),
        (&["credential", "add", "main", "--user", "--offline"], None, &stored),
        (&["credential", "add", "main", "--user", "--offline"], None, &broken),
        (&["credential", "list"], None, ""),
        (&["credential", "remove", "main"], None, ""),
        (&["credential", "add", &scene.secret, "--user", "--offline"], None, ""),
        (&["sign", "ws", "--channel", "user", "--credentials", &scene.secret[..40]], None, ""),
        (&["sign", "ws", "--channel", "user", "--credentials", hmac[1]], None, ""),
        (&["sign", "ws", "--channel", "user", "--key-file", hmac[1]], None, ""),
        (&["doctor", "--key-file", hmac[1]], None, ""),
        (&["doctor", "--feed", hmac[1], "-c", "config.toml"], None, ""),
        (&["credential", "add", "main", hmac[1]], None, ""),
        (&["credential", hmac[1]], None, ""),
        (&["run", "--key-file", hmac[1], "--channel", "user"], None, ""),
    ] {
        let output = run(arguments, pair, "home", stdin.as_bytes());
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        for secret in [&scene.secret[..], hmac[1]].into_iter().chain(signed.iter().map(String::as_str)) {
            assert!(!shows(&text, secret), "{arguments:?}: {text}");
        }
        assert!(!text.contains("eyJhbGci") && !text.is_empty(), "{arguments:?}: {text}");
        told.push_str(&text);
    }
    for secret in [&scene.secret[..], hmac[1]].into_iter().chain(signed.iter().map(String::as_str)) {
        assert!(!shows(&told, secret), "{told}");
    }
}

/// What Coinbase Exchange gives to a customer, of nobody's, and every signature that was made with it.
struct ExchangeKey {
    secret: String,
    passphrase: String,
    signatures: Receiver<(u64, String)>,
}

impl ExchangeKey {
    const KEY: &str = "0123456789abcdef0123456789abcdef";

    /// An exchange in this process that knows it, closes the first connection, and tells which signatures it was shown: on
    /// connections as they are counted, and by REST on none, 0.
    fn and_exchange() -> (Self, tokio::runtime::Runtime, String) {
        let (mut secret, mut passphrase) = ([0; 64], [0; 12]);
        rand::fill(&mut secret).and_then(|()| rand::fill(&mut passphrase)).expect("random bytes");
        let (secret, passphrase) = (STANDARD.encode(secret), hex::encode(passphrase));
        let file = KeyFile {
            passphrase: Some(Secret::new(passphrase.clone())),
            ..KeyFile::of_halves(Self::KEY, Secret::new(secret.clone()))
        };
        let credentials = Arc::new(file.credentials("main").expect("a good key"));
        let (tell, signatures) = channel();
        let observer = move |observed: &Observed| {
            let shown = match observed {
                Observed::Subscribe { conn, text, accepted: true, .. } => {
                    let message: Value = serde_json::from_str(text).expect("JSON");
                    message["signature"].as_str().map(|signature| (*conn, signature.to_owned()))
                }
                Observed::Asked { signature, .. } => signature.clone().map(|signature| (0, signature)),
                _ => None,
            };
            // Nobody listens any more when the test is over.
            let _ = shown.map(|shown| tell.send(shown));
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("one");
        let address = runtime.block_on(async {
            let options = Options {
                venue: &EXCHANGE,
                speed: Speed::Times(20.0),
                credentials: vec![credentials],
                faults: Faults::parse(&["conn1:close:1001@2s".to_owned()]).expect("known"),
                observer: Some(Arc::new(observer)),
                ..Options::new(Clock::system())
            };
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("bound");
            tokio::spawn(Simulator::new(options).listen(listener, None));
            address
        });
        (Self { secret, passphrase, signatures }, runtime, format!("ws://{address}"))
    }
}

/// The log, as it is written.
struct Log {
    lines: Receiver<String>,
    said: String,
}

impl Log {
    fn of(process: &mut Running) -> Self {
        let (send, lines) = channel();
        let stderr = BufReader::new(process.0.stderr.take().expect("piped"));
        thread::spawn(move || stderr.lines().try_for_each(|line| send.send(line.expect("UTF-8"))));
        Self { lines, said: String::new() }
    }

    /// Reads up to a line with these words, and gives that.
    fn says(&mut self, words: &str) -> String {
        loop {
            let line = self.lines.recv().unwrap_or_else(|_| panic!("never said {words:?}:\n{}", self.said));
            self.said = std::mem::take(&mut self.said) + &line + "\n";
            if line.contains(words) {
                return line;
            }
        }
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("UTF-8");
    answer
}

/// Every file below a folder, by its path there.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("there") {
        let entry = entry.expect("an entry");
        match entry.file_type().expect("a type") {
            kind if kind.is_dir() => files.extend(self::files(&entry.path())),
            kind if kind.is_file() => files.push((entry.path(), fs::read(entry.path()).expect("reads"))),
            _ => {}
        }
    }
    files
}

/// An Exchange key has a passphrase as well, and its signatures have no form by which one would know them: each that the
/// exchange was shown is looked for, in all that there is to be seen of a run. Its parts come by variables, so that no file
/// may hold any of them.
#[test]
fn no_part_of_an_exchange_key_and_no_signature_is_seen_anywhere() {
    let (key, _exchange, url) = ExchangeKey::and_exchange();
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = folder.path().join("runtime");
    for new in [&runtime, &folder.path().join("out")] {
        fs::create_dir(new).expect("ours");
    }
    let config = format!(
        "[output]\npath = \"out/tape.ndjson\"\nrotate = {{ size = \"1GiB\" }}\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [[feed]]\nname = \"tape\"\nvenue = \"exchange\"\nurl = \"{url}\"\nchannels = [\"ticker\", \"full\", \"user\", \"balance\"]\n\
         products = [\"BTC-USD\"]\naccounts = [\"7d0f7d8e-dd34-4d9c-a846-06f431c381ba\"]\ncredentials = \"main\"\n\
         [credentials.main]\nkey = {{ env = \"KEY\" }}\nsecret = {{ env = \"SECRET\" }}\npassphrase = {{ env = \"PASSPHRASE\" }}\n"
    );
    fs::write(folder.path().join("config.toml"), config).expect("writes");
    let manager = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
    let mut command = tickerd(folder.path(), &["run", "-vv", "-c", "config.toml"]);
    command.env("KEY", ExchangeKey::KEY).env("SECRET", &key.secret).env("PASSPHRASE", &key.passphrase);
    command.env("RUNTIME_DIRECTORY", &runtime).env("NOTIFY_SOCKET", folder.path().join("notify"));
    let mut run = Running(command.spawn().expect("starts"));
    let mut log = Log::of(&mut run);
    let (tell, told) = channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length) = manager.recv(&mut buffer)
            && tell.send(String::from_utf8_lossy(&buffer[..length]).into_owned()).is_ok()
        {}
    });
    let line = log.says("metrics at http://");
    let address = line.split_once("metrics at http://").and_then(|(_, rest)| rest.strip_suffix("/metrics"));
    let address = address.expect("the page");

    // On the second connection everything was signed for again.
    let mut signatures = Vec::new();
    while signatures.iter().filter(|(conn, _)| *conn == 2).count() < 2 {
        signatures.push(key.signatures.recv_timeout(Duration::from_secs(60)).expect("it signs"));
    }
    log.says("recording again after");
    run.signal(Signal::USR1);
    log.says("event=sealed");
    let mut seen =
        ["/metrics", "/healthz", "/readyz"].map(|path| (PathBuf::from(path), get(address, path).into_bytes())).to_vec();
    seen.extend(files(&runtime));
    seen.extend(
        [("cmdline", fs::read(format!("/proc/{}/cmdline", run.0.id())).expect("alive"))]
            .map(|(name, bytes)| (name.into(), bytes)),
    );
    run.signal(Signal::TERM);
    let mut stdout = Vec::new();
    run.out().read_to_end(&mut stdout).expect("reads");
    assert!(run.wait().success());
    log.said.extend(log.lines.iter());
    seen.extend([("stdout".into(), stdout), ("stderr".into(), log.said.into_bytes())]);
    seen.push(("STATUS".into(), told.try_iter().collect::<String>().into_bytes()));
    seen.extend(files(folder.path()));
    signatures.extend(key.signatures.try_iter());

    for name in ["status.json", "tape.events", ".seal", "stderr", "/metrics", "STATUS"] {
        assert!(
            seen.iter().any(|(path, bytes)| path.to_string_lossy().ends_with(name) && !bytes.is_empty()),
            "no {name}"
        );
    }
    let signatures = signatures.iter().map(|(_, signature)| signature.as_str());
    for canary in signatures.chain([&*key.passphrase, &key.secret, &key.secret[20..60]]) {
        let canary = memchr::memmem::Finder::new(canary);
        for (path, bytes) in &seen {
            let words = String::from_utf8_lossy(canary.needle());
            assert!(canary.find(bytes).is_none(), "{words} was seen: {}", path.display());
        }
    }
}
