//! What Coinbase Exchange wants of a configuration, and Advanced Trade does not: a passphrase, an endpoint, accounts.

use serde_json::Value;
use tickerd::{auth::Mended, verdict::Mistake};

use super::*;

/// Of the form that the Exchange hands out, and of nobody.
pub const KEY: &str = "0123456789abcdef0123456789abcdef";
pub const SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg==";
const ACCOUNT: &str = "7d0f7d8e-dd34-4d9c-a846-06f431c381ba";

const PASSPHRASE: &str = "passphrase = { env = \"P\" }\n";

/// A feed of the Exchange, and credentials whose passphrase is said in `passphrase`.
fn signed(feed: &str, passphrase: &str) -> Machine {
    let text = format!(
        "[[feed]]\nname = \"tape\"\nvenue = \"exchange\"\n{feed}\ncredentials = \"main\"\n[credentials.main]\nkey = \
         \"{KEY}\"\nsecret = {{ env = \"S\" }}\n{passphrase}"
    );
    Machine::with(&text).env("S", SECRET).env("P", CANARY)
}

/// A feed of the Exchange without credentials.
fn unsigned(feed: &str) -> Machine {
    Machine::with(&format!("[[feed]]\nname = \"tape\"\nvenue = \"exchange\"\n{feed}\n"))
}

const FULL: &str = "channels = [\"full\"]\nproducts = [\"BTC-USD\"]";

#[test]
fn a_passphrase_is_read_from_where_it_is() {
    for (passphrase, from) in [
        ("passphrase = { env = \"P\" }", "$P"),
        ("passphrase = { file = \"phrase\" }", "work/phrase"),
        ("passphrase = { credential = \"phrase\" }", "etc/credstore/phrase)"),
    ] {
        let machine = signed(FULL, passphrase);
        fs::create_dir(machine.path("etc/credstore")).expect("a folder");
        let machine = machine.file("work/phrase", &format!(" {CANARY}\r\n")).file("etc/credstore/phrase", CANARY);
        for path in ["work/phrase", "etc/credstore/phrase"] {
            chmod(&machine.path(path), 0o600);
        }
        let config = machine.config();
        assert_says(config.credentials[0].passphrase_from.as_deref().unwrap_or_default(), &[from]);
        let credentials = config.feeds[0].credentials.as_ref().expect("the feed signs");
        assert_eq!((credentials.key(), credentials.algorithm()), (KEY, "HMAC-SHA256"));
        assert_eq!(credentials.passphrase().map(Secret::expose), Some(CANARY), "it is trimmed");
        let mended: &[_] = if from == "work/phrase" { &[Mended::WhiteSpace] } else { &[] };
        assert_eq!(credentials.mended(), mended, "and that is said: {from}");
        assert!(config.warnings.is_empty(), "HMAC is how one signs here: {:?}", config.warnings);
        assert!(!format!("{config:?}").contains(CANARY));
    }
    let machine = signed(FULL, "passphrase = { file = \"phrase\" }").file("work/phrase", CANARY);
    chmod(&machine.path("work/phrase"), 0o644);
    assert_says(&machine.config().warnings.concat(), &["everyone can read it: chmod 600 ", "work/phrase"]);
}

#[test]
fn a_passphrase_in_the_file_is_refused_as_a_secret_is() {
    for (typed, message) in [
        ("passphrase = \"hunter2CANARYhunter2\"", ":10: credentials.main.passphrase: a secret does not belong into"),
        ("passphrase = { value = \"hunter2CANARYhunter2\" }", ":10: credentials.main.passphrase: this says no source"),
        ("passphrase = { env = \"hunter2CANARYhunter2\" }", "the variable named here is not set or empty"),
        (
            "passphrase = { env = \"GONE\" }",
            "credentials.main.passphrase: $GONE is not set or empty; feed \"tape\" wants",
        ),
        ("passphrase = { env = \"BLANK\" }", "credentials.main.passphrase: $BLANK is empty"),
        ("passphrase = { file = \"blank\" }", "work/blank is empty"),
    ] {
        let error = signed(FULL, typed).env("BLANK", " ").file("work/blank", " \n").error();
        assert_says(&error, &[message]);
        assert!(!error.contains(CANARY) && !error.contains(SECRET), "{error}");
    }
    let machine = signed(FULL, "").env("TICKERD_CREDENTIALS__main__PASSPHRASE", CANARY);
    let error = machine.error();
    assert_says(
        &error,
        &["TICKERD_CREDENTIALS__main__PASSPHRASE: credentials.main.passphrase: a secret does not belong"],
    );
    assert!(!error.contains(CANARY));
}

