//! The configuration from the outside: what is typed goes in, a `Config` or a message for people comes out.

mod exchange;

use std::{fs, path::Path, time::Duration};

use tempfile::TempDir;
use tickerd::{
    auth::Secret,
    command::{check, init},
    config::{
        Config, ConfigError, Destination, Events, Flags, Form, IfRefused, Keep, LogFormat, Packing, Ready, Rotate,
        Surroundings, Sync, WhenSlow, credentials, load,
    },
};

/// What a secret in a test is called: it must never be seen again.
const CANARY: &str = "hunter2CANARYhunter2";

/// A feed that is right, for tests of everything else.
const FEED: &str = "[[feed]]\nname = \"tickers\"\nchannels = [\"ticker\"]\nproducts = [\"BTC-USD\"]\n";

/// A machine of its own: a working directory, an /etc and an environment.
struct Machine {
    folder: TempDir,
    around: Surroundings,
}

impl Machine {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let directory = folder.path().join("work");
        let etc = folder.path().join("etc");
        fs::create_dir_all(&directory).expect("a working directory");
        fs::create_dir_all(etc.join("tickerd")).expect("an /etc");
        Self { folder, around: Surroundings { env: Vec::new(), directory, etc } }
    }

    /// One with this ./config.toml.
    fn with(text: &str) -> Self {
        Self::new().file("work/config.toml", text)
    }

    fn file(self, path: &str, text: &str) -> Self {
        fs::write(self.folder.path().join(path), text).expect("a file");
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.around.env.push((name.to_owned(), value.to_owned()));
        self
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join(path)
    }

    fn load(&self) -> Result<Config, ConfigError> {
        load(&Flags::default(), &self.around)
    }

    fn config(&self) -> Config {
        self.load().unwrap_or_else(|error| panic!("{error}"))
    }

    fn error(&self) -> String {
        self.load().expect_err("something is wrong").to_string()
    }
}

fn flags(channels: &[&str], products: &[&str]) -> Flags {
    let list = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    Flags { channels: list(channels), products: list(products), ..Flags::default() }
}

/// Each of `parts` is in `text`.
fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
}

#[test]
fn the_shipped_file_works_as_it_stands_and_its_values_are_the_defaults() {
    let shipped = Machine::with(init::SHIPPED).config();
    assert!(shipped.warnings.is_empty(), "{:?}", shipped.warnings);
    let feed = &shipped.feeds[0];
    assert_eq!((feed.name.as_str(), feed.venue.name, shipped.feeds.len()), ("tickers", "advanced-trade", 1));
    assert_eq!(feed.channels.iter().map(|channel| channel.name).collect::<Vec<_>>(), ["ticker_batch"]);
    assert_eq!(feed.products.named().iter().map(ToString::to_string).collect::<Vec<_>>(), ["BTC-USD", "ETH-USD"]);
    assert!(feed.credentials.is_none() && shipped.credentials.is_empty());

    let least = Machine::with(FEED).config();
    for config in [shipped, least] {
        assert_eq!(config.output.path, Destination::Stdout);
        assert_eq!(config.output.record, Form::Raw);
        assert_eq!(config.output.events, Events::Log);
        assert_eq!(config.output.sync, Sync::Every(Duration::from_secs(1)));
        assert_eq!(config.output.queue, 32 << 20);
        assert_eq!(config.service.ready, Ready::Started);
        assert_eq!(config.service.drain, Duration::from_secs(10));
        assert_eq!(config.log.level, tracing::Level::INFO);
        assert_eq!(config.log.format, LogFormat::Auto);
        assert_eq!(config.ca_file, None);
        let feed = &config.feeds[0];
        assert_eq!(feed.if_refused, IfRefused::Public);
        assert_eq!(feed.url, "wss://advanced-trade-ws.coinbase.com");
        assert_eq!(feed.rest, "https://api.coinbase.com");
    }
}

#[test]
fn every_key_that_is_known_stands_in_the_shipped_file() {
    // An error about an unknown key lists the known ones, where none is near.
    let sections = [
        ("", ""),
        ("output", "[output]\n"),
        ("output.rotate", "[output.rotate]\n"),
        ("output.keep", "[output.keep]\n"),
        ("feed", "[[feed]]\n"),
        ("credentials", "[credentials.main]\n"),
        ("service", "[service]\n"),
        ("log", "[log]\n"),
        ("tls", "[tls]\n"),
    ];
    for (section, header) in sections {
        let error = Machine::with(&format!("{header}qqqqqqqqqqqq = 1\n")).error();
        let known: Vec<_> = error.split('`').skip(1).step_by(2).collect();
        assert!(!known.is_empty(), "{error}");
        for key in known {
            let there = init::SHIPPED.lines().any(|line| {
                let line = line.trim_start_matches(['#', ' ']);
                let word = line.split([' ', '=', ']']).next().unwrap_or_default().trim_start_matches('[');
                word == key || word.starts_with(&format!("{key}.")) || line.contains(&format!(" {key} = "))
            });
            assert!(there, "{section}.{key} is not in config.toml");
        }
    }
}

#[test]
fn what_is_commented_out_in_the_shipped_file_is_right_too() {
    let mut text = String::new();
    for line in init::SHIPPED.lines() {
        let bare = line.trim_start_matches("# ");
        let key = bare.split_once('=').map_or("", |(key, _)| key.trim_end());
        let is_key = !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        text += if is_key || bare.starts_with('[') { bare } else { line };
        text.push('\n');
    }
    // The two ways to give credentials are one too many for one section.
    let text = text.replacen("[credentials.main]", "[credentials.other]", 1);
    let machine = Machine::with(&text)
        .file("work/extra-roots.pem", "-----BEGIN CERTIFICATE-----\n")
        .file("work/secret", CANARY)
        .env("COINBASE_API_KEY", "a-key")
        .env("EXCHANGE_KEY", exchange::KEY)
        .env("EXCHANGE_SECRET", exchange::SECRET)
        .env("EXCHANGE_PASSPHRASE", CANARY);
    // A canary is no key: that it is not taken for one is all that may be wrong.
    if let Err(error) = machine.load() {
        let error = error.to_string();
        assert_eq!(error.lines().filter(|line| !line.contains("credentials.main.secret")).count(), 0, "{error}");
        assert!(!error.contains(CANARY));
    }
}

