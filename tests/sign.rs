//! `tickerd sign`, by the real binary: what it prints is what the venue is known to take, and what `run` sends.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;

/// The documentation's own dummy text.
const SECRET: &str = "M4009eFnOoPwhNoMwJlsAHgIgleGVFPl";
const KEY: &str = "AbCdEfGh12345678";
const CDP_KEY: &str = "organizations/00000000-1111-2222-3333-444444444444/apiKeys/55555555-6666-7777-8888-999999999999";

/// Known answers for Advanced Trade, computed with Python's hmac: what is typed, what is hashed, the signature.
const VECTORS: &[(&[&str], &str, &str)] = &[
    (
        &["ws", "--channel", "level2", "--product", "ETH-USD,ETH-EUR", "--at", "1660838876"],
        "1660838876level2ETH-USD,ETH-EUR",
        "0fae257719c75433e24bada2e45296d56de5e054c9e557a885643a70e868c679",
    ),
    (
        &["ws", "--channel", "ticker_batch", "--product", "BTC-USD", "--at", "1700000000"],
        "1700000000ticker_batchBTC-USD",
        "4a6f018d320161b7280017814f955fe759c759359718f52f35ff86106d481c87",
    ),
    (
        &["ws", "--channel", "heartbeats", "--at", "1700000000"],
        "1700000000heartbeats",
        "8dae28a11c3fa1efe140503c0864e229aa9b9709ce203703d71fac58411f4f95",
    ),
    (
        &["ws", "--channel", "ticker_batch", "--product", "ETH-USD,BTC-USD", "--at", "1700000000"],
        "1700000000ticker_batchETH-USD,BTC-USD",
        "42b8443ae9d5c336a4130b241ccc6cc7bd68b022c0416bc87aec35d75674738c",
    ),
    (
        &["ws", "--channel", "user", "--product", "BTC-USD", "--at", "1700000000"],
        "1700000000userBTC-USD",
        "a9a71d8cbd5e681f69bc75f57333bb5a8ae2bda1de0930165f2fec9dbcd641a0",
    ),
    (
        &["rest", "GET", "/api/v3/brokerage/accounts", "--at", "1700000000"],
        "1700000000GET/api/v3/brokerage/accounts",
        "10137121cce1e5c5bae0f94629cebf75c90ae659da7446474783be2de14cd24e",
    ),
    (
        &["rest", "POST", "/api/v3/brokerage/orders", "--body", "-", "--at", "1700000000"],
        "1700000000POST/api/v3/brokerage/orders{\"client_order_id\":\"1\",\"product_id\":\"BTC-USD\"}",
        "b2ed3960e1e48d05c6ec1ba2da76d2aae2e07332d4cc68b62dad764cf8bac718",
    ),
    (
        &["rest", "GET", "/api/v3/brokerage/orders/historical/fills", "--at", "1700000000"],
        "1700000000GET/api/v3/brokerage/orders/historical/fills",
        "c5f343f8e93f5aa8736ad6ecee5f359dce837f2f7df30fe18034e7d9fc478775",
    ),
    (
        &["rest", "GET", "/api/v3/brokerage/products/BTC-USD/ticker", "--at", "1700000000"],
        "1700000000GET/api/v3/brokerage/products/BTC-USD/ticker",
        "f6b19da4413f27d430a7774e07b7dc2162b748c67d3e8b50969e756db2d39225",
    ),
];

/// `tickerd sign …` in an empty folder, with this environment and this on stdin.
fn sign(arguments: &[&str], env: &[(&str, &str)], stdin: &str) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    // /etc may hold a configuration of this machine's.
    let arguments = [arguments, &["-c", "/dev/null"]].concat();
    sign_in(folder.path(), &arguments, env, stdin)
}

fn sign_in(folder: &Path, arguments: &[&str], env: &[(&str, &str)], stdin: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickerd"));
    command.arg("sign").args(arguments).current_dir(folder).env_clear().envs(env.iter().copied());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    // Whoever reads no stdin may have closed it.
    let _ = child.stdin.take().expect("piped").write_all(stdin.as_bytes());
    child.wait_with_output().expect("ends")
}

fn hmac(arguments: &[&str], stdin: &str) -> Output {
    sign(arguments, &[("COINBASE_API_KEY", KEY), ("COINBASE_API_SECRET", SECRET)], stdin)
}

