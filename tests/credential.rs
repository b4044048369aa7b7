//! `tickerd credential`, by the real binary: a key goes in once, `run` finds it, and nobody sees it.

use std::{
    fs::{self, File},
    io::{Read, Write},
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, tcgetattr},
};

const KEY: &str = "organizations/00000000-1111-2222-3333-444444444444/apiKeys/55555555-6666-7777-8888-999999999999";

/// A name that no machine has in its own /etc/credstore.
const NAME: &str = "test-of-store";

/// A person's home, and a key that was made now.
struct Home {
    folder: tempfile::TempDir,
    secret: String,
}

impl Home {
    fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        let secret = STANDARD.encode(pair.to_pkcs8v1().expect("DER").as_ref());
        Self { folder: tempfile::tempdir().expect("a folder"), secret }
    }

    fn json(&self) -> String {
        serde_json::json!({ "name": KEY, "privateKey": self.pem() }).to_string()
    }

    fn pem(&self) -> String {
        let lines: Vec<_> = self.secret.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
    }

    fn stored(&self) -> PathBuf {
        self.folder.path().join(".config/tickerd/credstore").join(format!("tickerd-{NAME}"))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickerd"));
        command.args(arguments).current_dir(self.folder.path()).env_clear().env("HOME", self.folder.path());
        command
    }

    fn tickerd(&self, arguments: &[&str], stdin: &str) -> Output {
        let mut command = self.command(arguments);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("starts");
        // Whoever reads no stdin may have closed it.
        let _ = child.stdin.take().expect("piped").write_all(stdin.as_bytes());
        let output = child.wait_with_output().expect("ends");
        self.assert_hidden(&told(&output));
        output
    }

    /// No twelve characters of the secret are in it.
    fn assert_hidden(&self, told: &str) {
        for part in self.secret.as_bytes().windows(12) {
            assert!(!told.contains(std::str::from_utf8(part).expect("base64")), "a secret was seen: {told}");
        }
    }

    fn add(&self, stdin: &str) -> Output {
        self.tickerd(&["credential", "add", NAME, "--offline", "--user"], stdin)
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn assert_says(output: &Output, code: i32, parts: &[&str]) {
    let told = told(output);
    assert_eq!(output.status.code(), Some(code), "{told}");
    for part in parts {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn what_is_added_is_found_listed_and_removed() {
    let home = Home::new();
    let path = home.stored().display().to_string();
    assert_says(&home.add(&home.json()), 0, &[&path, KEY, "ES256", &format!("--credentials {NAME}")]);
    let mode = |path: &std::path::Path| fs::metadata(path).expect("is there").permissions().mode() & 0o777;
    assert_eq!((mode(&home.stored()), mode(home.stored().parent().expect("a folder"))), (0o600, 0o700));

    // By an option, and by a feed that has no section for it.
    let from = format!("from {path}");
    assert_says(&home.tickerd(&["check", "--channel", "user", "--credentials", NAME], ""), 0, &[&from, "ES256"]);
    let feed = format!("[[feed]]\nname = \"orders\"\nchannels = [\"user\"]\ncredentials = \"{NAME}\"\n");
    fs::write(home.folder.path().join("config.toml"), feed).expect("writes");
    assert_says(&home.tickerd(&["check"], ""), 0, &[&from, &format!("by \"{NAME}\"")]);
    let unsigned = "[[feed]]\nname = \"prices\"\nchannels = [\"ticker\"]\nproducts = [\"BTC-USD\"]\n";
    fs::write(home.folder.path().join("unsigned.toml"), unsigned).expect("writes");
    // The configuration is examined beside them: it was passed over, and called none.
    let both = "unsigned.toml, in which no feed has credentials; and the credentials of ";
    assert_says(&home.tickerd(&["doctor", "--offline", "-c", "unsigned.toml"], ""), 0, &[both, &path]);
    for chosen in [&["--credentials", NAME][..], &["--feed", "orders"], &[]] {
        let arguments = [&["sign", "ws", "--channel", "user"], chosen].concat();
        assert_says(&home.tickerd(&arguments, ""), 0, &["token       eyJ"]);
    }

    assert_says(&home.tickerd(&["credential", "list"], ""), 0, &[NAME, "ES256", &path, KEY]);
    assert_says(&home.tickerd(&["credential", "remove", "test-of-another"], ""), 64, &["there is", NAME]);
    assert_says(&home.tickerd(&["credential", "remove", NAME], ""), 0, &[&format!("removed     {path}")]);
    assert!(!home.stored().exists());
    let gone = home.tickerd(&["check"], "");
    assert_says(
        &gone,
        78,
        &["config.toml:4", &format!("tickerd-{NAME} in "), &format!("tickerd credential add {NAME}")],
    );
}

#[test]
fn a_key_is_read_in_every_shape_from_stdin_or_a_file() {
    let home = Home::new();
    let pem = home.pem();
    for typed in [
        format!("{KEY}\n{}\n", home.secret),
        format!("{KEY}\n{pem}"),
        format!("{KEY}\r\n{}\r\n", pem.replace('\n', "\\n")),
        home.json(),
    ] {
        assert_says(&home.add(&typed), 0, &["ES256"]);
        let again = home.add(&typed);
        assert_says(&again, 64, &["stored already", "--replace"]);
        fs::remove_file(home.stored()).expect("was stored");
    }
    fs::write(home.folder.path().join("cdp_api_key.json"), home.json()).expect("writes");
    let import = ["credential", "add", NAME, "--offline", "--user", "--key-file", "cdp_api_key.json"];
    assert_says(&home.tickerd(&import, ""), 0, &["ES256"]);
    let before = fs::read(home.stored()).expect("stored");
    let other = Home::new();
    let replaced = home.tickerd(&["credential", "add", NAME, "--offline", "--user", "--replace"], &other.json());
    assert_says(&replaced, 0, &["ES256"]);
    assert_ne!(fs::read(home.stored()).expect("stored"), before);
}

#[test]
fn a_shared_secret_is_stored_as_what_it_is() {
    let home =
        Home { folder: tempfile::tempdir().expect("a folder"), secret: "M4009eFnOoPwhNoMwJlsAHgIgleGVFPl".into() };
    assert_says(&home.add(&format!("AbCdEfGh12345678\n{}", home.secret)), 0, &["HMAC-SHA256", "February 2025"]);
    let arguments = ["sign", "ws", "--channel", "ticker_batch", "--product", "BTC-USD", "--at", "1700000000"];
    let signature = "4a6f018d320161b7280017814f955fe759c759359718f52f35ff86106d481c87";
    assert_says(&home.tickerd(&arguments, ""), 0, &[signature]);
}

#[test]
fn what_can_not_sign_is_refused_with_the_reason_and_not_stored() {
    let home = Home::new();
    for (typed, why) in [
        (format!("{KEY}\n{}", &home.secret[..100]), "cut off"),
        (format!("{}\n{KEY}", home.secret), "swapped"),
        (home.json().replace("privateKey", "secret"), "has no privateKey"),
        (home.json()[..200].to_owned(), "no key file"),
        (KEY.to_owned(), "the secret is empty"),
        (String::new(), "the key is empty"),
    ] {
        assert_says(&home.add(&typed), 78, &[why, "Nothing is stored"]);
        assert!(!home.stored().exists());
    }
    assert_says(
        &home.tickerd(&["credential", "add", NAME, "--offline", "--user", "--key-file", "gone.json"], ""),
        78,
        &["gone.json"],
    );
    // A secret that was typed where the name belongs is not shown again.
    for command in ["add", "remove"] {
        assert_says(&home.tickerd(&["credential", command, &home.secret[..40]], ""), 64, &["this is no name"]);
    }
    let chosen = home.tickerd(&["check", "--channel", "user", "--credentials", &home.secret[..30]], "");
    assert_says(&chosen, 64, &["no credentials are called so"]);
}

/// Three parts that have the form of Coinbase Exchange's and are nobody's; of a passphrase no word is seen either.
const EXCHANGE_KEY: &str = "0123456789abcdef0123456789abcdef";
const EXCHANGE_SECRET: &str =
    "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg==";
const PASSPHRASE: &str = "my twelve words";

fn exchange_home() -> Home {
    Home { folder: tempfile::tempdir().expect("a folder"), secret: EXCHANGE_SECRET.into() }
}

fn exchange_json() -> String {
    serde_json::json!({"key": EXCHANGE_KEY, "secret": EXCHANGE_SECRET, "passphrase": PASSPHRASE}).to_string()
}

#[test]
fn an_exchange_key_is_stored_with_its_passphrase_and_the_next_command_names_the_venue() {
    let home = exchange_home();
    let next = format!("tickerd run --venue exchange --channel user --product BTC-USD --credentials {NAME}");
    let feed = format!("venue = \"exchange\" and credentials = \"{NAME}\"");
    for typed in [format!("{EXCHANGE_KEY}\n{EXCHANGE_SECRET}\n{PASSPHRASE}\n"), exchange_json()] {
        let added = home.add(&typed);
        assert_says(&added, 0, &["HMAC-SHA256", "passphrase  stored with them", &next, &feed]);
        assert!(!told(&added).contains("warning") && !told(&added).contains(PASSPHRASE), "{}", told(&added));
        let stored = fs::read_to_string(home.stored()).expect("stored");
        assert_eq!(stored.trim_end(), exchange_json(), "with all three");

        let arguments =
            ["check", "--venue", "exchange", "--channel", "full", "--product", "BTC-USD", "--credentials", NAME];
        let from = format!("  passphrase    from {}", home.stored().display());
        let checked = home.tickerd(&arguments, "");
        assert_says(&checked, 0, &[&from, "full of BTC-USD"]);
        assert!(!told(&checked).contains(PASSPHRASE));
        let elsewhere = home.tickerd(&["check", "--channel", "user", "--credentials", NAME], "");
        assert_says(
            &elsewhere,
            64,
            &["--credentials: feed \"advanced-trade\" can not sign with", "they have a passphrase"],
        );
        fs::remove_file(home.stored()).expect("was stored");
    }
    fs::write(home.folder.path().join("key.json"), exchange_json()).expect("writes");
    let import = ["credential", "add", NAME, "--offline", "--user", "--key-file", "key.json"];
    assert_says(&home.tickerd(&import, ""), 0, &["passphrase  stored with them"]);
}

#[test]
fn a_key_that_does_not_fit_the_venue_is_not_stored() {
    let home = exchange_home();
    let add = |more: &[&str], typed: &str| {
        home.tickerd(&[&["credential", "add", NAME, "--offline", "--user"], more].concat(), typed)
    };
    let (two, cdp) = (format!("{EXCHANGE_KEY}\n{EXCHANGE_SECRET}"), Home::new().json());
    let odd = exchange_json().replace("==", "");
    for (venue, typed, parts) in [
        (&["--venue", "exchange"][..], &two, ["there is no passphrase", "as a third line"]),
        (&["--venue", "exchange"], &cdp, ["they are a CDP key", "exchange.coinbase.com"]),
        (&["--venue", "advanced-trade"], &exchange_json(), ["they have a passphrase", "make a CDP key"]),
        (&[], &odd, ["their secret is no base64", "copy it again"]),
    ] {
        let refused = add(venue, typed);
        assert_says(&refused, 78, &parts);
        assert_says(&refused, 78, &["Nothing is stored"]);
        assert!(!told(&refused).contains(PASSPHRASE) && !home.stored().exists());
    }
    assert_says(&add(&["--venue", "binance"], &two), 64, &["\"binance\" is no venue", "exchange"]);
    // By its form it is the Exchange's, though nobody said so.
    assert_says(&add(&[], &two), 78, &["there is no passphrase, and exchange wants"]);
}

/// What is asked of the venue, by one request; the answer is a list of accounts.
fn one_request(listener: std::net::TcpListener) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody asks");
        let mut request = String::new();
        while !request.ends_with("\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a request");
            request.push(char::from(byte[0]));
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]").expect("is read");
        request
    })
}

