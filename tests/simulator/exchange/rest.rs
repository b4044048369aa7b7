//! The Exchange's REST interface, seen by a client that writes its requests by hand.

use std::sync::Arc;

use serde_json::{Value, json};
use tickerd::{
    simulator::{Ending, Simulator},
    venue::{Listed, exchange::EXCHANGE},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{ACCOUNT, KEY, PHRASE, signature, that_knows};
use crate::NOW;

/// Status and body.
pub async fn ask(simulator: &Arc<Simulator>, target: &str, headers: &str) -> (u16, Value) {
    let (mut near, far) = tokio::io::duplex(1 << 16);
    let exchange = tokio::spawn(Arc::clone(simulator).serve(far));
    let request = format!("GET {target} HTTP/1.1\r\nHost: exchange.test:8080\r\n{headers}\r\n");
    near.write_all(request.as_bytes()).await.expect("written");
    let mut answer = String::new();
    near.read_to_string(&mut answer).await.expect("read");
    assert_eq!(exchange.await.expect("no panic"), Ending::Answered);
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    (status, serde_json::from_str(body).expect("always JSON"))
}

fn over(prehash: &str, timestamp: &str, phrase: &str) -> String {
    format!(
        "CB-ACCESS-KEY: {KEY}\r\nCB-ACCESS-TIMESTAMP: {timestamp}\r\nCB-ACCESS-PASSPHRASE: {phrase}\r\n\
         CB-ACCESS-SIGN: {}\r\n",
        signature(&format!("{timestamp}{prehash}"))
    )
}

#[tokio::test(start_paused = true)]
async fn rest_tells_everybody_the_time_and_what_is_traded() {
    let simulator = that_knows();
    let (status, time) = ask(&simulator, "/time", "").await;
    assert_eq!((status, time["epoch"].as_f64().map(f64::round)), (200, Some(1_786_309_548.0)), "a number");
    simulator.list(vec![Listed { id: "NEW-USD".into(), alias: None, online: false }]);
    let (status, list) = ask(&simulator, "/products", "").await;
    assert_eq!((status, &list[0]["id"], &list[0]["status"]), (200, &json!("NEW-USD"), &json!("delisted")));
    assert_eq!((EXCHANGE.rest.read_time)(time.to_string().as_bytes()), Some(NOW * 1_000), "as the client reads it");
    assert!((EXCHANGE.rest.read_products)(list.to_string().as_bytes()).is_some());
    assert_eq!(ask(&simulator, "/nothing", "").await, (404, json!({"message": "NotFound"})));
}

/// The query is signed here, and is not at Advanced Trade (`ccxt#21640`).
#[tokio::test(start_paused = true)]
async fn rest_wants_four_headers_and_the_query_signed() {
    let simulator = that_knows();
    let now = |part: &str| format!("{NOW}{part}");
    let (status, accounts) =
        ask(&simulator, "/accounts?limit=1", &over("GET/accounts?limit=1", &now(""), PHRASE)).await;
    assert_eq!((status, &accounts[0]["id"]), (200, &json!(ACCOUNT)));
    assert!((EXCHANGE.rest.read_permissions)(accounts.to_string().as_bytes()).is_some());
    let verify = "/users/self/verify";
    assert_eq!(ask(&simulator, verify, &over("GET/users/self/verify", &now(".1"), PHRASE)).await.0, 200);
    let whole = over("GET/accounts", &now(".2"), PHRASE);
    let without = |header: &str| {
        let lines = whole.split_inclusive("\r\n").filter(|line| !line.starts_with(header));
        lines.collect::<String>()
    };
    for (headers, said) in [
        (String::new(), "CB-ACCESS-KEY header is required"),
        (without("CB-ACCESS-SIGN"), "CB-ACCESS-SIGN header is required"),
        (without("CB-ACCESS-PASSPHRASE"), "CB-ACCESS-PASSPHRASE header is required"),
        (over("GET/accounts", &now(".3"), "another"), "Invalid Passphrase"),
        (over("GET/accounts?limit=1", &now(".4"), PHRASE), "invalid signature"),
        (over("GET/accounts", &format!("{}", NOW - 40), PHRASE), "request timestamp expired"),
        (whole.replace(KEY, "nobody"), "Invalid API Key"),
    ] {
        assert_eq!(ask(&simulator, "/accounts", &headers).await, (401, json!({"message": said})));
    }
    simulator.revoke(KEY);
    assert_eq!(ask(&simulator, "/accounts", &whole).await.1, json!({"message": "Invalid API Key"}));
}
