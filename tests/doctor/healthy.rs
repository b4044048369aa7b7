//! What is healthy is called so: a doctor that cries wolf is not asked again.

use base64::{Engine, engine::general_purpose::STANDARD};
use tickerd::{
    auth::Stamp,
    venue::{Product, Request, Subscribe},
    verdict::{self, Certainty, Finding, Mistake},
};

use super::stage::*;

fn only_noted(found: &[Finding], of: &str) {
    assert!(found.iter().all(|finding| finding.certainty == Certainty::Noted), "{of}: {found:#?}");
}

/// Each round wraps two new CDP keys in other ways, and signs other messages with them and with a legacy key.
#[test]
fn two_hundred_healthy_sets_raise_no_alarm() {
    let channels = venue().channels;
    let products: Vec<_> = ["BTC-USD", "ETH-EUR", "SOL-USDC"].map(|id| Product::parse(id).expect(id)).to_vec();
    for round in 0..67 {
        let (ec, _) = ec_key();
        let ed = ed_key();
        for der in [&ec, &ed] {
            let pem = pem(der, "PRIVATE KEY");
            let secret = match round % 6 {
                0 => pem,
                1 => pem.replace('\n', "\\n"),
                2 => pem.replace('\n', " "),
                3 => format!("\"{}\"", pem.trim()),
                4 => pem.replace('\n', "\r\n"),
                _ => STANDARD.encode(der),
            };
            let credentials = credentials(NAME, &secret);
            only_noted(&verdict::of_credentials(&credentials, venue(), NOW), "credentials");
            signed_messages(&credentials, round, channels, &products);
        }
        signed_messages(&hmac_key(), round, channels, &products);
    }
}