fn json(output: &Output) -> Value {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{err}");
    assert_eq!(out.lines().count(), 1, "one object: {out}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[test]
fn every_vector_of_advanced_trade_comes_out() {
    const BODY: &str = r#"{"client_order_id":"1","product_id":"BTC-USD"}"#;
    for (arguments, prehash, signature) in VECTORS {
        let output = hmac(&[arguments, &["--json"][..]].concat(), BODY);
        let json = json(&output);
        assert_eq!((&json["scheme"], &json["prehash"]), (&"hmac".into(), &(*prehash).into()));
        assert_eq!(json["token"], Value::Null, "it is a signature");
        assert_eq!((&json["signature"], &json["timestamp"]), (&(*signature).into(), &prehash[..10].into()));
        if arguments[0] == "ws" {
            let message: Value = serde_json::from_str(json["message"].as_str().expect("text")).expect("JSON");
            assert_eq!((&message["type"], &message["api_key"]), (&"subscribe".into(), &KEY.into()));
            assert_eq!((&message["signature"], &message["timestamp"]), (&(*signature).into(), &prehash[..10].into()));
        } else {
            let headers = &json["headers"];
            assert_eq!((&headers["CB-ACCESS-KEY"], &headers["CB-ACCESS-SIGN"]), (&KEY.into(), &(*signature).into()));
            assert_eq!(headers["CB-ACCESS-TIMESTAMP"], prehash[..10]);
        }
        let told = text(&output.stderr);
        assert!(told.contains("February 2025") && told.contains("not as now"), "{told}");
        assert!(!told.contains(signature), "a signature is for stdout");
        assert!(!(text(&output.stdout) + &told).contains(SECRET), "the secret is for nobody");
    }
}

#[test]
fn the_parts_of_a_pre_hash_are_named() {
    let output = hmac(&["ws", "--channel", "ticker_batch", "--product", "ETH-USD,BTC-USD", "--at", "1700000000"], "");
    let told = text(&output.stdout);
    for line in [
        "pre-hash    1700000000ticker_batchETH-USD,BTC-USD",
        "  timestamp 1700000000",
        "  channel   ticker_batch",
        "  products  ETH-USD,BTC-USD",
        "valid       from 2023-11-14T22:12:50Z to 2023-11-14T22:13:50Z",
    ] {
        assert!(told.lines().any(|known| known.starts_with(line)), "{line}: {told}");
    }
    let message = told.lines().find_map(|line| line.strip_prefix("message     ")).expect("a message");
    serde_json::from_str::<Value>(message).expect("what can be sent as it is");
}

/// `ccxt#21640`: the query was signed with the path, so that only filtered calls were refused.
#[test]
fn what_can_be_mended_is_mended_and_said() {
    for (arguments, prehash, said) in [
        (
            &["rest", "get", "https://api.coinbase.com/api/v3/brokerage/accounts?limit=1"][..],
            "1700000000GET/api/v3/brokerage/accounts",
            &["capitals", "scheme and host", "the query is sent and not signed"][..],
        ),
        (&["rest", "GET", "api/v3/brokerage/accounts"], "1700000000GET/api/v3/brokerage/accounts", &["slash"]),
        (
            &["ws", "--channel", "l2_data", "--product", "eth_usd,ETH-USD"],
            "1700000000level2ETH-USD",
            &["\"level2\"", "\"ETH-USD\"", "twice"],
        ),
        (
            &["ws", "--channel", "heartbeat", "--product", "BTC-USD"],
            "1700000000heartbeats",
            &["heartbeats", "left out"],
        ),
    ] {
        let output = hmac(&[arguments, &["--at", "1700000000", "--json"]].concat(), "");
        let json = json(&output);
        assert_eq!(json["prehash"], prehash);
        let (mended, told) = (json["mended"].to_string().replace('\\', ""), text(&output.stderr));
        for word in said {
            assert!(mended.contains(word) && told.contains(word), "{word}: {mended} {told}");
        }
        assert_eq!(told.matches("mended: ").count(), said.len(), "{told}");
    }
}

#[test]
fn what_can_not_be_signed_is_a_usage_error_and_a_broken_key_is_78() {
    for (arguments, said) in [
        (&["ws", "--channel", "ticker_bach"][..], "has no \"ticker_bach\"; did you mean \"ticker_batch\"?"),
        (&["ws", "--channel", "orderbook"], "there is \"heartbeats\", \"candles\""),
        (&["ws", "--channel", "ticker"], "must be told of which"),
        (&["ws", "--channel", "ticker", "--product", "BTC"], "is not how a product is spelt"),
        (&["ws", "--channel", "user", "--venue", "kraken"], "there is advanced-trade"),
        (&["rest", "POST", "/a", "--body", "gone.json"], "gone.json can not be read"),
    ] {
        let output = hmac(arguments, "");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(64), 0), "{arguments:?}");
        assert!(text(&output.stderr).contains(said), "{}", text(&output.stderr));
    }
    let half = [("COINBASE_API_KEY", KEY)];
    let broken = [("COINBASE_API_KEY", CDP_KEY), ("COINBASE_API_SECRET", "MHcCAQEEIbroken")];
    for (env, code, said) in [
        (&[][..], 64, "tickerd credential add main"),
        (&half, 64, "$COINBASE_API_SECRET is not set"),
        (&broken, 78, "from $COINBASE_API_SECRET: the secret"),
    ] {
        let output = sign(&["ws", "--channel", "user"], env, "");
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(text(&output.stderr).contains(said), "{}", text(&output.stderr));
    }
}