#[test]
fn the_first_file_of_the_search_wins() {
    let feed = |name: &str| FEED.replace("tickers", name);
    let machine = Machine::new().file("etc/tickerd/config.toml", &feed("etc"));
    assert_eq!(machine.config().feeds[0].name, "etc");
    assert_eq!(machine.config().source, Some(machine.path("etc/tickerd/config.toml")));
    let machine = machine.file("work/config.toml", &feed("here"));
    assert_eq!(machine.config().feeds[0].name, "here");
    assert_eq!(machine.config().source, Some(machine.path("work/config.toml")));
    let machine = machine.file("work/var.toml", &feed("variable")).env("TICKERD_CONFIG", "var.toml");
    assert_eq!(machine.config().feeds[0].name, "variable");
    let machine = machine.file("flag.toml", &feed("flag"));
    let flags = Flags { config: Some(machine.path("flag.toml")), ..Flags::default() };
    assert_eq!(load(&flags, &machine.around).expect("right").feeds[0].name, "flag");
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let machine = Machine::with(FEED).env("TICKERD_CONFIG", "gone.toml");
    assert_says(&machine.error(), &["gone.toml", "$TICKERD_CONFIG"]);
    let flags = Flags { config: Some("gone-too.toml".into()), ..Flags::default() };
    let error = load(&flags, &machine.around).expect_err("it is gone").to_string();
    assert_says(&error, &["gone-too.toml", "--config"]);
}

#[test]
fn with_nothing_to_do_it_says_what_to_type() {
    let error = Machine::new().error();
    assert_says(
        &error,
        &["tickerd demo", "tickerd run --channel", "tickerd init > config.toml", "etc/tickerd/config.toml"],
    );
}

#[test]
fn flags_alone_make_a_feed_and_say_which_file_is_passed_over() {
    let machine = Machine::new();
    let config = load(&flags(&["ticker_batch"], &["BTC-USD", "ETH-USD"]), &machine.around).expect("right");
    assert_eq!((config.source, config.warnings.len()), (None, 0));
    assert_eq!((config.feeds[0].name.as_str(), config.feeds[0].products.named().len()), ("advanced-trade", 2));

    let machine = Machine::with("this is not read").env("TICKERD_OUTPUT__RECORD", "envelope");
    let all = Flags {
        url: Some("ws://127.0.0.1:9".into()),
        output: Some("tape.ndjson".into()),
        feed: Some("mine".into()),
        ..flags(&["ticker"], &["BTC-USD"])
    };
    let config = load(&all, &machine.around).expect("right");
    assert_says(&config.warnings.concat(), &["config.toml is not read"]);
    assert_eq!(config.feeds[0].name, "mine");
    assert_eq!(config.feeds[0].rest, "http://127.0.0.1:9");
    assert_eq!(config.output.record, Form::Envelope);
    assert_eq!(config.output.path, Destination::File(machine.path("work/tape.ndjson")));
}

#[test]
fn an_error_in_a_flag_names_the_flag() {
    let machine = Machine::new();
    for (flags, message) in [
        (flags(&["tickr"], &["BTC-USD"]), "--channel: advanced-trade has no \"tickr\"; did you mean \"ticker\"?"),
        (flags(&["ticker"], &["ethusd"]), "--product: \"ethusd\" is not how a product is spelt: \"ETH-USD\"?"),
        (flags(&["ticker"], &[]), "--channel: \"ticker\" must be told of which; name some: --product BTC-USD,ETH-USD"),
        (Flags { venue: Some("coinbase".into()), ..flags(&["ticker"], &["A-B"]) }, "--venue: \"coinbase\" is no venue"),
        (Flags { url: Some("x".into()), ..flags(&["ticker"], &["A-B"]) }, "--url: "),
        (Flags { key_file: Some("gone".into()), ..flags(&["ticker"], &["A-B"]) }, "--key-file: "),
        (Flags { feed: Some("a/b".into()), ..flags(&["ticker"], &["A-B"]) }, "\"a/b\" is no name"),
        (Flags { config: Some("x".into()), ..flags(&["ticker"], &["A-B"]) }, "--channel: it records without"),
    ] {
        let error = load(&flags, &machine.around).expect_err(message).to_string();
        assert_says(&error, &[message]);
        assert!(!error.contains("wants it for"), "by names that nobody typed: {error}");
    }
}

#[test]
fn a_feed_is_chosen_by_name() {
    let machine = Machine::with(&format!("{FEED}{}", FEED.replace("tickers", "other").replace("ticker\"", "tickr\"")));
    let only = |name: &str| load(&Flags { feed: Some(name.into()), ..Flags::default() }, &machine.around);
    assert_eq!(only("tickers").expect("the other one is not looked at").feeds.len(), 1);
    let error = only("ticker").expect_err("not there").to_string();
    assert_says(&error, &["--feed: no feed is called \"ticker\"; did you mean \"tickers\"?"]);
}

