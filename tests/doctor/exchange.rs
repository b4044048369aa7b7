//! The Exchange: what is right at Advanced Trade is the slip here, and the other way round. Each mistake is named first, and
//! what is healthy is called so.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use serde_json::{Value, json};
use tickerd::{
    auth::{Credentials, KeyFile, Secret, Stamp},
    venue::{Offset, Permissions, Product, Reason, Request, Subscribe, Venue, exchange::EXCHANGE},
    verdict::{
        self,
        Certainty::{self, Noted, Possible, Wrong},
        Evidence, Finding, Mistake as M, RestSaid, SchemeUsed,
    },
};

use super::{
    pasted::requests,
    stage::{self, NOW, hides, mac, with},
};

/// Dummy text; the secret is base64 of 64 bytes.
pub const KEY: &str = "0123456789abcdef0123456789abcdef";
pub const SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg==";
pub const PASSPHRASE: &str = "n3ver-sh0wn-this";
pub const VERIFY: &str = "GET/users/self/verify";

pub type Case = (&'static str, Vec<Finding>, M, Certainty);

pub fn of_parts(key: &str, secret: &str, passphrase: Option<&str>) -> Credentials {
    let passphrase = passphrase.map(|passphrase| Secret::new(passphrase.to_owned()));
    // Without one it would be taken for a damaged key, so that the scheme is said.
    let scheme = tickerd::auth::Scheme::Hmac;
    file_of(key, secret, passphrase, scheme).credentials("main").expect("a shared secret")
}

fn file_of(key: &str, secret: &str, passphrase: Option<Secret>, scheme: tickerd::auth::Scheme) -> KeyFile {
    KeyFile { scheme, passphrase, ..KeyFile::of_halves(key, Secret::new(secret.to_owned())) }
}

/// What can not be read, so that it is neither shown nor sent.
fn unreadable(key: &str, secret: &str, passphrase: &str) -> Vec<Finding> {
    let passphrase = Some(Secret::new(passphrase.to_owned()));
    let file = file_of(key, secret, passphrase, tickerd::auth::Scheme::Auto);
    vec![verdict::of_key_error(&file.credentials("main").expect_err("unreadable"))]
}

fn own() -> Credentials {
    of_parts(KEY, SECRET, Some(PASSPHRASE))
}

pub fn key() -> Vec<u8> {
    STANDARD.decode(SECRET).expect("base64")
}

/// As the venue wants it.
pub fn signature(prehash: &str) -> String {
    STANDARD.encode(mac(&key(), prehash.as_bytes()))
}

pub fn subscribe(signature: &str) -> Value {
    json!({
        "type": "subscribe", "channels": [{ "name": "level2", "product_ids": ["ETH-USD", "BTC-USD"] }],
        "key": KEY, "passphrase": PASSPHRASE, "timestamp": NOW.to_string(), "signature": signature,
    })
}

pub fn good() -> Value {
    subscribe(&signature(&format!("{NOW}{VERIFY}")))
}

pub fn without(mut message: Value, field: &str) -> Value {
    message.as_object_mut().expect("an object").remove(field);
    message
}

pub fn examine(text: &str) -> Vec<Finding> {
    let found = verdict::message(text, &EXCHANGE, Some(&own()), NOW).unwrap_or_else(|error| panic!("{error}: {text}"));
    hides(&found, &[SECRET, PASSPHRASE]);
    found
}

pub fn of(message: &Value) -> Vec<Finding> {
    examine(&message.to_string())
}

fn signed(prehash: &str) -> Vec<Finding> {
    of(&subscribe(&signature(prehash)))
}

fn slips() -> Vec<Case> {
    let prehash = format!("{NOW}{VERIFY}");
    let bytes = mac(&key(), prehash.as_bytes());
    let by = |key: &[u8]| of(&subscribe(&STANDARD.encode(mac(key, prehash.as_bytes()))));
    let at = |time: &str| of(&with(subscribe(&signature(&format!("{time}{VERIFY}"))), "timestamp", time));
    // What JavaScript's atob leaves, written as UTF-8.
    let text: String = [0xff_u8; 64].iter().copied().map(char::from).collect();
    let high = of_parts(KEY, &STANDARD.encode([0xff; 64]), Some(PASSPHRASE));
    let as_text = subscribe(&STANDARD.encode(mac(text.as_bytes(), prehash.as_bytes()))).to_string();
    vec![
        ("the secret not decoded", by(SECRET.as_bytes()), M::SecretDecoding, Wrong),
        ("the secret encoded again", by(STANDARD.encode(SECRET).as_bytes()), M::SecretDecoding, Wrong),
        (
            "the secret decoded to text",
            verdict::message(&as_text, &EXCHANGE, Some(&high), NOW).expect("a message"),
            M::SecretDecoding,
            Wrong,
        ),
        ("signed with the passphrase", by(PASSPHRASE.as_bytes()), M::Swapped, Wrong),
        ("signed with the key", by(KEY.as_bytes()), M::Swapped, Wrong),
        ("hex", of(&subscribe(&hex::encode(&bytes))), M::Encoding, Wrong),
        ("base64 of hex", of(&subscribe(&STANDARD.encode(hex::encode(&bytes)))), M::Encoding, Wrong),
        ("base64url", of(&subscribe(&URL_SAFE.encode([&[0xfb; 2][..], &bytes[2..]].concat()))), M::Encoding, Wrong),
        ("SHA-512", of(&subscribe(&STANDARD.encode([7; 64]))), M::Encoding, Wrong),
        ("cut off", of(&subscribe(&STANDARD.encode(&bytes)[..40])), M::Encoding, Wrong),
        (
            "a line break behind it",
            of(&subscribe(&format!("{}\n", STANDARD.encode(&bytes)))),
            M::StrayWhiteSpace,
            Wrong,
        ),
        ("Advanced Trade's recipe", signed(&format!("{NOW}level2ETH-USD,BTC-USD")), M::OtherRecipe, Wrong),
        (
            "Advanced Trade's recipe, and its secret's",
            of(&subscribe(&hex::encode(mac(SECRET.as_bytes(), format!("{NOW}level2ETH-USD,BTC-USD").as_bytes())))),
            M::OtherRecipe,
            Wrong,
        ),
        ("REST's path", signed(&format!("{NOW}GET/accounts")), M::OtherRecipe, Wrong),
        ("the International Exchange's", signed(&format!("{NOW}{KEY}CBINTLMD{PASSPHRASE}")), M::OtherRecipe, Wrong),
        ("a misspelt path", signed(&format!("{NOW}GET/user/self/verify")), M::Prehash, Wrong),
        ("a slash behind", signed(&format!("{NOW}{VERIFY}/")), M::Prehash, Wrong),
        ("no method", signed(&format!("{NOW}/users/self/verify")), M::Prehash, Wrong),
        ("small letters", signed(&format!("{NOW}get/users/self/verify")), M::Uri, Wrong),
        ("another secret", by(b"another"), M::Prehash, Wrong),
        ("milliseconds", at(&format!("{NOW}123")), M::Milliseconds, Wrong),
        ("90 s ahead", at(&(NOW + 90).to_string()), M::Clock, Wrong),
        ("five minutes old", at(&(NOW - 300).to_string()), M::Stale, Possible),
        ("the clock read twice", of(&with(good(), "timestamp", format!("{NOW}.017"))), M::TimestampDiffers, Wrong),
        // coinbase-pro-node#377: it cost somebody three hours. tardis sends one, and is answered.
        ("a number for a time", of(&with(good(), "timestamp", NOW)), M::TimestampDiffers, Possible),
    ]
}

fn fields() -> Vec<Case> {
    let unsigned = |channels: Value| of(&json!({ "type": "subscribe", "channels": channels }));
    let level2 = json!({ "type": "subscribe", "channel": "level2", "product_ids": ["BTC-USD"] });
    vec![
        ("no passphrase", of(&without(good(), "passphrase")), M::Passphrase, Wrong),
        ("another passphrase", of(&with(good(), "passphrase", "another one")), M::Passphrase, Wrong),
        ("the key as the passphrase", of(&with(good(), "passphrase", KEY)), M::Passphrase, Wrong),
        ("the secret as the passphrase", of(&with(good(), "passphrase", SECRET)), M::Swapped, Wrong),
        ("blanks around it", of(&with(good(), "passphrase", format!("{PASSPHRASE}\n"))), M::StrayWhiteSpace, Wrong),
        ("the passphrase as the key", of(&with(good(), "key", PASSPHRASE)), M::Swapped, Wrong),
        ("the secret as the key", of(&with(good(), "key", SECRET)), M::Swapped, Wrong),
        ("the secret in a field of its own", of(&with(good(), "secret", SECRET)), M::Swapped, Wrong),
        ("the secret within a word", of(&with(good(), "note", format!("x={SECRET};"))), M::Swapped, Wrong),
        ("no key", of(&without(good(), "key")), M::ChannelsPlural, Wrong),
        ("no timestamp", of(&without(good(), "timestamp")), M::ChannelsPlural, Wrong),
        (
            "an account that is none",
            of(&with(good(), "channels", json!([{ "name": "balance", "account_ids": ["BTC"] }]))),
            M::ChannelsPlural,
            Wrong,
        ),
        ("api_key", of(&with(without(good(), "key"), "api_key", KEY)), M::ChannelsPlural, Wrong),
        ("a jwt", of(&with(without(good(), "signature"), "jwt", "a.b.c")), M::OtherVenuesKey, Wrong),
        // gocryptotrader#1421: products at the root of the message were refused, " is not a valid product".
        (
            "products at the root",
            of(&with(with(good(), "channels", json!(["level2"])), "product_ids", json!(["BTC-USD"]))),
            M::ChannelsPlural,
            Wrong,
        ),
        ("`channel`, and products at the root", of(&level2), M::ChannelsPlural, Wrong),
        // coinbasepro-python#371: "No channels provided".
        ("no channels", unsigned(json!([])), M::ChannelsPlural, Wrong),
        ("heartbeat of nothing", unsigned(json!(["heartbeat"])), M::ChannelsPlural, Wrong),
        ("balance of nothing", of(&with(good(), "channels", json!([{ "name": "balance" }]))), M::ChannelsPlural, Wrong),
        ("heartbeats", unsigned(json!([{ "name": "heartbeats", "product_ids": ["BTC-USD"] }])), M::ChannelName, Wrong),
        (
            "a product in small letters",
            unsigned(json!([{ "name": "ticker", "product_ids": ["btc-usd"] }])),
            M::ProductSpelling,
            Wrong,
        ),
        (
            "a product that is a text",
            unsigned(json!([{ "name": "ticker", "product_ids": "BTC-USD" }])),
            M::ProductSpelling,
            Wrong,
        ),
        // bmoscon/cryptofeed#990: level2 wants a signature since 2023.
        (
            "level2, unsigned",
            unsigned(json!([{ "name": "level2", "product_ids": ["BTC-USD"] }])),
            M::PrivateChannel,
            Wrong,
        ),
    ]
}

/// What is found where the passphrase came from a file or a variable.
fn trimmed(passphrase: &str) -> Vec<Finding> {
    let halves = file_of(KEY, SECRET, None, tickerd::auth::Scheme::Auto);
    let file = halves.with_passphrase(&Secret::new(passphrase.to_owned()));
    verdict::of_credentials(&file.credentials("main").expect("a shared secret"), &EXCHANGE, NOW)
}

fn pairs() -> Vec<Case> {
    let at = |venue: &Venue, credentials: &Credentials| {
        let found = verdict::of_credentials(credentials, venue, NOW);
        hides(&found, &[SECRET, PASSPHRASE]);
        found
    };
    let here = |key: &str, secret: &str, passphrase: Option<&str>| at(&EXCHANGE, &of_parts(key, secret, passphrase));
    let (_, cdp) = stage::ec_key();
    vec![
        ("a CDP key", at(&EXCHANGE, &cdp), M::OtherVenuesKey, Wrong),
        ("an Exchange key at Advanced Trade", at(stage::venue(), &own()), M::OtherVenuesKey, Wrong),
        ("a legacy key", at(&EXCHANGE, &stage::hmac_key()), M::OtherVenuesKey, Wrong),
        ("no passphrase", here(KEY, SECRET, None), M::Passphrase, Wrong),
        ("the secret twice", here(KEY, SECRET, Some(SECRET)), M::Swapped, Wrong),
        ("the key twice", here(KEY, SECRET, Some(KEY)), M::Swapped, Wrong),
        ("secret and passphrase swapped", here(KEY, "hunter2hunter2!", Some(SECRET)), M::Swapped, Wrong),
        ("key and passphrase swapped", unreadable("hunter2", SECRET, KEY), M::Swapped, Wrong),
        ("key and secret swapped", unreadable(SECRET, KEY, PASSPHRASE), M::Swapped, Wrong),
        ("a passphrase of two lines", unreadable(KEY, SECRET, "a\nb"), M::Passphrase, Wrong),
        ("a placeholder", here(KEY, SECRET, Some("YOUR_PASSPHRASE")), M::Placeholder, Wrong),
        (
            "a blank behind the passphrase, in a JSON",
            here(KEY, SECRET, Some("my phrase ")),
            M::StrayWhiteSpace,
            Possible,
        ),
        ("a blank behind the passphrase, set right", trimmed(" my phrase\n"), M::StrayWhiteSpace, Noted),
        ("no base64", here(KEY, "hunter2hunter2!", Some(PASSPHRASE)), M::BareBase64, Wrong),
        ("hex", here(KEY, &hex::encode(key()), Some(PASSPHRASE)), M::BareBase64, Wrong),
        ("half a secret", here(KEY, &SECRET[..44], Some(PASSPHRASE)), M::BareBase64, Possible),
    ]
}

fn refused(words: &str, channel: &str, change: impl FnOnce(&mut Evidence)) -> Vec<Finding> {
    let mut evidence = Evidence {
        venue: &EXCHANGE,
        channel: EXCHANGE.channel(channel),
        reason: EXCHANGE.reason(words),
        signed: Some(SchemeUsed::Hmac),
        confirmed: true,
        offset: None,
        rest: None,
    };
    change(&mut evidence);
    let sentence = verdict::sentence(&evidence);
    assert!(!sentence.is_empty() && sentence.chars().count() <= 220, "{sentence}");
    let found = verdict::causes(&evidence);
    assert!(found.iter().all(|finding| finding.mistake != M::LegacyKey), "HMAC is how one signs here: {words}");
    found
}

/// Every text that protocol.md has of the Exchange, as `read` puts message and reason together.
fn refusals() -> Vec<Case> {
    let unauthorized = |reason: &str| format!("Sorry, you could not be authenticated: Unauthorized: {reason}");
    let failed = |reason: &str| format!("Failed to subscribe: {reason}");
    let rest = |words: &str| Some(RestSaid::Unauthorized(format!("{{\"message\":\"{words}\"}}")));
    let vague = "Sorry, you could not be authenticated: Unauthorized";
    let took = Some(RestSaid::Took(Permissions { can_view: true, can_trade: false, can_transfer: false }));
    let unsigned = |evidence: &mut Evidence| evidence.signed = None;
    let full = "level2, level3, and full channels now require authentication. For more details, see …";
    vec![
        ("invalid signature", refused(&unauthorized("invalid signature"), "full", |_| ()), M::Swapped, Wrong),
        ("expired", refused(&unauthorized("request timestamp expired"), "full", |_| ()), M::Clock, Wrong),
        ("address", refused(&unauthorized("IP does not match IP whitelist"), "full", |_| ()), M::AllowedIps, Wrong),
        ("passphrase", refused(&unauthorized("Invalid Passphrase"), "full", |_| ()), M::Passphrase, Wrong),
        ("Unauthorized", refused(vague, "full", |_| ()), M::KeyState, Possible),
        (
            "Bad Request",
            refused("Sorry, you could not be authenticated: Bad Request", "full", |_| ()),
            M::KeyState,
            Possible,
        ),
        ("REST says what", refused(vague, "full", |e| e.rest = rest("invalid signature")), M::Swapped, Wrong),
        ("REST says which", refused(vague, "full", |e| e.rest = rest("Invalid Passphrase")), M::Passphrase, Wrong),
        ("REST says when", refused(vague, "full", |e| e.rest = rest("request timestamp expired")), M::Clock, Wrong),
        ("REST does not know it", refused(vague, "full", |e| e.rest = rest("Invalid API Key")), M::KeyState, Wrong),
        ("REST takes it", refused(&unauthorized("invalid signature"), "full", |e| e.rest = took), M::Passing, Possible),
        ("private, unsigned", refused(&failed(full), "level2", unsigned), M::PrivateChannel, Wrong),
        ("something private, unsigned", refused(&failed(full), "", unsigned), M::PrivateChannel, Wrong),
        ("private, signed", refused(&failed(full), "level2", |_| ()), M::PrivateChannel, Wrong),
        ("a product", refused(&failed("FOO-USD is not a valid product"), "ticker", |_| ()), M::ProductSpelling, Wrong),
        (
            "products at the root",
            refused(&failed(" is not a valid product"), "ticker", |_| ()),
            M::ProductSpelling,
            Wrong,
        ),
        ("a product id", refused(&failed("Invalid product ID provided"), "ticker", |_| ()), M::ProductSpelling, Wrong),
        ("no channels", refused(&failed("No channels provided"), "ticker", |_| ()), M::ChannelsPlural, Wrong),
        (
            "no product",
            refused(&failed("You need to specify at least one product ID for channel heartbeat"), "heartbeat", |_| ()),
            M::ChannelsPlural,
            Wrong,
        ),
        ("ErrSlowConsume", refused("ErrSlowConsume", "ticker", |_| ()), M::TooSlow, Wrong),
        ("ErrSlowRead", refused("ErrSlowRead", "ticker", |_| ()), M::RateLimit, Wrong),
        ("rate", refused("rate limit exceeded", "ticker", |_| ()), M::RateLimit, Wrong),
        ("Message too big", refused("Message too big", "ticker", |_| ()), M::TooLong, Wrong),
    ]
}

fn spellings() -> Vec<Case> {
    let url = |text| Vec::from_iter(verdict::of_url(text, &EXCHANGE));
    let channel = |name| Vec::from_iter(verdict::of_channel(&EXCHANGE, name));
    vec![
        ("Advanced Trade's address", url("wss://advanced-trade-ws.coinbase.com"), M::Url, Wrong),
        ("an address that is gone", url("wss://ws-feed.pro.coinbase.com"), M::Url, Wrong),
        ("REST's", url("wss://api.exchange.coinbase.com"), M::Url, Wrong),
        ("the sandbox's REST", url("https://api-public.sandbox.exchange.coinbase.com"), M::Url, Wrong),
        ("market_trades", channel("market_trades"), M::ChannelName, Wrong),
        ("candles", channel("candles"), M::ChannelName, Wrong),
    ]
}

#[test]
fn each_mistake_is_named_first() {
    let cases = [slips(), fields(), requests(), pairs(), refusals(), spellings()].concat();
    let mut wrong = Vec::new();
    for (case, found, mistake, certainty) in &cases {
        if found.first().is_none_or(|first| (first.mistake, first.certainty) != (*mistake, *certainty)) {
            wrong.push(format!("{case}: {mistake:?}, {certainty:?} expected, found {found:#?}"));
        }
        if verdict::is_refusal(found) != (*certainty == Wrong) {
            wrong.push(format!("{case}: whether it is refused, found {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Of one slip one thing is said.
#[test]
fn one_slip_is_one_finding() {
    for (case, found, mistake, _) in
        slips().into_iter().filter(|(case, ..)| *case != "another secret" && !case.contains(", and "))
    {
        let of: Vec<_> = found.iter().map(|finding| finding.mistake).collect();
        assert!(of == [mistake] || case == "base64url" || case == "cut off", "{case}: {found:#?}");
    }
}

#[test]
fn what_is_right_is_not_found() {
    let credentials = own();
    assert_eq!(verdict::of_credentials(&credentials, &EXCHANGE, NOW), []);
    assert_eq!(trimmed(&format!("{PASSPHRASE}\r\n")), [], "a line break is how a file ends");
    for (round, channel) in EXCHANGE.channels.iter().enumerate() {
        let millis = [0, 7, 999][round % 3];
        let stamp = Stamp { unix: NOW - round as u64, millis, nonce: [0; 16] };
        let subscribe = Subscribe {
            channels: vec![channel],
            products: ["BTC-USD", "ETH-EUR"].map(|id| Product::parse(id).expect(id)).to_vec(),
            accounts: vec!["7d0f7d8e-dd34-4d9c-a846-06f431c381ba".to_owned()],
            unsubscribes: round % 2 == 1,
        };
        let text = (EXCHANGE.write)(&subscribe, Some((&credentials, &stamp))).text;
        assert_eq!(examine(&text), [], "{text}");
        assert_eq!(verdict::message(&text, &EXCHANGE, None, NOW).expect("a message"), [], "{text}");
        for (method, target, body) in [("GET", "/orders?status=open&limit=1", ""), ("POST", "/orders", "{\"a\": 1}")] {
            let (request, _) = Request::parse(method, target, body);
            let proof = (EXCHANGE.rest.sign)(&request, &credentials, &stamp);
            let lines: Vec<_> = proof.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            let pasted = format!("{method} {target} HTTP/1.1\n{}\n\n{body}", lines.join("\n"));
            assert_eq!(examine(&pasted), [], "{pasted}");
        }
    }
    for unsigned in [
        json!({ "type": "unsubscribe", "channels": ["ticker"] }),
        json!({ "type": "unsubscribe", "channels": ["level2", "heartbeat", { "name": "balance" }] }),
    ] {
        assert_eq!(of(&unsigned), [], "none is all: {unsigned}");
    }
    // The documentation's samples: channels as texts, an alias, a time with many decimals.
    let time = format!("{NOW}.1234567");
    let python = with(subscribe(&signature(&format!("{time}{VERIFY}"))), "timestamp", time);
    assert_eq!(of(&python), []);
    assert_eq!(
        of(
            &json!({ "type": "subscribe", "channels": ["status", { "name": "ticker_1000", "product_ids": ["BTC-USD"] }] })
        ),
        []
    );
    for url in EXCHANGE
        .endpoints
        .iter()
        .map(|endpoint| endpoint.url)
        .chain(["ws://127.0.0.1:1", "wss://ws-us.dma.prime.coinbase.com"])
    {
        assert_eq!(verdict::of_url(url, &EXCHANGE), None, "{url}");
    }
}

/// A channel of another exchange is none that a signature or another host would open.
#[test]
fn another_exchanges_channel_is_answered_by_the_names_that_there_are() {
    let market = stage::venue();
    let user = Venue::named("advanced-trade-user").expect("a venue");
    for (venue, given, word) in [
        (&EXCHANGE, "candles", "subscribe by the names"),
        (market, "level3", "subscribe by the names"),
        (market, "auctionfeed", "subscribe by the names"),
        (user, "rfq_matches", "subscribe by the names"),
        (user, "candles", "take market channels from wss://advanced-trade-ws.coinbase.com"),
        (user, "ticker", "take market channels from wss://advanced-trade-ws.coinbase.com"),
    ] {
        let found = verdict::of_channel(venue, given).unwrap_or_else(|| panic!("{} has no {given}", venue.name));
        let remedy = found.mistake.remedy(venue);
        assert!(remedy.contains(word), "{given} at {}: {remedy}", venue.name);
        let elsewhere = if word.starts_with("take") { "advanced-trade (wss://" } else { " (wss://" };
        assert!(found.what.contains(elsewhere), "{}", found.what);
    }
}

/// The clock was measured: how far it is off is said where the venue speaks of time.
#[test]
fn the_offset_is_told_with_an_expired_timestamp() {
    let words = "Sorry, you could not be authenticated: Bad Request: request timestamp expired";
    let what = |ms| refused(words, "user", |e| e.offset = Some(Offset { ms, uncertainty_ms: 40 }))[0].what.clone();
    assert!(what(90_000).contains("90.0 s behind"), "{}", what(90_000));
    assert!(what(0).contains("measured again"), "{}", what(0));
}

/// Whatever stands in whichever field: a finding is printed, logged and pasted into forums.
#[test]
fn no_finding_shows_a_secret_a_passphrase_or_a_signature() {
    let signature = signature(&format!("{NOW}{VERIFY}"));
    let hidden = [SECRET, PASSPHRASE, &signature];
    for astray in hidden {
        for field in [
            "type",
            "channel",
            "channels",
            "key",
            "api_key",
            "timestamp",
            "signature",
            "passphrase",
            "product_ids",
            "jwt",
        ] {
            hides(&of(&with(good(), field, astray)), &hidden);
            hides(&of(&with(good(), field, vec![astray])), &hidden);
        }
        for of_one in [json!({ "name": astray }), json!({ "name": "ticker", "product_ids": [astray] })] {
            hides(&of(&with(good(), "channels", vec![of_one])), &hidden);
        }
        for name in ["CB-ACCESS-KEY", "CB-ACCESS-SIGN", "CB-ACCESS-TIMESTAMP", "CB-ACCESS-PASSPHRASE", "Authorization"]
        {
            hides(&examine(&format!("GET /accounts\n{name}: {astray}\nCB-ACCESS-SIGN: {signature}\n")), &hidden);
        }
    }
    assert_eq!(EXCHANGE.reason("something new"), Reason::Unknown);
}