/// Swapped arguments were signed, and the venue's refusal of that says nothing of why.
#[test]
fn what_is_no_method_is_not_signed() {
    let path = "/api/v3/brokerage/accounts";
    for (arguments, said) in [
        ([path, "GET"], "the method comes first: tickerd sign rest GET /api/v3/brokerage/accounts"),
        ([path, "post"], "the method comes first: tickerd sign rest POST /api/v3/brokerage/accounts"),
        (["GETT", path], "there is no such method, of GET, POST, PUT, DELETE, PATCH, HEAD, OPTIONS"),
        ([path, path], "the method comes first: tickerd sign rest GET /api/v3/brokerage/accounts"),
    ] {
        for output in
            [hmac(&[&["rest"], &arguments[..]].concat(), ""), sign(&[&["rest"], &arguments[..]].concat(), &[], "")]
        {
            assert_eq!((output.status.code(), output.stdout.len()), (Some(64), 0), "{arguments:?}");
            assert!(text(&output.stderr).contains(said), "{}", text(&output.stderr));
        }
    }
    for method in ["get", "Head", "OPTIONS", "patch", "PUT", "delete"] {
        assert!(hmac(&["rest", method, path], "").status.success(), "{method}");
    }
}

#[test]
fn who_signs_is_chosen_where_there_are_several() {
    let folder = tempfile::tempdir().expect("a folder");
    let section = |name: &str| {
        let secret = format!("{{ env = \"SECRET_OF_{name}\" }}");
        format!("[credentials.{name}]\nkey = \"key-of-{name}\"\nsecret = {secret}\nscheme = \"hmac\"\n")
    };
    let feed = |name: &str, more: &str| format!("[[feed]]\nname = \"{name}\"\nchannels = [\"heartbeats\"]\n{more}\n");
    let config = feed("public", "") + &feed("orders", "credentials = \"two\"") + &section("one") + &section("two");
    fs::write(folder.path().join("config.toml"), config).expect("writes");
    // What is not chosen is not read: $SECRET_OF_one is not set, but for the last.
    let run = |chosen: &[&str], env: &[(&str, &str)]| {
        let arguments = [&["ws", "--channel", "user", "--json"], chosen].concat();
        sign_in(folder.path(), &arguments, env, "")
    };
    let two = [("SECRET_OF_two", "s")];
    for chosen in [&["--credentials", "two"][..], &["--feed", "orders"]] {
        assert_eq!(json(&run(chosen, &two))["key"], "key-of-two");
    }
    for (chosen, code, said) in [
        (&[][..], 64, "choose with --credentials, of \"one\", \"two\""),
        (&["--feed", "public"], 64, "feed \"public\" has no credentials"),
        (&["--feed", "order"], 64, "did you mean \"orders\"?"),
        (&["--credentials", "tow"], 64, "did you mean \"two\"?"),
        (&["--credentials", "one"], 78, "credentials.one.secret: the variable named here is not set"),
        (&["--key-file", "gone.json"], 78, "gone.json can not be read"),
    ] {
        let output = run(chosen, &two);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(code), 0), "{chosen:?}");
        assert!(text(&output.stderr).contains(said), "{}", text(&output.stderr));
    }
}

