//! The exchange's REST interface, seen by a client that writes its requests by hand.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tickerd::{
    auth::{Credentials, Scheme, Secret, Signer, Stamp, hmac},
    simulator::{Ending, Observed, Options, Simulator},
    venue::{Listed, Permissions},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{BOTH, KEY, NOW, SECRET, client::Client, options, signed, with_faults};

const REFUSED: &str = "authentication failure";
const ACCOUNTS: &str = "/api/v3/brokerage/accounts";

fn known() -> Arc<Credentials> {
    let secret = Secret::new(SECRET.to_owned());
    Arc::new(Credentials::new("main", Scheme::Hmac, KEY, &secret).expect("a key"))
}

/// Status and body.
async fn ask(simulator: &Arc<Simulator>, method: &str, target: &str, headers: &str) -> (u16, Value) {
    let (mut near, far) = tokio::io::duplex(1 << 16);
    let exchange = tokio::spawn(Arc::clone(simulator).serve(far));
    let request = format!("{method} {target} HTTP/1.1\r\nHost: exchange.test:8080\r\n{headers}\r\n");
    near.write_all(request.as_bytes()).await.expect("written");
    let mut answer = String::new();
    near.read_to_string(&mut answer).await.expect("read");
    assert_eq!(exchange.await.expect("no panic"), Ending::Answered);
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    (status, serde_json::from_str(body).unwrap_or_else(|_| json!(body)))
}

/// The headers of a request whose signature is over `prehash`, behind the timestamp.
fn over(prehash: &str, unix: u64) -> String {
    let signature = hex::encode(hmac::Key::new(SECRET).sign(&format!("{unix}{prehash}")));
    format!("CB-ACCESS-KEY: {KEY}\r\nCB-ACCESS-TIMESTAMP: {unix}\r\nCB-ACCESS-SIGN: {signature}\r\n")
}

#[tokio::test(start_paused = true)]
async fn each_path_answers_whom_it_should() {
    let simulator = Simulator::new(Options { credentials: vec![known()], ..options() });
    let (status, time) = ask(&simulator, "GET", "/api/v3/brokerage/time", "").await;
    assert_eq!((status, &time["epochMillis"]), (200, &json!(format!("{NOW}000"))), "numbers are strings");
    let (status, list) = ask(&simulator, "GET", "/api/v3/brokerage/market/products", "").await;
    assert_eq!((status, &list["products"][0]["status"]), (200, &json!("online")));
    for path in [ACCOUNTS, "/api/v3/brokerage/key_permissions", "/api/v3/brokerage/products"] {
        assert_eq!(ask(&simulator, "GET", path, "").await, (401, json!("Unauthorized")), "{path}");
        let (status, body) = ask(&simulator, "GET", path, &over(&format!("GET{path}"), NOW)).await;
        assert!(status == 200 && body.is_object(), "{path}: {status} {body}");
    }
    assert_eq!(ask(&simulator, "GET", "/api/v3/brokerage/nothing", "").await.0, 404);
    assert_eq!(ask(&simulator, "POST", "/api/v3/brokerage/time", "Content-Length: 0\r\n").await.0, 405);
}