#[test]
fn the_exchange_is_asked_by_its_own_rest_interface() {
    let home = exchange_home();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let rest = format!("http://{}", listener.local_addr().expect("bound"));
    let asked = one_request(listener);
    let added = home.tickerd(&["credential", "add", NAME, "--user", "--rest", &rest], &exchange_json());
    assert_says(&added, 0, &["checked     the venue takes them; they may view"]);
    let request = asked.join().expect("was asked").to_lowercase();
    assert!(request.starts_with("get /accounts http/1.1\r\n"), "the Exchange's path");
    for header in
        ["cb-access-key: 0123", "cb-access-sign: ", "cb-access-timestamp: ", "cb-access-passphrase: my twelve"]
    {
        assert!(request.contains(header), "{header}");
    }
}

/// The person's end of a terminal on which `tickerd credential add` runs.
struct Person {
    terminal: File,
    heard: String,
    other_end: File,
}

impl Person {
    fn new() -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&terminal).expect("is ours");
        unlockpt(&terminal).expect("is ours");
        let name = ptsname(&terminal, Vec::new()).expect("has a name").into_string().expect("ASCII");
        let other_end = File::options().read(true).write(true).open(name).expect("opens");
        Self { terminal: File::from(terminal), heard: String::new(), other_end }
    }

    fn starts(&self, home: &Home, more: &[&str]) -> std::process::Child {
        let end = || Stdio::from(OwnedFd::from(self.other_end.try_clone().expect("a descriptor")));
        let mut command = home.command(&[&["credential", "add", NAME, "--offline", "--user"], more].concat());
        command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("starts")
    }

    /// Reads until `word` is shown.
    fn hears(&mut self, word: &str) {
        while !self.heard.contains(word) {
            let mut buffer = [0; 1024];
            let count = self.terminal.read(&mut buffer).expect("the terminal is open");
            self.heard.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    }

    fn types(&mut self, text: &str) {
        self.terminal.write_all(text.as_bytes()).expect("takes it");
    }

    fn sees_what_is_typed(&self) -> bool {
        let modes = tcgetattr(&self.other_end).expect("a terminal").local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
    }
}

