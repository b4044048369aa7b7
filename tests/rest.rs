//! The REST client against the built-in exchange, and against servers that answer anything else: over in-memory streams,
//! under tokio's paused time.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::future::BoxFuture;
use tickerd::{
    auth::{Credentials, Scheme, Secret},
    clock::Clock,
    desk::Desk,
    net::{Dial, DialError, Network, Opened, Wire, client_config},
    random::Random,
    rest::{Client, RestError, WITHIN},
    simulator::{Faults, Observed, Options, Simulator, tls::Identity},
    venue::{Listed, Permissions, Rest, advanced_trade::MARKET},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::Instant,
};

const REST: &Rest = MARKET.rest;
const BASE: &str = "https://api.coinbase.com";
const MAY_VIEW: Permissions = Permissions { can_view: true, can_trade: false, can_transfer: false };

fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_786_309_548_250)
}

fn cdp_key(seed: u8) -> Arc<Credentials> {
    let secret = Secret::new(STANDARD.encode([seed; 32]));
    Arc::new(Credentials::new("main", Scheme::Jwt, "organizations/o/apiKeys/k", &secret).expect("a key"))
}

fn hmac_key() -> Arc<Credentials> {
    let secret = Secret::new("M4009eFnOoPwhNoMwJlsAHgIgleGVFPl".to_owned());
    Arc::new(Credentials::new("main", Scheme::Hmac, "kVlJUIsXUFIGCVuV", &secret).expect("a key"))
}

fn both() -> [Arc<Credentials>; 2] {
    [cdp_key(7), hmac_key()]
}

/// A pipe to whoever serves it; how often it was opened.
struct Pipe {
    serve: Box<dyn Fn(DuplexStream) + Send + Sync>,
    opened: Arc<AtomicUsize>,
}

impl Dial for Pipe {
    fn open<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Opened, DialError>> {
        Box::pin(async {
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            self.opened.fetch_add(1, Ordering::Relaxed);
            (self.serve)(theirs);
            Ok(Opened { wire: Wire::new(ours), peer: "a pipe".into() })
        })
    }
}

fn client(serve: impl Fn(DuplexStream) + Send + Sync + 'static) -> (Client, Arc<AtomicUsize>) {
    let opened = Arc::<AtomicUsize>::default();
    let dial = Arc::new(Pipe { serve: Box::new(serve), opened: opened.clone() });
    (Client::new(dial, Clock::from(start()), Random::seeded(1)), opened)
}

/// What was asked: the signature, and the status that it was answered with.
type Asked = Arc<Mutex<Vec<(String, u16)>>>;

/// A client of the exchange, with what the exchange was asked.
fn of_exchange(known: Option<&Arc<Credentials>>, permissions: Permissions, faults: &[&str]) -> (Client, Asked) {
    let asked = Asked::default();
    let faults: Vec<_> = faults.iter().map(|fault| (*fault).to_owned()).collect();
    let options = Options {
        credentials: known.into_iter().cloned().collect(),
        permissions,
        faults: Faults::parse(&faults).expect("known"),
        observer: Some(Arc::new({
            let asked = asked.clone();
            move |observed| {
                if let Observed::Asked { signature, status, .. } = observed {
                    asked.lock().expect("whole").push((signature.clone().unwrap_or_default(), *status));
                }
            }
        })),
        ..Options::new(Clock::from(start()))
    };
    let exchange = Simulator::new(options);
    let (client, _) = client(move |stream| drop(tokio::spawn(exchange.clone().serve(stream))));
    (client, asked)
}

/// A client of a server that answers each request with the next of `answers`, the last of them again and again.
fn of_server(after: Duration, answers: Vec<String>) -> (Client, Arc<AtomicUsize>) {
    let turn = AtomicUsize::new(0);
    client(move |mut stream| {
        let turn = turn.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1);
        let answer = answers[turn].clone();
        tokio::spawn(async move {
            let request = head(&mut stream).await;
            tokio::time::sleep(after).await;
            // Who has read enough goes away, and that is none of the server's business.
            let _ = stream.write_all(answer.replace("{request}", &request).as_bytes()).await;
        });
    })
}

async fn head(stream: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a request"));
    }
    String::from_utf8(head).expect("text")
}

fn http(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\n{body}")
}