/// `ccxt#21640`: the query was signed, and the venue said nothing but "Unauthorized", as it does of every other recipe.
#[tokio::test(start_paused = true)]
async fn a_signature_by_another_recipe_is_refused() {
    let simulator = Simulator::new(Options { credentials: vec![known()], ..options() });
    for (prehash, unix) in [
        (format!("GET{ACCOUNTS}?limit=1"), NOW),
        (format!("get{ACCOUNTS}"), NOW),
        (format!("GEThttps://api.coinbase.com{ACCOUNTS}"), NOW),
        (format!("GET{ACCOUNTS}/"), NOW),
        (format!("GET{ACCOUNTS}"), NOW - 31),
        (format!("GET{ACCOUNTS}"), NOW * 1_000),
    ] {
        let (status, _) = ask(&simulator, "GET", &format!("{ACCOUNTS}?limit=1"), &over(&prehash, unix)).await;
        assert_eq!(status, 401, "{prehash} {unix}");
    }
    let right = over(&format!("GET{ACCOUNTS}"), NOW);
    assert_eq!(ask(&simulator, "GET", &format!("{ACCOUNTS}?limit=1"), &right).await.0, 200);
    assert_eq!(ask(&simulator, "GET", &format!("{ACCOUNTS}?limit=1"), &right).await.0, 401, "used before");
    let mut client = Client::connect(&simulator).await;
    for prehash in ["GET/users/self/verify", "ticker", "tickerBTC-USDETH-USD", "tickerBTC-USD, ETH-USD"] {
        let mut message = signed("ticker", BOTH, NOW);
        message["signature"] = json!(hex::encode(hmac::Key::new(SECRET).sign(&format!("{NOW}{prehash}"))));
        client.say(message).await;
        assert_eq!(client.refusal().await, REFUSED, "{prehash}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_names_its_request() {
    let secret = Secret::new(base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [7; 32]));
    let known = Arc::new(Credentials::new("main", Scheme::Jwt, "organizations/o/apiKeys/k", &secret).expect("a key"));
    let simulator = Simulator::new(Options { credentials: vec![known.clone()], ..options() });
    let Signer::Jwt(key) = known.signer() else { panic!("not a CDP key") };
    for (nonce, (uri, expected)) in [
        (Some("GET api.coinbase.com/api/v3/brokerage/accounts"), 200),
        (Some("GET exchange.test/api/v3/brokerage/accounts"), 200),
        (Some("GET exchange.test:8080/api/v3/brokerage/accounts"), 200),
        (Some("GET api.coinbase.com/api/v3/brokerage/accounts?limit=1"), 401),
        (Some("GET https://api.coinbase.com/api/v3/brokerage/accounts"), 401),
        (Some("GET api.coinbase.com/api/v3/brokerage/products"), 401),
        (Some("POST api.coinbase.com/api/v3/brokerage/accounts"), 401),
        (None, 401),
    ]
    .into_iter()
    .enumerate()
    {
        let nonce = [u8::try_from(nonce).expect("few"); 16];
        let token = key.token(known.key(), uri, &Stamp { unix: NOW, millis: 0, nonce });
        let headers = format!("Authorization: Bearer {token}\r\n");
        assert_eq!(ask(&simulator, "GET", &format!("{ACCOUNTS}?limit=1"), &headers).await.0, expected, "{uri:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_without_view_is_denied_and_told_so() {
    let permissions = Permissions { can_view: false, can_trade: true, can_transfer: false };
    let simulator = Simulator::new(Options { permissions, ..options() });
    let (status, body) = ask(&simulator, "GET", ACCOUNTS, &over(&format!("GET{ACCOUNTS}"), NOW)).await;
    assert_eq!((status, &body["error"]), (403, &json!("PERMISSION_DENIED")));
    let path = "/api/v3/brokerage/key_permissions";
    let (status, body) = ask(&simulator, "GET", path, &over(&format!("GET{path}"), NOW)).await;
    assert_eq!((status, &body["can_view"], &body["can_trade"]), (200, &json!(false), &json!(true)));
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_is_refused_everywhere_and_its_connection_stands() {
    let simulator = Simulator::new(options());
    let mut client = Client::connect(&simulator).await;
    client.say(signed("heartbeats", &[], NOW)).await;
    client.up_to_ack().await;
    simulator.revoke(KEY);
    client.say(signed("ticker", BOTH, NOW)).await;
    assert_eq!(client.refusal().await, REFUSED);
    assert_eq!(ask(&simulator, "GET", ACCOUNTS, &over(&format!("GET{ACCOUNTS}"), NOW)).await.0, 401);
    assert_eq!(client.read().await["channel"], "heartbeats", "what was let in stays");
    client.subscribe("ticker", BOTH).await;
    client.up_to_ack().await;
    simulator.restore(KEY);
    client.say(signed("status", BOTH, NOW)).await;
    client.up_to_ack().await;
    assert_eq!(ask(&simulator, "GET", ACCOUNTS, &over(&format!("GET{ACCOUNTS}"), NOW)).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_revocation_can_be_asked_for_as_a_fault() {
    let simulator = Simulator::new(with_faults(&["revoke:10s-40s"]));
    let begun = tokio::time::Instant::now();
    for (wait, expected) in [(0, 200), (10, 401), (29, 401), (1, 200)] {
        tokio::time::sleep(Duration::from_secs(wait)).await;
        let headers = over(&format!("GET{ACCOUNTS}"), NOW + begun.elapsed().as_secs());
        assert_eq!(ask(&simulator, "GET", ACCOUNTS, &headers).await.0, expected, "after {:?}", begun.elapsed());
    }
}

/// REST requests are no connections: they would shift what `connN:` hits.
#[tokio::test(start_paused = true)]
async fn requests_are_not_counted_as_connections() {
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let observer = {
        let seen = seen.clone();
        move |observed: &Observed| match observed {
            Observed::Connected { conn } => seen.lock().expect("whole").push(format!("connection {conn}")),
            Observed::Asked { request, signature: None, status } => {
                seen.lock().expect("whole").push(format!("{} {status}", request.target()));
            }
            _ => {}
        }
    };
    let simulator = Simulator::new(Options { observer: Some(Arc::new(observer)), ..options() });
    ask(&simulator, "GET", "/api/v3/brokerage/time?x=1", "").await;
    let _client = Client::connect(&simulator).await;
    assert_eq!(*seen.lock().expect("whole"), ["/api/v3/brokerage/time?x=1 200", "connection 1"]);
}

/// What a connection missed is asked for between two times, the newest first, a thousand at once, and told as the channel does.
#[tokio::test(start_paused = true)]
async fn what_was_traded_is_told_to_everybody_between_two_times() {
    let simulator = Simulator::new(options());
    let ticker = |product: &str, query: &str| format!("/api/v3/brokerage/market/products/{product}/ticker?{query}");
    let ids = |answer: &Value| -> Vec<u64> {
        let trades = answer["trades"].as_array().expect("trades").iter();
        trades.map(|trade| trade["trade_id"].as_str().expect("text").parse().expect("a number")).collect()
    };
    tokio::time::sleep(Duration::from_secs(50)).await;
    let (status, all) = ask(&simulator, "GET", &ticker("BTC-USD", "limit=5000"), "").await;
    assert_eq!((status, &all["trades"][0]["product_id"]), (200, &json!("BTC-USD")));
    let all = ids(&all);
    assert!(all.len() > 200 && all.windows(2).all(|pair| pair[0] == pair[1] + 1), "{all:?}");
    let between = format!("limit=1000&start={}&end={}", NOW + 10, NOW + 20);
    let (_, some) = ask(&simulator, "GET", &ticker("BTC-USD", &between), "").await;
    let some = ids(&some);
    assert!((15..60).contains(&some.len()) && all.windows(some.len()).any(|window| window == some), "{some:?}");
    let (_, few) = ask(&simulator, "GET", &ticker("BTC-USD", "limit=3"), "").await;
    assert_eq!(ids(&few), all[..3]);
    let (_, none) = ask(&simulator, "GET", &ticker("BTC-USD", &format!("limit=3&start={}", NOW + 60)), "").await;
    assert!(ids(&none).is_empty(), "{none}");
    assert_eq!(ask(&simulator, "GET", &ticker("BTC-USDC", "limit=3"), "").await.1["trades"], few["trades"]);
    assert_eq!(ask(&simulator, "GET", &ticker("NO-SUCH", "limit=3"), "").await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn the_list_can_be_changed_while_it_runs() {
    let simulator = Simulator::new(options());
    simulator.list(vec![Listed { id: "NEW-USDC".into(), alias: Some("NEW-USD".into()), online: true }]);
    let (_, list) = ask(&simulator, "GET", "/api/v3/brokerage/market/products", "").await;
    assert_eq!((&list["num_products"], &list["products"][0]["alias"]), (&json!(1), &json!("NEW-USD")));
}