#[test]
fn an_error_names_file_line_key_and_the_nearest_right_one() {
    for (text, message) in [
        // Keys.
        ("[output]\npth = \"-\"", "config.toml:2: output.pth: there is no such key; did you mean `path`?"),
        (
            "[[feed]]\nname = \"a\"\nchanels = []",
            "config.toml:3: feed.chanels: there is no such key; did you mean `channels`?",
        ),
        ("\n\n[outptu]", "config.toml:3: outptu: there is no such key; did you mean `output`?"),
        ("path = \"-\"", "config.toml:1: path: there is no such key; there is `output`, `feed`"),
        (
            "[output]\nrotate = { evry = \"1h\" }",
            "config.toml:2: output.rotate.evry: there is no such key; did you mean `every`?",
        ),
        (
            "[credentials.main]\nsecert = \"x\"",
            "config.toml:2: credentials.main.secert: there is no such key; did you mean `secret`?",
        ),
        // Types.
        ("[feed]\nname = \"a\"", "config.toml:1: feed: a list is expected; write [[feed]], with two brackets"),
        ("[output]\npath = 1", "config.toml:2: output.path: found integer `1`, expected a string"),
        (
            "[[feed]]\nchannels = \"ticker\"",
            "config.toml:2: feed.channels: found string \"ticker\", expected a list, as in [\"ticker_batch\"]",
        ),
        (
            "[[feed]]\nproducts = \"BTC-USD\"",
            "config.toml:2: feed.products: found string \"BTC-USD\", expected a list, as in [\"BTC-USD\"]",
        ),
        (
            "[[feed]]\nchannels = [1]",
            "config.toml:2: feed.channels: found integer `1`, expected a string, as in \"ticker_batch\"",
        ),
        ("[output]\nqueue = 32", "config.toml:2: output.queue: found integer `32`, expected a string, as in \"32MiB\""),
        (
            "[output]\nrotate = { every = 1 }",
            "config.toml:2: output.rotate.every: found integer `1`, expected a string, as in \"1h\"",
        ),
        ("[output]\nsync = true", "config.toml:2: output.sync: found boolean `true`, expected a string, as in \"1s\""),
        (
            "[service]\ndrain = [\"10s\"]",
            "config.toml:2: service.drain: found a list, expected a string, as in \"10s\"",
        ),
        ("[output]\npath = {}", "config.toml:2: output.path: found a table, expected a string"),
        ("output = 3", "config.toml:1: output: found integer `3`, expected a table"),
        // Values.
        ("[output]\nrecord = \"rwa\"", "config.toml:2: output.record: \"rwa\" is not known; did you mean \"raw\"?"),
        (
            "[output]\ncompress = \"lz4\"",
            "config.toml:2: output.compress: \"lz4\" is not known; there is \"none\", \"zstd\", \"gzip\"",
        ),
        ("[log]\nlevel = \"inof\"", "config.toml:2: log.level: \"inof\" is not known; did you mean \"info\"?"),
        (
            "[[feed]]\nif_refused = \"wiat\"",
            "config.toml:2: feed.if_refused: \"wiat\" is not known; did you mean \"wait\"?",
        ),
        (
            "[service]\nready = \"now\"",
            "config.toml:2: service.ready: \"now\" is not known; there is \"started\", \"delivering\"",
        ),
        // Not TOML.
        ("[output]\npath = \"a\"\npath = \"b\"", "config.toml:3: this is not TOML: duplicate key"),
        ("[output\n", "config.toml:1: this is not TOML: "),
    ] {
        let error = Machine::with(text).error();
        assert_says(&error, &[message]);
    }
}

#[test]
fn all_errors_are_told_at_once() {
    let error =
        Machine::with("[output]\npth = \"-\"\nrecord = \"rwa\"\n[log]\nlevel = 1\n[[feed]]\nnme = \"a\"\n").error();
    assert_eq!(error.lines().count(), 4, "{error}");
    let text = "[output]\nqueue = \"1\"\nsync = \"often\"\n[[feed]]\nchannels = [\"tickr\"]\nproducts = [\"ethusd\"]\n";
    let error = Machine::with(text).error();
    assert_eq!(error.lines().count(), 5, "{error}");
}

/// cryptofeed subscribes to `heartbeat` at Advanced Trade, where the name is `heartbeats`, and never gets one.
#[test]
fn an_error_in_a_feed_names_what_was_probably_meant() {
    let feed = |rest: &str| format!("[[feed]]\nname = \"a\"\n{rest}");
    for (rest, message) in [
        (
            "channels = [\"heartbeat\"]",
            ":3: feed.channels: advanced-trade has no \"heartbeat\"; did you mean \"heartbeats\"?",
        ),
        ("channels = [\"l2_data\"]", "did you mean \"level2\"?"),
        ("channels = [\"matches\"]", "did you mean \"market_trades\"?"),
        ("channels = [\"rfq_matches\"]", "exchange has: write a feed of its own with venue = \"exchange\""),
        ("channels = [\"orderbook\"]", "there is \"heartbeats\", \"candles\", \"status\""),
        ("channels = []", ":3: feed.channels: the feed has no channels; there is \"heartbeats\""),
        ("", ":1: feed.channels: the feed has no channels"),
        ("channels = [\n\"status\",\n\"status\"]\nproducts=[\"A-B\"]", ":5: feed.channels: \"status\" is there twice"),
        ("channels = [\"user\"]", "\"user\" is private and the feed has no credentials"),
        (
            "venue = \"advanced-trade-user\"\nchannels = [\"ticker\"]",
            ":4: feed.channels: advanced-trade-user has no \"ticker\"; advanced-trade has: write a feed of its own with \
             venue = \"advanced-trade\"",
        ),
        (
            "channels = [\"ticker\"]",
            ":1: feed.products: \"ticker\" must be told of which; name some: products = [\"BTC-USD\"]",
        ),
        ("channels = [\"ticker\"]\nproducts = []", ":4: feed.products: \"ticker\" must be told of which"),
        (
            "channels = [\"ticker\"]\nproducts = [\n  \"BTC-USD\",\n  \"ETH_USD\"\n]",
            ":6: feed.products: \"ETH_USD\" is not how a product is spelt: \"ETH-USD\"?",
        ),
        ("channels = [\"ticker\"]\nproducts = [\"A-B\", \"A-B\"]", "\"A-B\" is there twice"),
        (
            "channels = [\"ticker\"]\nproducts = [\"*-usd\"]",
            "\"*-usd\" matches no product, they are spelt in upper case with hyphens: \"*-USD\"?",
        ),
        (
            "channels = [\"ticker\"]\nproducts = [\"!DOGE-*\"]",
            ":4: feed.products: \"!DOGE-*\" takes away from a pattern, and there is none",
        ),
        (
            "venue = \"advanced_trade\"",
            ":3: feed.venue: \"advanced_trade\" is no venue; did you mean \"advanced-trade\"?",
        ),
        (
            "venue = \"prime\"",
            "\"prime\" is not built yet; there is \"advanced-trade\", \"advanced-trade-user\", \"exchange\"",
        ),
        ("venue = \"binance\"", "\"binance\" is no venue; there is \"advanced-trade\""),
        ("credentials = \"main\"", "store them: tickerd credential add main"),
        ("name = \"b\"", ":3: this is not TOML: duplicate key"),
    ] {
        assert_says(&Machine::with(&feed(rest)).error(), &[message]);
    }
    assert_says(
        &Machine::with(&FEED.replace("name = \"tickers\"\n", "")).error(),
        &[":1: feed.name: the feed has no name"],
    );
    assert_says(&Machine::with(&FEED.replace("tickers", "../x")).error(), &[":2: feed.name: \"../x\" is no name"]);
    assert_says(
        &Machine::with(&format!("{FEED}{}", FEED.replace("tick", "TICK").replace("TICKer\"", "ticker\""))).error(),
        &["another feed is called"],
    );
    assert_says(&Machine::with("").error(), &["there is no feed"]);
}