#[tokio::test(start_paused = true)]
async fn the_offset_is_the_venues_clock_minus_ours() {
    for (fault, ms) in [("clock:+90s", 90_000), ("clock:-90s", -90_000)] {
        let (client, _) = of_exchange(None, MAY_VIEW, &[fault]);
        let offset = client.time(REST, BASE).await.expect("the time");
        assert_eq!((offset.ms, offset.uncertainty_ms, offset.is_notable()), (ms, 0, true));
    }
    let (client, _) = of_exchange(None, MAY_VIEW, &[]);
    assert_eq!(client.time(REST, BASE).await.expect("the time").ms, 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_takes_long_makes_the_offset_uncertain() {
    // Ours says .250 when it asks and .650 when it hears, so .450 in the middle.
    let body = r#"{"iso":"","epochSeconds":"1786309548","epochMillis":"1786309548500"}"#;
    let (client, _) = of_server(Duration::from_millis(400), vec![http("200 OK", body)]);
    let offset = client.time(REST, BASE).await.expect("the time");
    assert_eq!((offset.ms, offset.uncertainty_ms), (50, 200));
}

#[tokio::test(start_paused = true)]
async fn a_key_is_told_what_it_may_do_whichever_way_it_signs() {
    for key in both() {
        let desk = Desk::new(key.clone());
        for permissions in [MAY_VIEW, Permissions { can_view: false, can_trade: true, can_transfer: true }] {
            let (client, _) = of_exchange(Some(&key), permissions, &[]);
            assert_eq!(client.permissions(REST, BASE, &desk).await.expect("told"), permissions, "{key:?}");
        }
    }
}

/// `ccxt#21640`: the query was signed with the path, so that only filtered calls were refused.
#[tokio::test(start_paused = true)]
async fn a_request_with_a_query_is_believed() {
    assert!(REST.proof.contains('?'), "else it proves nothing here");
    for key in both() {
        let (client, asked) = of_exchange(Some(&key), MAY_VIEW, &[]);
        client.proof(REST, BASE, &Desk::new(key)).await.expect("believed");
        assert_eq!(asked.lock().expect("whole").len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_without_view_is_told_from_one_that_is_not_believed() {
    let key = cdp_key(7);
    let (client, asked) = of_exchange(Some(&key), Permissions { can_view: false, ..MAY_VIEW }, &[]);
    let error = client.proof(REST, BASE, &Desk::new(key.clone())).await.expect_err("denied");
    assert_eq!(error.status().map(|status| status.as_u16()), Some(403));
    assert!(error.to_string().contains("User does not have access to portfolio"), "{error}");
    assert_eq!(asked.lock().expect("whole").len(), 1, "only 401 is asked again");

    let (client, asked) = of_exchange(Some(&key), MAY_VIEW, &[]);
    let error = client.proof(REST, BASE, &Desk::new(cdp_key(8))).await.expect_err("another key of that name");
    assert_eq!(
        error.to_string(),
        "https://api.coinbase.com/api/v3/brokerage/accounts: HTTP 401 Unauthorized, \"Unauthorized\""
    );
    assert_eq!(asked.lock().expect("whole").len(), 2);
}

/// `coinbase-advanced-py#132`: from some networks the venue refuses half of all valid tokens, and the next one is taken.
#[tokio::test(start_paused = true)]
async fn one_401_is_asked_again_with_a_new_signature_and_two_stand() {
    for key in both() {
        let begun = Instant::now();
        let (client, asked) = of_exchange(Some(&key), MAY_VIEW, &["refuse-rest:1"]);
        client.permissions(REST, BASE, &Desk::new(key.clone())).await.expect("the second time");
        let seen = asked.lock().expect("whole").clone();
        assert_eq!(seen.iter().map(|(_, status)| *status).collect::<Vec<_>>(), [401, 200]);
        assert_ne!(seen[0].0, seen[1].0, "{key:?}");
        assert!(begun.elapsed() < Duration::from_secs(2), "HMAC waits for the next second, and no longer");

        let (client, asked) = of_exchange(Some(&key), MAY_VIEW, &["refuse-rest:2"]);
        let error = client.permissions(REST, BASE, &Desk::new(key)).await.expect_err("twice is meant");
        assert_eq!(error.status().map(|status| status.as_u16()), Some(401));
        assert_eq!(asked.lock().expect("whole").len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn the_list_is_the_same_for_everybody_and_for_a_key() {
    let key = hmac_key();
    let (client, _) = of_exchange(Some(&key), MAY_VIEW, &[]);
    let listed = client.products(REST, BASE, None).await.expect("listed");
    assert!(listed.contains(&Listed { id: "BTC-USD".into(), alias: None, online: true }));
    assert!(listed.iter().any(|product| !product.online), "and what is traded no longer");
    assert_eq!(client.products(REST, BASE, Some(&Desk::new(key))).await.expect("listed"), listed);
}

#[tokio::test(start_paused = true)]
async fn pages_are_followed_to_their_end_and_not_in_circles() {
    let page = |id: &str, more: bool| {
        http(
            "200 OK",
            &format!(
                r#"{{"products":[{{"product_id":"{id}","status":"online"}}],"pagination":{{"next_cursor":"c","has_next":{more}}}}}"#
            ),
        )
    };
    let (client, opened) = of_server(Duration::ZERO, vec![page("A-USD", true), page("B-USD", false)]);
    let listed = client.products(REST, BASE, None).await.expect("listed");
    assert_eq!(listed.iter().map(|product| &*product.id).collect::<Vec<_>>(), ["A-USD", "B-USD"]);
    assert_eq!(opened.load(Ordering::Relaxed), 2);

    let (client, opened) = of_server(Duration::ZERO, vec![page("A-USD", true)]);
    assert!(matches!(client.products(REST, BASE, None).await, Err(RestError::TooLarge(_))));
    assert_eq!(opened.load(Ordering::Relaxed), 100);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_answer_is_told_for_what_it_is() {
    type Is = fn(&RestError) -> bool;
    let answers: [(String, Is); 6] = [
        (http("200 OK", "<html>sign in to the hotel's network</html>"), |e| matches!(e, RestError::Unreadable(_, 43))),
        (http("200 OK", ""), |e| matches!(e, RestError::Unreadable(_, 0))),
        (String::new(), |e| matches!(e, RestError::Broken(..))),
        ("SSH-2.0-hello\r\n\r\n".to_owned(), |e| matches!(e, RestError::Broken(..))),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"iso\"".to_owned(), |e| matches!(e, RestError::Broken(..))),
        (http("200 OK", &" ".repeat(17 << 20)), |e| matches!(e, RestError::TooLarge(_))),
    ];
    for (answer, is) in answers {
        let (client, opened) = of_server(Duration::ZERO, vec![answer]);
        let error = client.time(REST, BASE).await.expect_err("no answer");
        assert!(is(&error), "{error:?}");
        assert!(error.to_string().starts_with("https://api.coinbase.com/api/v3/brokerage/time: "), "{error}");
        assert_eq!((error.status(), opened.load(Ordering::Relaxed)), (None, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_has_its_time() {
    let stalled = "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{".to_owned();
    for answer in [None, Some(stalled)] {
        let (client, _) = client(move |mut stream| {
            let answer = answer.clone();
            tokio::spawn(async move {
                head(&mut stream).await;
                if let Some(answer) = answer {
                    stream.write_all(answer.as_bytes()).await.expect("written");
                }
                std::future::pending::<()>().await;
            });
        });
        let begun = Instant::now();
        assert!(matches!(client.products(REST, BASE, None).await, Err(RestError::Late(..))));
        assert_eq!(begun.elapsed(), WITHIN);
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_told_to_stay_away_is_told_for_how_long() {
    let answer = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\nconnection: close\r\n\r\n".to_owned();
    let (client, opened) = of_server(Duration::ZERO, vec![answer]);
    let error = client.permissions(REST, BASE, &Desk::new(cdp_key(7))).await.expect_err("too many");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert!(error.to_string().ends_with("it asks to wait 7 s"), "{error}");
    assert_eq!(opened.load(Ordering::Relaxed), 1);
}

/// A proxy's error page may show the request that it did not like.
#[tokio::test(start_paused = true)]
async fn a_signature_that_is_sent_back_is_not_shown() {
    for key in both() {
        let (client, _) = of_server(Duration::ZERO, vec![http("502 Bad Gateway", "{request}")]);
        let error = client.permissions(REST, BASE, &Desk::new(key)).await.expect_err("bad gateway");
        let told = format!("{error} {error:?}").to_lowercase();
        assert!(told.contains("[signature]"), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_go_over_no_open_network() {
    let key = hmac_key();
    for (base, sent) in [
        ("http://api.coinbase.com", false),
        ("http://localhost.example.com", false),
        ("http://10.0.0.1:8080", false),
        ("ws://api.coinbase.com", false),
        ("http://127.0.0.1:8080", true),
        ("http://[::1]:8080", true),
        ("http://localhost", true),
        ("https://10.0.0.1", true),
    ] {
        let answer = http("200 OK", r#"{"can_view":true,"can_trade":false,"can_transfer":false}"#);
        let (client, opened) = of_server(Duration::ZERO, vec![answer]);
        let answer = client.permissions(REST, base, &Desk::new(key.clone())).await;
        assert_eq!(answer.is_ok(), sent, "{base}");
        assert_eq!(matches!(answer, Err(RestError::Plain(_))), !sent);
        assert_eq!(opened.load(Ordering::Relaxed), usize::from(sent), "{base}");
    }
    // What needs no signature may.
    let (client, _) = of_exchange(None, MAY_VIEW, &[]);
    client.time(REST, "http://api.coinbase.com").await.expect("the time");
}

/// The one test with real sockets: REST trusts what the WebSocket trusts, and nobody else.
#[tokio::test]
async fn over_tls_the_certificate_counts() {
    let (identity, other) = (Identity::generate(&[]).expect("made"), Identity::generate(&[]).expect("made"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("https://{}", listener.local_addr().expect("bound"));
    let (key, clock) = (cdp_key(7), Clock::system());
    let exchange = Simulator::new(Options { credentials: vec![key.clone()], ..Options::new(clock.clone()) });
    tokio::spawn(exchange.listen(listener, Some(identity.acceptor)));
    let folder = tempfile::tempdir().expect("a folder");
    for (name, certificate, trusted) in [("ours", identity.certificate, true), ("other", other.certificate, false)] {
        let file = folder.path().join(name);
        std::fs::write(&file, certificate).expect("written");
        let tls = client_config(Some(&file)).expect("a root");
        let client = Client::new(Arc::new(Network::new(tls)), clock.clone(), Random::system());
        let answer = client.permissions(REST, &base, &Desk::new(key.clone())).await;
        match answer {
            Ok(permissions) => assert!(trusted && permissions == MAY_VIEW),
            Err(error) => assert!(!trusted && matches!(error, RestError::Dial(DialError::Tls(..))), "{error}"),
        }
    }
}