/// A token of each kind of request, held to another library's reading.
#[test]
fn a_token_is_valid_and_claims_what_it_is_for() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let secret = STANDARD.encode(pair.to_pkcs8v1().expect("DER").as_ref());
    let env = [("COINBASE_API_KEY", CDP_KEY), ("COINBASE_API_SECRET", secret.as_str())];
    let rest_uri = "GET api.coinbase.com/api/v3/brokerage/accounts";
    for (arguments, uri) in [
        (&["ws", "--channel", "user", "--json"][..], Value::Null),
        (&["rest", "GET", "/api/v3/brokerage/accounts?limit=1", "--json"], rest_uri.into()),
        (&["ws", "--channel", "user", "--json", "--at", "1700000000"], Value::Null),
    ] {
        let output = sign(arguments, &env, "");
        let json = json(&output);
        assert_eq!((&json["scheme"], &json["algorithm"]), (&"jwt".into(), &"ES256".into()));
        let token = json["token"].as_str().expect("text");
        assert_eq!(json["signature"], token, "by the name that it has in either scheme");
        assert_eq!(json["prehash"].as_str(), token.rsplit_once('.').map(|(signed, _)| signed));
        let mut rules = Validation::new(Algorithm::ES256);
        rules.validate_nbf = true;
        let at = arguments.contains(&"--at");
        (rules.validate_exp, rules.validate_nbf) = (!at, !at);
        let key = DecodingKey::from_ec_der(pair.public_key().as_ref());
        let claims = jsonwebtoken::decode::<Value>(token, &key, &rules).expect("a valid token").claims;
        assert_eq!((&claims["sub"], &claims["iss"], &claims["uri"]), (&CDP_KEY.into(), &"cdp".into(), &uri));
        if at {
            assert_eq!((&claims["nbf"], &claims["exp"]), (&1_699_999_995.into(), &1_700_000_115.into()));
            assert_eq!(json["valid_until"], 1_700_000_115);
        }
        match json["message"].as_str() {
            Some(message) => {
                let message: Value = serde_json::from_str(message).expect("JSON");
                assert_eq!((&message["jwt"], &message["channel"]), (&token.into(), &"user".into()));
            }
            None => assert_eq!(json["headers"]["Authorization"], format!("Bearer {token}")),
        }
        assert_eq!(text(&output.stderr).contains("not as now"), at);
    }
}

#[test]
fn the_line_for_curl_survives_the_shell() {
    let body = "{\"note\":\"it's $HOME `here` \\\\ \"}\n";
    let target = "/api/v3/brokerage/orders?ids[]=a&b='c'&d=$(e)";
    let json = json(&hmac(&["rest", "POST", target, "--body", "-", "--at", "1700000000", "--json"], body));
    let line = json["curl"].as_str().expect("a line");
    // curl stands aside for one who tells its arguments apart.
    let script = format!("curl() {{ printf '%s\\0' \"$@\"; }}; {line}");
    let output = Command::new("sh").args(["-c", &script]).output().expect("runs");
    let words: Vec<_> = text(&output.stdout).split_terminator('\0').map(str::to_owned).collect();
    let signature = json["signature"].as_str().expect("text");
    let wanted = [
        "-X",
        "POST",
        "-H",
        &format!("CB-ACCESS-KEY: {KEY}"),
        "-H",
        &format!("CB-ACCESS-SIGN: {signature}"),
        "-H",
        "CB-ACCESS-TIMESTAMP: 1700000000",
        "-H",
        "Content-Type: application/json",
        "--data-raw",
        body,
        "--globoff",
        &format!("https://api.coinbase.com{target}"),
    ];
    assert_eq!(words, wanted);
}