fn signed_messages(
    credentials: &tickerd::auth::Credentials,
    round: usize,
    channels: &'static [tickerd::venue::Channel],
    products: &[Product],
) {
    let stamp = Stamp { unix: NOW - round as u64 % 20, millis: 0, nonce: [u8::try_from(round).expect("small"); 16] };
    let channel = &channels[round % channels.len()];
    let subscribe = Subscribe {
        channels: vec![channel],
        products: products[..round % 4].to_vec(),
        accounts: Vec::new(),
        unsubscribes: false,
    };
    let text = (venue().write)(&subscribe, Some((credentials, &stamp))).text;
    let found = examine(&text, credentials);
    only_noted(&found, &text);
    assert_eq!(found, [], "{text}");
    let unknown = verdict::message(&text, venue(), None, NOW).expect("a message");
    only_noted(&unknown, &text);

    let body = ["", r#"{"a":"b, c: d"}"#][round % 2];
    let (request, _) =
        Request::parse(["GET", "POST"][round % 2], ["/api/v3/brokerage/accounts?limit=1", PATH][round % 2], body);
    let proof = (venue().rest.sign)(&request, credentials, &stamp);
    let lines: Vec<_> = proof.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let pasted = format!("{} {} HTTP/1.1\n{}\n\n{body}", request.method, request.target(), lines.join("\n"));
    only_noted(&examine(&pasted, credentials), &pasted);
    let options: Vec<_> = lines.iter().map(|line| format!("-H '{line}'")).collect();
    let data = if body.is_empty() { String::new() } else { format!("-d '{body}'") };
    let curl = format!(
        "curl -X {} {} {data} https://api.coinbase.com{}",
        request.method,
        options.join(" \\\n  "),
        request.target()
    );
    only_noted(&examine(&curl, credentials), &curl);
}

#[test]
fn what_is_right_is_not_found() {
    for name in ["heartbeats", "level2", "user"] {
        assert_eq!(verdict::of_channel(venue(), name), None);
    }
    for url in [venue().url, "ws://127.0.0.1:8080", "wss://proxy.example/coinbase", "ws://[::1]:9"] {
        assert_eq!(verdict::of_url(url, venue()), None, "{url}");
    }
    assert_eq!(verdict::allowed_ips::<&str>(&[]), None);
}

/// Whatever a shell, a log, a word processor or a library put around it, a good one is good and a bad one is found.
#[test]
fn what_stands_around_a_message_changes_nothing() {
    let key = hmac_key();
    for (good, subscribe) in [(true, signed("level2ETH-USD,BTC-USD")), (false, signed("level2ETH-USDBTC-USD"))] {
        let json = subscribe.to_string();
        for text in [
            format!("$ wscat -c wss://x\n> {json}\n< {{\"type\":\"error\",\"message\":\"authentication failure\"}}\n"),
            format!("DEBUG {{}} send: {json} {{\"took\": 3}}"),
            format!("\u{feff}```json\r\n{json}\r\n```"),
            serde_json::Value::String(json.clone()).to_string(),
            json.split('"')
                .enumerate()
                .map(|(i, part)| {
                    if i == 0 {
                        part.to_owned()
                    } else {
                        format!("{}{part}", if i % 2 == 1 { '\u{201c}' } else { '\u{201d}' })
                    }
                })
                .collect(),
            format!(
                "ws.send(JSON.stringify({}))",
                json.replace("\"channel\":", "channel: ").replace("\"type\":", "type: ")
            ),
            format!("ws.send(json.dumps({}))", json.replace('"', "'")),
        ] {
            let found = examine(&text, &key);
            assert_eq!(!verdict::is_refusal(&found), good, "{text}: {found:#?}");
        }
    }
    let url = "https://api.coinbase.com/api/v3/brokerage/orders";
    let body = r#"{"a": "x, y: z"}"#;
    for (good, body_signed) in [(true, body), (false, "")] {
        let signature = hex_of(&format!("{NOW}POST/api/v3/brokerage/orders{body_signed}"));
        let headers =
            [("CB-ACCESS-KEY", KEY), ("CB-ACCESS-SIGN", &*signature), ("CB-ACCESS-TIMESTAMP", &NOW.to_string())];
        let each =
            |form: &dyn Fn(&str, &str) -> String, by: &str| headers.map(|(name, value)| form(name, value)).join(by);
        let dict = each(&|name, value| format!("'{name}': '{value}'"), ", ");
        for text in [
            format!(
                "me@host:~$ curl --request=POST --url={url} {} --data='{body}'\n{{\"error\":\"unauthorized\"}}",
                each(&|n, v| format!("--header='{n}: {v}'"), " ")
            ),
            format!("sudo curl -sSXPOST {} \"{url}\" -d'{body}' | jq .", each(&|n, v| format!("-H\"{n}: {v}\""), " ")),
            format!(
                "PS C:\\> curl.exe -v \"{url}\" ^\r\n {} ^\r\n -d \"{}\"",
                each(&|n, v| format!("-H \"{n}: {v}\""), " ^\r\n "),
                body.replace('"', "\\\"")
            ),
            format!("http --raw '{body}' POST {url} {}", each(&|n, v| format!("{n}:{v}"), " ")),
            format!("requests.post('{url}', headers={{{dict}}}, data='{body}')"),
            format!(
                "fetch(\"{url}\", {{method: \"POST\", headers: {{{dict}}}, body: {}}})",
                serde_json::Value::from(body)
            ),
            format!("POST {url}\n{{{dict}}}\n\n{body}"),
            format!(
                "> POST /api/v3/brokerage/orders HTTP/2\n{}\n>\n{body}\n< HTTP/2 401",
                each(&|n, v| format!("> {n}: {v}"), "\n")
            ),
        ] {
            let found = examine(&text, &key);
            assert_eq!(!verdict::is_refusal(&found), good, "{text}: {found:#?}");
            assert!(found.iter().all(|finding| finding.certainty != Certainty::Noted), "{text}: {found:#?}");
        }
    }
}

/// HTTP's schemes have no case: a good token was called none for `bearer`.
#[test]
fn bearer_is_read_in_any_case() {
    let (der, key) = ec_key();
    let uri = with(claims(), "uri", format!("GET api.coinbase.com{PATH}"));
    let token = token(&der, &header(), &uri);
    for bearer in ["Bearer", "bearer", "BEARER", "Bearer "] {
        assert_eq!(examine(&format!("GET {PATH}\nAuthorization: {bearer} {token}"), &key), [], "{bearer}");
    }
    for command in [
        format!("cd /tmp && curl -H $'Authorization: Bearer {token}' https://api.coinbase.com{PATH} && echo done"),
        format!("curl \u{2013}H \u{2018}Authorization: Bearer {token}\u{2019} https://api.coinbase.com{PATH}"),
        format!("wget --header='Authorization: Bearer {token}' https://api.coinbase.com{PATH}"),
    ] {
        assert_eq!(examine(&command, &key), [], "{command}");
    }
    assert_eq!(examine(&format!("curl --oauth2-bearer {token} https://api.coinbase.com{PATH}"), &key), []);
}

#[test]
fn what_is_no_message_is_said_to_be_none() {
    for text in ["", "hello", "{}", "[]", "curl https://example.com", "{\"a\":1}", "GET /", "{", "}{", "curl -H"] {
        assert!(verdict::message(text, venue(), None, NOW).is_err(), "{text}");
    }
}

#[test]
fn every_mistake_has_its_own_title() {
    let titles: std::collections::BTreeSet<_> = Mistake::ALL.iter().map(|mistake| mistake.title(venue())).collect();
    assert_eq!(titles.len(), Mistake::ALL.len());
}

/// Whatever stands in whichever field: a finding is printed, logged and pasted into forums.
#[test]
fn no_finding_shows_a_secret_a_signature_or_a_token() {
    let (der, cdp) = ec_key();
    let secret = STANDARD.encode(&der);
    let signature = hex_of(&format!("{NOW}level2ETH-USD,BTC-USD"));
    let token = token(&der, &header(), &claims());
    let hidden = [SECRET, &secret, &signature, &token];
    let fields =
        ["type", "channel", "api_key", "key", "timestamp", "signature", "jwt", "passphrase", "product_ids", "channels"];
    let names = ["CB-ACCESS-KEY", "CB-ACCESS-SIGN", "CB-ACCESS-TIMESTAMP", "CB-ACCESS-PASSPHRASE", "Authorization"];
    let legacy = hmac_key();
    for (astray, credentials) in hidden.iter().flat_map(|astray| [(astray, &cdp), (astray, &legacy)]) {
        for field in fields {
            for message in [subscribe(&signature), with_jwt(&token)] {
                hides(&examine(&with(message.clone(), field, *astray).to_string(), credentials), &hidden);
                hides(&examine(&with(message, field, vec![*astray]).to_string(), credentials), &hidden);
            }
        }
        for name in names {
            let pasted = format!("GET {PATH}\n{name}: {astray}\nCB-ACCESS-SIGN: {signature}\n");
            hides(&examine(&pasted, credentials), &hidden);
        }
        for field in ["sub", "iss", "uri", "nbf", "aud"] {
            let odd = super::stage::token(&der, &with(header(), "kid", *astray), &with(claims(), field, *astray));
            let found = examine(&format!("GET {PATH}\nAuthorization: Bearer {odd}"), credentials);
            hides(&found, &[&hidden[..], &[&odd]].concat());
        }
    }
}