#[test]
fn a_key_file_holds_all_three_parts_or_two_of_them() {
    let with = |json: &str, more: &str| {
        let text = format!(
            "[[feed]]\nname = \"tape\"\nvenue = \"exchange\"\n{FULL}\ncredentials = \"main\"\n[credentials.main]\nkey_file = \
             \"key.json\"\n{more}"
        );
        let machine = Machine::with(&text).file("work/key.json", json).env("P", CANARY);
        chmod(&machine.path("work/key.json"), 0o600);
        machine
    };
    let three = format!(r#"{{"key":"{KEY}","secret":"{SECRET}","passphrase":"{CANARY}"}}"#);
    let two = format!(r#"{{"key":"{KEY}","secret":"{SECRET}"}}"#);
    for (json, more, from) in [(&three, "", "work/key.json"), (&two, PASSPHRASE, "$P")] {
        let config = with(json, more).config();
        assert_says(&config.credentials[0].secret_from, &["work/key.json"]);
        assert_says(config.credentials[0].passphrase_from.as_deref().unwrap_or_default(), &[from]);
        let credentials = config.feeds[0].credentials.as_ref().expect("the feed signs");
        assert_eq!(credentials.passphrase().map(Secret::expose), Some(CANARY));
    }
    let both = with(&three, PASSPHRASE).error();
    assert_says(&both, &[":9: credentials.main.passphrase: ", "work/key.json holds one: leave one of the two out"]);
    let none = with(&two, "").error();
    assert_says(&none, &["feed \"tape\" can not sign with \"main\"", "they have no passphrase"]);
    assert!(!both.contains(CANARY) && !none.contains(SECRET));
}

/// coinbase-advanced-py#64, exchange-scripts-py#18: another venue's key was told as "authentication failure", and looked for
/// in the code.
#[test]
fn credentials_that_do_not_fit_the_venue_are_told_before_it_refuses_them() {
    let cdp = "[credentials.main]\nkey = \"organizations/a/apiKeys/b\"\nsecret = { env = \"ED\" }\n";
    let exchange = format!("[credentials.main]\nkey = \"{KEY}\"\nsecret = {{ env = \"S\" }}\n");
    let feed = |venue: &str| {
        format!(
            "[[feed]]\nname = \"tape\"\nvenue = \"{venue}\"\nchannels = [\"ticker\"]\nproducts = [\"A-B\"]\ncredentials = \"main\"\n"
        )
    };
    let odd = exchange.replace("\"S\"", "\"ODD\"");
    for (venue, credentials, parts, mistake) in [
        (
            "exchange",
            cdp.to_owned(),
            ["they are a CDP key, which exchange does not know", "exchange.coinbase.com"],
            Mistake::OtherVenuesKey,
        ),
        (
            "exchange",
            exchange.clone(),
            ["they have no passphrase, and exchange wants", "passphrase = { env"],
            Mistake::Passphrase,
        ),
        ("exchange", odd + PASSPHRASE, ["their secret is no base64", "copy it again"], Mistake::SecretDecoding),
        (
            "advanced-trade",
            exchange.clone() + PASSPHRASE,
            ["they have a passphrase", "make a CDP key"],
            Mistake::OtherVenuesKey,
        ),
    ] {
        let machine = Machine::with(&(feed(venue) + &credentials)).env("S", SECRET).env("P", CANARY);
        let machine = machine.env("ED", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=").env("ODD", "hunter2hunter2");
        let ConfigError::Wrong(problems) = machine.load().expect_err("unfit") else { panic!("it was read") };
        let [problem] = &problems[..] else { panic!("{problems:?}") };
        let told = problem.to_string();
        assert_says(&told, &["config.toml:6: feed.credentials: feed \"tape\" can not sign with \"main\": "]);
        assert_says(&told, &parts);
        assert_eq!(problem.mistake, Some(mistake), "{told}");
        assert!(!told.contains(CANARY) && !told.contains("hunter2") && !told.contains(SECRET));
    }
    let with_passphrase = Machine::with(&(feed("advanced-trade") + cdp + PASSPHRASE)).env("P", CANARY);
    let error = with_passphrase.env("ED", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=").error();
    assert_says(&error, &["credentials.main.passphrase: ", "leave it out"]);
}

/// The doctor's remedy goes by it: another endpoint of one exchange is where to go, another exchange's channel is no channel.
#[test]
fn another_exchanges_channel_is_a_name_and_another_endpoints_a_place() {
    for (venue, channel, mistake) in [
        ("exchange", "candles", Mistake::ChannelName),
        ("advanced-trade", "level3", Mistake::ChannelName),
        ("advanced-trade-user", "ticker", Mistake::PrivateChannel),
    ] {
        let feed = format!(
            "[[feed]]\nname = \"tape\"\nvenue = \"{venue}\"\nchannels = [\"{channel}\"]\nproducts = [\"A-B\"]\n"
        );
        let ConfigError::Wrong(problems) = Machine::with(&feed).load().expect_err("elsewhere") else {
            panic!("{feed}")
        };
        assert_eq!(problems[0].mistake, Some(mistake), "{}", problems[0]);
    }
}

#[test]
fn one_pair_signs_at_both_venues_only_where_it_fits_both() {
    let text = format!("{FEED}credentials = \"main\"\n");
    let machine = signed(FULL, PASSPHRASE);
    let both = format!("{text}{}", fs::read_to_string(machine.path("work/config.toml")).expect("ours"));
    let machine = machine.file("work/config.toml", &both);
    let error = machine.error();
    assert_eq!(error.lines().count(), 1, "the Exchange's feed is right: {error}");
    assert_says(&error, &["feed \"tickers\" can not sign with \"main\": they have a passphrase"]);
}

#[test]
fn an_endpoint_says_url_rest_and_where_to_go_meanwhile() {
    let (feed, direct) = ("wss://ws-feed.exchange.coinbase.com", "wss://ws-direct.exchange.coinbase.com");
    let sandbox = "wss://ws-feed-public.sandbox.exchange.coinbase.com";
    let (rest, sandbox_rest) =
        ("https://api.exchange.coinbase.com", "https://api-public.sandbox.exchange.coinbase.com");
    for (typed, url, rest, failover) in [
        ("", feed, rest, None),
        ("endpoint = \"feed\"", feed, rest, None),
        ("endpoint = \"direct\"", direct, rest, Some(feed)),
        ("endpoint = \"sandbox\"", sandbox, sandbox_rest, None),
        ("endpoint = \"direct\"\nrest = \"https://proxy.example\"", direct, "https://proxy.example", Some(feed)),
        // Who writes an address means that one; its REST interface is not on its host.
        (&format!("url = \"{direct}\""), direct, rest, None),
        (&format!("url = \"{sandbox}\""), sandbox, sandbox_rest, None),
        ("url = \"wss://proxy.example\"", "wss://proxy.example", "https://proxy.example", None),
    ] {
        let config = signed(&format!("{FULL}\n{typed}"), PASSPHRASE).config();
        let found = &config.feeds[0];
        assert_eq!(
            (found.url.as_str(), found.rest.as_str(), found.failover.as_deref()),
            (url, rest, failover),
            "{typed}"
        );
    }
    let config = signed(FULL, PASSPHRASE).env("TICKERD_FEED__tape__ENDPOINT", "direct").config();
    assert_eq!(config.feeds[0].url, direct);
}

#[test]
fn an_endpoint_that_can_not_be_meant_is_an_error() {
    let ticker = "channels = [\"ticker\"]\nproducts = [\"BTC-USD\"]\n";
    for (typed, message) in [
        ("endpoint = \"drect\"", ":6: feed.endpoint: exchange has no endpoint \"drect\"; did you mean \"direct\"?"),
        ("endpoint = \"eu\"", "there is \"feed\", \"direct\", \"sandbox\", \"sandbox-direct\""),
        (
            "endpoint = \"direct\"",
            ":6: feed.endpoint: \"direct\" answers signed subscribes alone and the feed has no credentials",
        ),
        ("url = \"wss://ws-direct.exchange.coinbase.com\"", ":6: feed.url: \"direct\" answers signed subscribes alone"),
        ("endpoint = \"feed\"\nurl = \"wss://a.example\"", ":6: feed.endpoint: `url` says where as well"),
        (
            "url = \"wss://advanced-trade-ws.coinbase.com\"",
            ":6: feed.url: advanced-trade-ws.coinbase.com is advanced-trade's",
        ),
        ("url = \"wss://ws-feed.pro.coinbase.com\"", ":6: feed.url: ws-feed.pro.coinbase.com is not exchange's"),
    ] {
        assert_says(&unsigned(&format!("{ticker}{typed}")).error(), &[message]);
    }
    let other = Machine::with(&format!("{FEED}endpoint = \"direct\"")).error();
    assert_says(&other, &[":5: feed.endpoint: advanced-trade has no endpoints to choose from: leave it out"]);
    let direct =
        Flags { venue: Some("exchange".into()), endpoint: Some("drct".into()), ..flags(&["ticker"], &["A-B"]) };
    let error = load(&direct, &Machine::new().around).expect_err("there is none").to_string();
    assert_says(&error, &["--endpoint: exchange has no endpoint \"drct\"; did you mean \"direct\"?"]);
}

#[test]
fn accounts_are_for_channels_that_have_them() {
    let balance = "channels = [\"balance\"]\nproducts = [\"BTC-USD\"]\n";
    let config = signed(&format!("{balance}accounts = [\"{ACCOUNT}\"]"), PASSPHRASE).config();
    assert_eq!(config.feeds[0].accounts, [ACCOUNT]);
    for (feed, message) in [
        (balance.to_owned(), ":1: feed.accounts: \"balance\" must be told of which accounts"),
        (format!("{balance}accounts = []"), ":6: feed.accounts: \"balance\" must be told of which accounts"),
        (format!("{FULL}\naccounts = [\"{ACCOUNT}\"]"), ":6: feed.accounts: no channel of this feed is of accounts"),
        (format!("{balance}accounts = [\"{CANARY}\"]"), ":6: feed.accounts: this is no account's id: they are UUIDs"),
        (
            format!("{balance}accounts = [\n\"{ACCOUNT}\",\n\"{}\"]", ACCOUNT.to_uppercase()),
            ":8: feed.accounts: \"7D0F7D8E-DD34-4D9C-A846-06F431C381BA\" is there twice",
        ),
    ] {
        let error = signed(&feed, PASSPHRASE).error();
        assert_says(&error, &[message]);
        assert!(!error.contains(CANARY));
    }
    let given = Flags {
        venue: Some("exchange".into()),
        credentials: Some("main".into()),
        accounts: vec![ACCOUNT.into()],
        ..flags(&["ticker"], &["A-B"])
    };
    let error = load(&given, &Machine::new().around).expect_err("nothing wants them").to_string();
    assert_says(&error, &["--account: no channel of this feed is of accounts: leave it out"]);
}

/// coinbasepro-python#371: "You need to specify at least one product ID for channel heartbeat" met clients whose other
/// channels needed none.
#[test]
fn a_feed_has_a_product_for_its_heartbeat_whatever_its_channels() {
    for (feed, message) in [
        ("channels = [\"status\"]", ":1: feed.products: \"heartbeat\", by which a connection is known to live, is of"),
        ("channels = [\"status\"]\nproducts = []", ":5: feed.products: \"heartbeat\", by which"),
        ("channels = [\"ticker\", \"status\"]", ":1: feed.products: \"ticker\" must be told of which"),
    ] {
        assert_says(&unsigned(feed).error(), &[message]);
    }
    unsigned("channels = [\"status\"]\nproducts = [\"BTC-USD\"]").config();
    assert!(Machine::with(&FEED.replace("ticker\"]\nproducts = [\"BTC-USD\"]", "heartbeats\"]")).load().is_ok());
}

/// Clients moved from one venue to the other and kept the names: their feeds were refused whole, or silent.
#[test]
fn a_name_of_the_other_venue_is_told_as_what_it_means_here() {
    for (channel, message) in [
        ("heartbeats", "exchange has no \"heartbeats\"; did you mean \"heartbeat\"?"),
        ("market_trades", "did you mean \"matches\"?"),
        ("l2_data", "did you mean \"level2\"?"),
        ("ticker_1000", "did you mean \"ticker_batch\"?"),
        ("levl3", "did you mean \"level3\"?"),
        (
            "candles",
            "exchange has no \"candles\"; advanced-trade has: write a feed of its own with venue = \"advanced-trade\"",
        ),
        ("orderbook", "exchange has no \"orderbook\"; there is \"heartbeat\", \"status\", \"auctionfeed\""),
    ] {
        let feed = format!("channels = [\"{channel}\"]\nproducts = [\"BTC-USD\"]");
        assert_says(&unsigned(&feed).error(), &[":4: feed.channels: ", message]);
    }
    let level3 = Machine::with(&FEED.replace("\"ticker\"", "\"level3\"")).error();
    assert_says(
        &level3,
        &["advanced-trade has no \"level3\"; exchange has: write a feed of its own with venue = \"exchange\""],
    );
    assert_says(&unsigned(FULL).error(), &["\"full\" is private and the feed has no credentials"]);
}

#[test]
fn check_prints_the_parts_of_an_exchange_feed_and_none_of_its_secrets() {
    let feed = format!(
        "endpoint = \"direct\"\nchannels = [\"full\", \"ticker\", \"status\", \"balance\"]\nproducts = [\"BTC-USD\", \
         \"ETH-USD\"]\naccounts = [\"{ACCOUNT}\"]"
    );
    let config = signed(&feed, PASSPHRASE).config();
    let (mut printed, mut json) = (Vec::new(), Vec::new());
    check::print(&config, &mut printed).expect("memory takes all");
    check::print_json(&config, &mut json).expect("memory takes all");
    let (printed, json) = [printed, json].map(|bytes| String::from_utf8(bytes).expect("text")).into();
    assert_says(
        &printed,
        &[
            "  algorithm     HMAC-SHA256\n  key           from the configuration\n  secret        from $S\n  passphrase    from $P\n",
            "  endpoint      direct\n  url           wss://ws-direct.exchange.coinbase.com\n",
            "  failover      wss://ws-feed.exchange.coinbase.com, while",
            "  rest          https://api.exchange.coinbase.com\n",
            "  connection 1  heartbeat, ticker of BTC-USD, ETH-USD\n                full of BTC-USD, ETH-USD\n",
            "                status\n",
            &format!("balance of account {ACCOUNT}\n"),
            "  a day         about 22.3 GB if each product is busy",
        ],
    );
    let value: Value = serde_json::from_str(&json).expect("JSON");
    let found = &value["feeds"][0];
    assert_eq!(value["credentials"][0]["passphrase_from"], "$P");
    assert_eq!((&found["endpoint"], &found["accounts"][0]), (&Value::from("direct"), &Value::from(ACCOUNT)));
    assert_eq!(found["failover"], "wss://ws-feed.exchange.coinbase.com");
    assert_eq!(found["connections"][0][3]["accounts"][0], ACCOUNT);
    assert!(![&printed, &json].iter().any(|text| text.contains(CANARY) || text.contains(SECRET)));
}