#[test]
fn an_address_is_a_host_behind_ws_or_wss() {
    let with = |url: &str| Machine::with(&format!("{FEED}{url}"));
    for (url, rest) in [
        ("url = \"wss://example.com:8443/path\"", "https://example.com:8443"),
        ("url = \"ws://127.0.0.1:80\"", "http://127.0.0.1:80"),
        ("url = \"ws://[::1]:80\"", "http://[::1]:80"),
        ("url = \"wss://advanced-trade-ws.coinbase.com\"", "https://api.coinbase.com"),
        ("url = \"wss://a.example\"\nrest = \"https://b.example/\"", "https://b.example"),
    ] {
        let config = with(url).config();
        assert_eq!(config.feeds[0].rest, rest);
        assert!(config.warnings.is_empty());
    }
    assert_says(&with("url = \"ws://example.com\"").config().warnings.concat(), &["ws://example.com is not encrypted"]);
    for (url, message) in [
        ("url = \"https://example.com\"", ":5: feed.url: \"https://\" is not spoken here; write wss://"),
        ("url = \"example.com\"", "feed.url: "),
        ("url = \"wss://\"", "feed.url: this is no URL"),
        ("url = \"wss://:80\"", "feed.url: "),
        ("url = \"wss://a:99999\"", "feed.url: "),
        ("url = \"wss://me:hunter2CANARYhunter2@a\"", "a URL that holds a name or password is refused"),
        ("url = \"wss://a/?key=hunter2CANARYhunter2\"", "a URL with a query is refused"),
        ("rest = \"wss://a\"", "feed.rest: \"wss://\" is not spoken here; write https://"),
    ] {
        let error = with(url).error();
        assert_says(&error, &[message]);
        assert!(!error.contains(CANARY));
    }
}

#[test]
fn an_output_is_checked_and_events_find_their_place() {
    let machine = Machine::with(&format!(
        "[output]\npath = \"{{feed}}/tape.ndjson\"\nsync = \"500ms\"\nqueue = \"1MiB\"\n{FEED}"
    ));
    let output = machine.config().output;
    assert_eq!(output.path, Destination::File(machine.path("work/{feed}/tape.ndjson")));
    assert_eq!(output.events, Events::File(machine.path("work/{feed}/tape.events")));
    assert_eq!((output.sync, output.queue), (Sync::Every(Duration::from_millis(500)), 1 << 20));

    let events = |output: &str| Machine::with(&format!("[output]\n{output}\n{FEED}"));
    let machine = events("path = \"t\"").env("STATE_DIRECTORY", "/var/lib/tickerd:/var/lib/other");
    assert_eq!(machine.config().output.path, Destination::File("/var/lib/tickerd/t".into()));
    assert_eq!(machine.config().output.events, Events::File("/var/lib/tickerd/t.events".into()));
    assert_eq!(events("path = \"/a/t.{feed}\"").config().output.events, Events::File("/a/t.{feed}.events".into()));
    assert_eq!(events("path = \"/dev/stdout\"").config().output.path, Destination::Stdout, "the journal, at that");
    assert_eq!(events("record = \"envelope\"").config().output.events, Events::Inline);
    assert_eq!(events("path = \"/t\"\nevents = \"log\"").config().output.events, Events::Log);
    assert_eq!(events("events = \"/a/b\"").config().output.events, Events::File("/a/b".into()));
    let elsewhere = events("path = \"/a/t.ndjson\"\nevents = \"/a/what.ndjson\"").config().warnings.concat();
    assert_says(&elsewhere, &["looks for what a raw tape owns up to in /a/t.events"]);
    assert_eq!(events("sync = \"always\"").config().output.sync, Sync::Always);
    assert_eq!(events("sync = \"always\"").config().output.when_slow, WhenSlow::Block);
    assert_eq!(events("when_slow = \"drop\"").config().output.when_slow, WhenSlow::Drop);

    for (output, message) in [
        ("path = \"\"", ":2: output.path: this is no path"),
        ("path = \"/dev/stderr\"", ":2: output.path: stderr is for the log"),
        ("path = \"a/\"", "is a folder; name a file in it, as in \"a/tape.ndjson\""),
        ("path = \".\"", "is a folder"),
        ("path = \"{fed}.ndjson\"", "only \"{feed}\" is known in braces"),
        ("events = \"inlin\"", ":2: output.events: did you mean \"inline\"?"),
        ("events = \"-\"", "write \"inline\""),
        ("path = \"a\"\nevents = \"a\"", ":3: output.events: this is the file of the records"),
        ("sync = \"nevr\"", "did you mean \"never\"?"),
        ("sync = \"1\"", "\"1\" is no duration; write it as \"10s\""),
        ("queue = \"32 hectares\"", "\"32 hectares\" is no size; write it as \"32MiB\""),
        ("queue = \"1MB\"", "1MiB is the least"),
        ("when_slow = \"drp\"", ":2: output.when_slow: \"drp\" is not known"),
        ("rotate = { every = \"x\", size = \"y\" }", "output.rotate.every: \"x\" is no duration"),
        ("rotate = { every = \"10ms\" }", ":2: output.rotate.every: \"10ms\" is too little; 1s is the least"),
        ("rotate = { size = \"1kB\" }", ":2: output.rotate.size: \"1kB\" is too little; 64KiB is the least"),
        ("keep = { free = \"x\" }", ":2: output.keep.free: \"x\" is no size"),
    ] {
        assert_says(&events(output).error(), &[message]);
    }
    let segments = "rotate = { every = \"1h\", size = \"1GiB\" }\ncompress = \"zstd\"\n\
                 keep = { age = \"30d\", size = \"500GiB\", free = \"5GiB\" }\nwhen_slow = \"block\"";
    let warnings = events(segments).config().warnings;
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings.iter().all(|warning| warning.contains("it does nothing")));
    let config = events(&format!("path = \"t\"\n{segments}")).config();
    assert_eq!(config.warnings, [""; 0]);
    let hour = Some(Duration::from_secs(3600));
    assert_eq!(config.output.rotate, Rotate { every: hour, size: Some(1 << 30) });
    let keep = Keep { age: hour.map(|hour| hour * 720), size: Some(500 << 30), free: Some(5 << 30) };
    assert_eq!((config.output.keep, config.output.compress), (keep, Packing::Zstd));
    let warnings = events("path = \"t\"\ncompress = \"gzip\"").config().warnings;
    assert!(warnings[0].contains("without output.rotate"), "{warnings:?}");
}

