//! The real binary behind a proxy: what the proxy hears, what the venue hears, and what nobody may hear.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::{Engine as _, engine::general_purpose::STANDARD};

const CANARY: &str = "canary-pass";

/// An exchange behind TLS that stands in for venue.test, a name that nobody but a proxy knows.
struct Venue {
    process: Child,
    port: u16,
    certificate: String,
}

impl Venue {
    fn new() -> Self {
        Self::named("venue.test")
    }

    /// One whose certificate is for this name, and those of loopback.
    fn named(name: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickerd"));
        command.args(["simulator", "--tls", "--name", name, "--speed", "50"]).env_clear();
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let mut line = || lines.next().expect("a line").expect("UTF-8");
        let (url, certificate) = (line(), line());
        let port = url.rsplit(':').next().and_then(|port| port.trim_end_matches('/').parse().ok()).expect("a port");
        Self { process, port, certificate }
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a proxy says to whoever comes: how it lets them through, if it does; what it heard.
type Manners = fn(&mut TcpStream) -> io::Result<(bool, String)>;

/// A proxy that leads everybody to the venue; where it listens, and all that it heard.
fn proxy(venue: &Venue, manners: Manners) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let place = listener.local_addr().expect("bound").to_string();
    let heard = Arc::<Mutex<Vec<String>>>::default();
    let (port, told) = (venue.port, heard.clone());
    thread::spawn(move || {
        for near in listener.incoming() {
            let told = told.clone();
            thread::spawn(move || -> io::Result<()> {
                let mut near = near?;
                let (passes, said) = manners(&mut near)?;
                told.lock().expect("whole").push(said);
                if passes {
                    let far = TcpStream::connect(("127.0.0.1", port))?;
                    let (from, to) = (near.try_clone()?, far.try_clone()?);
                    thread::spawn(move || carry(from, to));
                    carry(far, near);
                }
                Ok(())
            });
        }
    });
    (place, heard)
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

fn head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn http(stream: &mut TcpStream) -> io::Result<(bool, String)> {
    let heard = head(stream)?;
    stream.write_all(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")?;
    Ok((true, heard))
}

fn wants_a_login(stream: &mut TcpStream) -> io::Result<(bool, String)> {
    let heard = head(stream)?;
    stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")?;
    Ok((false, heard))
}

/// It says again what it heard.
fn echoes(stream: &mut TcpStream) -> io::Result<(bool, String)> {
    let heard = head(stream)?;
    let login = heard.lines().find(|line| line.starts_with("Proxy-Authorization")).unwrap_or_default();
    stream.write_all(format!("HTTP/1.1 403 Forbidden, {login}\r\n\r\n").as_bytes())?;
    Ok((false, heard))
}

/// It never comes to an end.
fn rambles(stream: &mut TcpStream) -> io::Result<(bool, String)> {
    let heard = head(stream)?;
    let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\n{}", "x".repeat(20_000)).as_bytes());
    Ok((false, heard))
}

fn socks(stream: &mut TcpStream) -> io::Result<(bool, String)> {
    let text = |stream: &mut TcpStream| {
        let mut length = [0];
        stream.read_exact(&mut length)?;
        let mut text = vec![0; usize::from(length[0])];
        stream.read_exact(&mut text).map(|()| String::from_utf8_lossy(&text).into_owned())
    };
    let mut greeting = [0; 4];
    stream.read_exact(&mut greeting)?;
    assert_eq!(greeting, [5, 2, 0, 2], "version 5, with or without a login");
    stream.write_all(&[5, 2])?;
    stream.read_exact(&mut [0])?;
    let login = (text(stream)?, text(stream)?);
    stream.write_all(&[1, 0])?;
    let mut request = [0; 4];
    stream.read_exact(&mut request)?;
    assert_eq!(request, [5, 1, 0, 3], "CONNECT to a name");
    let host = text(stream)?;
    let mut port = [0; 2];
    stream.read_exact(&mut port)?;
    stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 80])?;
    Ok((true, format!("{}:{} {host}:{}", login.0, login.1, u16::from_be_bytes(port))))
}

/// tickerd, with these variables, as a client of venue.test.
fn run(env: &[(&str, &str)], until: [&str; 2]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickerd"));
    command
        .args(["run", "-vv", "--channel", "ticker", "--product", "BTC-USD", "--url", "wss://venue.test"])
        .args(until);
    let folder = tempfile::tempdir().expect("a folder");
    command.current_dir(folder.path()).env_clear().envs(env.iter().copied()).stdin(Stdio::null());
    let output = command.output().expect("runs");
    let told = String::from_utf8_lossy(&output.stderr);
    for canary in [CANARY, &STANDARD.encode(format!("user:{CANARY}"))] {
        assert!(!told.contains(canary), "{told}");
    }
    output
}

/// The password is in no line of the log, at whatever level.
#[test]
fn websocket_and_rest_go_through_a_proxy_that_wants_a_login() {
    let venue = Venue::new();
    let roots = ("TICKERD_TLS__CA_FILE", &*venue.certificate);
    let basic = format!("Proxy-Authorization: Basic {}", STANDARD.encode(format!("user:{CANARY}")));
    let plain = format!("user:{CANARY} venue.test:443");
    for (scheme, manners, wanted) in [
        ("http", http as Manners, vec!["CONNECT venue.test:443 HTTP/1.1\r\n", &*basic]),
        ("socks5", socks, vec![&*plain]),
    ] {
        let (place, heard) = proxy(&venue, manners);
        let url = format!("{scheme}://user:{CANARY}@{place}");
        let output = run(&[("HTTPS_PROXY", &url), roots], ["--lines", "20"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 20);
        assert!(told.contains(&format!("{scheme}://{place}, from $HTTPS_PROXY")), "{told}");
        let heard = heard.lock().expect("whole");
        assert!(heard.len() >= 2, "the clock is asked by REST: {heard:?}");
        assert!(heard.iter().all(|heard| wanted.iter().all(|wanted| heard.contains(wanted))), "{heard:?}");
    }
}

/// Neither asked the configuration how the venue is reached: behind a proxy that it names they said that there is no venue.
#[test]
fn a_key_is_checked_by_the_way_of_the_configuration_that_will_use_it() {
    let venue = Venue::new();
    let (place, heard) = proxy(&venue, http);
    let folder = tempfile::tempdir().expect("a folder");
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let secret = STANDARD.encode(pair.to_pkcs8v1().expect("DER").as_ref());
    let name = "organizations/00000000-1111-2222-3333-444444444444/apiKeys/55555555-6666-7777-8888-999999999999";
    let key = serde_json::json!({ "name": name, "privateKey": secret });
    fs::write(folder.path().join("key.json"), key.to_string()).expect("writes");
    let config = format!(
        "[net]\nproxy = \"http://{place}\"\n[tls]\nca_file = \"{}\"\n[[feed]]\nname = \"a\"\ncredentials = \"proxied\"\n",
        venue.certificate
    );
    fs::write(folder.path().join("config.toml"), config).expect("writes");
    for arguments in [
        &["credential", "add", "proxied", "--user", "--key-file", "key.json", "--rest", "https://venue.test"][..],
        &["doctor", "--key-file", "key.json", "--url", "wss://venue.test"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickerd"));
        command.args(arguments).current_dir(folder.path()).env_clear().env("HOME", folder.path());
        let output = command.stdin(Stdio::null()).output().expect("runs");
        let [told, said] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        let mut heard = heard.lock().expect("whole");
        assert!(heard.iter().any(|heard| heard.starts_with("CONNECT venue.test:443 ")), "{told}{said}");
        assert!(!told.contains("no answer") && !told.contains("can not be reached"), "{told}{said}");
        heard.clear();
    }
}

/// A proxy that takes TLS apart shows a certificate of its own: it gets no subscribe, and so no signature.
#[test]
fn a_proxy_can_not_stand_in_for_the_venue() {
    let venue = Venue::new();
    let (place, _) = proxy(&venue, http);
    let output = run(&[("https_proxy", &format!("http://{place}"))], ["--seconds", "2"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.stdout.is_empty() && told.contains("TLS with venue.test"), "{told}");
}

/// coinbase-advanced-py verifies no certificate. This one is trusted as a root is, and is another's: whoever was led there, by a
/// proxy or by a name server, says nothing.
#[test]
fn a_trusted_certificate_of_another_name_is_refused() {
    let venue = Venue::named("other.test");
    let (place, heard) = proxy(&venue, http);
    let roots = ("TICKERD_TLS__CA_FILE", &*venue.certificate);
    let output = run(&[("https_proxy", &format!("http://{place}")), roots], ["--seconds", "2"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.stdout.is_empty() && told.contains("TLS with venue.test"), "{told}");
    assert!(told.contains("other.test") && !told.contains("UnknownIssuer"), "for its name, and nothing else: {told}");
    assert!(!heard.lock().expect("whole").is_empty(), "it was led there");
}

#[test]
fn a_proxy_that_lets_nobody_through_is_named_and_what_to_do() {
    let venue = Venue::new();
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let output = run(&[("https_proxy", &format!("http://{nobody}"))], ["--seconds", "1"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains(&format!("the proxy http://{nobody}: connect to 127.0.0.1: ")), "{told}");
    for (manners, wanted) in [
        (wants_a_login as Manners, "it wants a user and a password"),
        (rambles, "its answer to CONNECT has no end"),
        (|_| Ok((false, String::new())), "it broke off"),
    ] {
        let (place, _) = proxy(&venue, manners);
        let output = run(&[("TICKERD_NET__PROXY", &format!("http://{place}"))], ["--seconds", "1"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains(&format!("the proxy http://{place}: {wanted}")), "{told}");
    }
}

/// A signed request to loopback is in the clear: it stays on the machine. And a proxy that repeats the login gets it into no log.
#[test]
fn nothing_for_loopback_reaches_a_proxy_and_no_login_comes_back() {
    let venue = Venue::new();
    let (place, heard) = proxy(&venue, echoes);
    let url = format!("http://user:{CANARY}@{place}");
    let output = run(&[("HTTPS_PROXY", &url)], ["--seconds", "1"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("it lets nobody through to there: HTTP 403"), "{told}");
    heard.lock().expect("whole").clear();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickerd"));
    command.args(["run", "--channel", "ticker", "--product", "BTC-USD", "--seconds", "1", "--url", "ws://127.0.0.1:9"]);
    command.env_clear().env("TICKERD_NET__PROXY", format!("http://{place}")).stdin(Stdio::null());
    let _ = command.output().expect("runs");
    assert_eq!(heard.lock().expect("whole")[..], [""; 0]);
}

#[test]
fn a_password_is_refused_where_others_read_it_and_a_url_that_is_none_is_told_without_it() {
    let refused = |name: &str, value: &str| {
        let output = run(&[(name, value)], ["--seconds", "1"]);
        assert_eq!(output.status.code(), Some(78));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let told = refused("TICKERD_NET__PROXY", &format!("http://user:{CANARY}@proxy:3128"));
    assert!(told.contains("TICKERD_NET__PROXY: net.proxy: a password does not belong"), "{told}");
    let told = refused("https_proxy", &format!("ftp://user:{CANARY}@proxy"));
    assert!(told.contains("$https_proxy is no proxy that is known here"), "{told}");
    let told = refused("TICKERD_NET__BIND", "eth0");
    assert!(told.contains("net.bind: this is no address"), "{told}");
}

/// The remedy for a key that is bound to addresses: the machine has another on which it is not seen.
#[test]
fn the_address_to_come_from_can_be_chosen() {
    let venue = Venue::new();
    let (url, roots) = (format!("wss://127.0.0.1:{}", venue.port), ("TICKERD_TLS__CA_FILE", &*venue.certificate));
    let run = |more: (&str, &str)| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickerd"));
        command.args([
            "run",
            "--channel",
            "ticker",
            "--product",
            "BTC-USD",
            "--url",
            &url,
            "--lines",
            "5",
            "--seconds",
            "2",
        ]);
        command.env_clear().envs([roots, more]).stdin(Stdio::null()).output().expect("runs")
    };
    let count = |output: &Output| String::from_utf8_lossy(&output.stdout).lines().count();
    assert_eq!(count(&run(("TICKERD_NET__BIND", "127.0.0.2"))), 5);
    assert_eq!(count(&run(("TICKERD_NET__IP", "4"))), 5);
    let other = run(("TICKERD_NET__IP", "6"));
    let told = String::from_utf8_lossy(&other.stderr);
    assert!(
        other.stdout.is_empty() && told.contains("it has no address of the family that net.ip or net.bind wants"),
        "{told}"
    );
    let told = run(("TICKERD_NET__BIND", "192.0.2.1"));
    let told = String::from_utf8_lossy(&told.stderr);
    assert!(told.contains("from net.bind 192.0.2.1: "), "{told}");
}
