//! Metrics and health, asked of the real binary over real sockets.

mod contrib;
mod stage;

use std::{
    fs,
    io::{Read, Write},
};

use stage::Stage;

#[test]
fn what_there_is_is_answered_and_nothing_else() {
    let stage = Stage::new("20", "tape.ndjson", &[]);
    let ready = stage.get_until("/readyz", |answer| answer.status == 200);
    assert_eq!(ready.body, "ready\n");
    assert_eq!((stage.get("/healthz").status, stage.get("/healthz").body.as_str()), (200, "alive\n"));
    assert!(stage.get("/").body.contains("/metrics") && stage.get("/metrics/").status == 404);

    let text = stage.get("/metrics");
    assert!(text.head.contains("content-type: text/plain; version=0.0.4"), "{}", text.head);
    assert!(text.body.contains("# TYPE tickerd_messages_received_total counter"), "{}", text.body);
    let host = &stage.at;
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let open = stage.say(&format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\n\r\n"));
    assert!(open.head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{}", open.head);
    assert!(open.body.ends_with("# EOF\n") && open.body.contains("# TYPE tickerd_messages_received counter"));

    let head = stage.say(&format!("HEAD /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer =
            stage.say(&format!("{method} /metrics HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\n\r\nhello"));
        assert_eq!(answer.status, 405, "{method}");
    }
    assert_eq!(stage.say("GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n").status, 403, "DNS rebinding");
    assert_eq!(stage.say("GET /metrics HTTP/1.1\r\n\r\n").status, 403);
    let long = "x".repeat(20_000);
    let answer = stage.say(&format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nX: {long}\r\n\r\n"));
    assert!([0, 431].contains(&answer.status), "more than 8 KiB: {}", answer.status);
    assert_eq!(stage.get("/healthz").status, 200, "and it lives on");
}

#[test]
fn those_who_say_nothing_keep_nobody_out() {
    let stage = Stage::new("20", "tape.ndjson", &[]);
    let mut idle: Vec<_> = (0..20).map(|_| stage.connect()).collect();
    idle[19].write_all(b"GET /metrics HT").expect("it reads");
    assert_eq!(stage.get("/metrics").status, 200);
    // Sixteen are borne with: the first were closed for those that came later.
    assert_eq!(idle[0].read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn a_reader_of_the_output_that_stalls_keeps_nobody_from_asking() {
    let stage = Stage::new("200", "-", &[("TICKERD_OUTPUT__QUEUE", "1MiB")]);
    let stalled = stage.get_until("/readyz", |answer| answer.body.contains("STALLED"));
    assert_eq!(stalled.status, 503, "{}", stalled.body);
    let metrics = stage.get_until("/metrics", |answer| answer.samples()["tickerd_output_blocked_seconds"] > 0.0);
    assert!(metrics.sum("tickerd_feed_state", "state=\"stalled\"") > 0.5);
    assert!(metrics.samples()["tickerd_queue_bytes"] > 0.0);
    assert_eq!(stage.get("/healthz").status, 200, "it is not the daemon that hangs");
}

#[test]
fn what_is_counted_is_what_is_on_the_tape_and_no_secret_is_told() {
    let mut stage = Stage::new("20", "tape.ndjson", &[]);
    stage.get_until("/readyz", |answer| answer.status == 200);
    stage.get_until("/metrics", |answer| answer.sum("tickerd_messages_received_total", "") > 50.0);
    stage.exchange.0.kill().expect("alive");
    stage.get_until("/readyz", |answer| answer.status == 503 && answer.body.contains("DOWN"));
    let metrics = stage.get_until("/metrics", |answer| {
        let written =
            answer.sum("tickerd_messages_written_total", "") + answer.sum("tickerd_messages_dropped_total", "");
        written >= answer.sum("tickerd_messages_received_total", "") && answer.sum("tickerd_queue_records", "") < 0.5
    });
    let tape = fs::read_to_string(stage.path("tape.ndjson")).expect("there");
    let count = |what: &str| tape.lines().filter(|line| line.contains(what)).count();
    let told = |family: &str, label: &str| format!("{}", metrics.sum(family, label));
    assert_eq!(told("tickerd_messages_written_total", ""), count(",\"msg\":").to_string());
    assert_eq!(told("tickerd_written_bytes_total", ""), tape.len().to_string());
    assert_eq!(told("tickerd_connects_total", ""), count("\"event\":\"connected\"").to_string());
    assert_eq!(told("tickerd_disconnects_total", ""), "1");
    assert_eq!(told("tickerd_disconnects_total", ""), count("\"event\":\"disconnected\"").to_string());
    assert_eq!(told("tickerd_gaps_total", ""), count("\"event\":\"gap\"").to_string());
    assert_eq!(told("tickerd_feed_health", "health=\"down\""), "1");
    assert_eq!(told("tickerd_credentials_accepted", ""), "1");
    assert!(metrics.samples()["process_resident_memory_bytes"] > 1e6, "{}", metrics.body);
    assert!(metrics.samples()["process_cpu_seconds_total"] > 0.0 && metrics.samples()["process_open_fds"] > 3.0);
    let token = &stage.secret[..24];
    assert!(!metrics.body.contains(token) && !metrics.body.contains("apiKeys"));
}