/// Of level2 a snapshot has five megabytes: with room for less than two, one would go while another is written.
/// Afterwards nobody can tell what is missing of which.
#[test]
fn raw_records_that_would_be_mixed_in_one_file_are_warned_of() {
    let products: Vec<_> = (0..31).map(|i| format!("\"P{i}-USD\"")).collect();
    let spread = format!("[[feed]]\nname = \"books\"\nchannels = [\"level2\"]\nproducts = [{}]\n", products.join(", "));
    let exchange = "[[feed]]\nname = \"ex\"\nvenue = \"exchange\"\nchannels = [\"ticker\"]\nproducts = [\"BTC-USD\"]\n";
    let with = |output: &str, feeds: &[&str]| {
        let text = format!("[output]\n{output}\n{}", feeds.concat());
        Machine::with(&text).config().warnings.concat()
    };
    assert_says(
        &with("path = \"t\"", &[FEED, exchange]),
        &["do not say which feed", "{feed}", "record = \"envelope\""],
    );
    assert_says(&with("path = \"t\"", &[&spread]), &["do not say which connection", "\"books\" needs 2"]);
    assert_says(&with("path = \"{feed}\"", &[FEED, &spread]), &["\"books\" needs 2"]);
    for (output, feeds) in [
        ("path = \"t\"", &[FEED][..]),
        ("path = \"{feed}\"", &[FEED, exchange]),
        ("path = \"t\"\nrecord = \"envelope\"", &[FEED, &spread]),
        ("path = \"-\"", &[FEED, &spread]),
    ] {
        assert_eq!(with(output, feeds), "", "{output}");
    }
}

#[test]
fn check_says_what_becomes_of_segments_and_for_how_long_there_is_room() {
    let printed = |output: &str| {
        let config = Machine::with(&format!("[output]\n{output}\n{FEED}")).config();
        let (mut text, mut json) = (Vec::new(), Vec::new());
        check::print(&config, &mut text).expect("memory");
        check::print_json(&config, &mut json).expect("memory");
        let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
        (String::from_utf8(text).expect("UTF-8"), json["output"].clone())
    };
    let (text, json) = printed("path = \"t\"");
    assert_says(&text, &["on USR1 alone", "all: nothing is ever removed", "over all feeds", " free; full in "]);
    assert!(json["forecast"]["bytes_a_day"].is_u64() && json["forecast"]["full_in_ms"].is_u64(), "{json}");
    let rules = "path = \"t\"\ncompress = \"zstd\"\nrotate = { every = \"1h\" }\nkeep = { size = \"1MiB\" }";
    let (text, json) = printed(rules);
    assert_says(&text, &["every 1h, by UTC", "zstd, about 10 to one", "1.0 MiB at most", " on the disk"]);
    assert_says(&text, &["free; output.keep holds the recording to about"]);
    assert_eq!(json["rotate"]["every_ms"], 3_600_000);
    assert_eq!((&json["keep"]["size"], &json["forecast"]["full_in_ms"]), (&(1 << 20).into(), &serde_json::Value::Null));
    let (text, _) = printed("path = \"t\"\nrotate = { every = \"1h\" }\nkeep = { free = \"16000000GiB\" }");
    assert_says(&text, &["asks for more than that, and nothing is removed for it"]);
    let (text, json) = printed("path = \"-\"");
    assert!(!text.contains("free") && json["forecast"].is_null(), "{text}");
}

