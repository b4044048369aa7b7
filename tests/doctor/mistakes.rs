//! A row for each mistake, each with the evidence that it allows: it is named first.

use std::collections::BTreeSet;

use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use tickerd::{
    auth::{Credentials, Scheme, Secret},
    venue::{Offset, Permissions, Product, Reason},
    verdict::{
        self,
        Certainty::{self, Noted, Possible, Wrong},
        Evidence, Finding, Mistake as M, RestSaid, SchemeUsed,
    },
};

use super::stage::*;

type Case = (&'static str, Vec<Finding>, M, Certainty);

fn pair(key: &str, secret: &str) -> Vec<Finding> {
    match Credentials::new("main", Scheme::Auto, key, &Secret::new(secret.to_owned())) {
        Ok(credentials) => verdict::of_credentials(&credentials, venue(), NOW),
        Err(error) => vec![verdict::of_key_error(&error)],
    }
}

fn refused(words: &str, channel: &str, change: impl FnOnce(&mut Evidence)) -> Vec<Finding> {
    let mut evidence = Evidence {
        venue: venue(),
        channel: venue().channel(channel),
        reason: venue().reason(words),
        signed: Some(SchemeUsed::Jwt),
        confirmed: true,
        offset: None,
        rest: None,
    };
    change(&mut evidence);
    let sentence = verdict::sentence(&evidence);
    assert!(!sentence.is_empty() && sentence.chars().count() <= 220, "{sentence}");
    verdict::causes(&evidence)
}

fn pairs() -> Vec<Case> {
    let (der, _) = ec_key();
    let ed = ed_key();
    let good = pem(&der, "PRIVATE KEY");
    let bare = STANDARD.encode(&der);
    let p384 = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key").to_pkcs8v1().expect("DER");
    vec![
        ("key and secret swapped", pair(&good, NAME), M::Swapped, Wrong),
        ("legacy key and secret swapped", pair(SECRET, KEY), M::Swapped, Wrong),
        ("legacy", pair(KEY, SECRET), M::LegacyKey, Wrong),
        ("the Exchange's key", pair("0123456789abcdef0123456789abcdef", "eHh4eXl5enp6"), M::OtherVenuesKey, Wrong),
        (
            "the Exchange's secret",
            pair("0123456789abcdef0123456789abcdef", &STANDARD.encode([3; 64])),
            M::OtherVenuesKey,
            Wrong,
        ),
        ("escaped newlines", pair(NAME, &good.replace('\n', "\\n")), M::EscapedNewlines, Noted),
        ("quotes", pair(NAME, &format!("\"{}\"", good.trim())), M::FlattenedPem, Noted),
        ("the first line of a PEM", pair(NAME, "-----BEGIN EC PRIVATE KEY-----"), M::FlattenedPem, Wrong),
        ("base64 that is cut off", pair(NAME, &bare[..100]), M::BareBase64, Wrong),
        ("base64 of 40 bytes", pair(NAME, &STANDARD.encode([9; 40])), M::BareBase64, Wrong),
        ("a public key", pair(NAME, &pem(&[0x30, 0x59], "PUBLIC KEY")), M::PublicKey, Wrong),
        ("blanks", pair(NAME, &format!("  {good}  ")), M::StrayWhiteSpace, Noted),
        ("an OpenSSH key", pair(NAME, &pem(&ed, "OPENSSH PRIVATE KEY")), M::WrongAlgorithm, Wrong),
        ("P-384", pair(NAME, &pem(p384.as_ref(), "PRIVATE KEY")), M::SignatureForm, Wrong),
        ("no key at all", pair(NAME, "hunter2hunter2"), M::BareBase64, Wrong),
        ("YOUR_KEY", pair("YOUR_KEY", "YOUR_SECRET"), M::Placeholder, Wrong),
        ("xxxx", pair(NAME, "xxxx"), M::Placeholder, Wrong),
        ("null", pair(NAME, "null"), M::Placeholder, Wrong),
        ("$SECRET", pair(NAME, "$SECRET"), M::Placeholder, Wrong),
        ("YOUR_ORG", pair("organizations/YOUR_ORG/apiKeys/YOUR_KEY", &good), M::Placeholder, Wrong),
        ("a blank", pair(" ", " "), M::Placeholder, Wrong),
    ]
}

/// What is said of a file that was meant to be the portal's JSON.
fn key_files() -> Vec<Case> {
    let of = |json: &str| match Credentials::from_key_file("main", &Secret::new(json.to_owned())) {
        Ok(credentials) => verdict::of_credentials(&credentials, venue(), NOW),
        Err(error) => vec![verdict::of_key_error(&error)],
    };
    let whole = json!({ "name": NAME, "privateKey": pem(&ed_key(), "PRIVATE KEY") }).to_string();
    assert_eq!(of(&whole), []);
    vec![
        ("a file that is cut off", of(&whole[..whole.len() / 2]), M::KeyFile, Wrong),
        ("an empty object", of("{}"), M::KeyFile, Wrong),
        ("a PEM for a file", of(&pem(&ed_key(), "PRIVATE KEY")), M::KeyFile, Wrong),
        ("no privateKey", of(&json!({ "name": NAME }).to_string()), M::KeyFile, Wrong),
        (
            "YOUR_KEY in a file",
            of(&json!({ "name": "YOUR_KEY", "privateKey": "x" }).to_string()),
            M::Placeholder,
            Wrong,
        ),
    ]
}

fn subscribes() -> Vec<Case> {
    let key = hmac_key();
    let of = |message: Value| {
        let found = examine(&message.to_string(), &key);
        hides(&found, &[SECRET, message["signature"].as_str().unwrap_or_default()]);
        found
    };
    let right = "level2ETH-USD,BTC-USD";
    let prehash = format!("{NOW}{right}");
    let bytes = mac(SECRET.as_bytes(), prehash.as_bytes());
    let good = signed(right);
    let at = |time: &str, rest: &str| with(subscribe(&hex_of(&format!("{time}{rest}"))), "timestamp", time);
    vec![
        ("the secret as the key", of(with(good.clone(), "api_key", SECRET)), M::Swapped, Wrong),
        (
            "signed with the key",
            of(subscribe(&hex::encode(mac(KEY.as_bytes(), prehash.as_bytes())))),
            M::Swapped,
            Wrong,
        ),
        ("YOUR_API_KEY", of(with(good.clone(), "api_key", "YOUR_API_KEY")), M::Placeholder, Wrong),
        ("another key", of(with(good.clone(), "api_key", "AbCdEfGh12345678")), M::Swapped, Wrong),
        ("a passphrase", of(with(good.clone(), "passphrase", "x")), M::OtherVenuesKey, Wrong),
        ("the Exchange's field", of(with(good.clone(), "key", KEY)), M::OtherVenuesKey, Wrong),
        (
            "a line break in the secret",
            of(subscribe(&hex::encode(mac(format!("{SECRET}\n").as_bytes(), prehash.as_bytes())))),
            M::StrayWhiteSpace,
            Wrong,
        ),
        ("90 s ahead", of(at(&(NOW + 90).to_string(), right)), M::Clock, Wrong),
        ("milliseconds", of(at(&format!("{NOW}123"), right)), M::Milliseconds, Wrong),
        ("decimals", of(at(&format!("{NOW}.5"), right)), M::Decimals, Wrong),
        ("decimals signed whole", of(with(good.clone(), "timestamp", format!("{NOW}.25"))), M::Decimals, Wrong),
        (
            "the clock read twice",
            of(with(good.clone(), "timestamp", (NOW + 1).to_string())),
            M::TimestampDiffers,
            Wrong,
        ),
        // coinbase-pro-node#377: the signed text went out as a JSON number.
        ("a number for a time", of(with(good.clone(), "timestamp", NOW)), M::TimestampDiffers, Wrong),
        ("milliseconds signed", of(subscribe(&hex_of(&format!("{NOW}417{right}")))), M::TimestampDiffers, Wrong),
        ("five minutes old", of(at(&(NOW - 300).to_string(), right)), M::Stale, Possible),
        ("base64", of(subscribe(&STANDARD.encode(&bytes))), M::Encoding, Wrong),
        ("base64url", of(subscribe(&URL_SAFE.encode(&bytes))), M::Encoding, Wrong),
        ("base64 of hex", of(subscribe(&STANDARD.encode(hex::encode(&bytes)))), M::Encoding, Wrong),
        ("capitals", of(subscribe(&hex::encode_upper(&bytes))), M::Encoding, Wrong),
        ("bytes, not text", of(subscribe(&format!("b'{}'", hex::encode(&bytes)))), M::Encoding, Wrong),
        ("cut off", of(subscribe(&hex::encode(&bytes)[..60])), M::Encoding, Wrong),
        (
            "the secret base64-decoded",
            of(subscribe(&hex::encode(mac(&STANDARD.decode(SECRET).expect("base64"), prehash.as_bytes())))),
            M::SecretDecoding,
            Wrong,
        ),
        (
            "HMAC arguments swapped",
            of(subscribe(&hex::encode(mac(prehash.as_bytes(), SECRET.as_bytes())))),
            M::Prehash,
            Wrong,
        ),
        ("bytes signed as text", of(subscribe(&hex_of(&format!("b'{prehash}'")))), M::Prehash, Wrong),
        ("products joined by nothing", of(signed("level2ETH-USDBTC-USD")), M::Prehash, Wrong),
        ("products joined by comma and blank", of(signed("level2ETH-USD, BTC-USD")), M::Prehash, Wrong),
        ("products as JSON", of(signed("level2[\"ETH-USD\",\"BTC-USD\"]")), M::Prehash, Wrong),
        ("products as Python", of(signed("level2['ETH-USD', 'BTC-USD']")), M::Prehash, Wrong),
        ("products sorted", of(signed("level2BTC-USD,ETH-USD")), M::Prehash, Wrong),
        ("products left out", of(signed("level2")), M::Prehash, Wrong),
        ("one product left out", of(signed("level2BTC-USD")), M::Prehash, Wrong),
        ("the channel's other name signed", of(signed("l2_dataETH-USD,BTC-USD")), M::Prehash, Wrong),
        ("another secret", of(subscribe(&hex::encode(mac(b"another", prehash.as_bytes())))), M::Prehash, Wrong),
        (
            "two slips",
            of(subscribe(&STANDARD.encode(mac(SECRET.as_bytes(), format!("{NOW}level2ETH-USDBTC-USD").as_bytes())))),
            M::Prehash,
            Wrong,
        ),
        ("ETH_USD", of(with(signed("level2ETH_USD"), "product_ids", json!(["ETH_USD"]))), M::ProductSpelling, Wrong),
        ("heartbeat", of(with(signed("heartbeatETH-USD,BTC-USD"), "channel", "heartbeat")), M::ChannelName, Wrong),
        (
            "channels",
            of(json!({ "type": "subscribe", "product_ids": ["BTC-USD"], "channels": ["level2"] })),
            M::ChannelsPlural,
            Wrong,
        ),
        ("user, unsigned", of(json!({ "type": "subscribe", "channel": "user" })), M::PrivateChannel, Wrong),
        ("path in a WebSocket signature", of(signed("GET/api/v3/brokerage/accounts")), M::OtherRecipe, Wrong),
        ("the Exchange's recipe", of(signed("GET/users/self/verify")), M::OtherRecipe, Wrong),
        ("two schemes", of(with(good, "jwt", "")), M::BadToken, Wrong),
    ]
}

/// Fields that are missing, misnamed or of another kind.
fn fields() -> Vec<Case> {
    let of = |message: Value| examine(&message.to_string(), &hmac_key());
    vec![
        ("no type", of(json!({ "channel": "level2", "product_ids": ["BTC-USD"] })), M::ChannelsPlural, Wrong),
        (
            "product_ids that is a text",
            of(json!({ "type": "subscribe", "channel": "level2", "product_ids": "BTC-USD" })),
            M::ProductSpelling,
            Wrong,
        ),
        (
            "REST's headers in a message",
            of(json!({ "type": "subscribe", "channel": "level2", "CB-ACCESS-KEY": KEY })),
            M::OtherRecipe,
            Wrong,
        ),
    ]
}

fn requests() -> Vec<Case> {
    let key = hmac_key();
    let line = format!("GET {PATH}?limit=1");
    let of = |line: &str, prehash: &str| examine(&headers(line, &hex_of(&format!("{NOW}{prehash}"))), &key);
    let curl = format!(
        "curl -s -H 'CB-ACCESS-KEY: {KEY}' -H \"CB-ACCESS-SIGN: {}\" \\\n -H 'CB-ACCESS-TIMESTAMP: {NOW}' \
         'https://api.coinbase.com{PATH}?limit=1'",
        hex_of(&format!("{NOW}GET{PATH}?limit=1"))
    );
    let body = r#"{"product_id":"BTC-USD","side":"BUY"}"#;
    let post = |signed: &str| {
        let head =
            headers("POST /api/v3/brokerage/orders", &hex_of(&format!("{NOW}POST/api/v3/brokerage/orders{signed}")));
        examine(&format!("{head}\n{body}"), &key)
    };
    let dict = format!(
        "GET {PATH}\nheaders = {{'CB-ACCESS-KEY': '{KEY}', 'CB-ACCESS-SIGN': b'{}', 'CB-ACCESS-TIMESTAMP': '{NOW}',}}",
        hex_of(&format!("{NOW}GET{PATH}"))
    );
    vec![
        // ccxt#21640: the query was signed with the path, so that only filtered calls were refused.
        ("the query signed", of(&line, &format!("GET{PATH}?limit=1")), M::QueryInPath, Wrong),
        ("the query signed, by curl", examine(&curl, &key), M::QueryInPath, Wrong),
        ("path without slash", of(&line, &format!("GET{}", &PATH[1..])), M::Uri, Wrong),
        ("lower-case method", of(&line, &format!("get{PATH}")), M::Uri, Wrong),
        (
            "lower-case method, on the line as well",
            of(&line.replace("GET", "get"), &format!("get{PATH}")),
            M::Uri,
            Wrong,
        ),
        ("the host signed", of(&line, &format!("GEThttps://api.coinbase.com{PATH}")), M::Uri, Wrong),
        ("the WebSocket's recipe", of(&line, "heartbeats"), M::OtherRecipe, Wrong),
        ("the WebSocket's recipe with products", of(&line, "level2BTC-USD,ETH-USD"), M::OtherRecipe, Wrong),
        ("the Exchange's recipe", of(&line, "GET/users/self/verify"), M::OtherRecipe, Wrong),
        ("the body left out", post(""), M::Prehash, Wrong),
        ("the body with other blanks", post(r#"{"product_id": "BTC-USD", "side": "BUY"}"#), M::Prehash, Wrong),
        (
            "the Exchange's host, by curl",
            examine(&curl.replace("https://api.coinbase.com", "https://api.exchange.coinbase.com"), &key),
            M::Url,
            Wrong,
        ),
        ("the secret in a header", examine(&format!("{curl} -H 'X-Secret: {SECRET}'"), &key), M::Swapped, Wrong),
        ("bytes in a Python dict", examine(&dict, &key), M::Encoding, Wrong),
        (
            "a passphrase",
            examine(&format!("{}CB-ACCESS-PASSPHRASE: x\n", headers(&line, &hex_of(&format!("{NOW}GET{PATH}")))), &key),
            M::OtherVenuesKey,
            Wrong,
        ),
    ]
}

fn tokens() -> Vec<Case> {
    let (der, key) = ec_key();
    let (other, _) = ec_key();
    let of_token = |token: &str| {
        let found = examine(&with_jwt(token).to_string(), &key);
        hides(&found, &[token]);
        found
    };
    let of = |claims: Value| of_token(&token(&der, &header(), &claims));
    let rest = |uri: &str| {
        let token = token(&der, &header(), &with(claims(), "uri", uri));
        examine(&format!("GET {PATH}?limit=1\nAuthorization: Bearer {token}"), &key)
    };
    let good = token(&der, &header(), &claims());
    let (message, _) = good.rsplit_once('.').expect("three parts");
    let der_form = format!("{message}.{}", URL_SAFE_NO_PAD.encode([&[0x30, 0x44][..], &[2; 68]].concat()));
    vec![
        (
            "another algorithm",
            of_token(&token(&der, &with(header(), "alg", "EdDSA"), &claims())),
            M::WrongAlgorithm,
            Wrong,
        ),
        ("HS256", of_token(&token(&der, &with(header(), "alg", "HS256"), &claims())), M::WrongAlgorithm, Wrong),
        ("nbf ahead", of(with(with(claims(), "nbf", NOW + 90), "exp", NOW + 210)), M::Clock, Wrong),
        (
            "milliseconds",
            of(with(with(claims(), "nbf", NOW * 1000), "exp", (NOW + 120) * 1000)),
            M::Milliseconds,
            Wrong,
        ),
        ("expired", of(with(with(claims(), "nbf", NOW - 300), "exp", NOW - 180)), M::Stale, Possible),
        ("too long a life", of(with(claims(), "exp", NOW + 3600)), M::Stale, Possible),
        ("coinbase-cloud", of(with(claims(), "iss", "coinbase-cloud")), M::OldIssuer, Wrong),
        ("an audience", of(with(claims(), "aud", json!(["public_websocket_api"]))), M::OldIssuer, Wrong),
        ("DER", of_token(&der_form), M::SignatureForm, Wrong),
        ("another's signature", of_token(&token(&other, &header(), &claims())), M::BadToken, Wrong),
        ("no token", of_token("eyJhbGciOiJFUzI1NiJ9"), M::BadToken, Wrong),
        ("bytes, not text", of_token(&format!("b'{good}'")), M::BadToken, Wrong),
        ("another key's name", of(with(claims(), "sub", "55555555-6666-7777-8888-999999999999")), M::BadToken, Wrong),
        ("a uri in a WebSocket token", of(with(claims(), "uri", format!("GET api.coinbase.com{PATH}"))), M::Uri, Wrong),
        ("https:// in the uri", rest(&format!("GET https://api.coinbase.com{PATH}")), M::Uri, Wrong),
        ("the query in the uri", rest(&format!("GET api.coinbase.com{PATH}?limit=1")), M::QueryInPath, Wrong),
        ("another path in the uri", rest("GET api.coinbase.com/api/v3/brokerage/orders"), M::Uri, Wrong),
        ("lower-case method in the uri", rest(&format!("get api.coinbase.com{PATH}")), M::Uri, Wrong),
        (
            "the private key in a field",
            {
                let message = with(with_jwt(&good), "secret", STANDARD.encode(&der));
                examine(&message.to_string(), &key)
            },
            M::Swapped,
            Wrong,
        ),
        (
            "the private key as a PEM",
            examine(&with(with_jwt(&good), "privateKey", pem(&der, "PRIVATE KEY")).to_string(), &key),
            M::Swapped,
            Wrong,
        ),
        ("no uri", examine(&format!("GET {PATH}\nAuthorization: Bearer {good}"), &key), M::Uri, Wrong),
    ]
}

fn refusals() -> Vec<Case> {
    let words = "authentication failure";
    let view = Permissions { can_view: true, can_trade: false, can_transfer: false };
    let (took, blind) = (RestSaid::Took(view), RestSaid::Took(Permissions { can_view: false, ..view }));
    let (no, forbidden) =
        (RestSaid::Unauthorized("Unauthorized".into()), RestSaid::Forbidden("PERMISSION_DENIED".into()));
    let offset = |ms| Some(Offset { ms, uncertainty_ms: 100 });
    vec![
        ("REST refuses it too", refused(words, "user", |e| e.rest = Some(no.clone())), M::KeyState, Possible),
        ("nothing else known", refused(words, "user", |_| ()), M::KeyState, Possible),
        // coinbase-advanced-py#19: refused in one run, fine six seconds later.
        ("REST takes it", refused(words, "user", |e| e.rest = Some(took.clone())), M::Passing, Possible),
        ("it may not view", refused(words, "user", |e| e.rest = Some(blind.clone())), M::Permission, Wrong),
        ("403", refused(words, "user", |e| e.rest = Some(forbidden.clone())), M::Permission, Wrong),
        ("the clock is ahead", refused(words, "user", |e| e.offset = offset(-90_000)), M::Clock, Wrong),
        ("the clock is behind", refused(words, "user", |e| e.offset = offset(200_000)), M::Clock, Wrong),
        ("the clock is a little off", refused(words, "user", |e| e.offset = offset(3_000)), M::Clock, Possible),
        ("HMAC", refused(words, "user", |e| e.signed = Some(SchemeUsed::Hmac)), M::LegacyKey, Wrong),
        ("unsigned", refused(words, "user", |e| e.signed = None), M::PrivateChannel, Wrong),
        ("unsigned and public", refused(words, "level2", |e| e.signed = None), M::ChannelName, Possible),
        ("rate", refused("rate limit exceeded", "level2", |_| ()), M::RateLimit, Wrong),
        ("no reason", refused("failure to subscribe", "ticker", |_| ()), M::ProductSpelling, Possible),
        ("no reason, unsigned", refused("failure to subscribe", "", |e| e.signed = None), M::ProductSpelling, Possible),
        ("too many", refused("too many L2 streams requested in a single session", "level2", |_| ()), M::TooMany, Wrong),
    ]
}

fn spellings() -> Vec<Case> {
    let channel = |name| Vec::from_iter(verdict::of_channel(venue(), name));
    let user = tickerd::venue::Venue::named("advanced-trade-user").expect("a venue");
    let url = |text| Vec::from_iter(verdict::of_url(text, venue()));
    let product = |id| vec![verdict::of_product(&Product::parse(id).expect_err("misspelt"))];
    let shadow = |value| verdict::shadowed(&hmac_key(), &[("COINBASE_API_SECRET", value), ("COINBASE_API_KEY", KEY)]);
    assert_eq!(shadow(SECRET), [], "the same again shadows nothing");
    vec![
        ("ETH_USD", product("ETH_USD"), M::ProductSpelling, Wrong),
        ("ethusd", product("ethusd"), M::ProductSpelling, Wrong),
        ("l2_data", channel("l2_data"), M::ChannelName, Wrong),
        ("full", channel("full"), M::ChannelName, Wrong),
        (
            "market data of the user endpoint",
            Vec::from_iter(verdict::of_channel(user, "level2")),
            M::PrivateChannel,
            Wrong,
        ),
        ("REST's address", url("wss://api.coinbase.com"), M::Url, Wrong),
        ("REST's whole address", url("https://api.coinbase.com/api/v3/brokerage"), M::Url, Wrong),
        ("https", url("https://advanced-trade-ws.coinbase.com"), M::Url, Wrong),
        ("no scheme", url("advanced-trade-ws.coinbase.com"), M::Url, Wrong),
        ("slash-less", url("wss:advanced-trade-ws.coinbase.com"), M::Url, Wrong),
        ("the Exchange's address", url("wss://ws-feed.exchange.coinbase.com"), M::Url, Wrong),
        ("the user endpoint", url("wss://advanced-trade-ws-user.coinbase.com"), M::PrivateChannel, Wrong),
        ("allowedIps", Vec::from_iter(verdict::allowed_ips(&["192.0.2.1"])), M::AllowedIps, Possible),
        ("another secret in the environment", shadow("M4009eFnOoPwhNoMwJlsAHgIgleGVFPm"), M::Shadowed, Possible),
    ]
}

#[test]
fn each_mistake_is_named_first() {
    let cases = [pairs(), key_files(), subscribes(), fields(), requests(), tokens(), refusals(), spellings()].concat();
    let mut wrong = Vec::new();
    for (case, found, mistake, certainty) in &cases {
        if found.first().is_none_or(|first| (first.mistake, first.certainty) != (*mistake, *certainty)) {
            wrong.push(format!("{case}: {mistake:?}, {certainty:?} expected, found {found:#?}"));
        }
        if verdict::is_refusal(found) != (*certainty == Wrong) {
            wrong.push(format!("{case}: whether it is refused, found {found:#?}"));
        }
        hides(found, &[SECRET]);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let met: BTreeSet<_> = cases.iter().map(|(_, _, mistake, _)| *mistake).collect();
    // Advanced Trade has no passphrases, and no words for these.
    let elsewhere = [M::Passphrase, M::TooSlow, M::TooLong];
    let missing: Vec<_> =
        M::ALL.into_iter().filter(|mistake| !met.contains(mistake) && !elsewhere.contains(mistake)).collect();
    assert_eq!(missing, [], "every row of the table is met");
}

#[test]
fn causes_that_can_not_be_told_apart_stand_together() {
    let found = refused("authentication failure", "user", |_| ());
    let of: Vec<_> = found.iter().map(|finding| finding.mistake).collect();
    assert_eq!(of, [M::KeyState, M::AllowedIps, M::Permission, M::Clock]);
    assert!(found.iter().all(|finding| finding.certainty == Possible));
    let of = |channel| {
        refused("failure to subscribe", channel, |_| ()).iter().map(|found| found.mistake).collect::<Vec<_>>()
    };
    assert_eq!(of("level2"), [M::ProductSpelling, M::TooMany, M::ChannelName]);
    assert_eq!(of("ticker"), [M::ProductSpelling, M::ChannelName], "of which there may be any number");
    assert!(!venue().reason("failure to subscribe").is_of_credentials());
    assert_eq!(refused("something new", "user", |_| ()), [], "of unknown words nothing is guessed");
    assert_eq!(venue().reason("something new"), Reason::Unknown);
}
