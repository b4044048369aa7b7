//! The parts of what happens to each message, and what a subscribe costs, each on its own: `cargo bench --bench hot`.
//! All of them together, in the daemon and beside others, is `benches/compare/run`.

#![allow(missing_docs, reason = "criterion's macros write functions without")]
#![allow(clippy::disallowed_methods, reason = "it measures: no time here is paused")]

#[path = "compare/frames.rs"]
#[expect(dead_code, reason = "the blaster sends them; here only their messages count")]
mod frames;

use std::{
    hint::black_box,
    sync::Arc,
    time::{Instant, SystemTime},
};

use aws_lc_rs::{
    encoding::AsBigEndian,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sha2::{Digest, Sha256};
use tickerd::{
    auth::{Credentials, Scheme, Secret, Stamp},
    record::{Body, Form, Line, Origin, Pen, Record},
    session::{IfRefused, Session, Stance},
    venue::{Arrival, Kind, Product, advanced_trade::MARKET},
};

use frames::Kind::{Heartbeats, Level2, Tickers};

const STAMP: Stamp = Stamp { unix: 1_700_000_000, millis: 0, nonce: [0x5a; 16] };

criterion_group!(hot, scan, line, pen, session, hash, sign);
criterion_main!(hot);

/// The first message of each kind, and of a book an update and a snapshot.
fn messages() -> [(&'static str, String); 4] {
    let of = |kind: frames::Kind, at: usize| {
        let frames = kind.frames(at + 1, &["BTC-USD".to_owned()], 100_000);
        String::from_utf8_lossy(frames.messages().nth(at).expect("as many as asked for")).into_owned()
    };
    [
        ("ticker", of(Tickers, 0)),
        ("heartbeat", of(Heartbeats, 0)),
        ("level2-update", of(Level2, 1)),
        ("level2-snapshot", of(Level2, 0)),
    ]
}

/// What the session must know of a message, found in its bytes.
fn scan(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scan");
    for (name, message) in messages() {
        group.throughput(Throughput::Bytes(message.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| (MARKET.read)(black_box(message.as_str()))));
    }
}

/// A message becomes exactly one line.
fn line(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("line");
    for (name, message) in messages() {
        let text = tokio_tungstenite::tungstenite::Utf8Bytes::from(message);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| Line::from_text(black_box(text.clone()))));
    }
}

/// A line is put behind others, in both forms.
fn pen(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pen");
    let [(_, ticker), ..] = messages();
    let origin = Origin::lone("tickers", 0x3f2a, 1);
    let body = Body::Messages(Line::from_text(ticker.clone().into()).into());
    let record = Record { recv: SystemTime::now(), origin: Arc::new(origin), n: 100_000, body };
    for (name, form) in [("raw", Form::Raw), ("envelope", Form::Envelope)] {
        let (mut pen, mut out) = (Pen::new(form), Vec::with_capacity(1024));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                pen.head(black_box(&record), record.n, &mut out);
                out.extend_from_slice(ticker.as_bytes());
                pen.tail(&mut out);
            });
        });
    }
}

/// What a message does to the conversation: numbers, liveness, cadences.
fn session(criterion: &mut Criterion) {
    let channels = ["heartbeats", "ticker_batch"].map(|name| MARKET.channel(name).expect("it has that"));
    let products = [Product::parse("BTC-USD").expect("spelt right")];
    let leg = MARKET.legs(&channels, &products, &[]).remove(0);
    let (begun, recv) = (Instant::now(), SystemTime::now());
    let mut session = Session::new(&MARKET, &leg, IfRefused::Public, Stance::new(false), begun);
    let [(_, ticker), ..] = messages();
    let mut sequence = 0;
    criterion.bench_function("session/ticker", |bencher| {
        bencher.iter_batched(
            || {
                let number = Some(sequence);
                sequence += 1;
                Arrival { sequence: number, ..(MARKET.read)(&ticker) }
            },
            |arrival| {
                session.handle_message(&arrival, ticker.len(), recv, begun);
                session.told().is_some()
            },
            BatchSize::SmallInput,
        );
    });
    assert!(matches!((MARKET.read)(&ticker).kind, Kind::Data(Some(_))), "it is measured as what it is");
}

/// What the seal of a segment costs.
fn hash(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hash");
    let [(_, ticker), ..] = messages();
    // As the writer does it: a megabyte at a time.
    let lines = ticker.repeat(1_048_576 / ticker.len());
    group.throughput(Throughput::Bytes(lines.len() as u64));
    let mut hash = Sha256::new();
    group.bench_function("megabyte", |bencher| bencher.iter(|| hash.update(black_box(lines.as_bytes()))));
}

/// What a subscribe costs, once a connection.
fn sign(criterion: &mut Criterion) {
    let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("it generates");
    let ed = Ed25519KeyPair::generate().expect("it generates");
    let seed = ed.seed().expect("it has one").as_be_bytes().expect("it writes");
    let ed = [seed.as_ref(), aws_lc_rs::signature::KeyPair::public_key(&ed).as_ref()].concat();
    let name = "organizations/11111111-2222-3333-4444-555555555555/apiKeys/66666666-7777-8888-9999-000000000000";
    let channels = [MARKET.channel("ticker").expect("it has that")];
    let products = [Product::parse("BTC-USD").expect("spelt right")];
    let leg = MARKET.legs(&channels, &products, &[]).remove(0);
    let pkcs8 = ec.to_pkcs8v1().expect("it writes");
    let mut group = criterion.benchmark_group("sign");
    for (algorithm, scheme, key, secret) in [
        ("hmac", Scheme::Hmac, "M4009eFnOoPwhNoM", "M4009eFnOoPwhNoMwJlsAHgIgleGVFPl".to_owned()),
        ("es256", Scheme::Jwt, name, STANDARD.encode(pkcs8.as_ref())),
        ("eddsa", Scheme::Jwt, name, STANDARD.encode(&ed)),
    ] {
        let credentials = Credentials::new("main", scheme, key, &Secret::new(secret)).expect("a key");
        group.bench_function(algorithm, |bencher| {
            bencher.iter(|| (MARKET.write)(black_box(&leg[0]), Some((&credentials, &STAMP))));
        });
    }
}