/// The Exchange's secret is base64, and dummy text: see its vector, computed with Python's hmac.
const EXCHANGE: [(&str, &str); 3] = [
    ("COINBASE_API_KEY", "0123456789abcdef0123456789abcdef"),
    ("COINBASE_API_SECRET", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg=="),
    ("COINBASE_API_PASSPHRASE", "a phrase"),
];
const VERIFY: &str = "1700000000GET/users/self/verify";
const VERIFIED: &str = "VWEblJISZzHK29JLE7EP1VNXMFU1COxq3vybOn3OVEk=";

#[test]
fn the_exchanges_vector_comes_out() {
    for (more, channels) in [
        (&["--channel", "ticker"][..], vec!["ticker"]),
        (&["--channel", "ticker", "--channel", "full", "--venue", "exchange"], vec!["ticker", "full"]),
        (&["--channel", "heartbeats,matches"], vec!["heartbeat", "matches"]),
    ] {
        let fixed = ["ws", "--product", "BTC-USD", "--at", "1700000000", "--json"];
        let output = sign(&[&fixed[..], more].concat(), &EXCHANGE, "");
        let json = json(&output);
        assert_eq!((&json["prehash"], &json["signature"]), (&VERIFY.into(), &VERIFIED.into()));
        assert_eq!((&json["valid_from"], &json["valid_until"]), (&1_699_999_970.into(), &1_700_000_030.into()));
        let message: Value = serde_json::from_str(json["message"].as_str().expect("text")).expect("JSON");
        let listed = channels.iter().map(|name| serde_json::json!({ "name": name, "product_ids": ["BTC-USD"] }));
        assert_eq!(message["channels"], Value::Array(listed.collect()));
        assert_eq!((&message["key"], &message["passphrase"]), (&EXCHANGE[0].1.into(), &"a phrase".into()));
        assert_eq!((&message["signature"], &message["timestamp"]), (&VERIFIED.into(), &"1700000000".into()));
        let told = text(&output.stderr);
        assert!(!told.contains("February 2025") && !told.contains("a phrase") && !told.contains(VERIFIED), "{told}");
        assert!(!text(&output.stdout).contains(EXCHANGE[1].1), "the secret is for nobody");
    }
    let output = sign(&["ws", "--channel", "ticker", "--product", "BTC-USD", "--at", "1700000000"], &EXCHANGE, "");
    let told = text(&output.stdout);
    for line in ["  timestamp 1700000000", "  method    GET", "  path      /users/self/verify"] {
        assert!(told.lines().any(|known| known == line), "{line}: {told}");
    }
}

#[test]
fn the_exchanges_requests_are_signed_with_their_query() {
    let output = sign(&["rest", "GET", "/orders?status=open", "--at", "1700000000", "--json"], &EXCHANGE, "");
    let json = json(&output);
    assert_eq!(json["prehash"], "1700000000GET/orders?status=open");
    assert_eq!(json["mended"], Value::Array(Vec::new()), "the query is signed, and nothing to say of it");
    let headers = json["headers"].as_object().expect("headers");
    let names: Vec<_> = headers.keys().map(String::as_str).collect();
    assert_eq!(names, ["CB-ACCESS-KEY", "CB-ACCESS-SIGN", "CB-ACCESS-TIMESTAMP", "CB-ACCESS-PASSPHRASE"]);
    // Made by Python's hmac and base64.
    assert_eq!(json["signature"], "ypA9YV9v31NDsw/y5jDzxvF0Sb7izIxiyk48cO8qzTc=");
    let line = json["curl"].as_str().expect("a line");
    assert!(line.ends_with("'https://api.exchange.coinbase.com/orders?status=open'"), "{line}");
    let told = text(&sign(&["rest", "GET", "/orders?status=open", "--at", "1700000000"], &EXCHANGE, "").stdout);
    assert!(told.lines().any(|line| line == "  path      /orders?status=open"), "{told}");
}

#[test]
fn who_can_not_sign_for_a_venue_is_told_why() {
    let ws = ["ws", "--product", "BTC-USD", "--channel"];
    let legacy = [("COINBASE_API_KEY", KEY), ("COINBASE_API_SECRET", SECRET)];
    for (arguments, env, code, said) in [
        (&["ticker", "--venue", "exchange"][..], &legacy[..], 78, "no passphrase"),
        (&["ticker", "--venue", "advanced-trade"], &EXCHANGE, 78, "have a passphrase"),
        (&["ticker,level2"], &legacy, 64, "one channel a message"),
        (&["balance"], &EXCHANGE, 64, "--account"),
    ] {
        let output = sign(&[&ws[..], arguments].concat(), env, "");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(code), 0), "{arguments:?}");
        let told = text(&output.stderr);
        assert!(told.contains(said) && !told.contains("a phrase"), "{told}");
    }
}