#[test]
fn a_queue_too_small_to_drop_from_is_warned_of() {
    for (output, warnings) in
        [("queue = \"4MiB\"\nwhen_slow = \"drop\"", 1), ("queue = \"4MiB\"", 0), ("when_slow = \"drop\"", 0)]
    {
        let feed = FEED.replace("[\"ticker", "[\"level2\", \"ticker");
        assert!(feed.contains("level2"), "{feed}");
        let config = Machine::with(&format!("[output]\n{output}\n{feed}")).config();
        assert_eq!(config.warnings.len(), warnings, "{:?}", config.warnings);
        assert!(config.warnings.iter().all(|warning| warning.contains("messages of level2 may be dropped")));
    }
}

#[test]
fn a_variable_overrides_a_key() {
    let config = Machine::with(&format!("{FEED}[log]\nlevel = \"warn\""))
        .env("TICKERD_OUTPUT__PATH", "/data/tape.ndjson")
        .env("TICKERD_LOG__LEVEL", "debug")
        .env("TICKERD_OUTPUT__QUEUE", "\"2MiB\"")
        .env("TICKERD_FEED__tickers__URL", "ws://127.0.0.1:1")
        .env("TICKERD_FEED__TICKERS__PRODUCTS", "[\"SOL-USD\"]")
        .config();
    assert_eq!(config.output.path, Destination::File("/data/tape.ndjson".into()));
    assert_eq!(config.log.level, tracing::Level::DEBUG);
    assert_eq!(config.output.queue, 2 << 20);
    assert_eq!(
        (config.feeds[0].url.as_str(), config.feeds[0].products.named()[0].as_str()),
        ("ws://127.0.0.1:1", "SOL-USD")
    );
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn an_error_in_a_variable_names_the_variable() {
    for (name, value, message) in [
        (
            "TICKERD_OUTPUT__RECORD",
            "rwa",
            "TICKERD_OUTPUT__RECORD: output.record: \"rwa\" is not known; did you mean \"raw\"?",
        ),
        ("TICKERD_OUTPUT__PTH", "x", "TICKERD_OUTPUT__PTH: output.pth: there is no such key; did you mean `path`?"),
        ("TICKERD_OUTPUT__PATH", "1", "TICKERD_OUTPUT__PATH: output.path: found integer `1`"),
        ("TICKERD_SERVICE__DRAIN", "long", "TICKERD_SERVICE__DRAIN: service.drain: \"long\" is no duration"),
        (
            "TICKERD_FEED__tickrs__URL",
            "x",
            "TICKERD_FEED__tickrs__URL: feed.tickrs.url: no feed is called \"tickrs\"; did you mean \"tickers\"?",
        ),
        (
            "TICKERD_FEED__tickers__CHANNELS",
            "[\"tickr\"]",
            "TICKERD_FEED__tickers__CHANNELS: feed.channels: advanced-trade has no",
        ),
        (
            "TICKERD_CREDENTIALS__main__SECRET",
            CANARY,
            "TICKERD_CREDENTIALS__main__SECRET: credentials.main.secret: a secret does not belong",
        ),
    ] {
        let uses = format!("{FEED}credentials = \"main\"\n[credentials.main]\nkey = \"k\"\nsecret = {{ env = \"S\" }}");
        let error = Machine::with(&uses).env("S", "s").env(name, value).error();
        assert_says(&error, &[message]);
        assert!(!error.contains(CANARY));
    }
}

#[test]
fn other_variables_are_warned_of_and_not_obeyed() {
    // Kubernetes sets such variables for a service called tickerd.
    for name in ["TICKERD_SERVICE_HOST", "TICKERD_PORT", "TICKERD_OUTPTU__PATH", "TICKERD_FEED__URL", "TICKERD_SECRET"]
    {
        let config = Machine::with(FEED).env(name, CANARY).env("HOME", "/root").config();
        assert_eq!(config.warnings.len(), 1, "{name}");
        assert_says(&config.warnings[0], &[name, "is not obeyed"]);
        assert!(!config.warnings[0].contains(CANARY));
    }
}

#[test]
fn a_secret_in_the_file_is_refused_and_not_shown() {
    let signed = format!("{FEED}credentials = \"main\"\n[credentials.main]\n");
    for (typed, message) in [
        (
            "key = \"k\"\nsecret = \"hunter2CANARYhunter2\"",
            ":8: credentials.main.secret: a secret does not belong into the configuration",
        ),
        (
            "key = \"k\"\nsecret = { value = \"hunter2CANARYhunter2\" }",
            ":8: credentials.main.secret: this says no source; write { env =",
        ),
        ("key = \"k\"\nsecret = { hunter2CANARYhunter2 = 1 }", "this says no source"),
        ("key = \"k\"\nsecret = [\"hunter2CANARYhunter2\"]", "this says no source"),
        ("key = \"k\"\nsecret = { env = \"hunter2CANARYhunter2\" }", "the variable named here is not set or empty"),
        ("key = \"k\"\nsecret = { file = \"hunter2CANARYhunter2==\" }", "a secret does not belong"),
        ("key = \"k\"\nsecret = { credential = \"hunter2CANARYhunter2/+=\" }", "this is no name of a credential"),
        (
            "key = \"-----BEGIN hunter2CANARYhunter2\"\nsecret = { env = \"S\" }",
            ":7: credentials.main.key: a secret does not belong",
        ),
        (
            "key_file = '{\"privateKey\":\"hunter2CANARYhunter2\"}'",
            ":7: credentials.main.key_file: a secret does not belong",
        ),
        ("key_file = { text = \"hunter2CANARYhunter2\" }", "credentials.main.key_file: this is no path"),
        (
            "scheme = \"hunter2CANARYhunter2\"",
            ":7: credentials.main.scheme: there is no such value; there is \"auto\", \"jwt\", \"hmac\"",
        ),
        ("key = \"k\"\nsecret = \"hunter2CANARYhunter2", "this is not TOML"),
    ] {
        let error = Machine::with(&format!("{signed}{typed}")).env("S", "s").error();
        assert_says(&error, &[message]);
        assert!(!error.contains(CANARY) && !error.contains("CANARY"), "{error}");
    }
    for text in [
        "credentials = \"hunter2CANARYhunter2\"".to_owned(),
        "[credentials]\nmain = \"hunter2CANARYhunter2\"".to_owned(),
        format!("{FEED}credentials = \"hunter2CANARYhunter2\"\n[credentials.main]\nkey = \"k\""),
        format!("{FEED}secret = \"hunter2CANARYhunter2\""),
    ] {
        let error = Machine::with(&text).error();
        assert!(!error.contains(CANARY), "{error}");
    }
}

#[test]
fn what_is_missing_is_named_with_who_wants_it() {
    let signed = format!("{FEED}credentials = \"main\"\n[credentials.main]\n");
    let wants = "wants it for credentials \"main\"";
    for (typed, parts) in [
        (
            "key = \"k\"\nsecret = { env = \"COINBASE_SECRET\" }",
            ["$COINBASE_SECRET is not set", "feed \"tickers\" wants it"],
        ),
        (
            "key = { env = \"COINBASE_KEY\" }\nsecret = { env = \"S\" }",
            [":7: credentials.main.key: $COINBASE_KEY is not set", wants],
        ),
        ("key = \"k\"\nsecret = { file = \"gone\" }", ["work/gone can not be read", wants]),
        ("key = \"k\"\nsecret = { credential = \"gone\" }", ["etc/credstore/gone can not be read", wants]),
        ("key_file = \"gone.json\"", ["work/gone.json can not be read", wants]),
        ("key = \"k\"", [":6: credentials.main: there is no `secret`", "key_file"]),
        ("secret = { env = \"S\" }", [":6: credentials.main: there is no `key`", "write key ="]),
        ("key_file = \"a\"\nkey = \"k\"", ["credentials.main.key_file: the file holds key and secret", "leave"]),
        ("key_file = \"a\"\nscheme = \"hmac\"", [":8: credentials.main.scheme: a key file holds a CDP key", ""]),
        ("key = \"k\"\nsecret = { file = \"blank\" }", ["work/blank is empty", ""]),
    ] {
        let machine = Machine::with(&format!("{signed}{typed}")).env("S", "s").file("work/blank", " \n");
        assert_says(&machine.error(), &parts);
    }
}

/// A feed that signs with an HMAC key from `secret`.
fn hmac(secret: &str) -> String {
    format!(
        "{FEED}credentials = \"main\"\n[credentials.main]\nscheme = \"hmac\"\nkey = {{ env = \"KEY\" }}\nsecret = {secret}\n"
    )
}

#[cfg(unix)]
fn chmod(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its owner may");
}

#[test]
fn credentials_are_read_from_where_they_are() {
    for (secret, from) in [
        ("{ env = \"S\" }", "$S"),
        ("{ file = \"secret\" }", "work/secret"),
        ("{ credential = \"secret\" }", "run/secret)"),
    ] {
        let machine = Machine::with(&hmac(secret)).env("KEY", "a-key").env("S", CANARY).file("work/secret", CANARY);
        fs::create_dir(machine.path("run")).expect("a folder");
        let folder = machine.path("run").display().to_string();
        let machine = machine.file("run/secret", CANARY).env("CREDENTIALS_DIRECTORY", &folder);
        chmod(&machine.path("work/secret"), 0o600);
        chmod(&machine.path("run/secret"), 0o400);
        let config = machine.config();
        assert_eq!(config.credentials[0].key_from, "$KEY");
        assert_says(&config.credentials[0].secret_from, &[from]);
        let credentials = config.feeds[0].credentials.as_ref().expect("the feed signs");
        assert_eq!((credentials.key(), credentials.algorithm()), ("a-key", "HMAC-SHA256"));
        assert_eq!(config.warnings.len(), 1);
        assert_says(&config.warnings[0], &["February 2025", "CDP key"]);
        assert!(!format!("{config:?}").contains(CANARY));
    }
}

#[test]
fn a_secret_that_everyone_can_read_is_said() {
    let machine = Machine::with(&hmac("{ file = \"secret\" }")).env("KEY", "a-key").file("work/secret", CANARY);
    chmod(&machine.path("work/secret"), 0o644);
    assert_says(&machine.config().warnings.concat(), &["everyone can read it: chmod 600 ", "work/secret"]);
}

#[test]
fn credentials_that_no_feed_uses_are_not_read() {
    let config = Machine::with(&format!("{FEED}[credentials.spare]\nkey_file = \"gone\"")).config();
    assert_eq!(config.warnings, ["no feed uses [credentials.spare]: it is not read"]);
    let error = credentials(Path::new("config.toml"), &Machine::with(&hmac("{ env = \"GONE\" }")).around);
    assert_says(&error.expect_err("they are gone").to_string(), &["$GONE is not set", "the simulator wants it"]);
    let machine =
        Machine::with(&hmac("{ env = \"S\" }").replace("credentials = \"main\"\n", "")).env("KEY", "k").env("S", "s");
    assert_eq!(credentials(Path::new("config.toml"), &machine.around).expect("right")[0].key(), "k");
}

#[test]
fn credentials_go_only_over_tls_or_to_loopback() {
    let at = |url: &str| {
        let text = hmac("{ env = \"S\" }").replace("[credentials", &format!("{url}\n[credentials"));
        Machine::with(&text).env("KEY", "a-key").env("S", CANARY)
    };
    for url in ["ws://localhost:1", "ws://127.8.8.8", "ws://[::1]:1", "wss://example.com"] {
        at(&format!("url = \"{url}\"")).config();
    }
    for (url, message) in [
        ("url = \"ws://example.com\"", ":6: feed.url: the credentials would go over the network unencrypted"),
        ("url = \"ws://localhost.example.com\"", "unencrypted"),
        ("url = \"ws://127.0.0.1.example.com\"", "unencrypted"),
        ("rest = \"http://example.com\"", ":6: feed.rest: the credentials would go over the network unencrypted"),
    ] {
        assert_says(&at(url).error(), &[message]);
    }
}

#[test]
fn a_certificate_must_be_one() {
    let tls = format!("{FEED}[tls]\nca_file = \"roots.pem\"");
    assert_says(&Machine::with(&tls).error(), &[":6: tls.ca_file: ", "work/roots.pem can not be read"]);
    assert_says(&Machine::with(&tls).file("work/roots.pem", "x").error(), &["holds no certificate in PEM"]);
    let machine = Machine::with(&tls).file("work/roots.pem", "-----BEGIN CERTIFICATE-----\n");
    assert_eq!(machine.config().ca_file, Some(machine.path("work/roots.pem")));
}

#[test]
fn a_file_without_end_is_not_read_to_it() {
    let flags = Flags { config: Some("/dev/zero".into()), ..Flags::default() };
    let error = load(&flags, &Machine::new().around).expect_err("no configuration").to_string();
    assert_says(&error, &["/dev/zero", "longer than 1.0 MiB"]);
}

#[test]
fn check_prints_what_would_be_done_and_no_secret() {
    let products: Vec<_> = (0..31).map(|i| format!("\"P{i}-USD\"")).collect();
    let text = hmac("{ env = \"S\" }")
        .replace("[\"ticker\"]", "[\"level2\", \"ticker\"]")
        .replace("\"BTC-USD\"", &products.join(", "));
    let config = Machine::with(&text).env("KEY", "a-key").env("S", CANARY).config();
    let mut printed = Vec::new();
    check::print(&config, &mut printed).expect("memory takes all");
    let printed = String::from_utf8(printed).expect("text");
    assert_says(
        &printed,
        &[
            "work/config.toml",
            "output          stdout\n",
            "  key           from $KEY\n",
            "  secret        from $S\n",
            "HMAC-SHA256",
            "  connection 1  heartbeats\n",
            "level2 of P0-USD, P1-USD, P2-USD, P3-USD, P4-USD, P5-USD and 24 more",
            "  connection 2  heartbeats\n                level2 of P30-USD\n",
            "  longest line  about 5.1 MB\n",
            "  a day         about 101.1 GB",
            "warning         the credentials are an HMAC key",
        ],
    );
    let mut json = Vec::new();
    check::print_json(&config, &mut json).expect("memory takes all");
    let value: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(value["feeds"][0]["connections"][1][1]["products"][0], "P30-USD");
    assert_eq!(value["feeds"][0]["longest_line"], 5_100_000);
    assert_eq!(value["credentials"][0]["secret_from"], "$S");
    assert_eq!(value["output"]["record"], "raw");
    assert!(!printed.contains(CANARY) && !String::from_utf8_lossy(&json).contains(CANARY));
    assert_eq!(Secret::new(CANARY.to_owned()).expose(), CANARY, "the canary is what is looked for");
}

#[test]
fn check_shows_patterns_as_they_are() {
    let text = FEED.replace("[\"BTC-USD\"]", "[\"!DOGE-*\", \"*-USD\", \"BTC-EUR\"]");
    let config = Machine::with(&text).config();
    let (mut printed, mut json) = (Vec::new(), Vec::new());
    check::print(&config, &mut printed).expect("memory takes all");
    let printed = String::from_utf8(printed).expect("text");
    let line = "  channels      ticker\n  products      BTC-EUR, *-USD, !DOGE-*; resolved at start and each hour\n";
    assert_says(&printed, &[line]);
    check::print_json(&config, &mut json).expect("memory takes all");
    let value: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(value["feeds"][0]["products"], serde_json::json!(["BTC-EUR", "*-USD", "!DOGE-*"]));
    assert!(value["feeds"][0]["connections"].is_null(), "nobody knows yet");
}

#[test]
fn a_proxy_that_is_none_is_told_by_what_was_typed() {
    for (url, said) in [
        (
            "https://p:3128",
            ":6: net.proxy: this names a proxy that is spoken to over TLS (https://), which is not built: write \
             http://HOST:PORT or socks5://HOST:PORT; what goes through is encrypted end to end in any case",
        ),
        ("ftp://p", ":6: net.proxy: this is no proxy that is known here: http://HOST:PORT"),
        ("http://:80", ":6: net.proxy: this names no host: "),
    ] {
        assert_says(&Machine::with(&format!("{FEED}[net]\nproxy = \"{url}\"\n")).error(), &[said]);
        let variable = Machine::with(&format!("{FEED}[net]\nproxy = {{ env = \"PROXY\" }}\n")).env("PROXY", url);
        assert_says(&variable.error(), &[&said.replace("this ", "$PROXY ")]);
    }
}

#[test]
fn a_reload_names_what_is_reached_otherwise_and_where_metrics_are() {
    let before = Machine::with(FEED).config();
    let after = Machine::with(&format!("{FEED}[net]\nip = \"4\"\n[http]\nlisten = \"127.0.0.1:9273\"\n")).config();
    assert_eq!(before.changes(&after), ["net.ip", "http.listen"]);
    assert_eq!(before.changes(&Machine::with(FEED).config()), [""; 0]);
    let through = |url| Machine::with(FEED).env("https_proxy", url).config();
    let (old, new) = (through("http://user:one@proxy"), through("http://user:two@proxy"));
    assert_eq!(old.changes(&new), ["net.proxy"], "a login that is another, though neither is shown");
    let both = format!("{FEED}[net]\nip = \"4\"\nbind = \"2001:db8::7\"\n");
    assert_says(&Machine::with(&both).error(), &[":6: net.ip: net.bind is an address of the other family"]);
    let inline = format!("{FEED}[net]\nproxy = \"http://user:hunter2@proxy\"\n");
    let told = Machine::with(&inline).error();
    assert_says(&told, &[":6: net.proxy: a password does not belong into the configuration"]);
    assert!(!told.contains("hunter2"), "{told}");
}