/// No letters: those of a temporary folder's name, which is shown, are drawn by lot.
const SLIP: &str = "~#";

#[test]
fn a_person_is_asked_without_echo_and_the_terminal_is_as_before() {
    let home = Home::new();
    let pem = home.pem();
    for answers in [&[KEY, pem.trim_end()][..], &[&home.json()]] {
        let mut person = Person::new();
        let mut child = person.starts(&home, &[]);
        for (question, answer) in ["key name or id", "secret, all lines"].iter().zip(answers) {
            person.hears(question);
            assert!(!person.sees_what_is_typed());
            // A slip, taken back, and lines that end as a keyboard's do.
            person.types(&format!("{SLIP}\x7f\x7f{}\r", answer.replace('\n', "\r")));
        }
        person.hears("next        tickerd run");
        assert!(child.wait().expect("ends").success());
        assert!(person.sees_what_is_typed());
        home.assert_hidden(&person.heard);
        assert!(!person.heard.contains(SLIP));
        fs::remove_file(home.stored()).expect("was stored");
    }
}

#[test]
fn a_person_is_asked_for_a_passphrase_where_keys_have_one() {
    let home = exchange_home();
    fs::write(home.folder.path().join("two.json"), exchange_json().replace("passphrase", "other")).expect("writes");
    let stored = "passphrase  stored with them";
    for (more, answers) in [
        (&[][..], &[EXCHANGE_KEY, EXCHANGE_SECRET, PASSPHRASE][..]),
        // What a paste brings behind the secret is no answer to the next question.
        (&[], &[EXCHANGE_KEY, &format!("{EXCHANGE_SECRET}\n\n"), PASSPHRASE]),
        (&["--venue", "exchange"], &["k", EXCHANGE_SECRET, PASSPHRASE]),
        (&["--venue", "exchange"], &[EXCHANGE_KEY, EXCHANGE_SECRET, &format!("\r\r{PASSPHRASE}")]),
        (&["--key-file", "two.json"], &[PASSPHRASE]),
    ] {
        let mut person = Person::new();
        let mut child = person.starts(&home, more);
        let is_exchanges = more.contains(&"--venue");
        let questions = if is_exchanges {
            ["key, or a whole JSON of key, secret and passphrase", "secret (not shown)", "passphrase (not shown)"]
        } else {
            ["key name or id", "secret, all lines", "passphrase"]
        };
        for (question, answer) in questions[3 - answers.len()..].iter().zip(answers) {
            person.hears(question);
            assert!(!person.sees_what_is_typed());
            person.types(&format!("{answer}\r"));
        }
        person.hears(stored);
        person.hears("next        tickerd run");
        assert!(child.wait().expect("ends").success());
        assert!(person.sees_what_is_typed());
        home.assert_hidden(&person.heard);
        assert!(!person.heard.contains(PASSPHRASE));
        assert!(!is_exchanges || !person.heard.contains("cdp_api_key"), "{}", person.heard);
        assert!(fs::read_to_string(home.stored()).expect("stored").contains(PASSPHRASE));
        fs::remove_file(home.stored()).expect("was stored");
    }
}

#[test]
fn an_interrupted_person_has_a_terminal_as_before_and_stored_nothing() {
    let home = Home::new();
    for key in ["\x03", "\x04", "TERM"] {
        let mut person = Person::new();
        let mut child = person.starts(&home, &[]);
        person.hears("key name or id");
        person.types(&home.secret[..20]);
        match key {
            "TERM" => kill_process(Pid::from_child(&child), Signal::TERM).expect("alive"),
            "\x04" => person.types("\x15\x04"),
            key => person.types(key),
        }
        person.hears("nothing is stored");
        assert_eq!(child.wait().expect("ends").code(), Some(64), "{key:?}");
        assert!(person.sees_what_is_typed(), "{key:?}");
        assert!(!home.stored().exists());
        home.assert_hidden(&person.heard);
    }
}
